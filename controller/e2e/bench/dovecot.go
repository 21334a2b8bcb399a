package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// dovecotConfig is Debian's Dovecot in a directory of its own, on loopback, with its
// defaults but for what is said here: maildir, everything written to disk before it is
// acknowledged, no TLS, as many connections as are asked for.
const dovecotConfig = `
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
listen = 127.0.0.1
protocols = imap pop3
ssl = no
disable_plaintext_auth = no
auth_failure_delay = 0
auth_username_format = %%n
mail_location = maildir:%[1]s/mail/%%n
mail_fsync = always
first_valid_uid = 1
mail_uid = mail
mail_gid = mail
mail_max_userip_connections = 20000
default_vsz_limit = 2G
passdb {
  driver = static
  args = password=%[4]s
}
userdb {
  driver = static
  args = uid=mail gid=mail home=%[1]s/mail/%%n
}
namespace inbox {
  inbox = yes
}
service imap-login {
  inet_listener imap {
    port = %[2]d
  }
  inet_listener imaps {
    port = 0
  }
  process_min_avail = 1
  service_count = 0
  client_limit = 10000
}
service pop3-login {
  inet_listener pop3 {
    port = %[3]d
  }
  inet_listener pop3s {
    port = 0
  }
  process_min_avail = 1
  service_count = 0
  client_limit = 10000
}
service imap {
  process_limit = 10000
}
service pop3 {
  process_limit = 10000
}
service anvil {
  client_limit = 20000
}
service auth {
  client_limit = 20000
}
service stats {
  client_limit = 20000
}
`

// dovecot is Debian's Dovecot, without TLS.
type dovecot struct {
	dir                string
	memory             string // directory for files that nobody looks into
	imapPort, pop3Port int
	uid, gid           int
	running            *program
}

// newDovecot makes its files; more are further lines of its configuration.
func newDovecot(ctx context.Context, dir, memory, more string) (*dovecot, error) {
	if _, err := exec.LookPath("dovecot"); err != nil || os.Getuid() != 0 {
		return nil, errors.New("it is compared with Debian's dovecot-imapd and dovecot-pop3d, which must be installed and are started as root")
	}
	d := &dovecot{dir: dir, memory: memory}
	owner, err := osuser.Lookup("mail")
	if err != nil {
		return nil, err
	}
	if d.uid, err = strconv.Atoi(owner.Uid); err != nil {
		return nil, err
	}
	if d.gid, err = strconv.Atoi(owner.Gid); err != nil {
		return nil, err
	}
	if d.imapPort, err = freePort(ctx); err != nil {
		return nil, err
	}
	if d.pop3Port, err = freePort(ctx); err != nil {
		return nil, err
	}
	if err := os.WriteFile(d.config(), fmt.Appendf(nil, dovecotConfig+more, dir, d.imapPort, d.pop3Port, password), 0o644); err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	return d, d.mkdir(filepath.Join(dir, "mail"))
}

// mkdir makes a directory that is the mail user's.
func (d *dovecot) mkdir(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return os.Chown(path, d.uid, d.gid)
}

func (d *dovecot) config() string { return filepath.Join(d.dir, "dovecot.conf") }
func (d *dovecot) name() string   { return "dovecot" }
func (d *dovecot) imap() string   { return fmt.Sprintf("127.0.0.1:%d", d.imapPort) }
func (d *dovecot) pop3() string   { return fmt.Sprintf("127.0.0.1:%d", d.pop3Port) }

func (d *dovecot) mail(user string) string {
	name, _, _ := strings.Cut(user, "@")
	return filepath.Join(d.dir, "mail", name)
}

func (d *dovecot) start(ctx context.Context) (err error) {
	log := filepath.Join(d.dir, "out")
	if d.running, err = run(ctx, "dovecot", log, "-F", "-c", d.config()); err != nil {
		return err
	}
	return d.running.await(ctx, log, func() error {
		for _, address := range []string{d.imap(), d.pop3()} {
			t, err := dial(ctx, address, 4<<10)
			if err != nil {
				return err
			}
			err = t.greeted()
			t.close()
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (d *dovecot) stop() error {
	err := d.running.end()
	d.running = nil
	return err
}

// processes are the master and all that it has started.
func (d *dovecot) processes() []int { return family(d.running.cmd.Process.Pid) }

// write writes a file that is the mail user's.
func (d *dovecot) write(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Chown(d.uid, d.gid), f.Close())
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
