package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience is how long a peer may take to begin and to end.
const patience = time.Minute

// mainCF is Debian's Postfix in a directory of its own, with its defaults but for what is
// said here and in the lines that follow it.
const mainCF = `compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
inet_protocols = ipv4
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
`

// masterCF is Debian's, but for the address that is listened on and what has a chroot.
const masterCF = `%s inet n - n - - smtpd
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

// Postfix is Debian's Postfix, a whole mail server of another make.
type Postfix struct {
	Dir     string
	Address string // where it takes mail, host:port
}

// NewPostfix makes its files in a directory; more are further lines of its main.cf.
func NewPostfix(dir, address, more string) (*Postfix, error) {
	owner, err := osuser.Lookup("postfix")
	if err != nil || os.Geteuid() != 0 {
		return nil, errors.New("Debian's package postfix must be installed, and is started as root")
	}
	uid, err := strconv.Atoi(owner.Uid)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"queue", "data"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return nil, err
		}
	}
	p := &Postfix{dir, address}
	return p, errors.Join(
		os.Chmod(dir, 0o755),
		os.Chown(filepath.Join(dir, "data"), uid, -1),
		os.WriteFile(filepath.Join(dir, "main.cf"), []byte(fmt.Sprintf(mainCF, dir)+more), 0o644),
		p.master(true),
	)
}

// master writes which processes there are, with the one that sends mail on or without it.
func (p *Postfix) master(sends bool) error {
	text := fmt.Sprintf(masterCF, p.Address)
	if !sends {
		text = strings.Replace(text, qmgr, "", 1)
	}
	return os.WriteFile(filepath.Join(p.Dir, "master.cf"), []byte(text), 0o644)
}

// Sends has a Postfix that runs send mail on, or keep it in its queue.
func (p *Postfix) Sends(ctx context.Context, sends bool) error {
	return errors.Join(p.master(sends), p.control(ctx, "reload"))
}

// control tells Postfix to do something.
func (p *Postfix) control(ctx context.Context, what string) error {
	var out bytes.Buffer
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "/usr/sbin/postfix", "-c", p.Dir, what)
	cmd.Stdout, cmd.Stderr = &out, &out // of files, which what it starts would keep open, there are none
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return fmt.Errorf("postfix %s: %w\n%s%.2000s", what, err, &out, p.Log())
	}
	return nil
}

// Start starts it and returns when it takes mail.
func (p *Postfix) Start(ctx context.Context) error {
	if err := p.control(ctx, "start"); err != nil {
		return err
	}
	return greets(ctx, p.Address)
}

// Stop ends it and all that it has started.
func (p *Postfix) Stop() error { return p.control(context.Background(), "stop") }

// Log is what it has written down.
func (p *Postfix) Log() string {
	text, _ := os.ReadFile(filepath.Join(p.Dir, "log"))
	return string(text)
}

// Master is the process that has started all others.
func (p *Postfix) Master() (int, error) {
	text, err := os.ReadFile(filepath.Join(p.Dir, "queue", "pid", "master.pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// StartPostfix starts a Postfix for a test, as NewPostfix makes it.
func StartPostfix(t testing.TB, dir, address, more string) *Postfix {
	t.Helper()
	Find(t, "postfix", "/usr/sbin/postfix")
	Root(t, "Postfix")
	p, err := NewPostfix(dir, address, more)
	if err != nil {
		t.Fatal(err)
	}
	during(t, "Postfix", p)
	return p
}

// greets waits until somebody who comes to an address is greeted.
func greets(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := greeted(ctx, address)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nobody is greeted at %s: %w", address, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func greeted(ctx context.Context, address string) error {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if by, ok := ctx.Deadline(); ok {
		if err := c.SetReadDeadline(by); err != nil {
			return err
		}
	}
	_, err = c.Read(make([]byte, 1))
	return err
}

// FreeAddress is an address of a host of this machine that nobody listens on.
func FreeAddress(ctx context.Context, host string) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", host+":0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
