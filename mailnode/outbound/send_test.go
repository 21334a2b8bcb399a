package outbound

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/resolve/resolvetest"
)

func TestSend(t *testing.T) {
	for _, extensions := range [][]string{
		nil, {"PIPELINING"}, {"PIPELINING", "SIZE 100000", "8BITMIME", "DSN"},
		{"PIPELINING", "CHUNKING", "SIZE", "BINARYMIME"}, {"CHUNKING"},
	} {
		t.Run(strings.Join(extensions, " "), func(t *testing.T) {
			r := serve(t, "127.0.0.2", 0, func(r *remote) {
				r.extensions = extensions
				r.answers["RCPT nobody@"] = "550 5.1.1 no such user here"
				r.answers["RCPT full@"] = "452 4.2.2 the mailbox is full"
			})
			d := resolvetest.New(t, "remote.test. 300 IN MX 10 mx.remote.test.", "mx.remote.test. 300 IN A 127.0.0.2")
			c := client(t, d, r.addr.Port(), nil)
			m := letter(text, "nobody@remote.test", "b@remote.test", "full@remote.test", "c@remote.test")
			m.To[1].Notify = envelope.NotifySuccess | envelope.NotifyDelay
			m.To[1].Original = "rfc822;b+2Bx@remote.test"
			m.EnvID, m.Return, m.Body = "QQ314159", envelope.ReturnHeaders, envelope.Body8Bit
			got := c.Send(t.Context(), "remote.test", nil, m)
			states := []State{}
			for _, o := range got {
				states = append(states, o.State)
			}
			if !slices.Equal(states, []State{Permanent, Sent, Temporary, Sent}) {
				t.Fatalf("the outcomes are %+v", got)
			}
			if want := "mx.remote.test [127.0.0.2] refused the recipient: 550 5.1.1 no such user here"; got[0].Text != want || got[0].Enhanced != "5.1.1" || got[0].Code != 550 {
				t.Errorf("got %+v, want the text %q", got[0], want)
			}
			if texts := r.taken(); len(texts) < 1 || texts[0] != text {
				t.Errorf("it took %q", texts)
			}
			dsn := slices.Contains(extensions, "DSN")
			if got[1].DSN != dsn {
				t.Errorf("that it reports on mail: got %v", got[1].DSN)
			}
			want := 0
			if dsn {
				want = 1
			}
			if n := r.heard("MAIL FROM:<a@out.test> SIZE=44 BODY=8BITMIME RET=HDRS ENVID=QQ314159"); n != want {
				t.Errorf("it heard %q", r.commands)
			}
			if n := r.heard("RCPT TO:<b@remote.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bx@remote.test"); n != want {
				t.Errorf("it heard %q", r.commands)
			}
		})
	}
}

func TestWhereMailGoes(t *testing.T) {
	best := serve(t, "127.0.0.2", 0, nil)
	second := serve(t, "127.0.0.3", best.addr.Port(), nil)
	d := resolvetest.New(t,
		"two.test. 300 IN MX 20 b.test.", "two.test. 300 IN MX 10 a.test.",
		"a.test. 300 IN A 127.0.0.2", "b.test. 300 IN A 127.0.0.3",
		"dead.test. 300 IN MX 5 dead-host.test.", "dead.test. 300 IN MX 10 b.test.", "dead-host.test. 300 IN A 127.0.0.77",
		"twin.test. 300 IN MX 5 twin-host.test.", "twin-host.test. 300 IN A 127.0.0.2", "twin-host.test. 300 IN AAAA 100::1",
		"plain.test. 300 IN A 127.0.0.3",
		"null.test. 300 IN MX 0 .",
		"loop.test. 300 IN MX 10 out.test.", "loop.test. 300 IN MX 20 b.test.", "out.test. 300 IN A 127.0.0.3",
		"backup.test. 300 IN MX 10 a.test.", "backup.test. 300 IN MX 20 out.test.",
		"own.test. 300 IN A 127.0.0.99",
		"circle.test. 300 IN MX 10 myself.test.", "circle.test. 300 IN MX 20 b.test.", "myself.test. 300 IN A 127.0.0.99",
		"void.test. 300 IN A 0.0.0.0",
		"nohost.test. 300 IN MX 10 gone.test.", "empty.test. 300 IN TXT \"x\"",
		"xn--fiqs8s.test. 300 IN MX 10 a.test.",
	)
	d.Refuse("sick.test", dns.RcodeServerFailure)
	c := client(t, d, best.addr.Port(), nil)
	for _, x := range []struct {
		domain, host, enhanced string
		state                  State
	}{
		{"two.test", "a.test [127.0.0.2]", "2.0.0", Sent},
		{"TWO.test", "a.test [127.0.0.2]", "2.0.0", Sent},
		{"dead.test", "b.test [127.0.0.3]", "2.0.0", Sent},
		{"twin.test", "twin-host.test [127.0.0.2]", "2.0.0", Sent},
		{"plain.test", "plain.test [127.0.0.3]", "2.0.0", Sent},
		{"backup.test", "a.test [127.0.0.2]", "2.0.0", Sent},
		{"中国.test", "a.test [127.0.0.2]", "2.0.0", Sent},
		{"[127.0.0.3]", "[127.0.0.3]", "2.0.0", Sent},
		{"null.test", "", "5.1.10", Permanent},
		{"loop.test", "", "5.4.6", Permanent},
		{"own.test", "", "5.4.6", Permanent},
		{"circle.test", "", "5.4.6", Permanent},
		{"void.test", "", "4.4.4", Temporary},
		{"nowhere.test", "", "5.1.2", Permanent},
		{"empty.test", "", "5.1.2", Permanent},
		{"nohost.test", "", "5.4.4", Permanent},
		{"a b.test", "", "5.1.2", Permanent},
		{"sick.test", "", "4.4.3", Temporary},
	} {
		got := c.Send(t.Context(), x.domain, nil, letter(text, "x@"+x.domain))[0]
		if x.domain == "中国.test" {
			got = c.Send(t.Context(), x.domain, nil, letter(text, "x@xn--fiqs8s.test"))[0]
		}
		if got.State != x.state || got.Host != x.host || got.Enhanced != x.enhanced || got.Text == "" {
			t.Errorf("%s: got %+v", x.domain, got)
		}
	}
	if len(second.taken()) != 3 {
		t.Errorf("the second host took %d messages", len(second.taken()))
	}
	// Those of equal preference share the mail.
	d.Add(t, "equal.test. 300 IN MX 10 a.test.", "equal.test. 300 IN MX 10 b.test.")
	hosts := map[string]int{}
	for range 40 {
		hosts[c.Send(t.Context(), "equal.test", nil, letter(text, "x@equal.test"))[0].Host]++
	}
	if len(hosts) != 2 {
		t.Errorf("of two equal hosts took mail: %v", hosts)
	}
}

func TestConnectionIsUsedAgain(t *testing.T) {
	r := serve(t, "127.0.0.2", 0, func(r *remote) { r.extensions = []string{"PIPELINING"} })
	d := resolvetest.New(t, "remote.test. 300 IN A 127.0.0.2")
	c := client(t, d, r.addr.Port(), func(s *Settings) { s.PerConnection = 10; s.Idle = time.Minute })
	for i := range 25 {
		if o := c.Send(t.Context(), "remote.test", nil, letter(text, "x@remote.test"))[0]; o.State != Sent {
			t.Fatalf("message %d: %+v", i, o)
		}
	}
	r.mu.Lock()
	conns := r.conns
	for open := range r.open { // the server ends them all while they wait
		_ = open.Close()
	}
	r.mu.Unlock()
	if conns != 3 {
		t.Errorf("25 messages took %d connections, want 3", conns)
	}
	if o := c.Send(t.Context(), "remote.test", nil, letter(text, "x@remote.test"))[0]; o.State != Sent {
		t.Errorf("after the server closed the connection that waited: %+v", o)
	}
	// An idle connection is ended in time.
	c.Configure(Settings{Hostname: "out.test", Port: int(r.addr.Port()), Idle: 10 * time.Millisecond})
	c.Send(t.Context(), "remote.test", nil, letter(text, "x@remote.test"))
	await(t, "the connection ends", func() bool { return r.heard("QUIT") > 0 })
}

func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute still not: %s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

// Whatever a remote does at whatever step, the mail goes to the next host, unless the
// first may have taken it or said that it is to be refused.
func TestHostileRemote(t *testing.T) {
	type want struct {
		state State
		next  bool // it went to the next host
	}
	steps := []string{"GREETING", "EHLO", "MAIL", "RCPT", "DATA", "."}
	kinds := map[string]want{
		"CLOSE": {Sent, true}, "RESET": {Sent, true}, "HALF": {Sent, true}, "HANG": {Sent, true},
		"garbage": {Sent, true}, "250-broken\r\n251 mixed": {Sent, true}, "999 what": {Sent, true},
		"421 4.3.2 going down": {Sent, true},
		"451 4.3.0 later":      {Temporary, false}, "550 5.7.1 never": {Permanent, false},
	}
	for _, extensions := range [][]string{nil, {"PIPELINING"}} {
		for _, step := range steps {
			for kind, w := range kinds {
				t.Run(fmt.Sprintf("%v %s %.7s", extensions, step, kind), func(t *testing.T) {
					t.Parallel()
					bad := serve(t, "127.0.0.2", 0, func(r *remote) { r.extensions = extensions; r.answers[step] = kind })
					good := serve(t, "127.0.0.3", bad.addr.Port(), nil)
					d := resolvetest.New(t, "x.test. 300 IN MX 1 bad.test.", "x.test. 300 IN MX 2 good.test.",
						"bad.test. 300 IN A 127.0.0.2", "good.test. 300 IN A 127.0.0.3")
					var change func(*Settings)
					if kind == "HANG" {
						change = impatient
					}
					c := client(t, d, bad.addr.Port(), change)
					got := c.Send(t.Context(), "x.test", nil, letter(text, "u@x.test"))[0]
					w := w
					switch {
					case step == "EHLO" && kind[0] == '5': // it is asked with HELO then
						w = want{Sent, false}
					case step == "GREETING" || step == "EHLO": // says nothing about the message
						w = want{Sent, true}
					case step == ".": // once it has the message it is not sent elsewhere at once
						w.next = false
						if w.state == Sent {
							w.state = Temporary
						}
					}
					if got.State != w.state || (len(good.taken()) == 1) != w.next {
						t.Errorf("got %+v; the next host took %d", got, len(good.taken()))
					}
					if strings.ContainsAny(got.Text, "\r\n") || got.Text == "" {
						t.Errorf("the text is %q", got.Text)
					}
				})
			}
		}
	}
}

// A remote alone in its faults: the sentence says what happened.
func TestSentences(t *testing.T) {
	for step, x := range map[string]struct{ answer, want string }{
		"GREETING": {"HANG", "remote.test [127.0.0.2]: no greeting came: the time is over"},
		"EHLO":     {"garbage", "remote.test [127.0.0.2]: EHLO was not answered: it answered something that is no SMTP reply"},
		"MAIL":     {"450 4.7.1 greylisted\x07", "remote.test [127.0.0.2] does not take the sender for now: 450 4.7.1 greylisted?"},
		"RCPT":     {"550-5.1.1 no\r\n550 5.1.1 such user", "remote.test [127.0.0.2] refused the recipient: 550 5.1.1 no such user"},
		"DATA":     {"CLOSE", "remote.test [127.0.0.2]: DATA was not answered: it closed the connection"},
		".":        {"CLOSE", "remote.test [127.0.0.2] had the whole message and did not say whether it took it (it closed the connection): it may arrive twice"},
	} {
		r := serve(t, "127.0.0.2", 0, func(r *remote) { r.answers[step] = x.answer })
		d := resolvetest.New(t, "remote.test. 300 IN A 127.0.0.2")
		c := client(t, d, r.addr.Port(), impatient)
		if got := c.Send(t.Context(), "remote.test", nil, letter(text, "u@remote.test"))[0]; got.Text != x.want {
			t.Errorf("%s: got %q, want %q", step, got.Text, x.want)
		}
	}
	d := resolvetest.New(t, "remote.test. 300 IN A 127.0.0.88")
	got := client(t, d, 1, nil).Send(t.Context(), "remote.test", nil, letter(text, "u@remote.test"))[0]
	if want := "remote.test [127.0.0.88], port 1, cannot be reached: connect: connection refused"; got.Text != want || !got.Session {
		t.Errorf("got %+v, want the text %q", got, want)
	}
}

func TestManyRecipients(t *testing.T) {
	r := serve(t, "127.0.0.2", 0, func(r *remote) { r.extensions = []string{"PIPELINING", "LIMITS RCPTMAX=7"} })
	d := resolvetest.New(t, "remote.test. 300 IN A 127.0.0.2")
	c := client(t, d, r.addr.Port(), nil)
	var to []string
	for i := range 20 {
		to = append(to, fmt.Sprintf("u%d@remote.test", i))
	}
	for i, o := range c.Send(t.Context(), "remote.test", nil, letter(text, to...)) {
		if o.State != Sent {
			t.Errorf("recipient %d: %+v", i, o)
		}
	}
	if n := r.heard("DATA"); n != 3 {
		t.Errorf("20 recipients took %d transactions, want 3", n)
	}
	// One that says so only by refusing the rest.
	r.mu.Lock()
	r.answers["RCPT u5@"] = "452 4.5.3 too many recipients"
	r.mu.Unlock()
	got := c.Send(t.Context(), "remote.test", nil, letter(text, "u4@remote.test", "u5@remote.test"))
	if got[0].State != Sent || got[1].State != Temporary {
		t.Errorf("got %+v", got)
	}
}

func TestKindsOfMessages(t *testing.T) {
	plainRemote := serve(t, "127.0.0.2", 0, func(r *remote) { r.extensions = []string{"SIZE 1000"} })
	rich := serve(t, "127.0.0.3", plainRemote.addr.Port(), func(r *remote) {
		r.extensions = []string{"8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME", "PIPELINING"}
	})
	d := resolvetest.New(t, "plain.test. 300 IN A 127.0.0.2", "rich.test. 300 IN A 127.0.0.3")
	c := client(t, d, plainRemote.addr.Port(), nil)
	for _, x := range []struct {
		name     string
		change   func(*Message)
		enhanced string // at the plain server; "2.0.0": taken
		command  string // heard by the rich one
	}{
		{"8BITMIME with 8-bit letters", func(m *Message) {
			*m = *letter("Subject: 中\r\n\r\n中\r\n", "u@plain.test")
			m.Body = envelope.Body8Bit
		}, "5.6.3", "MAIL FROM:<a@out.test> BODY=8BITMIME"},
		{"8BITMIME without", func(m *Message) { m.Body = envelope.Body8Bit }, "2.0.0", "MAIL FROM:<a@out.test> BODY=8BITMIME"},
		{"binary that is none", func(m *Message) { m.Body = envelope.BodyBinary }, "2.0.0", "MAIL FROM:<a@out.test> BODY=BINARYMIME"},
		{"a Chinese address", func(m *Message) { m.UTF8, m.From = true, "用户@out.test" }, "5.6.7", "MAIL FROM:<用户@out.test> SMTPUTF8"},
		{"UTF-8 header", func(m *Message) { *m = *letter("Subject: 中\r\n\r\nx\r\n", "u@plain.test"); m.UTF8 = true }, "5.6.7", "MAIL FROM:<a@out.test> SMTPUTF8"},
		{"UTF-8 asked for and not needed", func(m *Message) { *m = *letter("Subject: x\r\n\r\n中\r\n", "u@plain.test"); m.UTF8 = true }, "2.0.0", "MAIL FROM:<a@out.test> SMTPUTF8"},
		{"too large", func(m *Message) {
			*m = *letter("Subject: x\r\n\r\n"+strings.Repeat("0123456789\r\n", 200), "u@plain.test")
		}, "5.3.4", "MAIL FROM:<a@out.test>"},
		{"null sender", func(m *Message) { m.From = "" }, "2.0.0", "MAIL FROM:<>"},
		{"quoted", func(m *Message) { m.From = `"a <b>"@out.test` }, "2.0.0", `MAIL FROM:<"a <b>"@out.test>`},
		{"two commands in one", func(m *Message) { m.From = "a@out.test>\r\nRCPT TO:<evil@x.test" }, "5.6.7", ""},
	} {
		m := letter(text, "u@plain.test")
		x.change(m)
		if o := c.Send(t.Context(), "plain.test", nil, m)[0]; o.Enhanced != x.enhanced {
			t.Errorf("%s: the plain server: %+v", x.name, o)
		}
		before := rich.heard(x.command)
		m.To[0].Address = "u@rich.test"
		o := c.Send(t.Context(), "rich.test", nil, m)[0]
		if x.command != "" && (o.State != Sent || rich.heard(x.command) == before) {
			t.Errorf("%s: the rich server: %+v, heard %q", x.name, o, rich.commands[len(rich.commands)-1])
		}
	}
	if n := plainRemote.heard("RCPT TO:<evil") + rich.heard("RCPT TO:<evil"); n != 0 {
		t.Errorf("a command was smuggled in")
	}
	// A long message goes in several chunks.
	long := "Subject: x\r\n\r\n" + strings.Repeat("0123456789\r\n", 200000)
	if o := c.Send(t.Context(), "rich.test", nil, letter(long, "u@rich.test"))[0]; o.State != Sent {
		t.Errorf("a long message: %+v", o)
	}
	if got := rich.taken(); got[len(got)-1] != long || rich.heard("BDAT 1048576") < 2 {
		t.Errorf("the long message did not arrive as it was")
	}
}

func TestStoppedSend(t *testing.T) {
	r := serve(t, "127.0.0.2", 0, func(r *remote) { r.answers["MAIL"] = "HANG" })
	d := resolvetest.New(t, "remote.test. 300 IN A 127.0.0.2")
	c := client(t, d, r.addr.Port(), nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		await(t, "MAIL is said", func() bool { return r.heard("MAIL") > 0 })
		cancel(errors.New("enough"))
	}()
	if o := c.Send(ctx, "remote.test", nil, letter(text, "x@remote.test"))[0]; o.State != Temporary || o.Enhanced != "4.3.2" {
		t.Errorf("got %+v", o)
	}
}

func TestLiteral(t *testing.T) {
	for domain, want := range map[string]string{
		"[192.0.2.1]": "192.0.2.1", "[IPv6:2001:db8::1]": "2001:db8::1", "[ipv6:::1]": "::1",
		"192.0.2.1": "", "[]": "", "[x]": "", "[fe80::1%lo]": "",
	} {
		a, ok := literal(domain)
		if ok != (want != "") || ok && a != netip.MustParseAddr(want) {
			t.Errorf("%s: got %v, %v", domain, a, ok)
		}
	}
}
