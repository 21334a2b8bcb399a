package origin

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mailfleet/mailnode/resolve"
)

// said answers every question with one text.
type said struct {
	text string
	err  error
}

func saying[T any](s said, v T) (resolve.Answer[T], error) {
	return resolve.Answer[T]{Records: []T{v}}, s.err
}

func (s said) TXT(context.Context, string) (resolve.Answer[string], error) { return saying(s, s.text) }
func (s said) MX(context.Context, string) (resolve.Answer[resolve.MX], error) {
	return saying(s, resolve.MX{Host: s.text})
}
func (s said) PTR(context.Context, netip.Addr) (resolve.Answer[string], error) {
	return saying(s, s.text)
}
func (s said) Addresses(context.Context, string) (resolve.Answer[netip.Addr], error) {
	return saying(s, peer)
}

// Whatever a message and the DNS say, there is a verdict, its field is one field, and
// how the message was cut on its way makes no difference.
func FuzzJudge(f *testing.F) {
	f.Add(plain, "v=spf1 a mx ptr exists:%{ir}.x include:a.test -all", "h.test", "a@b.test")
	f.Add("DKIM-Signature: v=1; a=rsa-sha256; d=b.test; s=x; h=from; bh=AAAA; b=AA\r\n AA; c=simple\r\nFrom: a@b.test\r\n\r\n \r\r\n", "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "[1.2.3.4]", "")
	f.Add("From: a@b.test, \"c\"@d.test\n\n", "v=DMARC1; p=reject; pct=0; sp=none", "", "\"a@b\"@c.test")
	f.Add("ARC-Seal: i=1; a=ed25519-sha256; cv=none; d=b.test; s=x; b=AAAA\r\nARC-Message-Signature: i=1; a=ed25519-sha256; d=b.test; s=x; h=from; bh=AAAA; b=AAAA\r\n"+
		"ARC-Authentication-Results: i=1; a.test; dmarc=pass\r\nFrom: a@b.test\r\n\r\n", "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "", "")
	f.Fuzz(func(t *testing.T, message, text, helo, from string) {
		j := New(Settings{ID: self}, said{text: text})
		j.percent = func() int { return 50 }
		m := Message{Peer: peer, Helo: helo, From: from}
		v := j.test(t, m, message)
		whole, err := j.Judge(t.Context(), m, strings.NewReader(message))
		if err != nil || whole.Header != v.Header {
			t.Fatalf("%v: in one piece\n%s\nin pieces\n%s", err, whole.Header, v.Header)
		}
		body, ok := strings.CutSuffix(v.Header, "\r\n")
		if !ok || strings.ContainsAny(strings.ReplaceAll(body, "\r\n\t", ""), "\r\n\x00") {
			t.Fatalf("the field is %q", v.Header)
		}
		if !Forged("Authentication-Results", []byte(body[len("Authentication-Results:"):]), self) {
			t.Fatalf("the field is not known as one of this server: %q", v.Header)
		}
		broken := New(Settings{ID: self}, said{err: errors.New("no DNS")}).test(t, m, message)
		if broken.DMARC.Result != PermError && broken.Disposition(Refuse) == Refuse && !broken.Temporary() {
			t.Fatalf("refused for ever without DNS: %+v", broken)
		}
	})
}

// What is signed verifies, whatever it is.
func FuzzSign(f *testing.F) {
	f.Add("From: a@b.test\r\nSubject : x\r\n y\r\n", "body \r\n\r\n")
	f.Add("From:\r\n \r\nFrom: b\r\n\tc\r\nno colon\r\n", "\r\n \r \n")
	list := keys(f)
	f.Fuzz(func(t *testing.T, header, body string) {
		message := header + "\r\n\r\n" + body
		s, err := NewSigner("example.org", list[1:], time.Now())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = s.Write([]byte(message))
		fields, err := s.Fields()
		if err != nil {
			return
		}
		if strings.HasPrefix(message, " ") || strings.HasPrefix(message, "\t") {
			return // it would continue the signature
		}
		z := said{text: "v=DKIM1; k=ed25519; p=" + encode64(list[1].Signer.Public().(ed25519.PublicKey))}
		v := New(Settings{ID: self, Signatures: 64}, z).test(t, Message{}, fields+message)
		for _, k := range v.DKIM {
			if k.Domain == "example.org" && k.Result == Pass {
				return
			}
		}
		t.Fatalf("%q: %+v", fields+message, v.DKIM)
	})
}

func FuzzForged(f *testing.F) {
	f.Add(" (x) mx.example.test; none")
	f.Add(`"mx\.example.test"`)
	f.Fuzz(func(t *testing.T, v string) {
		Forged("Authentication-Results", []byte(v), self)
		if !Forged("Authentication-Results", []byte(" "+self+";"+v), self) {
			t.Error("a forged field was not known")
		}
	})
}

// An address that comes back is one that was made here, and what is made comes back.
func FuzzSRS(f *testing.F) {
	f.Add("ann@example.org")
	f.Add("SRS0=ABCDEFGH=AA=example.org=ann@first.test")
	f.Add(`"SRS1=x=y"@z`)
	s := SRS{Domain: "first.test", Keys: [][]byte{[]byte("k")}}
	f.Fuzz(func(t *testing.T, a string) {
		if got, err := s.Reverse(a, srsNow); err == nil {
			t.Fatalf("%q was believed as %q", a, got)
		}
		made, err := s.Forward(a, srsNow)
		if err != nil || a == "" {
			return
		}
		back, err := s.Reverse(made, srsNow)
		if err != nil {
			t.Fatalf("%q became %q, which is not believed: %v", a, made, err)
		}
		local, domain, _ := cutLast(a, "@")
		if tag, _ := srsTag(unquote(local)); tag == "" && back != requote(unquote(local))+"@"+domain {
			t.Fatalf("%q became %q and came back as %q", a, made, back)
		}
	})
}
