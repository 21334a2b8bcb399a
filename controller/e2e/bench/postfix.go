package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// mainCF is Debian's Postfix in a directory of its own, on loopback, with its defaults
// but for what is said here: mail for the mailboxes goes to Dovecot by LMTP, all other to
// one host; no TLS, and as many processes as there are connections.
const mainCF = `compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.example.test
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
virtual_mailbox_domains = example.test
virtual_mailbox_maps = static:all
virtual_transport = lmtp:unix:%[2]s
relayhost = [%[3]s]:%[4]d
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_tls_security_level = none
smtp_tls_security_level = none
default_process_limit = 1200
`

// masterCF is Debian's, but for the address that is listened on and what has a chroot.
const masterCF = `127.0.0.1:%d inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
` + qmgr + `tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`

const qmgr = "qmgr unix n - n 300 1 qmgr\n"

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
	dir     string
	port    int
	dovecot *dovecot
}

func newPostfix(ctx context.Context, dir, dovecotDir string, remotePort int) (*postfix, error) {
	owner, err := osuser.Lookup("postfix")
	if err != nil || os.Getuid() != 0 {
		return nil, errors.New("it is compared with Debian's postfix and dovecot-lmtpd, which must be installed and are started as root")
	}
	if _, err := os.Stat("/usr/lib/dovecot/lmtp"); err != nil {
		return nil, fmt.Errorf("Postfix hands mail to Debian's dovecot-lmtpd, which is not installed: %w", err)
	}
	p := &postfix{dir: dir}
	if p.port, err = freePort(ctx); err != nil {
		return nil, err
	}
	socket := filepath.Join(dovecotDir, "lmtp")
	if p.dovecot, err = newDovecot(ctx, dovecotDir, "", fmt.Sprintf(lmtpConfig, socket)); err != nil {
		return nil, err
	}
	for _, name := range []string{"queue", "data"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.Atoi(owner.Uid)
	if err != nil {
		return nil, err
	}
	if err := os.Chown(filepath.Join(dir, "data"), uid, -1); err != nil {
		return nil, err
	}
	err = os.WriteFile(filepath.Join(dir, "main.cf"), fmt.Appendf(nil, mainCF, dir, socket, remoteHost, remotePort), 0o644)
	return p, errors.Join(err, p.manage(true))
}

// manage writes which processes there are, with the one that sends mail on or without it.
func (p *postfix) manage(sends bool) error {
	text := fmt.Sprintf(masterCF, p.port)
	if !sends {
		text = strings.Replace(text, qmgr, "", 1)
	}
	return os.WriteFile(filepath.Join(p.dir, "master.cf"), []byte(text), 0o644)
}

func (p *postfix) name() string { return "postfix" }
func (p *postfix) smtp() string { return fmt.Sprintf("127.0.0.1:%d", p.port) }

// control tells Postfix to do something.
func (p *postfix) control(ctx context.Context, what string) error {
	var out bytes.Buffer
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "/usr/sbin/postfix", "-c", p.dir, what)
	cmd.Stdout, cmd.Stderr = &out, &out // of files, which what it starts would keep open, there are none
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		log, _ := os.ReadFile(filepath.Join(p.dir, "log"))
		return fmt.Errorf("postfix %s: %w\n%s%.2000s", what, err, &out, log)
	}
	return nil
}

func (p *postfix) start(ctx context.Context) error {
	if err := p.dovecot.start(ctx); err != nil {
		return err
	}
	if err := p.control(ctx, "start"); err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); ; {
		t, err := p.submit(ctx, "")
		if err == nil {
			t.close()
			return nil
		}
		if time.Now().After(deadline) {
			return err
		}
		if pause(ctx, 20*time.Millisecond); ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func (p *postfix) stop() error {
	return errors.Join(p.control(context.Background(), "stop"), p.dovecot.stop())
}

// processes are the master and all that it has started, without Dovecot's.
func (p *postfix) processes() []int {
	text, err := os.ReadFile(filepath.Join(p.dir, "queue", "pid", "master.pid"))
	if err != nil {
		return nil
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
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
	if err := errors.Join(p.manage(false), p.control(ctx, "reload")); err != nil {
		return err
	}
	if pause(ctx, time.Second); ctx.Err() != nil { // the manager ends
		return ctx.Err()
	}
	err := put("")
	return errors.Join(err, p.manage(true), p.control(ctx, "reload"))
}
