package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mailfleet/controller/e2e/peers"
	"mailfleet/inventory"
	"mailfleet/mailnode/api"
)

// farHost is the server of another domain, which takes mail when it is open.
type farHost struct {
	port   int
	open   atomic.Bool
	tried  atomic.Int64
	taken  atomic.Int64
	closed sync.WaitGroup
}

func newFarHost(t *testing.T) *farHost {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &farHost{port: l.Addr().(*net.TCPAddr).Port}
	h.closed.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.closed.Go(func() { h.serve(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); h.closed.Wait() })
	return h
}

func (h *farHost) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Minute)) // the connection's end is all that matters
	say := func(s string) { _, _ = io.WriteString(c, s+"\r\n") }
	say("220 far.test")
	data := false
	for in := bufio.NewScanner(c); in.Scan(); {
		verb, _, _ := strings.Cut(strings.ToUpper(in.Text()), " ")
		switch {
		case data && in.Text() == ".":
			data = false
			h.taken.Add(1)
			say("250 2.0.0 taken")
		case data:
		case verb == "MAIL" && !h.open.Load():
			h.tried.Add(1)
			say("451 4.3.2 not now")
		case verb == "DATA":
			data = true
			say("354 go on")
		case verb == "QUIT":
			say("221 2.0.0 bye")
			return
		default:
			say("250 2.0.0 fine")
		}
	}
}

// smallDisk puts a mailnode's directory onto a file system of its own, which ends before
// the test does.
func (f *fixture) smallDisk(size int64) {
	f.t.Helper()
	peers.Root(f.t, "mounting a small file system")
	dir := filepath.Join(f.dir, "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		f.t.Skipf("SKIPPED: a small file system cannot be mounted here: %v", err)
	}
	f.t.Cleanup(func() {
		f.kill()
		if err := syscall.Unmount(dir, 0); err != nil {
			f.t.Error(err)
		}
	})
}

// eventually waits for something.
func (f *fixture) eventually(what string, done func() bool) {
	f.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); !done(); {
		select {
		case <-tick.C:
		case <-late:
			log, _ := os.ReadFile(filepath.Join(f.dir, "log"))
			f.t.Fatalf("in vain was waited until %s\n%s", what, log[max(0, len(log)-4000):])
		}
	}
}

// On a disk that is really full mail is put off and what is there can be read, the queue
// goes on, and when there is space again mail comes in without anybody's help.
func TestFullDisk(t *testing.T) {
	const disk, reserve = 256 << 20, 64 << 20
	far := newFarHost(t)
	f := withIMAP(t)
	f.smallDisk(disk)
	f.config.Listeners = append(f.config.Listeners, api.Listener{Protocol: api.Submission, Address: "127.0.0.1:0", Local: true})
	f.config.Limits.FreeBytes = reserve
	f.config.Mail.Sending.Retry = []inventory.Duration{inventory.Duration(time.Second)}
	f.config.Domains[0].Mail.Route = inventory.Route{Host: "127.0.0.1", Port: far.port, TLS: "opportunistic"}
	f.write()
	f.start()
	submit := func(to string) error {
		auth := smtp.PlainAuth("", "user1@example.test", password, "127.0.0.1")
		return smtp.SendMail(f.address(api.Submission), auth, "user1@example.test", []string{to}, []byte("From: user1@example.test\r\n\r\nx\r\n"))
	}
	small, large := "Subject: x\r\n\r\nx\r\n", "Subject: x\r\n\r\n"+strings.Repeat("0123456789abcdef\r\n", 20_000)
	if err := errors.Join(send(f.address(api.SMTP), "user1@example.test", large), submit("u@far.test")); err != nil {
		t.Fatal(err)
	}

	filler, err := os.Create(filepath.Join(f.dir, "data", "filler"))
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 1<<20); err == nil; {
		_, err = filler.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"small": small, "large": large} {
		if err := send(f.address(api.SMTP), "user1@example.test", text); err == nil || !strings.HasPrefix(strings.ReplaceAll(err.Error(), `"`, ""), "452 4.3.1 ") {
			t.Errorf("a %s message on a full disk: %v", name, err)
		}
	}
	if err := submit("v@far.test"); err == nil || !strings.HasPrefix(strings.ReplaceAll(err.Error(), `"`, ""), "452 4.3.1 ") {
		t.Errorf("a user's message on a full disk: %v", err)
	}
	imap := f.talk(api.IMAP)
	imap.do(`a LOGIN user1@example.test "`+password+`"`, "a OK")
	imap.do("b APPEND INBOX {10+}\r\n\r\n12345678", "b NO [UNAVAILABLE]")
	imap.do("c SELECT INBOX", "c OK")
	if told := imap.do("d FETCH 1 RFC822.SIZE", "d OK"); !strings.Contains(told, "* 1 FETCH (RFC822.SIZE ") {
		t.Errorf("what is there is told as %q", told)
	}
	if got := fetch(t, f.address(api.POP3), "user1@example.test", false); len(got) != 1 || !strings.HasSuffix(got[0].text, large) {
		t.Errorf("%d messages can be read", len(got))
	}
	before := far.tried.Load()
	f.eventually("the queue tries again", func() bool { return far.tried.Load() > before })
	far.open.Store(true)
	f.eventually("the queue is empty", func() bool {
		page, err := f.client.Queue(t.Context(), inventory.QueueQuery{Limit: 10})
		return err == nil && len(page.Entries) == 0
	})
	if n := far.taken.Load(); n != 1 {
		t.Errorf("the other server took %d messages", n)
	}

	if err := errors.Join(filler.Close(), os.Remove(filler.Name())); err != nil {
		t.Fatal(err)
	}
	f.eventually("mail comes in again", func() bool { return send(f.address(api.SMTP), "user1@example.test", large) == nil })
	imap.do("e APPEND INBOX {10+}\r\n\r\n12345678", "e OK")
	if err := submit("v@far.test"); err != nil {
		t.Error(err)
	}
	f.eventually("the other server has it", func() bool { return far.taken.Load() == 2 })
	if status, err := f.client.Status(t.Context()); err != nil || status.PID != f.cmd.Process.Pid {
		t.Errorf("it is another program now: %+v, %v", status, err)
	}
}
