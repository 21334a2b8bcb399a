package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailfleet/mailnode/api"
)

// caller is a peer that speaks lines.
type caller struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (f *fixture) call(p api.Protocol) *caller {
	f.t.Helper()
	for _, l := range f.status.Listeners {
		if l.Protocol != p {
			continue
		}
		c, err := net.Dial("tcp", l.Address)
		if err != nil {
			f.t.Fatal(err)
		}
		f.t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(40 * time.Second))
		return &caller{f.t, c, bufio.NewReader(c)}
	}
	f.t.Fatalf("no listener for %s", p)
	return nil
}

// say sends a line, unless it is empty, and expects an answer that begins with want.
func (c *caller) say(line, want string) string {
	c.t.Helper()
	if line != "" {
		if _, err := fmt.Fprintf(c, "%s\r\n", line); err != nil {
			c.t.Fatal(err)
		}
	}
	for {
		got, err := c.r.ReadString('\n')
		if err != nil || !strings.HasPrefix(got, want) {
			c.t.Fatalf("%q was answered %q, %v; want %q", line, got, err, want)
		}
		if len(got) < 4 || got[3] != '-' {
			return got
		}
	}
}

func TestDrainedServerTurnsAwayWhatIsNewAndFinishesWhatItHas(t *testing.T) {
	f := newFixture(t)
	f.start()
	smtp, pop3 := f.call(api.SMTP), f.call(api.POP3)
	smtp.say("", "220")
	smtp.say("EHLO there.test", "250")
	pop3.say("", "+OK")
	drain := func(drained bool) {
		t.Helper()
		f.config.Drained = drained
		f.config.Index++
		f.write()
		if _, err := f.client.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	drain(true)
	const reason = "this server is being drained, try again or use another server"
	if said := f.call(api.SMTP).say("", "421 4.3.2"); !strings.Contains(said, reason) {
		t.Errorf("SMTP said %q", said)
	}
	if said := f.call(api.POP3).say("", "-ERR [SYS/TEMP]"); !strings.Contains(said, reason) {
		t.Errorf("POP3 said %q", said)
	}
	smtp.say("MAIL FROM:<>", "250")
	smtp.say("RCPT TO:<user1@example.test>", "250")
	smtp.say("DATA", "354")
	smtp.say("Subject: late\r\n\r\nbut not too late\r\n.", "250")
	pop3.say("USER user1@example.test", "+OK")
	pop3.say("PASS "+password, "+OK")
	pop3.say("STAT", "+OK 1 ")
	drain(false)
	f.call(api.SMTP).say("", "220")
	f.call(api.POP3).say("", "+OK")
}

func TestStoppingServerFinishesWhatItHolds(t *testing.T) {
	f := newFixture(t)
	f.start()
	busy, idle := f.call(api.SMTP), f.call(api.SMTP)
	idle.say("", "220")
	busy.say("", "220")
	busy.say("EHLO there.test", "250")
	busy.say("MAIL FROM:<>", "250")
	busy.say("RCPT TO:<user1@example.test>", "250")
	busy.say("DATA", "354")
	if _, err := fmt.Fprint(busy, "Subject: begun\r\n\r\nbefore the stop\r\n"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := f.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	idle.say("", "421")                    // at once: it held nothing
	for _, l := range f.status.Listeners { // each is closed by a part of its own
		f.eventually("no connections are taken for "+string(l.Protocol), func() bool {
			c, err := net.Dial("tcp", l.Address)
			if err == nil {
				_ = c.Close()
			}
			return errors.Is(err, syscall.ECONNREFUSED)
		})
	}
	busy.say("after it\r\n.", "250")
	if err := f.cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	f.start()
	pop3 := f.call(api.POP3)
	pop3.say("", "+OK")
	pop3.say("USER user1@example.test", "+OK")
	pop3.say("PASS "+password, "+OK")
	pop3.say("STAT", "+OK 1 ")
}
