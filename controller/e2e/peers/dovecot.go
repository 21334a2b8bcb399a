package peers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// dovecotConfig is Debian's Dovecot in a directory of its own, on loopback, with its
// defaults but for what is said here and in the lines that follow it: maildirs, everything
// written to disk before it is acknowledged, one password for everybody, no TLS, as many
// connections as are asked for.
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
    port = %[2]s
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
    port = %[3]s
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

// Dovecot is Debian's Dovecot. The maildirs are in the directory mail, by local part.
type Dovecot struct {
	Dir        string
	IMAP, POP3 string // where it listens, host:port
	UID, GID   int    // of the files

	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd has
}

// NewDovecot makes its files in a directory; more are further lines of its configuration.
func NewDovecot(ctx context.Context, dir, password, more string) (*Dovecot, error) {
	if _, err := exec.LookPath("dovecot"); err != nil || os.Geteuid() != 0 {
		return nil, errors.New("Debian's packages dovecot-imapd and dovecot-pop3d must be installed, and are started as root")
	}
	d := &Dovecot{Dir: dir}
	owner, err := osuser.Lookup("mail")
	if err != nil {
		return nil, err
	}
	if d.UID, err = strconv.Atoi(owner.Uid); err != nil {
		return nil, err
	}
	if d.GID, err = strconv.Atoi(owner.Gid); err != nil {
		return nil, err
	}
	var ports [2]string
	for i, at := range []*string{&d.IMAP, &d.POP3} {
		if *at, err = FreeAddress(ctx, "127.0.0.1"); err != nil {
			return nil, err
		}
		_, ports[i], _ = net.SplitHostPort(*at)
	}
	text := fmt.Sprintf(dovecotConfig, dir, ports[0], ports[1], password) + more
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(d.config(), []byte(text), 0o644), os.MkdirAll(filepath.Join(dir, "mail"), 0o700)); err != nil {
		return nil, err
	}
	return d, os.Chown(filepath.Join(dir, "mail"), d.UID, d.GID)
}

func (d *Dovecot) config() string { return filepath.Join(d.Dir, "dovecot.conf") }
func (d *Dovecot) out() string    { return filepath.Join(d.Dir, "out") }

// Start starts it and returns when it greets.
func (d *Dovecot) Start(ctx context.Context) error {
	out, err := os.OpenFile(d.out(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "dovecot", "-F", "-c", d.config())
	cmd.Stdout, cmd.Stderr = out, out // what is wrong in its configuration, for one
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // its log says why
		close(ended)
	}()
	d.cmd, d.ended = cmd, ended
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := errors.Join(greets(ctx, d.IMAP), greets(ctx, d.POP3)); err != nil {
		return errors.Join(fmt.Errorf("Dovecot does not begin: %w\n%s", err, d.Log()), d.Stop())
	}
	return nil
}

// Stop ends it.
func (d *Dovecot) Stop() error {
	if d.cmd == nil {
		return nil
	}
	cmd := d.cmd
	d.cmd = nil
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.ended:
		return nil
	case <-time.After(patience):
		_ = cmd.Process.Kill()
		<-d.ended
		return errors.New("Dovecot did not stop")
	}
}

// Log is what it has said, and the end of what it has written down.
func (d *Dovecot) Log() string {
	said, _ := os.ReadFile(d.out())
	text, _ := os.ReadFile(filepath.Join(d.Dir, "log"))
	return string(said) + string(text[max(0, len(text)-4000):])
}

// Master is the process that has started all others.
func (d *Dovecot) Master() int { return d.cmd.Process.Pid }

// StartDovecot starts a Dovecot for a test, as NewDovecot makes it.
func StartDovecot(t testing.TB, dir, password, more string) *Dovecot {
	t.Helper()
	Find(t, "dovecot-imapd", "dovecot")
	Root(t, "Dovecot")
	d, err := NewDovecot(t.Context(), dir, password, more)
	if err != nil {
		t.Fatal(err)
	}
	during(t, "Dovecot", d)
	return d
}
