package smtpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/gate"
	"mailfleet/mailnode/milter"
)

func TestEarlyTalkersAreTurnedAway(t *testing.T) {
	patient := func(*gate.Listener) *Policy { return &Policy{EarlyTalk: 200 * time.Millisecond} }
	n := startKind(t, Receiving, nil, patient)
	p := n.dial(t)
	p.Send("EHLO x\r\nMAIL FROM:<a@b.test>\r\n")
	p.want("554 5.5.1 You speak before")
	p.WantClosed()
	begun := time.Now()
	n.greeted(t)
	if d := time.Since(begun); d < 200*time.Millisecond {
		t.Errorf("greeted after %v", d)
	}
}

// opinions refuses and delays as it is told.
type opinions struct {
	sync.Mutex
	asked              []string
	connect, recipient Opinion
	erred              int
	judged             []Arrival
	text               []string
	verdict            Verdict
	err                error
}

func (o *opinions) Connect(_ context.Context, p Peer) Opinion {
	o.Lock()
	defer o.Unlock()
	o.asked = append(o.asked, fmt.Sprintf("%v %s", p.Address, p.Helo))
	return o.connect
}

func (o *opinions) Erred(Peer) {
	o.Lock()
	defer o.Unlock()
	o.erred++
}

func (o *opinions) Recipient(_ context.Context, p Peer, from, to string) Opinion {
	o.Lock()
	defer o.Unlock()
	o.asked = append(o.asked, fmt.Sprintf("%v %s %s %s %s", p.Address, p.Name, p.Helo, from, to))
	return o.recipient
}

func (o *opinions) Judge(_ context.Context, m Arrival) (Verdict, error) {
	o.Lock()
	defer o.Unlock()
	text, _ := io.ReadAll(m.Open())
	again, _ := io.ReadAll(m.Open())
	if string(text) != string(again) || !strings.HasPrefix(string(text), string(m.Header)) {
		return Verdict{}, errors.New("the message cannot be read twice")
	}
	o.judged, o.text = append(o.judged, m), append(o.text, string(text))
	return o.verdict, o.err
}

// set changes what is thought while sessions run.
func (o *opinions) set(f func()) { o.Lock(); defer o.Unlock(); f() }

func TestReputation(t *testing.T) {
	o := &opinions{}
	n := start(t, func(opts *Options) { opts.Reputation = o })
	o.set(func() {
		o.connect.Refusal = &envelope.Refusal{Code: 550, Enhanced: "5.7.1", Text: "Your address is on a list"}
	})
	p := n.dial(t)
	p.want("554 5.7.1 Your address is on a list")
	p.WantClosed()
	o.set(func() {
		o.connect.Refusal = &envelope.Refusal{Code: 451, Enhanced: "4.7.1", Text: "The lists do not answer"}
	})
	p = n.dial(t)
	p.want("421 4.7.1")
	p.WantClosed()
	o.set(func() { o.connect = Opinion{Name: "mail.b.test"} })
	o.set(func() {
		o.recipient.Refusal = &envelope.Refusal{Code: 450, Enhanced: "4.7.1", Text: "Come again in five minutes"}
	})
	p = n.greeted(t)
	p.do("MAIL FROM:<a@b.test>", "250")
	p.do("RCPT TO:<nobody@example.test>", "550 5.1.1")
	o.set(func() {
		if o.erred != 1 {
			t.Errorf("%d mistakes were noted", o.erred)
		}
	})
	p.do("RCPT TO:<user1@example.test>", "450 4.7.1 Come again")
	o.set(func() {
		o.recipient = Opinion{Delay: 150 * time.Millisecond, Marks: []string{"The address 127.0.0.1 has no name.", "The address 127.0.0.1 is on the blocklist bl.test."}}
	})
	begun := time.Now()
	p.do("RCPT TO:<user1@example.test>", "250")
	if d := time.Since(begun); d < 150*time.Millisecond {
		t.Errorf("answered after %v", d)
	}
	p.do("RCPT TO:<user2@example.test>", "250")
	p.do("DATA", "354")
	p.Send("X-MAILFLEET-Peer: a friend\r\nSubject: x\r\n\r\nx\r\n.\r\n")
	p.want("250")
	got := n.mail(t, user1)[0]
	if !strings.Contains(got, "Received: from client.test (mail.b.test [127.0.0.1])\r\n") || strings.Contains(got, "friend") || strings.Count(got, "X-Mailfleet-Peer: ") != 2 ||
		!strings.Contains(got, "X-Mailfleet-Peer: The address 127.0.0.1 has no name.\r\nX-Mailfleet-Peer: The address 127.0.0.1 is on the blocklist bl.test.\r\n") {
		t.Errorf("got %q", got)
	}
	if asked := fmt.Sprint(o.asked[3:]); asked != "[127.0.0.1 mail.b.test client.test a@b.test user1@example.test 127.0.0.1 mail.b.test client.test a@b.test user1@example.test 127.0.0.1 mail.b.test client.test a@b.test user2@example.test]" {
		t.Errorf("asked %s", asked)
	}
}

func TestMessagesAreJudged(t *testing.T) {
	o, s := &opinions{}, newShelf()
	n := start(t, func(opts *Options) { opts.Judge, opts.Recipients, opts.Deliverer = o, s, s })
	p := n.greeted(t)
	send := func(text, want string) {
		p.data()
		p.Send(text + ".\r\n")
		p.want(want)
	}
	o.set(func() {
		o.verdict = Verdict{Fields: []byte("Authentication-Results: mx.example.test; spf=pass\r\n"), Quarantine: "DMARC"}
	})
	send("authentication-results: MX.example.test 1;\r\n\tdkim=pass\r\nAuthentication-Results: (x) \"mx.example.test\"; dkim=pass\r\nAuthentication-Results: mx.example.test.; dkim=pass\r\nAuthentication-Results: other.test; dkim=pass\r\nFrom: a@b.test\r\n\r\nx\r\n", "250")
	if want := "Authentication-Results: other.test; dkim=pass\r\nFrom: a@b.test\r\n\r\nx\r\n"; o.text[0] != want || string(o.judged[0].Header) != strings.TrimSuffix(want, "\r\nx\r\n") {
		t.Errorf("judged %q", o.text[0])
	}
	if !strings.HasPrefix(s.mail[0], "Authentication-Results: mx.example.test; spf=pass\r\nReceived: ") || s.envelopes[0].Quarantine != "DMARC" {
		t.Errorf("got %q, %q", s.mail[0], s.envelopes[0].Quarantine)
	}
	if m := o.judged[0]; m.Peer.Address != netip.MustParseAddr("127.0.0.1") || m.Peer.Helo != "client.test" || m.Envelope.From != "a@b.test" {
		t.Errorf("judged %+v", m)
	}
	o.set(func() {
		o.verdict = Verdict{Refusal: &envelope.Refusal{Code: 550, Enhanced: "5.7.26", Text: "The message is not from b.test"}}
	})
	send("x\r\n", "550 5.7.26 The message is not from b.test")
	o.set(func() { o.verdict, o.err = Verdict{}, errors.New("no resolver") })
	send("x\r\n", "451 4.3.0")
	if len(s.mail) != 1 {
		t.Errorf("%d messages were taken", len(s.mail))
	}
}

// asker answers each question with what it has for it.
type asker struct {
	sync.Mutex
	asked   []string
	rulings map[string]milter.Ruling
}

// set changes the rulings while sessions run.
func (m *asker) set(f func()) { m.Lock(); defer m.Unlock(); f() }

// heard returns what was asked until now: a session asks "close" after its client has its answer.
func (m *asker) heard() string { m.Lock(); defer m.Unlock(); return strings.Join(m.asked, ", ") }

func (m *asker) ask(question string) milter.Ruling {
	m.Lock()
	defer m.Unlock()
	m.asked = append(m.asked, question)
	name, _, _ := strings.Cut(question, " ")
	return m.rulings[name]
}

func (m *asker) Connect(_ context.Context, p Peer) (FilterSession, milter.Ruling) {
	return m, m.ask("connect " + p.Address.String())
}
func (m *asker) Helo(_ context.Context, p Peer) milter.Ruling { return m.ask("helo " + p.Helo) }
func (m *asker) Mail(_ context.Context, from string, params []envelope.Param) milter.Ruling {
	return m.ask(fmt.Sprint("mail ", from, params))
}
func (m *asker) Recipient(_ context.Context, to string, params []envelope.Param) milter.Ruling {
	return m.ask(fmt.Sprint("rcpt ", to, params))
}
func (m *asker) Message(_ context.Context, a Arrival) milter.Ruling {
	_, _ = io.Copy(io.Discard, a.Open())
	return m.ask("message")
}
func (m *asker) Reset(context.Context) { m.ask("reset") }
func (m *asker) Close()                { m.ask("close") }

func TestFilterSeesTheSessionAndChangesMessages(t *testing.T) {
	from := "changed@b.test"
	m, s := &asker{rulings: map[string]milter.Ruling{"message": {Changes: milter.Changes{
		Header: []milter.HeaderChange{
			{Op: milter.AppendField, Name: "X-Last", Value: "a\nb\r\n\tc"}, {Op: milter.InsertField, Index: 0, Name: "X-First", Value: "1"},
			{Op: milter.ReplaceField, Index: 2, Name: "subject", Value: "two"}, {Op: milter.ReplaceField, Index: 1, Name: "X-Gone"}, {Op: milter.AppendField, Name: "Bad:\r\nName", Value: "x"},
		},
		From: &from, Add: []string{"user2@example.test"}, Remove: []string{"user1@example.test"}, Quarantine: "spam", Body: []byte("new\r\n"), NewBody: true,
	}}}}, newShelf()
	n := start(t, func(o *Options) { o.Filter, o.Recipients, o.Deliverer = m, s, s })
	p := n.greeted(t)
	p.do("MAIL FROM:<a@b.test> SIZE=10", "250")
	p.do("RSET", "250")
	p.data()
	p.Send("Subject: one\r\nX-Gone: x\r\nSubject: 2\r\n\r\nold\r\n.\r\n")
	p.want("250")
	p.do("QUIT", "221")
	p.WantClosed()
	if got := m.heard(); got != "connect 127.0.0.1, helo client.test, mail a@b.test[{SIZE 10 true}], reset, mail a@b.test[], rcpt user1@example.test[], message, close" {
		t.Errorf("asked %s", got)
	}
	_, got, _ := strings.Cut(s.mail[0], "+0000\r\n")
	if want := "X-First: 1\r\nSubject: one\r\nsubject: two\r\nX-Last: a\r\n\tb\r\n\tc\r\n\r\nnew\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if e := s.envelopes[0]; e.From != from || len(e.Recipients) != 1 || e.Recipients[0].Address != "user2@example.test" || e.Quarantine != "spam" {
		t.Errorf("got %+v", e)
	}
}

func TestFilterRefuses(t *testing.T) {
	m, s := &asker{rulings: map[string]milter.Ruling{}}, newShelf()
	n := start(t, func(o *Options) { o.Filter, o.Recipients, o.Deliverer = m, s, s })
	no := milter.Ruling{Refusal: &envelope.Refusal{Code: 550, Enhanced: "5.7.1", Text: "The filter says no"}}
	m.set(func() { m.rulings["connect"] = no })
	p := n.dial(t)
	p.want("554 5.7.1 The filter says no")
	p.WantClosed()
	m.set(func() { m.rulings = map[string]milter.Ruling{"helo": no} })
	p = n.dial(t)
	p.want("220")
	p.do("EHLO x", "550 5.7.1")
	p.do("MAIL FROM:<a@b.test>", "503")
	m.set(func() { m.rulings = map[string]milter.Ruling{"mail": no} })
	p.do("EHLO x", "250 ")
	p.do("MAIL FROM:<a@b.test>", "550 5.7.1")
	m.set(func() { m.rulings = map[string]milter.Ruling{"rcpt": no} })
	p.do("MAIL FROM:<a@b.test>", "250")
	p.do("RCPT TO:<user1@example.test>", "550 5.7.1")
	p.do("DATA", "503")
	m.set(func() { m.rulings = map[string]milter.Ruling{"message": no} })
	p.do("RCPT TO:<user1@example.test>", "250")
	p.do("DATA", "354")
	p.Send("x\r\n.\r\n")
	p.want("550 5.7.1")
	m.set(func() { m.rulings = map[string]milter.Ruling{"message": {Discard: true}} })
	p.data()
	p.Send("x\r\n.\r\n")
	p.want("250 2.6.0")
	if len(s.mail) != 0 {
		t.Errorf("got %q", s.mail)
	}
	m.set(func() { m.rulings, m.asked = map[string]milter.Ruling{"mail": {Accept: true}}, nil })
	p.data()
	p.Send("x\r\n.\r\n")
	p.want("250 2.6.0")
	if got := m.heard(); len(s.mail) != 1 || strings.Contains(got, "message") || strings.Contains(got, "rcpt") {
		t.Errorf("asked %v", got)
	}
}

func TestEnvelopeCarriesWhatWasAsked(t *testing.T) {
	s := newShelf()
	n := start(t, func(o *Options) { o.Recipients, o.Deliverer = s, s })
	p := n.greeted(t)
	p.do("MAIL FROM:<a@b.test> RET=hdrs ENVID=QQ+2B314 BODY=8BITMIME SIZE=20", "250")
	p.do("RCPT TO:<user1@example.test> NOTIFY=success,DELAY ORCPT=rfc822;user+2B@example.test", "250")
	p.do("RCPT TO:<user2@example.test> NOTIFY=NEVER", "250")
	for _, bad := range []string{"NOTIFY=", "NOTIFY=SUCCESS,SUCCESS", "NOTIFY=NEVER,FAILURE", "NOTIFY=SOON", "ORCPT=rfc822", "ORCPT=;a", "ORCPT=rfc822;", "ORCPT=rfc822;a+2b", "ORCPT=rfc822;a+0A"} {
		p.do("RCPT TO:<user1@example.test> "+bad, "501 5.5.4")
	}
	p.do("DATA", "354")
	p.Send("x\r\n.\r\n")
	p.want("250")
	e := s.envelopes[0]
	if e.Return != envelope.ReturnHeaders || e.EnvID != "QQ+2B314" || e.Body != envelope.Body8Bit || e.UTF8 || len(e.ID) != 16 ||
		e.Source.Address.String() != "127.0.0.1" || e.Source.Helo != "client.test" {
		t.Errorf("got %+v", e)
	}
	if r := e.Recipients; len(r) != 2 || r[0].Notify != envelope.NotifySuccess|envelope.NotifyDelay || r[0].Original != "rfc822;user+2B@example.test" || r[1].Notify != envelope.NotifyNever {
		t.Errorf("got %+v", r)
	}
}

func TestInternationalAddresses(t *testing.T) {
	s := &shelf{Directory: directory.New(directory.NewTable([]string{"xn--fsqu00a.test"}, []directory.Account{{ID: user1, Address: "用户@xn--fsqu00a.test"}, {ID: user2, Address: "user@xn--fsqu00a.test"}}, ""))}
	n := start(t, func(o *Options) { o.Recipients, o.Deliverer = s, s })
	p := n.greeted(t)
	p.do("MAIL FROM:<发件人@b.test>", "553 5.6.7")
	p.do("MAIL FROM:<a@b.test>", "250")
	p.do("RCPT TO:<用户@例子.test>", "553 5.6.7")
	p.do("RCPT TO:<user@例子.test>", "553 5.6.7")
	p.do("RCPT TO:<user@xn--fsqu00a.test>", "250")
	p.do("RSET", "250")
	p.do("MAIL FROM:<发件人@B.test> SMTPUTF8 BODY=8BITMIME", "250")
	p.do("RCPT TO:<用户@例子.TEST>", "250")
	p.do("RCPT TO:<\"用户\"@xn--FSQU00A.test>", "250")
	p.do("RCPT TO:<\xff@例子.test>", "501 5.1.3")
	p.do("RCPT TO:<无人@例子.test>", "550 5.1.1")
	p.do("VRFY 用户", "252")
	p.do("NOOP 用户", "501")
	p.do("DATA", "354")
	p.Send("Subject: 你好\r\n\r\n.\r\n")
	p.want("250")
	e := s.envelopes[0]
	if e.From != "发件人@b.test" || !e.UTF8 || len(e.Recipients) != 2 || e.Recipients[1].Address != "用户@xn--fsqu00a.test" || !strings.Contains(s.mail[0], "with UTF8SMTP id") {
		t.Errorf("got %+v, %q", e, s.mail[0])
	}
}

func TestClientsBehindAProxy(t *testing.T) {
	n := startKind(t, Receiving, nil, func(l *gate.Listener) *Policy {
		l.Proxies = loopback
		return &Policy{EarlyTalk: time.Millisecond}
	})
	p := n.dial(t)
	header := proxyproto.HeaderProxyFromAddrs(2, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4000}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 25})
	if _, err := header.WriteTo(p); err != nil {
		t.Fatal(err)
	}
	p.want("220")
	p.do("EHLO x", "250 ")
	p.data()
	p.Send("x\r\n.\r\n")
	p.want("250")
	if got := n.mail(t, user1); !strings.Contains(got[0], "from x ([192.0.2.7])") {
		t.Errorf("got %q", got[0])
	}
	p = n.dial(t)
	p.Send("EHLO x\r\nEHLO x\r\n")
	p.WantClosed()
}

func TestFrontsNameTheirClients(t *testing.T) {
	o := &opinions{}
	n := startKind(t, Receiving, func(opts *Options) {
		opts.Reputation = o
		opts.Settings.Limits.PerAddress = 1
	}, func(l *gate.Listener) *Policy {
		l.Fronts = loopback
		return &Policy{Reputation: true, EarlyTalk: time.Hour}
	})
	n.greetedAs(t, "XCLIENT NAME ADDR PORT HELO LOGIN")
	p := n.greetedAs(t, "XCLIENT NAME ADDR PORT HELO LOGIN") // its own address has no limit
	for _, bad := range []string{"", "ADDR", "ADDR=1.2.3", "FOO=x", "PORT=70000", "NAME=+", "HELO=a+0Ab", "ADDR=IPV6:fe80::1%1"} {
		p.do("XCLIENT "+bad, "501 5.5.4")
	}
	p.do("XCLIENT NAME=mail.b.test ADDR=192.0.2.9 PORT=99 HELO=real.test LOGIN=[UNAVAILABLE]", "220 mx.example.test")
	p.do("MAIL FROM:<a@b.test>", "250")
	p.do("XCLIENT ADDR=192.0.2.8", "503")
	p.do("RCPT TO:<user1@example.test>", "250")
	p.do("RCPT TO:<c@d.test>", "550 5.7.1")
	p.do("DATA", "354")
	p.Send("x\r\n.\r\n")
	p.want("250")
	if got := n.mail(t, user1); !strings.Contains(got[0], "from real.test (mail.b.test [192.0.2.9])") {
		t.Errorf("got %q", got[0])
	}
	if got := fmt.Sprint(o.asked); got != "[192.0.2.9  192.0.2.9 mail.b.test real.test a@b.test user1@example.test]" {
		t.Errorf("asked %s", got)
	}
	p = n.greetedAs(t, "XCLIENT NAME ADDR PORT HELO LOGIN")
	p.do("XCLIENT ADDR=192.0.2.9", "421 4.3.2 Too many connections from your address")
	p.WantClosed()
	p = start(t, nil).greeted(t)
	p.do("XCLIENT ADDR=192.0.2.9", "502 5.5.1")
}

// greetedAs is a peer that was offered an extension.
func (n *node) greetedAs(t *testing.T, extension string) *peer {
	t.Helper()
	p := n.dial(t)
	p.want("220")
	if got := p.do("EHLO front.test", "250 "); !strings.Contains(got, extension) {
		t.Errorf("got %q", got)
	}
	return p
}
