package smtpd

import (
	"context"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailfleet/controller/e2e/peers"
	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/gate"
)

// program returns how to run another's program.
func program(t testing.TB, debianPackage, name string, args ...string) *exec.Cmd {
	t.Helper()
	path := peers.Find(t, debianPackage, name)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, path, args...)
}

func mustRun(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%.5000s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out)
}

// authority is the server's certificate in a file.
func (n *node) authority(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	der := n.settings.Load().TLS.Certificates[0].Certificate[0]
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

const smtplibScript = `
import email.message, email.policy, smtplib, ssl, sys
address, implicit, ca, user, password = sys.argv[1:6]
host, port = address.rsplit(":", 1)
context = ssl.create_default_context(cafile=ca)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
if implicit == "yes":
    s = smtplib.SMTP_SSL(host, int(port), context=context)
else:
    s = smtplib.SMTP(host, int(port))
    s.ehlo()
    assert not s.has_extn("auth")
    s.starttls(context=context)
s.ehlo()
for e in ("pipelining", "8bitmime", "smtputf8", "dsn", "chunking", "binarymime", "requiretls"):
    assert s.has_extn(e), e
try:
    s.mail(user)
    s.login(user, "wrong")
    assert False
except smtplib.SMTPAuthenticationError as e:
    assert e.smtp_code == 535, e
s.login(user, password)
m = email.message.EmailMessage(policy=email.policy.SMTPUTF8)
m["From"] = user
m["To"] = "用户@例子.测试"
m["Subject"] = "你好"
m.set_content("天气\n.\n..\n")
s.send_message(m, mail_options=["RET=HDRS", "ENVID=py+2B1"], rcpt_options=["NOTIFY=SUCCESS,FAILURE"])
code, text = s.docmd("EXPN staff")
assert code == 502, text
s.quit()
`

func TestSmtplibSubmits(t *testing.T) {
	for implicit, k := range map[string]Kind{"yes": Submissions, "no": Submission} {
		n, s := submission(t, k, nil)
		mustRun(t, program(t, "python3", "python3", "-c", smtplibScript, n.addr, implicit, n.authority(t), "user1@example.test", "secret"))
		if len(s.mail) != 1 {
			t.Fatalf("%d messages", len(s.mail))
		}
		e := s.envelopes[0]
		if !e.UTF8 || e.Recipients[0].Address != "用户@xn--fsqu00a.xn--0zwm56d" || e.Recipients[0].Notify != envelope.NotifySuccess|envelope.NotifyFailure ||
			e.Return != envelope.ReturnHeaders || e.EnvID != "py+2B1" || e.Account != user1 {
			t.Errorf("got %+v", e)
		}
		if got := s.mail[0]; !strings.Contains(got, "with UTF8SMTPSA (TLS") || !strings.Contains(got, "\r\nMessage-ID: <") || !strings.Contains(got, "Subject: 你好\r\n") {
			t.Errorf("got %q", got)
		}
	}
}

const lmtplibScript = `
import smtplib, sys
s = smtplib.LMTP(sys.argv[1])
s.ehlo_or_helo_if_needed()
refused = s.sendmail("a@b.test", ["user1@example.test", "user2@example.test", "nobody@example.test"], "Subject: lmtp\r\n\r\nx\r\n")
assert list(refused) == ["nobody@example.test"] and refused["nobody@example.test"][0] == 550, refused
s.quit()
`

func TestSmtplibSpeaksLMTP(t *testing.T) {
	n := startKind(t, LMTP, nil, nil)
	l, err := net.Listen("unix", t.TempDir()+"/lmtp")
	if err != nil {
		t.Fatal(err)
	}
	open := n.Gate(LMTP).Listen(l)
	served := make(chan struct{})
	go func() { n.Serve(open, LMTP, nil); close(served) }()
	defer func() { _ = open.Close(); <-served }()
	// smtplib reads one of the two replies after DATA, and takes the other for QUIT's.
	mustRun(t, program(t, "python3", "python3", "-c", lmtplibScript, l.Addr().String()))
	if one, two := n.mail(t, user1), n.mail(t, user2); len(one) != 1 || len(two) != 1 {
		t.Errorf("%d and %d messages", len(one), len(two))
	}
}

func TestSwaksSubmits(t *testing.T) {
	for _, args := range [][]string{
		{"--tls", "--auth", "PLAIN"}, {"--tls", "--auth", "LOGIN"}, {"--tls", "--auth", "LOGIN", "--pipeline"},
	} {
		n, s := submission(t, Submission, nil)
		out := mustRun(t, program(t, "swaks", "swaks", append([]string{"--server", n.addr, "--au", "user1@example.test", "--ap", "secret",
			"--from", "user1@example.test", "--to", "a@elsewhere.test,b@elsewhere.test", "--header", "Bcc: b@elsewhere.test"}, args...)...))
		if len(s.mail) != 1 || len(s.envelopes[0].Recipients) != 2 || strings.Contains(s.mail[0], "Bcc") {
			t.Errorf("%v: got %q\n%s", args, s.mail, out)
		}
	}
}

// gsasl signs in by each mechanism, SCRAM among them.
func TestGsaslSignsIn(t *testing.T) {
	for _, mechanism := range []string{"SCRAM-SHA-256", "PLAIN", "LOGIN"} {
		n, _ := submission(t, Submission, nil)
		host, port, _ := net.SplitHostPort(n.addr)
		cmd := program(t, "gsasl", "gsasl", "--smtp", "--connect", host+":"+port, "--mechanism", mechanism, "--authentication-id", "user1@example.test",
			"--password", "secret", "--no-cb", "--x509-ca-file", "")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "235 2.7.0") {
			t.Errorf("%s: %v\n%s", mechanism, err, out)
		}
	}
}

// The formats of PROXY and XCLIENT are checked with a program of others.
func TestSwaksSpeaksForClients(t *testing.T) {
	for _, args := range [][]string{
		{"--proxy-version", "1", "--proxy-family", "TCP4", "--proxy-source", "192.0.2.5", "--proxy-source-port", "99", "--proxy-dest", "127.0.0.1", "--proxy-dest-port", "25"},
		{"--proxy-version", "2", "--proxy-family", "AF_INET", "--proxy-protocol", "STREAM", "--proxy-command", "PROXY",
			"--proxy-source", "192.0.2.5", "--proxy-source-port", "99", "--proxy-dest", "127.0.0.1", "--proxy-dest-port", "25"},
		{"--xclient-addr", "192.0.2.5", "--xclient-name", "client.b.test"},
	} {
		n := startKind(t, Receiving, nil, func(l *gate.Listener) *Policy {
			if strings.HasPrefix(args[0], "--proxy") {
				l.Proxies = loopback
			} else {
				l.Fronts = loopback
			}
			return &Policy{}
		})
		out := mustRun(t, program(t, "swaks", "swaks", append([]string{"--server", n.addr, "--from", "a@b.test", "--to", "user1@example.test"}, args...)...))
		if got := n.mail(t, user1); len(got) != 1 || !strings.Contains(got[0], "[192.0.2.5])") {
			t.Errorf("%v: got %q\n%s", args, got, out)
		}
	}
}

func TestSmtpSourceFillsAMailbox(t *testing.T) {
	n := start(t, nil)
	mustRun(t, program(t, "postfix", "smtp-source", "-s", "8", "-m", "200", "-l", "10240", "-d", "-f", "a@b.test", "-t", "user1@example.test", n.addr))
	if got := n.mail(t, user1); len(got) != 200 {
		t.Errorf("%d messages", len(got))
	}
	mustRun(t, program(t, "postfix", "smtp-source", "-s", "2", "-m", "4", "-L", "-f", "", "-t", "user1@example.test", startKind(t, LMTP, nil, nil).addr))
}

// postfix is a Postfix that hands all its mail on by a transport, such as
// smtp:[127.0.0.1]:2525; trouble is its queue and its log.
func postfix(t *testing.T, transport string) (addr string, trouble func() string) {
	t.Helper()
	addr, err := peers.FreeAddress(t.Context(), "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	p := peers.StartPostfix(t, peers.Folder(t), addr, fmt.Sprintf(`myhostname = postfix.test
inet_interfaces = 127.0.0.1
default_transport = %s
smtp_tls_security_level = encrypt
smtp_tls_loglevel = 1
smtpd_relay_restrictions = permit_mynetworks, reject
`, transport))
	return addr, func() string { return mustRun(t, program(t, "postfix", "postqueue", "-c", p.Dir, "-j")) + p.Log() }
}

// A real Postfix hands its mail over by TLS, with DSN and SMTPUTF8, and reports what was
// refused.
func TestPostfixDelivers(t *testing.T) {
	s := newShelf()
	n := start(t, func(o *Options) {
		o.Recipients, o.Deliverer = s, s
		o.Settings.TLS = certificate(t)
	})
	addr, trouble := postfix(t, "smtp:"+bracketed(n.addr))
	mustRun(t, program(t, "postfix", "smtp-source", "-s", "4", "-m", "60", "-l", "20000", "-f", "user2@example.test", "-t", "user1@example.test", addr))
	mustRun(t, program(t, "python3", "python3", "-c", `
import smtplib, sys
host, port = sys.argv[1].rsplit(":", 1)
s = smtplib.SMTP(host, int(port))
s.ehlo()
s.sendmail("user2@example.test", ["user1@example.test", "nobody@example.test"], "Subject: dsn\r\n\r\n.\r\n", ["RET=HDRS", "ENVID=x+2B"], ["NOTIFY=SUCCESS,FAILURE"])
s.sendmail("发件@b.test", ["user1@example.test"], "Subject: 你好\r\n\r\nx\r\n".encode(), ["SMTPUTF8", "BODY=8BITMIME"])
s.quit()
`, addr))
	s.await(t, 60+2+1, trouble) // the messages, and a report
	var international, report, wanted int
	for i, e := range s.envelopes {
		switch {
		case !strings.Contains(s.mail[i], "with ESMTPS (TLS 1.3") && !strings.Contains(s.mail[i], "with UTF8SMTPS (TLS 1.3"):
			t.Errorf("not by TLS: %.300q", s.mail[i])
		case e.UTF8 && e.From == "发件@b.test":
			international++
		case e.From == "" && strings.Contains(s.mail[i], "There is no such mailbox here"):
			report++
		case e.EnvID == "x+2B" && e.Return == envelope.ReturnHeaders && e.Recipients[0].Notify == envelope.NotifySuccess|envelope.NotifyFailure &&
			e.Recipients[0].Original == "rfc822;user1@example.test":
			wanted++
		}
	}
	if international != 1 || report != 1 || wanted != 1 {
		t.Errorf("%d international messages, %d reports, %d with DSN", international, report, wanted)
	}
}

// bracketed is an address as Postfix writes it.
func bracketed(addr string) string {
	host, port, _ := net.SplitHostPort(addr)
	return "[" + host + "]:" + port
}

// await waits until so many messages have come; trouble says why they may not.
func (s *shelf) await(t *testing.T, count int, trouble func() string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		s.mu.Lock()
		got := len(s.mail)
		s.mu.Unlock()
		if got == count {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d messages; %s", got, trouble())
		}
		<-time.After(50 * time.Millisecond)
	}
}

// Postfix hands over by LMTP, where one recipient's refusal is not another's.
func TestPostfixDeliversByLMTP(t *testing.T) {
	s := newShelf()
	n := startKind(t, LMTP, func(o *Options) { o.Recipients, o.Deliverer = s, s }, nil)
	addr, trouble := postfix(t, "lmtp:inet:"+n.addr)
	mustRun(t, program(t, "swaks", "swaks", "--server", addr, "--from", "user2@example.test", "--to", "user1@example.test,gone@example.test,user2+tag@example.test"))
	s.await(t, 2, trouble) // the message for both, and a report
	recipients := map[int]int{}
	for i, e := range s.envelopes {
		recipients[len(e.Recipients)]++
		if !strings.Contains(s.mail[i], "with LMTP id") {
			t.Errorf("got %.300q", s.mail[i])
		}
	}
	if recipients[2] != 1 || recipients[1] != 1 {
		t.Errorf("got %+v", s.envelopes)
	}
}
