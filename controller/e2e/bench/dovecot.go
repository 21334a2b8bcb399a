package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"mailfleet/controller/e2e/peers"
)

// dovecot is Debian's Dovecot, without TLS.
type dovecot struct {
	*peers.Dovecot
	memory string // directory for files that nobody looks into
}

// newDovecot makes its files; more are further lines of its configuration.
func newDovecot(ctx context.Context, dir, memory, more string) (*dovecot, error) {
	d, err := peers.NewDovecot(ctx, dir, password, more)
	return &dovecot{d, memory}, err
}

// mkdir makes a directory that is the mail user's.
func (d *dovecot) mkdir(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return os.Chown(path, d.UID, d.GID)
}

func (d *dovecot) name() string { return "dovecot" }
func (d *dovecot) imap() string { return d.IMAP }
func (d *dovecot) pop3() string { return d.POP3 }

func (d *dovecot) mail(user string) string {
	name, _, _ := strings.Cut(user, "@")
	return filepath.Join(d.Dir, "mail", name)
}

func (d *dovecot) start(ctx context.Context) error { return d.Start(ctx) }
func (d *dovecot) stop() error                     { return d.Stop() }

// processes are the master and all that it has started.
func (d *dovecot) processes() []int { return family(d.Master()) }

// write writes a file that is the mail user's.
func (d *dovecot) write(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Chown(d.UID, d.GID), f.Close())
}

// linked is how many files of a maildir are one, under as many names, when nobody looks
// into them. They lie in memory too: that half a million of them are made and removed is
// no part of what is measured.
const linked = 10_000

// lay makes the files of every so many messages from one on, named as Dovecot names them.
func (d *dovecot) lay(ctx context.Context, dir string, c corpus, from, step int) error {
	var path string
	var text []byte
	for i := from; i < c.count && ctx.Err() == nil; i += step {
		first := path
		fresh := !c.closed || i/step%linked == 0
		if fresh {
			text = c.text(i)
		}
		path = filepath.Join(dir, "cur", fmt.Sprintf("%d.M%dP1.bench,S=%d,W=%d:2,", 1767600000+i/100, i, len(text), len(text)))
		make := func() error { return os.Link(first, path) }
		if fresh {
			make = func() error { return d.write(path, text) }
		}
		if err := make(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// fill makes a maildir and has Dovecot index it.
func (d *dovecot) fill(ctx context.Context, user string, c corpus) error {
	dir := d.mail(user)
	for _, sub := range []string{"", "new", "tmp"} {
		if err := d.mkdir(filepath.Join(dir, sub)); err != nil {
			return err
		}
	}
	messages := filepath.Join(dir, "cur")
	if c.closed {
		inMemory := filepath.Join(d.memory, c.name)
		if err := os.Symlink(inMemory, messages); err != nil {
			return err
		}
		messages = inMemory
	}
	if err := d.mkdir(messages); err != nil {
		return err
	}
	errs := make([]error, hands)
	var all sync.WaitGroup
	for hand := range hands {
		all.Go(func() { errs[hand] = d.lay(ctx, dir, c, hand, hands) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	t, err := imap(ctx, d, user, "INBOX", 1<<20)
	if err != nil {
		return err
	}
	defer t.close()
	if c.count <= talk.count { // what an answer needs is then in its cache
		if _, err = t.do("FETCH 1:* (FLAGS ENVELOPE)"); err != nil {
			return err
		}
	}
	_, err = t.do("LOGOUT")
	return err
}
