package deliver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailfleet/controller/e2e/peers"
	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/gate"
	"mailfleet/mailnode/gate/gatetest"
	"mailfleet/mailnode/queue"
	"mailfleet/mailnode/resolve/resolvetest"
	"mailfleet/mailnode/smtpd"
	"mailfleet/mailnode/store"
)

// postfix is a Postfix with mailboxes.
type postfix struct {
	t testing.TB
	*peers.Postfix
}

// cpu is the processor time that Postfix has used, all its processes together.
func (p *postfix) cpu() (total time.Duration) {
	p.t.Helper()
	master, err := p.Master()
	if err != nil {
		p.t.Fatal(err)
	}
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil { // it has ended
			continue
		}
		_, rest, _ := strings.Cut(string(b), ") ") // after the name; the next is field 3
		fields := strings.Fields(rest)
		times := fields[11:13] // user and system
		switch {
		case strings.HasPrefix(string(b), fmt.Sprintf("%d (", master)):
			times = fields[11:15] // and of the children that have ended
		case fields[1] != fmt.Sprint(master):
			continue
		}
		for _, ticks := range times {
			n, err := strconv.Atoi(ticks)
			if err != nil {
				p.t.Fatal(err)
			}
			total += time.Duration(n) * 10 * time.Millisecond // USER_HZ is 100
		}
	}
	return total
}

const mainCF = `myhostname = mx.peer.test
virtual_mailbox_domains = peer.test
virtual_mailbox_base = %[1]s/mail
virtual_mailbox_maps = inline:{{user@peer.test=user/}, {other@peer.test=other/}}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
smtpd_tls_cert_file = %[1]s/cert.pem
smtpd_tls_key_file = %[1]s/cert.pem
smtpd_peername_lookup = no
message_size_limit = 2000000
smtpd_recipient_restrictions = check_recipient_access inline:{ {busy@peer.test = 450 4.7.1 come back later} }, permit_mynetworks, reject
`

// startPostfix starts Postfix on an address of this machine, with more lines for its main.cf.
func startPostfix(t testing.TB, host string, port int, more string) *postfix {
	t.Helper()
	peers.Root(t, "Postfix")
	dir := peers.Folder(t)
	mail := filepath.Join(dir, "mail")
	if err := errors.Join(
		os.Mkdir(mail, 0o755), os.Chown(mail, 65534, -1), os.WriteFile(filepath.Join(dir, "cert.pem"), []byte(certificate(t)), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	return &postfix{t, peers.StartPostfix(t, dir, fmt.Sprintf("%s:%d", host, port), fmt.Sprintf(mainCF, dir)+more)}
}

// mail returns the messages in a mailbox.
func (p *postfix) mail(user string) (texts []string) {
	p.t.Helper()
	files, err := filepath.Glob(filepath.Join(p.Dir, "mail", user, "new", "*"))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			p.t.Fatal(err)
		}
		texts = append(texts, string(b))
	}
	return texts
}

// certificate is a certificate and its key in PEM.
func certificate(t testing.TB) string {
	t.Helper()
	pair := gatetest.Certificate(t, "mx.peer.test").Certificates[0]
	private, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}))
}

func peerDNS(t testing.TB) *resolvetest.Server {
	return resolvetest.New(t, "peer.test. 300 IN MX 10 mx.peer.test.", "mx.peer.test. 300 IN A 127.0.0.2")
}

// anybody takes mail for all addresses there are.
type anybody struct{ *Places }

// Judge implements smtpd.Recipients.
func (a anybody) Judge(_ context.Context, _ directory.Sender, address string, _ int64) (int64, error) {
	_, err := a.Directory.Resolve(address, directory.Sender{})
	return 0, err
}

// receive has a node take mail by SMTP with TLS, and returns its port.
func (n *node) receive(t testing.TB, host string) int {
	t.Helper()
	text := []byte(certificate(t))
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		t.Fatal(err)
	}
	s := smtpd.New(smtpd.Options{
		Recipients: anybody{n.o.Places}, Deliverer: n.Deliverer, Room: n.store.Room, SpoolDir: t.TempDir(), Logger: quiet,
		Settings: smtpd.Settings{
			Hostname: "mx.example.test", MessageBytes: 10 << 20, Recipients: 100, TLS: &tls.Config{Certificates: []tls.Certificate{pair}},
			Limits: gate.Limits{Connections: 100, PerAddress: 100},
		},
	})
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	guarded := s.Gate(smtpd.Receiving).Listen(l)
	go func() {
		s.Serve(guarded, smtpd.Receiving, func() smtpd.Policy { return smtpd.Policy{} })
		close(served)
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.Stop(ctx)
		<-served
	})
	return l.Addr().(*net.TCPAddr).Port
}

// Mail to a real Postfix and back: with TLS both ways, chunks and DSN, each kind of answer
// as it should be.
func TestPostfix(t *testing.T) {
	d := peerDNS(t)
	port := freePort(t, "127.0.0.2")
	n := start(t, t.TempDir(), store.Options{}, d, port, queue.Settings{Retries: []time.Duration{time.Hour}})
	back := n.receive(t, "127.0.0.3")
	p := startPostfix(t, "127.0.0.2", port, fmt.Sprintf("relayhost = [127.0.0.3]:%d\nsmtp_tls_security_level = encrypt\nsmtpd_tls_security_level = may\n", back))
	n.run()
	body := "From: user1@example.test\r\nMessage-Id: <1@example.test>\r\nDate: Sat, 31 Jan 2026 12:00:00 +0000\r\nSubject: =?utf-8?B?5L2g5aW9?=\r\n\r\n.dots\r\n..\r\n.\r\n中文\r\n" + strings.Repeat("long\r\n", 50000)
	send := func(e envelope.Envelope, body string) {
		t.Helper()
		e.ID, e.From = "P1", "user1@example.test"
		if err := n.Accept(t.Context(), e, []byte("Received: here\r\n"), strings.NewReader(body), int64(len(body))); err != nil {
			t.Fatal(err)
		}
	}
	many := to("user@peer.test", "nobody@peer.test", "other@peer.test")
	many[0].Notify = envelope.NotifySuccess // Postfix knows DSN: the report is its affair
	send(envelope.Envelope{Recipients: many, Body: envelope.Body8Bit}, body)
	send(envelope.Envelope{Recipients: to("busy@peer.test")}, "Subject: x\r\n\r\n")
	send(envelope.Envelope{Recipients: to("user@peer.test")}, "Subject: large\r\n\r\n"+strings.Repeat("0123456789abcdef\r\n", 200000))
	n.await(t, "all is decided but one", func() bool {
		list, _, err := n.queue.List(t.Context(), queue.Filter{}, "", 10)
		return err == nil && len(list) == 1 && list[0].Last != ""
	})
	list, _, err := n.queue.List(t.Context(), queue.Filter{}, "", 10)
	if want := "mx.peer.test [127.0.0.2] does not take the recipient for now: 450 4.7.1 <busy@peer.test>: Recipient address rejected: come back later"; err != nil || list[0].Last != want {
		t.Errorf("what waits is %+v, %v", list, err)
	}
	n.await(t, "Postfix has delivered", func() bool { return len(p.mail("user")) == 1 && len(p.mail("other")) == 1 })
	for _, user := range []string{"user", "other"} {
		got := p.mail(user)[0]
		if _, message, _ := strings.Cut(got, "Received: here\n"); message != strings.ReplaceAll(body, "\r\n", "\n") {
			t.Errorf("the message did not arrive as it was: %.300q", got)
		}
		if !strings.Contains(got, "with ESMTPS") {
			t.Errorf("it did not come by TLS: %.500q", got)
		}
	}
	n.await(t, "three reports are there", func() bool { return len(n.mail(t, user1, "")) == 3 })
	reports := strings.Join(n.mail(t, user1, ""), "\n")
	for _, want := range []string{
		"Final-Recipient: rfc822; nobody@peer.test\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.peer.test\r\nDiagnostic-Code: smtp; 550 5.1.1 <nobody@peer.test>",
		"Final-Recipient: rfc822; user@peer.test\r\nAction: failed\r\nStatus: 5.3.4\r\n",
		// Postfix's own report of success, sent by TLS.
		"Received: from mx.peer.test", "(Mailfleet) with ESMTPS", "Final-Recipient: rfc822; user@peer.test\r\nOriginal-Recipient: rfc822;user@peer.test\r\nAction: delivered",
	} {
		if !strings.Contains(reports, want) {
			t.Errorf("no report says %q: %q", want, reports)
		}
	}
	if strings.Contains(reports, "Action: relayed") {
		t.Error("there is a report of relaying to a server that reports itself")
	}
}

// BenchmarkPostfixDrain is BenchmarkDrain for Postfix: its queue is filled while its queue
// manager does not run.
func BenchmarkPostfixDrain(b *testing.B) {
	port := smtpSink(b, "127.0.0.3")
	p := startPostfix(b, "127.0.0.2", freePort(b, "127.0.0.2"), fmt.Sprintf("relayhost = [127.0.0.3]:%d\nsmtp_tls_security_level = none\nsmtpd_tls_security_level = none\n", port))
	if err := p.Sends(b.Context(), false); err != nil {
		b.Fatal(err)
	}
	source := exec.Command("/usr/sbin/smtp-source", "-s", "32", "-m", fmt.Sprint(b.N), "-l", "10240", "-f", "a@example.test", "-t", "x@far.test", p.Address)
	if out, err := source.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	waiting := func() (n int) {
		for _, q := range []string{"incoming", "active", "deferred"} {
			_ = filepath.WalkDir(filepath.Join(p.Dir, "queue", q), func(_ string, d os.DirEntry, err error) error {
				if err == nil && !d.IsDir() { // files go while they are counted
					n++
				}
				return nil
			})
		}
		return n
	}
	if n := waiting(); n < b.N {
		b.Fatalf("only %d of %d messages are in Postfix's queue", n, b.N)
	}
	b.ResetTimer()
	before := p.cpu()
	if err := p.Sends(b.Context(), true); err != nil {
		b.Fatal(err)
	}
	for deadline := time.Now().Add(3 * time.Minute); waiting() > 0 && time.Now().Before(deadline); {
		<-time.After(10 * time.Millisecond)
	}
	b.StopTimer()
	if n := waiting(); n > 0 {
		b.Fatalf("%d messages are still there", n)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(float64((p.cpu()-before).Microseconds())/float64(b.N), "cpu-µs/message")
}
