package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"mailfleet/controller/e2e/peers"
)

// mainCF is what Postfix is told besides its defaults: mail for the mailboxes goes to
// Dovecot by LMTP, all other to one host; no TLS, and as many processes as there are
// connections.
const mainCF = `myhostname = mx.example.test
inet_interfaces = 127.0.0.1
virtual_mailbox_domains = example.test
virtual_mailbox_maps = static:all
virtual_transport = lmtp:unix:%s
relayhost = [%s]:%d
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_tls_security_level = none
smtp_tls_security_level = none
default_process_limit = 1200
`

// lmtpConfig has Dovecot take mail by LMTP.
const lmtpConfig = `
protocols = imap pop3 lmtp
service lmtp {
  unix_listener %s {
    mode = 0666
  }
}
`

// postfix is Debian's Postfix, with Dovecot for its mailboxes.
type postfix struct {
	*peers.Postfix
	dovecot *dovecot
}

func newPostfix(ctx context.Context, dir, dovecotDir string, remotePort int) (*postfix, error) {
	if _, err := os.Stat("/usr/lib/dovecot/lmtp"); err != nil {
		return nil, fmt.Errorf("Postfix hands mail to Debian's dovecot-lmtpd, which is not installed: %w", err)
	}
	address, err := peers.FreeAddress(ctx, "127.0.0.1")
	if err != nil {
		return nil, err
	}
	p, socket := &postfix{}, filepath.Join(dovecotDir, "lmtp")
	if p.dovecot, err = newDovecot(ctx, dovecotDir, "", fmt.Sprintf(lmtpConfig, socket)); err != nil {
		return nil, err
	}
	p.Postfix, err = peers.NewPostfix(dir, address, fmt.Sprintf(mainCF, socket, remoteHost, remotePort))
	return p, err
}

func (p *postfix) name() string { return "postfix" }
func (p *postfix) smtp() string { return p.Address }

func (p *postfix) start(ctx context.Context) error {
	if err := p.dovecot.start(ctx); err != nil {
		return err
	}
	return p.Start(ctx)
}

func (p *postfix) stop() error { return errors.Join(p.Stop(), p.dovecot.stop()) }

// processes are the master and all that it has started, without Dovecot's.
func (p *postfix) processes() []int {
	pid, err := p.Master()
	if err != nil {
		return nil
	}
	return family(pid)
}

// submit opens a connection that may send to anybody: Postfix asks this machine for no
// password.
func (p *postfix) submit(ctx context.Context, _ string) (*talker, error) {
	return mailTalk(ctx, p.smtp())
}

// landed counts files until there are enough of them.
func (p *postfix) landed(ctx context.Context, count int) (landing, error) {
	for deadline := time.Now().Add(patience); ; {
		l := landing{at: time.Now()}
		for _, box := range boxes() {
			l.count += files(filepath.Join(p.dovecot.mail(box), "new"))
		}
		if l.count >= count {
			return l, nil
		}
		if time.Now().After(deadline) {
			return l, fmt.Errorf("of %d messages %d are in the mailboxes", count, l.count)
		}
		if pause(ctx, 50*time.Millisecond); ctx.Err() != nil {
			return l, ctx.Err()
		}
	}
}

// files is how many names a directory has, 0 when there is none.
func files(dir string) int {
	d, err := os.Open(dir)
	if err != nil {
		return 0
	}
	defer func() { _ = d.Close() }()
	names, _ := d.Readdirnames(-1) // what cannot be read is missed, and then said to be
	return len(names)
}

// pile fills the queue while its manager does not run.
func (p *postfix) pile(ctx context.Context, put func(parameter string) error) error {
	if err := p.Sends(ctx, false); err != nil {
		return err
	}
	if pause(ctx, time.Second); ctx.Err() != nil { // the manager ends
		return ctx.Err()
	}
	return errors.Join(put(""), p.Sends(ctx, true))
}
