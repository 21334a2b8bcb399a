package deliver

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mailfleet/inventory/domainkey"
	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/message"
	"mailfleet/mailnode/origin"
	"mailfleet/mailnode/outbound"
	"mailfleet/mailnode/queue"
	"mailfleet/mailnode/store"
)

// pen signs for a domain.
type pen struct{ keys []domainkey.Key }

func (p pen) Sign(_ context.Context, domain string, m io.Reader) ([]byte, error) {
	s, err := origin.NewSigner(domain, p.keys, time.Now())
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(s, m); err != nil {
		return nil, err
	}
	fields, err := s.Fields()
	return []byte(fields), err
}

func (pen) Signed(domain, name string, value []byte) bool { return origin.Signed(domain, name, value) }

// Binary messages arrive as they were at a server that takes them, which is one like this.
func TestBinaryBetweenServers(t *testing.T) {
	n := start(t, t.TempDir(), store.Options{}, peerDNS(t), 1, queue.Settings{})
	port := n.receive(t, "127.0.0.3")
	head := "From: a@far.test\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n"
	body := head + ".\x00\n.\r.\r\n.\r\n" + strings.Repeat("\xff\r", 1<<20) + "\n" // in several chunks
	m := &outbound.Message{
		Envelope: envelope.Envelope{ID: "B1", From: "a@far.test", Body: envelope.BodyBinary}, To: to("user1@example.test"),
		Size: int64(len(body)), Open: func() io.Reader { return strings.NewReader(body) },
	}
	route := &outbound.Route{Host: "127.0.0.3", Port: port, TLS: outbound.Opportunistic}
	if o := n.client.Send(t.Context(), "example.test", route, m)[0]; o.State != outbound.Sent {
		t.Fatalf("got %+v", o)
	}
	if got := n.mail(t, user1, ""); len(got) != 1 || !strings.HasSuffix(got[0], body) {
		t.Errorf("%d messages came, or it is another", len(got))
	}
}

// A Postfix that has no 8BITMIME and is strict about MIME takes what is recoded for it, and
// its signature is good there.
func TestPostfixWithout8BITMIME(t *testing.T) {
	d := peerDNS(t)
	var p pen
	for i, a := range []domainkey.Algorithm{domainkey.RSA, domainkey.Ed25519} {
		key, err := domainkey.Generate(a)
		if err != nil {
			t.Fatal(err)
		}
		record, err := domainkey.TXT(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		k := domainkey.Key{Selector: fmt.Sprint("s", i), Algorithm: a, State: domainkey.Active, Signer: key}
		p.keys = append(p.keys, k)
		half := len(record) / 2
		d.Add(t, fmt.Sprintf("%s. 300 IN TXT %q %q", domainkey.Name(k.Selector, "example.test"), record[:half], record[half:]))
	}
	port := freePort(t, "127.0.0.2")
	n := start(t, t.TempDir(), store.Options{}, d, port, queue.Settings{Retries: []time.Duration{time.Hour}})
	n.sending.Signer = p
	n.client.Configure(n.sending)
	peer := startPostfix(t, "127.0.0.2", port, "smtpd_discard_ehlo_keywords = 8bitmime, chunking\nstrict_8bitmime = yes\nstrict_mime_encoding_domain = yes\n")
	n.run()
	body := strings.ReplaceAll("From: user1@example.test\nMessage-Id: <1@example.test>\nDate: Sat, 31 Jan 2026 12:00:00 +0000\nSubject: x\nMIME-Version: 1.0\n"+
		"Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\n--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n你好，世界\n.\n"+
		"--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: inner\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n\nein sch\xf6ner Text, der sonst ASCII ist\n--b--\n", "\n", "\r\n")
	send := func(e envelope.Envelope, body string) {
		t.Helper()
		signature, err := p.Sign(t.Context(), "example.test", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		e.ID, e.From, e.Account, e.Body = "P1", "user1@example.test", user1, envelope.Body8Bit
		if err := n.Accept(t.Context(), e, signature, strings.NewReader(body), int64(len(body))); err != nil {
			t.Fatal(err)
		}
	}
	send(envelope.Envelope{Recipients: to("user@peer.test")}, body)
	send(envelope.Envelope{Recipients: to("other@peer.test")}, strings.Replace(body, "Subject: x", "Subject: 你好", 1))
	n.await(t, "Postfix has delivered and a report came", func() bool {
		return len(peer.mail("user")) == 1 && len(n.mail(t, user1, "")) == 1
	})
	if report := n.mail(t, user1, "")[0]; !strings.Contains(report, "Status: 5.6.3") || !strings.Contains(report, "its header has letters outside ASCII") {
		t.Errorf("the report is %s", report)
	}
	_, got, found := strings.Cut(strings.ReplaceAll(peer.mail("user")[0], "\n", "\r\n"), "DKIM-Signature")
	got = "DKIM-Signature" + got
	if !found || strings.IndexFunc(got, func(r rune) bool { return r >= 0x80 }) >= 0 {
		t.Errorf("it arrived as %q", got)
	}
	v, err := origin.New(origin.Settings{ID: "peer.test"}, d.Resolver(t)).Judge(t.Context(), origin.Message{Peer: netip.MustParseAddr("127.0.0.3"), Helo: "x", From: "user1@example.test"}, strings.NewReader(got))
	if err != nil || len(v.DKIM) != 2 || v.DKIM[0].Result != origin.Pass || v.DKIM[1].Result != origin.Pass {
		t.Errorf("the signatures are %+v, %v", v.DKIM, err)
	}
	structure, err := message.Parse(strings.NewReader(got))
	if err != nil {
		t.Fatal(err)
	}
	whole := message.Open(strings.NewReader(got), structure.Structure)
	for i, want := range []string{"你好，世界\r\n.", "ein sch\xf6ner Text, der sonst ASCII ist"} {
		part := structure.Structure.Parts[i]
		if part.Message != nil {
			part = part.Message
		}
		r, err := whole.Decode(part)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(r); err != nil || string(b) != want {
			t.Errorf("part %d is %q, %v", i+1, b, err)
		}
	}
}

// A report of a signed message with other letters than ASCII reaches a sender whose server
// has no 8BITMIME, and brings the message as it was.
func TestReportToPostfixWithout8BITMIME(t *testing.T) {
	port := freePort(t, "127.0.0.2")
	n := start(t, t.TempDir(), store.Options{}, peerDNS(t), port, queue.Settings{Retries: []time.Duration{time.Hour}})
	peer := startPostfix(t, "127.0.0.2", port, "smtpd_discard_ehlo_keywords = 8bitmime, chunking\nstrict_8bitmime = yes\nstrict_mime_encoding_domain = yes\n")
	n.run()
	body := strings.ReplaceAll("From: user@peer.test\nSubject: x\nMIME-Version: 1.0\nContent-Type: multipart/signed; boundary=b; protocol=\"application/pgp-signature\"\n\n"+
		"--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n你好，世界\n--b\nContent-Type: application/pgp-signature\n\nx\n--b--\n", "\n", "\r\n")
	e := envelope.Envelope{ID: "P2", From: "user@peer.test", Body: envelope.Body8Bit, Return: envelope.ReturnFull, Recipients: to("nobody@peer.test")}
	if err := n.Accept(t.Context(), e, []byte("Received: first\r\n"), strings.NewReader(body), int64(len(body))); err != nil {
		t.Fatal(err)
	}
	n.await(t, "Postfix has the report", func() bool { return len(peer.mail("user")) == 1 })
	got := strings.ReplaceAll(peer.mail("user")[0], "\n", "\r\n")
	structure, err := message.Parse(strings.NewReader(got))
	if err != nil || len(structure.Structure.Parts) != 3 {
		t.Fatalf("it is %q, %v", got, err)
	}
	r, err := message.Open(strings.NewReader(got), structure.Structure).Decode(structure.Structure.Parts[2])
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || !strings.HasSuffix(string(b), "Received: first\r\n"+body) {
		t.Errorf("given back is %q, %v", b, err)
	}
}
