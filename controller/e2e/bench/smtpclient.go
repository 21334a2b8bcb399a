package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// mailTalk opens a connection that has been greeted and has said EHLO.
func mailTalk(ctx context.Context, address string) (*talker, error) {
	t, err := dial(ctx, address, 1<<10)
	if err != nil {
		return nil, err
	}
	if err = t.replied("2"); err == nil {
		err = t.command("EHLO client.example.test", "2")
	}
	if err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

// signIn signs in over SMTP (RFC 4616).
func (t *talker) signIn(user string) error {
	return t.command("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)), "2")
}

// command sends an SMTP command; its answer should begin as said.
func (t *talker) command(text, want string) error {
	if _, err := io.WriteString(t, text+"\r\n"); err != nil {
		return err
	}
	if err := t.replied(want); err != nil {
		return fmt.Errorf("%.20s: %w", text, err)
	}
	return nil
}

// replied reads an SMTP reply.
func (t *talker) replied(want string) error {
	for {
		line, err := t.line()
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(line, []byte(want)) {
			return fmt.Errorf("it is answered %.200q", line)
		}
		if len(line) < 4 || line[3] != '-' {
			return nil
		}
	}
}

// post sends letter n; parameter is one more of MAIL, after a space, or "". The commands
// are sent all at once (RFC 2920).
func (t *talker) post(from, parameter string, to []string, n uint64, size int) error {
	commands := fmt.Appendf(make([]byte, 0, 64+40*len(to)), "MAIL FROM:<%s>%s\r\n", from, parameter)
	for _, address := range to {
		commands = fmt.Appendf(commands, "RCPT TO:<%s>\r\n", address)
	}
	if _, err := t.Write(append(commands, "DATA\r\n"...)); err != nil {
		return err
	}
	for range 1 + len(to) {
		if err := t.replied("2"); err != nil {
			return err
		}
	}
	if err := t.replied("3"); err != nil {
		return err
	}
	_, body := letterParts(n, size)
	head := fmt.Appendf(nil, "From: %s\r\nTo: undisclosed-recipients:;\r\nSubject: letter %d\r\nDate: Mon, 5 Jan 2026 10:00:00 +0800\r\nMessage-ID: <%d.%d@example.test>\r\n\r\n",
		from, n, n, time.Now().UnixNano())
	parts := net.Buffers{head, body, []byte(".\r\n")}
	if _, err := parts.WriteTo(t.Conn); err != nil {
		return err
	}
	return t.replied("2")
}

// burden is what is put on a server.
type burden struct {
	writers int
	size    int // of a message
	count   int // of messages
}

// boxed is how many mailboxes the mail goes to at most.
const boxed = 64

func boxes() (all []string) {
	for i := range boxed {
		all = append(all, user(fmt.Sprintf("box%d", i)))
	}
	return all
}

// pour sends messages by Postfix's smtp-source: one of it for each of the mailboxes, for
// it knows one recipient only. Each message has a Message-Id of its own.
func pour(ctx context.Context, c relay, b burden) error {
	sources := min(b.writers, boxed, b.count)
	errs := make([]error, sources)
	var all sync.WaitGroup
	for i, box := range boxes()[:sources] {
		count := b.count/sources + (b.count%sources+sources-1-i)/sources
		cmd := exec.CommandContext(ctx, "/usr/sbin/smtp-source", "-d", "-s", fmt.Sprint(min(b.writers/sources, count)), "-m", fmt.Sprint(count),
			"-l", fmt.Sprint(b.size), "-f", user("sender"), "-t", box, "inet:"+c.smtp())
		all.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				errs[i] = fmt.Errorf("smtp-source: %w: %s", err, strings.TrimSpace(string(out)))
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// write sends letters, which are alike in nothing, to the mailboxes in turn, with as few
// waits as PIPELINING allows.
func write(ctx context.Context, c relay, b burden) error {
	to := boxes()
	return b.post(func() (*talker, error) { return mailTalk(ctx, c.smtp()) }, user("sender"), "", func(n int) string { return to[n%boxed] })
}

// submitAll submits letters to one recipient each of a remote domain.
func submitAll(ctx context.Context, c relay, parameter string, b burden) error {
	return b.post(func() (*talker, error) { return c.submit(ctx, mailer) }, mailer, parameter, func(n int) string { return fmt.Sprintf("to%d@far.test", n) })
}

// post sends letters over as many connections as there are writers.
func (b burden) post(open func() (*talker, error), from, parameter string, to func(n int) string) error {
	errs := make([]error, b.writers)
	var next atomic.Int64
	var all sync.WaitGroup
	for i := range b.writers {
		all.Go(func() {
			t, err := open()
			if err != nil {
				errs[i] = err
				return
			}
			defer t.close()
			for errs[i] == nil {
				n := int(next.Add(1))
				if n > b.count {
					return
				}
				errs[i] = t.post(from, parameter, []string{to(n)}, uint64(n), b.size)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
