package smtpd

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"

	"mailfleet/inventory"
	"mailfleet/inventory/credential"
	"mailfleet/mailnode/auth"
	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/gate"
)

// elsewhere is a shelf behind an Auth of three accounts with the password "secret".
func elsewhere(t testing.TB) (*shelf, *auth.Auth) {
	t.Helper()
	hash, err := argon2id.CreateHash("secret", &argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	if err != nil {
		t.Fatal(err)
	}
	scram, err := credential.SCRAM{Iterations: 4096, Salt: []byte("salt and pepper")}.Derive("secret")
	if err != nil {
		t.Fatal(err)
	}
	d := directory.New(directory.NewTable([]string{"example.test"}, []directory.Account{
		{ID: user1, Address: "user1@example.test", PasswordHash: hash, SCRAM: scram.String()},
		{ID: user2, Address: "user2@example.test", PasswordHash: hash, Off: []inventory.Feature{inventory.FeatureSMTP}},
		{ID: "3", Address: "gone@example.test", PasswordHash: hash, Suspended: true},
	}, ""))
	return &shelf{Directory: d}, auth.New(auth.Options{Accounts: d, Key: make([]byte, 32)})
}

// submission is a server that users send through.
func submission(t testing.TB, k Kind, change func(*Options)) (*node, *shelf) {
	t.Helper()
	s, a := elsewhere(t)
	n := startKind(t, k, func(o *Options) {
		o.Recipients, o.Deliverer, o.Auth = s, s, a
		o.Settings.TLS, o.Settings.MaxHold = certificate(t), 24*time.Hour
		if change != nil {
			change(o)
		}
	}, nil)
	return n, s
}

func plainOf(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
}

// secured is a peer that has gone over to TLS.
func (n *node) secured(t testing.TB) *peer {
	t.Helper()
	p := n.greeted(t)
	p.do("STARTTLS", "220 2.0.0")
	p = newPeer(t, tls.Client(p.Conn, &tls.Config{InsecureSkipVerify: true}))
	p.do("EHLO client.test", "250 ENHANCEDSTATUSCODES")
	return p
}

func (n *node) user(t testing.TB) *peer {
	t.Helper()
	p := n.secured(t)
	p.do("AUTH PLAIN "+plainOf("user1@example.test", "secret"), "235 2.7.0")
	return p
}

func TestSubmission(t *testing.T) {
	n, s := submission(t, Submission, nil)
	p := n.greeted(t)
	if got := p.do("EHLO client.test", "250 "); strings.Contains(got, "AUTH") {
		t.Errorf("in the clear: %q", got)
	}
	p.do("MAIL FROM:<user1@example.test>", "530 5.7.0 Begin TLS first")
	p.do("AUTH PLAIN "+plainOf("user1@example.test", "secret"), "538 5.7.11")
	p = n.secured(t)
	got := p.do("EHLO client.test", "250 ")
	for _, want := range []string{"250-AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN\n", "250-REQUIRETLS\n", "250-MT-PRIORITY\n", "250-FUTURERELEASE 86400 20"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	p.do("MAIL FROM:<user1@example.test>", "530 5.7.0 Sign in first")
	p.do("AUTH", "501 5.5.2")
	p.do("AUTH FOO", "504 5.5.4")
	p.do("AUTH PLAIN !", "501 5.5.2")
	p.do("AUTH PLAIN", "334 ")
	p.do("*", "501 5.7.0")
	p.do("AUTH LOGIN", "334 VXNlcm5hbWU6")
	p.do(base64.StdEncoding.EncodeToString([]byte("user1@example.test")), "334 UGFzc3dvcmQ6")
	p.do(base64.StdEncoding.EncodeToString([]byte("secret")), "235 2.7.0")
	p.do("AUTH PLAIN =", "503 5.5.1")
	if got := p.do("EHLO client.test", "250 "); strings.Contains(got, "AUTH") {
		t.Errorf("signed in: %q", got)
	}
	p.do("MAIL FROM:<user1@example.test> AUTH=<> BODY=8BITMIME", "250")
	p.do("RCPT TO:<somebody@elsewhere.test>", "250")
	p.do("DATA", "354")
	p.Send("From: user1@example.test\r\n\r\nx\r\n.\r\n")
	p.want("250")
	e := s.envelopes[0]
	if e.Account != user1 || e.From != "user1@example.test" || e.Recipients[0].Address != "somebody@elsewhere.test" || e.Body != envelope.Body8Bit {
		t.Errorf("got %+v", e)
	}
	if !strings.Contains(s.mail[0], "with ESMTPSA (TLS 1.3") {
		t.Errorf("got %q", s.mail[0])
	}
	if list := n.Gate(Submission).Sessions(); len(list) == 0 || !strings.Contains(list[0].User+list[len(list)-1].User, "user1@example.test") {
		t.Errorf("sessions %v", list)
	}
}

func TestSignInsThatFail(t *testing.T) {
	n, _ := submission(t, Submission, nil)
	p := n.secured(t)
	p.do("AUTH PLAIN "+plainOf("user1@example.test", "wrong"), "535 5.7.8")
	p.do("AUTH PLAIN "+plainOf("user2@example.test", "secret"), "525 5.7.13")
	p.do("AUTH PLAIN "+plainOf("gone@example.test", "secret"), "525 5.7.13")
	p.want("421 4.7.0 Too many failed sign-ins")
	p.WantClosed()
	p = n.secured(t)
	p.do("AUTH PLAIN "+strings.Repeat("A", maxAuthLine-13), "501 5.5.2")
	p = n.secured(t)
	p.Send("AUTH PLAIN " + strings.Repeat("A", maxAuthLine) + "\r\n")
	p.want("500 5.5.6")
	p.WantClosed()
	p = n.secured(t)
	p.Send("AUTH PLAIN " + plainOf("user1@example.test", "secret") + "\r\nMAIL FROM:<user1@example.test>\r\nAUTH PLAIN\r\n")
	p.want("235")
	p.want("250")
	p.want("503 5.5.1")
}

func TestUsersSendAsThemselves(t *testing.T) {
	n, s := submission(t, Submission, nil)
	p := n.user(t)
	for from, want := range map[string]string{
		"user2@example.test": "553 5.7.1", "user1@other.test": "553 5.7.1", "": "250", "User1+tag@Example.test": "250",
	} {
		p.do("MAIL FROM:<"+from+">", want)
		p.do("RSET", "250")
	}
	for header, want := range map[string]string{
		"From: user2@example.test\r\n":                             "550 5.7.1",
		"From: user1@example.test, user2@example.test\r\n":         "550 5.7.1",
		"From: user1@example.test\r\nFrom: user2@example.test\r\n": "550 5.7.1",
		"From: \"user1@example.test\" <user2@example.test>\r\n":    "550 5.7.1",
		"From: <>\r\n":                  "550 5.7.1",
		"From:\r\n":                     "550 5.7.1",
		"From : user2@example.test\r\n": "550 5.7.1",
		"From: =?utf-8?q?x?= <user1\r\n @example.test>\r\n": "250",
		"From: Group: user1@example.test;\r\n":              "250",
	} {
		p.do("MAIL FROM:<user1@example.test>", "250")
		p.do("RCPT TO:<user1@example.test>", "250")
		p.do("DATA", "354")
		p.Send(header + "\r\nx\r\n.\r\n")
		if got := p.reply(); !strings.HasPrefix(got, want) {
			t.Errorf("%q: got %q", header, got)
		}
	}
	if len(s.mail) != 2 {
		t.Errorf("%d messages went", len(s.mail))
	}
}

// allowance lets a message through for each token, and a signer signs it.
type allowance struct {
	tokens int
	held   bool
	signed string
}

func (a *allowance) Recipient(_ context.Context, _ string, already int) error {
	if already > 0 {
		return &envelope.Refusal{Code: 452, Enhanced: "4.7.1", Text: "You have written to too many today"}
	}
	return nil
}

func (a *allowance) Message(_ context.Context, e *envelope.Envelope) error {
	if a.tokens--; a.tokens < 0 {
		return &envelope.Refusal{Code: 450, Enhanced: "4.7.1", Text: "You have sent too much today"}
	}
	if a.held {
		e.Held = "too many"
	}
	return nil
}

func (a *allowance) Sign(_ context.Context, domain string, m io.Reader) ([]byte, error) {
	text, err := io.ReadAll(m)
	a.signed = domain + " " + string(text)
	return []byte("DKIM-Signature: d=" + domain + "\r\n"), err
}

func TestSubmissionCompletesMessages(t *testing.T) {
	a := &allowance{tokens: 2}
	n, s := submission(t, Submission, func(o *Options) { o.Allowance, o.Signer = a, a })
	p := n.user(t)
	send := func(text, want string) {
		p.do("MAIL FROM:<user1@example.test>", "250")
		p.do("RCPT TO:<a@elsewhere.test>", "250")
		p.do("RCPT TO:<many@elsewhere.test>", "452 4.7.1")
		p.do("DATA", "354")
		p.Send(text + ".\r\n")
		p.want(want)
	}
	send("Resent-Bcc: a@elsewhere.test\r\nBcc: secret@elsewhere.test,\r\n\tmore@elsewhere.test\r\nSubject: x\r\nBCC: again@elsewhere.test\r\n\r\nBcc: text\r\n", "250")
	form := regexp.MustCompile(`^DKIM-Signature: d=example.test\r
Received: [^.]+\.test \(\[127\.0\.0\.1\]\)\r
\t.*\r
\tfor <a@elsewhere\.test>;\r
\t.*\r
From: user1@example\.test\r
Date: \w{3}, .* [+-]\d{4}\r
Message-ID: <[A-Z2-7]{26}@example\.test>\r
Subject: x\r
\r
Bcc: text\r
$`)
	if len(s.mail) != 1 || !form.MatchString(s.mail[0]) {
		t.Errorf("got %q", s.mail)
	}
	if _, whole, _ := strings.Cut(s.mail[0], "+0000\r\n"); a.signed != "example.test "+whole {
		t.Errorf("signed %q of %q", a.signed, whole)
	}
	a.held = true
	send("From: user1@example.test\r\nDate: x\r\nMessage-ID: y\r\n\r\nz\r\n", "250")
	if !strings.HasSuffix(s.mail[1], "\r\nFrom: user1@example.test\r\nDate: x\r\nMessage-ID: y\r\n\r\nz\r\n") || s.envelopes[1].Held == "" {
		t.Errorf("got %q, %v", s.mail[1], s.envelopes[1].Held)
	}
	send("x\r\n", "450 4.7.1 You have sent too much today")
}

func TestFutureReleaseAndPriority(t *testing.T) {
	n, s := submission(t, Submission, nil)
	p := n.user(t)
	at := time.Now().Add(time.Hour).Truncate(time.Second)
	for params, want := range map[string]string{
		"HOLDFOR=86401": "501 5.5.4", "HOLDFOR=-1": "501 5.5.4", "HOLDFOR=x": "501 5.5.4", "HOLDFOR=1 HOLDUNTIL=" + at.Format(time.RFC3339): "501 5.5.4",
		"HOLDUNTIL=tomorrow": "501 5.5.4", "HOLDUNTIL=" + at.Add(48*time.Hour).Format(time.RFC3339): "501 5.5.4", "MT-PRIORITY=10": "501 5.5.4", "MT-PRIORITY": "501 5.5.4",
	} {
		n.user(t).do("MAIL FROM:<> "+params, want)
	}
	send := func(params, want string) envelope.Envelope {
		p.do("MAIL FROM:<user1@example.test> "+params, want)
		p.do("RCPT TO:<a@elsewhere.test>", "250")
		p.do("DATA", "354")
		p.Send("x\r\n.\r\n")
		p.want("250")
		return s.envelopes[len(s.envelopes)-1]
	}
	if e := send("HOLDUNTIL="+at.UTC().Format(time.RFC3339)+" MT-PRIORITY=-3", "250 2.1.0"); !e.HoldUntil.Equal(at) || e.Priority != -3 {
		t.Errorf("got %+v", e)
	}
	if e := send("HOLDFOR=3600 MT-PRIORITY=9", "250 2.1.0 The sender is taken, with the priority 0"); e.HoldUntil.Before(at) || e.HoldUntil.After(at.Add(time.Minute)) || e.Priority != 0 {
		t.Errorf("got %+v", e)
	}
}

func TestImplicitTLS(t *testing.T) {
	n, s := submission(t, Submissions, nil)
	c, err := tls.Dial("tcp", n.addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	p := newPeer(t, c)
	p.want("220")
	if got := p.do("EHLO x", "250 "); strings.Contains(got, "STARTTLS") || !strings.Contains(got, "AUTH") {
		t.Errorf("got %q", got)
	}
	p.do("AUTH PLAIN "+plainOf("user1@example.test", "secret"), "235")
	p.do("MAIL FROM:<user1@example.test> REQUIRETLS", "250")
	p.do("RCPT TO:<a@elsewhere.test>", "250")
	p.Send("BDAT 3 LAST\r\nx\r\n")
	p.want("250")
	if !s.envelopes[0].RequireTLS {
		t.Error("REQUIRETLS was lost")
	}
}

func TestRequireTLS(t *testing.T) {
	n := start(t, func(o *Options) { o.Settings.TLS = certificate(t) })
	p := n.greeted(t)
	p.do("MAIL FROM:<a@b.test> REQUIRETLS", "555 5.5.4")
	p = n.secured(t)
	p.do("MAIL FROM:<a@b.test> REQUIRETLS=1", "501 5.5.4")
	p.do("MAIL FROM:<a@b.test> REQUIRETLS", "250")
}

// Who may relay need not sign in, and nobody else relays.
func TestTrustedNetworksRelay(t *testing.T) {
	s, _ := elsewhere(t)
	n := startKind(t, Receiving, func(o *Options) { o.Recipients, o.Deliverer = s, s }, func(*gate.Listener) *Policy {
		return &Policy{Relay: loopback, EarlyTalk: time.Hour}
	})
	p := n.greeted(t)
	p.do("MAIL FROM:<a@b.test>", "250")
	p.do("RCPT TO:<c@d.test>", "250")
}

func TestLMTPAnswersForEachRecipient(t *testing.T) {
	n := startKind(t, LMTP, nil, nil)
	p := n.dial(t)
	p.want("220 mx.example.test LMTP")
	p.do("EHLO x", "500")
	p.do("LHLO x", "250 ENHANCEDSTATUSCODES")
	begin := func() {
		p.do("MAIL FROM:<a@b.test>", "250")
		for _, to := range []string{"user1", "user2"} {
			p.do("RCPT TO:<"+to+"@example.test>", "250")
		}
	}
	begin()
	p.do("RCPT TO:<nobody@example.test>", "550 5.1.1")
	p.do("DATA", "354")
	p.Send("one\r\n.\r\n")
	p.want("250 2.6.0")
	p.want("250 2.6.0")
	begin()
	p.Send("BDAT 5 LAST\r\ntwo\r\n")
	p.want("250 2.6.0")
	p.want("250 2.6.0")
	for _, account := range []string{user1, user2} {
		if got := n.mail(t, account); len(got) != 2 || !strings.Contains(got[0], "with LMTP id") {
			t.Errorf("got %q", got)
		}
	}
	begin()
	n.spoil(func() { n.full = user1 }) // full since
	p.Send("DATA\r\n")
	p.want("354")
	p.Send("three\r\n.\r\n")
	p.want("452 4.2.2")
	p.want("250 2.6.0")
	if got := n.mail(t, user2); len(got) != 3 {
		t.Errorf("%d messages", len(got))
	}
	begin()
	p.Send("BDAT 4 LAST\r\na\nb\n")
	p.want("554 5.6.0")
	p.want("554 5.6.0")
	p.do("QUIT", "221")
}

func TestLMTPOnALocalSocket(t *testing.T) {
	s := newShelf()
	n := startKind(t, LMTP, func(o *Options) { o.Recipients, o.Deliverer = s, s }, nil)
	l, err := net.Listen("unix", t.TempDir()+"/lmtp")
	if err != nil {
		t.Fatal(err)
	}
	open := n.Gate(LMTP).Listen(l)
	done := make(chan struct{})
	go func() { n.Serve(open, LMTP, nil); close(done) }()
	defer func() { _ = open.Close(); <-done }()
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	p := newPeer(t, c)
	p.want("220")
	p.do("LHLO x", "250")
	p.do("MAIL FROM:<>", "250")
	p.do("RCPT TO:<user1@example.test>", "250")
	p.do("DATA", "354")
	p.Send("x\r\n.\r\n")
	p.want("250")
	if len(s.mail) != 1 || !strings.HasPrefix(s.mail[0], "Received: from x (a local socket)\r\n") {
		t.Errorf("got %q", s.mail)
	}
}
