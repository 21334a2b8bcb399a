package smtpd

import (
	"crypto/tls"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/store"
)

func TestMessageIsDeliveredWithTrace(t *testing.T) {
	n := start(t, nil)
	p := n.greeted(t)
	p.data()
	p.Send("Subject: hello\r\n\r\n..dot\r\n...\r\nend\r\n.\r\n")
	p.want("250 2.6.0 Taken as ")
	p.do("QUIT", "221 2.0.0")
	p.WantClosed()

	got := n.mail(t, user1)
	if len(got) != 1 {
		t.Fatalf("%d messages", len(got))
	}
	want := regexp.MustCompile(`^Return-Path: <a@b\.test>\r
Received: from client\.test \(\[127\.0\.0\.1\]\)\r
	by mx\.example\.test \(Mailfleet\) with ESMTP id [A-Z2-7]{16}\r
	for <user1@example\.test>;\r
	\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}\r
Subject: hello\r
\r
\.dot\r
\.\.\r
end\r
$`)
	if !want.MatchString(got[0]) {
		t.Errorf("got %q", got[0])
	}
	if a, r, b := n.Counters.Accepted.Load(), n.Counters.Recipients.Load(), n.Counters.Bytes.Load(); a != 1 || r != 1 || b != int64(len(got[0])-len("Return-Path: <a@b.test>\r\n")) {
		t.Errorf("counted %d accepted, %d recipients, %d bytes", a, r, b)
	}
}

func TestEHLOOffersWhatIsDone(t *testing.T) {
	n := start(t, nil)
	p := n.dial(t)
	p.want("220")
	got := p.do("EHLO client.test", "250 ")
	want := "250-mx.example.test\n250-PIPELINING\n250-8BITMIME\n250-SIZE 1048576\n250-CHUNKING\n250-BINARYMIME\n250-SMTPUTF8\n250-DSN\n250-LIMITS RCPTMAX=3\n250 ENHANCEDSTATUSCODES"
	if got != want {
		t.Errorf("got %q", got)
	}
	p.do("HELO client.test", "250 mx.example.test")
	p.data()
	p.Send("x\r\n.\r\n")
	p.want("250")
	if got := n.mail(t, user1); !strings.Contains(got[0], "with SMTP id") {
		t.Errorf("got %q", got[0])
	}
}

func TestRecipientsAreJudgedAtRCPT(t *testing.T) {
	n := start(t, nil)
	p := n.greeted(t)
	p.do("MAIL FROM:<>", "250 2.1.0")
	for command, want := range map[string]string{
		"RCPT TO:<nobody@example.test>":                                 "550 5.1.1",
		"RCPT TO:<user1@other.test>":                                    "550 5.7.1",
		"RCPT TO:<user1@example.test@other.test>":                       "501 5.1.3",
		"RCPT TO:<gone@example.test>":                                   "550 5.2.1",
		"RCPT TO:<gone+x@example.test>":                                 "550 5.2.1",
		"RCPT TO:<user1+" + strings.Repeat("x", 400) + "@example.test>": "501 5.1.3",
		"RCPT TO:user1 at example":                                      "501 5.5.2",
		"RCPT TO:<user1@example.test> NOTIFY=NEVER,DELAY":               "501 5.5.4",
		"RCPT TO:<user1@example.test> WHAT=EVER":                        "555 5.5.4",
	} {
		p.do(command, want)
	}
	p.do("DATA", "503 5.5.1")
	p.do("RCPT TO:<USER1+news@Example.TEST>", "250 2.1.5")
	p.do("RCPT TO:<User1@example.test>", "250 2.1.5")
	p.do("RCPT TO:<\"user2\"@example.test>", "250 2.1.5")
	p.do("RCPT TO:<user2@example.test>", "452 4.5.3")
	p.do("DATA", "354")
	p.Send("x\r\n.\r\n")
	p.want("250")
	one, two := n.mail(t, user1), n.mail(t, user2)
	if len(one) != 1 || len(two) != 1 {
		t.Errorf("user1 got %d copies, user2 %d", len(one), len(two))
	}
	if strings.Contains(one[0], "for <") || !strings.HasPrefix(one[0], "Return-Path: <>\r\n") {
		t.Errorf("got %q", one[0])
	}
}

// RFC 5321 §4.5.1; go-smtp answers 501 to the form without a domain.
func TestPostmasterIsAlwaysAnswered(t *testing.T) {
	n := start(t, nil)
	p := n.greeted(t)
	p.do("MAIL FROM:<a@b.test>", "250")
	p.do("RCPT TO:<Postmaster>", "250")
	p.do("rcpt to:<POSTMASTER@EXAMPLE.test>", "250")
	p.do("RCPT TO: <postmaster@mx.example.test>", "250")
	p.do("DATA", "354")
	p.Send("x\r\n.\r\n")
	p.want("250")
	if got := n.mail(t, user2); len(got) != 1 {
		t.Errorf("%d messages for postmaster", len(got))
	}

	n = start(t, func(o *Options) {
		o.Recipients = &boxes{Directory: directory.New(directory.NewTable([]string{"example.test"}, nil, ""))}
	})
	p = n.greeted(t)
	p.do("MAIL FROM:<a@b.test>", "250")
	p.do("RCPT TO:<postmaster>", "450 4.2.1")
}

// A second MAIL is an error and keeps the transaction; go-smtp mixes the two.
func TestSecondMailIsRefused(t *testing.T) {
	n := start(t, nil)
	p := n.greeted(t)
	p.do("MAIL FROM:<first@b.test>", "250")
	p.do("RCPT TO:<user1@example.test>", "250")
	p.do("MAIL FROM:<second@b.test>", "503 5.5.1")
	p.do("DATA", "354")
	p.Send("x\r\n.\r\n")
	p.want("250")
	if got := n.mail(t, user1); !strings.HasPrefix(got[0], "Return-Path: <first@b.test>\r\n") {
		t.Errorf("got %q", got[0])
	}
	p.do("MAIL FROM:<second@b.test>", "250")
	p.do("RSET", "250")
	p.do("RCPT TO:<user1@example.test>", "503")
	p.do("MAIL FROM:<third@b.test>", "250")
	p.do("EHLO again.test", "250")
	p.do("MAIL FROM:<fourth@b.test>", "250")
}

func TestCommandsOutOfOrder(t *testing.T) {
	p := start(t, nil).dial(t)
	p.want("220")
	p.do("MAIL FROM:<a@b.test>", "503 5.5.1")
	p.do("RCPT TO:<user1@example.test>", "503 5.5.1")
	p.do("DATA", "503 5.5.1")
	p.do("AUTH PLAIN AHgAeA==", "502 5.5.1")
	p.do("STARTTLS", "502 5.5.1")
	p.do("NOOP", "250")
	p.do("VRFY user1", "252")
}

func TestSenderIsChecked(t *testing.T) {
	n := start(t, nil)
	for command, want := range map[string]string{
		"MAIL FROM:<postmaster>":                                 "501 5.1.7",
		"MAIL FROM:<a>":                                          "501",
		"MAIL FROM:<a@>":                                         "501",
		"MAIL FROM:<a@b<c>":                                      "501 5.1.7",
		"MAIL FROM:<a@b> SIZE=1048577":                           "552 5.3.4",
		"MAIL FROM:<a@b> SMTPUTF8=1":                             "501 5.5.4",
		"MAIL FROM:<a@b> HOLDFOR=3":                              "555 5.5.4",
		"MAIL FROM:<a@b> MT-PRIORITY=3":                          "555 5.5.4",
		"MAIL FROM:<a@b> AUTH=<>":                                "555 5.5.4",
		"MAIL FROM:<a@b> RET=ALL":                                "501 5.5.4",
		"MAIL FROM:<a@b> ENVID=":                                 "501 5.5.4",
		"MAIL FROM:<a@b> ENVID=+0A":                              "501 5.5.4",
		"MAIL FROM:<a@b> BODY=9BIT":                              "501 5.5.4",
		"MAIL FROM:<a@b> REQUIRETLS":                             "555 5.5.4",
		"MAIL FROM:<" + strings.Repeat("x", 400) + "@b.test>":    "501 5.1.7",
		"MAIL FROM:<\"a b\\\"c\"@b.test> SIZE=100 BODY=8BITMIME": "250",
	} {
		p := n.greeted(t)
		p.do(command, want)
		p.do("RSET", "250")
	}
}

func TestQuotedSenderIsQuotedInReturnPath(t *testing.T) {
	n := start(t, nil)
	p := n.greeted(t)
	p.do(`MAIL FROM:<@relay.test:"a b\"c"@B.test>`, "250")
	p.do("RCPT TO:<user1@example.test>", "250")
	p.do("DATA", "354")
	p.Send("x\r\n.\r\n")
	p.want("250")
	if got := n.mail(t, user1); !strings.HasPrefix(got[0], `Return-Path: <"a b\"c"@b.test>`+"\r\n") {
		t.Errorf("got %q", got[0])
	}
}

func TestPipelining(t *testing.T) {
	n := start(t, nil)
	p := n.greeted(t)
	p.Send("MAIL FROM:<a@b.test>\r\nRCPT TO:<nobody@example.test>\r\nRCPT TO:<user1@example.test>\r\nDATA\r\n")
	for _, want := range []string{"250", "550", "250", "354"} {
		p.want(want)
	}
	p.Send("one\r\n.\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<user1@example.test>\r\nDATA\r\n")
	for _, want := range []string{"250", "250", "250", "354"} {
		p.want(want)
	}
	p.Send("two\r\n.\r\nQUIT\r\n")
	p.want("250")
	p.want("221")
	if got := n.mail(t, user1); len(got) != 2 || !strings.HasSuffix(got[0], "\r\none\r\n") || !strings.HasSuffix(got[1], "\r\ntwo\r\n") {
		t.Errorf("got %q", got)
	}
}

func TestMessageOfTheLimitIsTakenAndALargerOneIsNot(t *testing.T) {
	n := start(t, nil)
	line := strings.Repeat("x", 1022) + "\r\n"
	full := strings.Repeat(line, 1024)
	p := n.greeted(t)
	p.data()
	p.Send(full + ".\r\n")
	p.want("250")
	p.data()
	p.Send(full + "y\r\n.\r\n")
	p.want("552 5.3.4")
	p.data() // the connection goes on
	p.Send("small\r\n.\r\n")
	p.want("250")
	got := n.mail(t, user1)
	if len(got) != 2 || !strings.HasSuffix(got[0], "\r\n"+full) {
		t.Fatalf("%d messages of which the first has %d bytes", len(got), len(got[0]))
	}
	if left, err := os.ReadDir(n.o.SpoolDir); err != nil || len(left) > 0 {
		t.Errorf("the spool holds %v, %v", left, err)
	}
}

func TestEndlessMessageIsCutOff(t *testing.T) {
	n := start(t, func(o *Options) { o.Settings.MessageBytes = 10_000 })
	p := n.greeted(t)
	p.data()
	p.Send(strings.Repeat(strings.Repeat("x", 98)+"\r\n", 300))
	p.want("552 5.3.4")
	p.WantClosed()
	if got := n.mail(t, user1); len(got) != 0 {
		t.Errorf("%d messages", len(got))
	}
}

func TestLongLinesInMessagesAreKept(t *testing.T) {
	n := start(t, nil)
	p := n.greeted(t)
	p.data()
	long := strings.Repeat("y", 300_000)
	p.Send(long + "\r\n.\r\n")
	p.want("250")
	if got := n.mail(t, user1); !strings.HasSuffix(got[0], "\r\n"+long+"\r\n") {
		t.Error("the line was changed")
	}
}

func TestFullDiskDefersAndRecovers(t *testing.T) {
	n := start(t, nil)
	p := n.greeted(t)
	p.data()
	n.spoil(func() { n.err = store.ErrFull })
	p.Send("x\r\n.\r\n")
	p.want("452 4.3.1")
	p.do("MAIL FROM:<a@b.test> SIZE=100", "452 4.3.1")
	n.spoil(func() { n.err = nil })
	p.data()
	p.Send("x\r\n.\r\n")
	p.want("250")
	n.spoil(func() { n.err = errors.New("a secret of the store") })
	p.data()
	p.Send("x\r\n.\r\n")
	if got := p.want("451 4.3.0"); strings.Contains(got, "secret") {
		t.Errorf("the peer was told %q", got)
	}
	n.spoil(func() {
		n.err = &envelope.Refusal{Code: 552, Enhanced: "5.2.2", Text: "The mailbox will not have room"}
	})
	p.data()
	p.Send("x\r\n.\r\n")
	p.want("552 5.2.2 The mailbox will not have room")
	n.spoil(func() { n.err = &envelope.Refusal{Code: 550, Enhanced: "5.7.1", Text: "Two\r\n250 lines"} })
	p.data()
	p.Send("x\r\n.\r\n")
	p.want("451 4.3.0")
}

// A mailbox at its quota is refused before the message is sent.
func TestFullMailboxIsRefusedAtRCPT(t *testing.T) {
	n := start(t, nil)
	n.spoil(func() { n.most = 100 })
	p := n.greeted(t)
	p.do("MAIL FROM:<a@b.test> SIZE=101", "250")
	p.do("RCPT TO:<user1@example.test>", "452 4.2.2")
	p.do("RSET", "250")
	p.do("MAIL FROM:<a@b.test> SIZE=100", "250")
	p.do("RCPT TO:<user1@example.test>", "250")
}

func TestSTARTTLS(t *testing.T) {
	n := start(t, func(o *Options) { o.Settings.TLS = certificate(t) })
	p := n.dial(t)
	p.want("220")
	if got := p.do("EHLO client.test", "250 "); !strings.Contains(got, "\n250-STARTTLS\n") {
		t.Errorf("got %q", got)
	}
	p.do("MAIL FROM:<before@b.test>", "250")
	p.do("STARTTLS now", "501 5.5.4")
	p.do("STARTTLS", "220 2.0.0")
	secure := tls.Client(p.Conn, &tls.Config{InsecureSkipVerify: true})
	p = newPeer(t, secure)
	p.do("MAIL FROM:<a@b.test>", "503") // nothing from before is known
	if got := p.do("EHLO client.test", "250 "); strings.Contains(got, "STARTTLS") {
		t.Errorf("got %q", got)
	}
	p.do("STARTTLS", "503")
	p.data()
	p.Send("secret\r\n.\r\n")
	p.want("250")
	p.do("QUIT", "221")
	p.WantClosed()
	if got := n.mail(t, user1); len(got) != 1 || !strings.Contains(got[0], "with ESMTPS (TLS 1.3 TLS_") {
		t.Errorf("got %q", got)
	}
}

// Commands sent in the clear behind STARTTLS must not run inside TLS (CVE-2011-0411).
func TestCommandsBehindSTARTTLSAreNotRun(t *testing.T) {
	n := start(t, func(o *Options) { o.Settings.TLS = certificate(t) })
	p := n.greeted(t)
	p.Send("STARTTLS\r\nEHLO evil.test\r\nMAIL FROM:<evil@b.test>\r\n")
	p.want("503 5.5.1")
	p.WantClosed()
}
