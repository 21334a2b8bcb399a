package smtpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"mailfleet/mailnode/envelope"
)

func TestLimitsAreAnnounced(t *testing.T) {
	n := start(t, func(o *Options) { o.Settings.Transactions = 2 })
	p := n.dial(t)
	p.want("220")
	if got := p.do("EHLO client.test", "250 "); !strings.Contains(got, "250-LIMITS RCPTMAX=3 MAILMAX=2\n") {
		t.Errorf("got %q", got)
	}
	for range 2 {
		p.data()
		p.send("x\r\n.\r\n")
		p.want("250")
	}
	p.do("MAIL FROM:<a@b.test>", "421 4.7.0 Too many messages")
	p.wantClosed()
}

// Of ten thousand recipients those beyond the limit are deferred, and the rest get
// their mail.
func TestTenThousandRecipients(t *testing.T) {
	s := newShelf()
	n := start(t, func(o *Options) {
		o.Recipients, o.Deliverer = s, s
		o.Settings.Recipients = 1000
	})
	p := n.greeted(t)
	p.do("MAIL FROM:<a@b.test>", "250")
	go func() {
		for i := range 10_000 {
			_, _ = fmt.Fprintf(p, "RCPT TO:<user1+%d@example.test>\r\n", i)
		}
	}()
	for i := range 10_000 {
		if i < 1000 {
			p.want("250 2.1.5")
		} else {
			p.want("452 4.5.3 Too many recipients")
		}
	}
	p.do("DATA", "354")
	p.send("x\r\n.\r\n")
	p.want("250")
	if len(s.envelopes) != 1 || len(s.envelopes[0].Recipients) != 1000 || s.envelopes[0].Recipients[999].Address != "user1+999@example.test" {
		t.Error("the rest did not get their mail")
	}
}

func TestWhoTriesManyAddressesIsEnded(t *testing.T) {
	p := start(t, nil).greeted(t)
	p.do("MAIL FROM:<a@b.test>", "250")
	for i := range maxUnknown {
		p.do(fmt.Sprintf("RCPT TO:<nobody%d@example.test>", i), "550 5.1.1")
	}
	p.do("RCPT TO:<nobody@example.test>", "550 5.1.1")
	p.want("421 4.7.0")
	p.wantClosed()
}

func TestHeaderBombs(t *testing.T) {
	n := start(t, nil)
	p := n.greeted(t)
	hop := "Received: from a by b; Fri, 27 Nov 2026 12:00:00 +0000\r\n"
	for text, want := range map[string]string{
		"X: " + strings.Repeat("y", maxHeader) + "\r\n\r\nz\r\n":       "552 5.3.4 The message's header",
		strings.Repeat("X: y\r\n", maxHeader/6+1) + "\r\nz\r\n":        "552 5.3.4 The message's header",
		"X: y\r\n" + strings.Repeat("\tz\r\n", maxHeader/4) + "\r\n":   "552 5.3.4 The message's header",
		strings.Repeat(hop, maxHops+1) + "\r\nz\r\n":                   "554 5.4.6",
		strings.Repeat(strings.ToUpper(hop), maxHops+1) + "\r\nz\r\n":  "554 5.4.6",
		strings.Repeat(hop, maxHops) + "\r\nReceived: not a field\r\n": "250",
		strings.Repeat("y", 2*maxHeader) + "\r\n":                      "250",
		strings.Repeat("X: y\r\n", 20_000):                             "250",
	} {
		p.data()
		p.send(text + ".\r\n")
		p.want(want)
	}
}

func TestEveryLineHasItsEnhancedCode(t *testing.T) {
	n := start(t, nil)
	n.spoil(func() {
		n.err = &envelope.Refusal{Code: 550, Enhanced: "5.7.1", Text: strings.Repeat("far too long a text ", 100) + strings.Repeat("x", 1000)}
	})
	p := n.greeted(t)
	form := regexp.MustCompile(`^(\d)\d\d([ -])\d\.\d{1,3}\.\d{1,3} \S`)
	check := func(got string) {
		for line := range strings.SplitSeq(got, "\n") {
			if m := form.FindStringSubmatch(line); m == nil || line[0] != line[4] || len(line) > 510 {
				t.Errorf("a line of %d bytes: %.80q", len(line), line)
			}
		}
	}
	for _, command := range []string{
		"MAIL", "FOO", "RSET", "NOOP x", "VRFY x", "VRFY", "HELP", "EXPN x", "STARTTLS", "AUTH PLAIN", "BDAT 0", "XCLIENT", "MAIL FROM:<a@b.test>", "RCPT", "RCPT TO:<x@example.test>",
	} {
		p.send(command + "\r\n")
		check(p.reply())
	}
	p.do("RCPT TO:<user1@example.test>", "250")
	p.do("DATA", "354 ")
	p.send("x\r\n.\r\n")
	got := p.want("550 5.7.1")
	if strings.Count(got, "\n") < 5 {
		t.Errorf("got %q", got)
	}
	check(got)
	check(p.do("QUIT", "221"))
}

// drop takes messages and forgets them.
type drop struct{ *shelf }

func (drop) Accept(_ context.Context, _ envelope.Envelope, _ []byte, body io.Reader, size int64) error {
	n, err := io.Copy(io.Discard, body)
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// A message of 100 MB takes no more memory than one of 1 MB.
func TestLargeMessageTakesConstantMemory(t *testing.T) {
	n := start(t, func(o *Options) {
		d := drop{newShelf()}
		o.Recipients, o.Deliverer, o.Settings.MessageBytes = d, d, 101<<20
	})
	p := n.greeted(t)
	lines := []byte(strings.Repeat(strings.Repeat("x", 1022)+"\r\n", 1024))
	for _, command := range []string{"DATA\r\n", fmt.Sprintf("BDAT %d LAST\r\n", 100<<20)} {
		p.recipient()
		p.send(command)
		if command == "DATA\r\n" {
			p.want("354")
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 100 {
			if _, err := p.Write(lines); err != nil {
				t.Fatal(err)
			}
		}
		if command == "DATA\r\n" {
			p.send(".\r\n")
		}
		p.want("250 2.6.0")
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 2<<20 {
			t.Errorf("%q: %d bytes were allocated in all", command, took)
		}
	}
}

// holder opens connections, sends a message through each, and holds them.
const holder = `
import socket, ssl, sys
host, port = sys.argv[1].rsplit(":", 1)
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
held = []
def say(c, text, want):
    c.sendall(text)
    got = c.recv(1024)
    assert got.startswith(want), (text, got)
for _ in range(int(sys.argv[2])):
    c = socket.create_connection((host, int(port)))
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    say(c, b"", b"220")
    if sys.argv[3] == "TLS":
        say(c, b"STARTTLS\r\n", b"220")
        c = context.wrap_socket(c)
    say(c, b"EHLO x\r\n", b"250-")
    say(c, b"MAIL FROM:<a@b.test>\r\n", b"250")
    say(c, b"RCPT TO:<user1@example.test>\r\n", b"250")
    say(c, b"DATA\r\n", b"354")
    say(c, (b"x" * 78 + b"\r\n") * int(sys.argv[4]) + b".\r\n", b"250")
    held.append(c)
print("ready", flush=True)
sys.stdin.read()
`

// An idle connection costs at most 25 KB, in the clear and over TLS, after mail went
// through it.
func TestIdleConnectionsAreSmall(t *testing.T) {
	for _, test := range []struct {
		how                 string
		conns, lines, limit int64
	}{{"clear", 1000, 500, 25_000}, {"TLS", 250, 25, 25_000}, {"TLS", 1000, 2500, 25_000}} {
		how, conns := test.how, test.conns
		t.Run(fmt.Sprintf("%s/%d", how, test.lines), func(t *testing.T) {
			d := drop{newShelf()}
			n := start(t, func(o *Options) {
				o.Recipients, o.Deliverer = d, d
				o.Settings.Limits.Connections, o.Settings.Limits.PerAddress = 2000, 2000
				o.Settings.TLS = certificate(t)
			})
			cmd := program(t, "python3", "python3", "-c", holder, n.addr, fmt.Sprint(conns), how, fmt.Sprint(test.lines))
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stderr = t.Output()
			before := inUse()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ready := make([]byte, 5)
			if _, err := io.ReadFull(out, ready); err != nil {
				t.Fatal(err)
			}
			if open := n.Gate(Receiving).Open(); open != int(conns) {
				t.Errorf("%d connections are open", open)
			}
			each := (inUse() - before) / conns
			t.Logf("%d bytes a connection at first", each)
			for late := time.Now().Add(time.Minute); each > test.limit && time.Now().Before(late); <-time.After(100 * time.Millisecond) {
				each = (inUse() - before) / conns // idle connections give room back after a while
			}
			t.Logf("%d bytes a connection, of %d", each, conns)
			if each > test.limit {
				t.Errorf("%d bytes a connection", each)
			}
			if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
				t.Error(err)
			}
		})
	}
}

func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools hold goes with the second
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
