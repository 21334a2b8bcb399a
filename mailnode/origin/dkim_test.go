package origin

import (
	"bytes"
	"crypto/sha256"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
)

const plain = "From: Ann <ann@example.org>\r\nTo: bob@example.test\r\nSubject: Hello\r\n  there\r\n" +
	"Date: Fri, 27 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.org>\r\nReceived: from a\r\nReceived: from b\r\n\r\n" +
	"Hi Bob,\r\n\r\n tab\there  and \t there \r\n\r\n\r\n"

// The bodies whose canonical forms are easy to get wrong.
var bodies = map[string]string{
	"none": "", "one line end": "\r\n", "line ends": "\r\n\r\n\r\n", "no line end": "text",
	"spaces": "  \r\n\t\r\n", "inner": "a\r\n\r\n\r\nb \r\n", "trailing space": "a \t \r\n  \r\n\r\n",
	"a CR": "a\rb\r\r\n", "ends with CR": "a\r", "leading empty": "\r\n\r\na", "unended space": "a  ",
}

func TestSignaturesVerify(t *testing.T) {
	j, z, _ := judging(t)
	publish(t, z, "example.org", keys(t))
	header, _, _ := strings.Cut(plain, "\r\n\r\n")
	for name, body := range bodies {
		signed := sign(t, "example.org", keys(t), header+"\r\n\r\n"+body)
		v := j.test(t, Message{From: "ann@example.org"}, signed)
		if got := results(v); !slices.Equal(got, []Result{Pass, Pass}) {
			t.Errorf("body with %s: %v", name, v.DKIM)
		}
	}
}

// What go-msgauth signs in every form is verified here, and what is signed here there.
func TestSignaturesOfTheLibrary(t *testing.T) {
	j, z, _ := judging(t)
	publish(t, z, "example.org", keys(t))
	lookup := func(name string) ([]string, error) { return j.query(t.Context(), name) }
	header, _, _ := strings.Cut(plain, "\r\n\r\n")
	for name, body := range bodies {
		if name == "a CR" || name == "ends with CR" {
			continue // the library takes a bare CR for an end of line
		}
		message := header + "\r\n\r\n" + body
		for _, k := range keys(t) {
			for _, hc := range []dkim.Canonicalization{"simple", "relaxed"} {
				for _, bc := range []dkim.Canonicalization{"simple", "relaxed"} {
					var out bytes.Buffer
					err := dkim.Sign(&out, strings.NewReader(message), &dkim.SignOptions{
						Domain: "example.org", Selector: k.Selector, Signer: k.Signer,
						HeaderCanonicalization: hc, BodyCanonicalization: bc,
						HeaderKeys: []string{"From", "Received", "Received", "Received", "Subject", "X-None"},
					})
					if err != nil {
						t.Fatal(err)
					}
					if v := j.test(t, Message{}, out.String()); !slices.Equal(results(v), []Result{Pass}) {
						t.Errorf("%s, %s, %s/%s: %v", name, k.Algorithm, hc, bc, v.DKIM)
					}
				}
			}
		}
		verified, err := dkim.VerifyWithOptions(strings.NewReader(sign(t, "example.org", keys(t), message)), &dkim.VerifyOptions{LookupTXT: lookup})
		if err != nil || len(verified) != 2 {
			t.Fatalf("%s: %v", name, err)
		}
		for _, v := range verified {
			if v.Err != nil {
				t.Errorf("%s: the library says of our signature: %v", name, v.Err)
			}
		}
	}
}

func TestChangedMessagesFail(t *testing.T) {
	j, z, _ := judging(t)
	publish(t, z, "example.org", keys(t))
	signed := sign(t, "example.org", keys(t), plain)
	for name, changed := range map[string]string{
		"body":              strings.Replace(signed, "Hi Bob", "Hi Eve", 1),
		"more body":         signed + "more\r\n",
		"subject":           strings.Replace(signed, "Hello", "Help", 1),
		"another From":      "From: eve@example.com\r\n" + signed,
		"another Subject":   strings.Replace(signed, "To: bob", "Subject: x\r\nTo: bob", 1),
		"another To":        strings.Replace(signed, "\r\nSubject:", "\r\nTo: eve@example.com\r\nSubject:", 1),
		"a Reply-To":        strings.Replace(signed, "\r\nSubject:", "\r\nReply-To: eve@example.com\r\nSubject:", 1),
		"another selector":  strings.ReplaceAll(signed, "t=", "t=1"),
		"a type of content": strings.Replace(signed, "\r\nSubject:", "\r\nContent-Type: text/html\r\nSubject:", 1),
	} {
		for _, k := range j.test(t, Message{}, changed).DKIM {
			if k.Result != Fail || k.Reason == "" {
				t.Errorf("%s was changed: %+v", name, k)
			}
		}
	}
	unchanged := map[string]string{
		"trace":             "Received: by c\r\nX-Spam: no\r\n" + signed,
		"folding":           strings.Replace(signed, "Hello\r\n  there", "Hello there", 1),
		"space at the ends": strings.Replace(signed, "Hi Bob,\r\n", "Hi Bob,  \r\n", 1),
		"empty lines":       signed + "\r\n\r\n",
		"bare LF":           strings.ReplaceAll(signed, "\r\n", "\n"),
	}
	for name, m := range unchanged {
		if got := results(j.test(t, Message{}, m)); !slices.Equal(got, []Result{Pass, Pass}) {
			t.Errorf("%s was changed, which may be: %v", name, got)
		}
	}
}

// RFC 8463 appendix A.
func TestTheExampleOfRFC8463(t *testing.T) {
	j, z, _ := judging(t)
	z.set("brisbane._domainkey.football.example.com", txt("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="))
	z.set("test._domainkey.football.example.com", txt("v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"))
	message := strings.ReplaceAll(`DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
`, "\n", "\r\n")
	v := j.test(t, Message{}, message)
	if got := results(v); !slices.Equal(got, []Result{Pass, Pass}) {
		t.Errorf("%+v", v.DKIM)
	}
}

// Signatures and keys that are not acceptable, whatever they sign.
func TestUnacceptableSignatures(t *testing.T) {
	j, z, _ := judging(t)
	list := keys(t)
	publish(t, z, "example.org", list)
	signed := sign(t, "example.org", list[:1], plain)
	change := func(old, with string) string {
		out := strings.Replace(signed, old, with, 1)
		if out == signed {
			t.Fatalf("%q is not in the message", old)
		}
		return out
	}
	for _, c := range []struct {
		name, message string
		want          Result
	}{
		{"rsa-sha1", change("a=rsa-sha256", "a=rsa-sha1"), PermError},
		{"another algorithm", change("a=rsa-sha256", "a=rsa-md5"), PermError},
		{"a length", change("v=1;", "v=1; l=10;"), Policy},
		{"expired", change("v=1;", "v=1; x=1700000000;"), PermError},
		{"expired and made before", change(" t=", " x=1700000000; t=1600000000; o="), Policy},
		{"version 2", change("v=1;", "v=2;"), PermError},
		{"a tag twice", change("v=1;", "v=1; v=1;"), PermError},
		{"no From", change("h=From:From:", "h="), PermError},
		{"another identity", change("v=1;", "v=1; i=@example.com;"), PermError},
		{"an identity that only ends alike", change("v=1;", "v=1; i=@badexample.org;"), PermError},
		{"no domain", change("d=example.org;", "d=;"), PermError},
		{"a bad domain", change("d=example.org;", "d=exa mple..org;"), PermError},
		{"no such key", change("s=mf", "s=xx"), PermError},
		{"another query", change("v=1;", "v=1; q=http;"), PermError},
		{"another form", change("relaxed/relaxed", "relaxed/strange"), PermError},
		{"bad base64", change("bh=", "bh=!"), PermError},
		{"no tags", "DKIM-Signature: hello\r\n" + plain, PermError},
		{"nothing", "DKIM-Signature:\r\n" + plain, PermError},
	} {
		v := j.test(t, Message{}, c.message)
		if got := results(v); !slices.Equal(got, []Result{c.want}) || v.DKIM[0].Reason == "" {
			t.Errorf("%s: %+v", c.name, v.DKIM)
		}
	}
	record, err := j.query(t.Context(), list[0].Selector+"._domainkey.example.org")
	if err != nil {
		t.Fatal(err)
	}
	name := list[0].Selector + "._domainkey.example.org"
	for _, c := range []struct {
		name, record string
		want         Result
	}{
		{"revoked", "v=DKIM1; p=", PermError},
		{"for other services", record[0] + "; s=tlsrpt", PermError},
		{"for SHA-1 only", record[0] + "; h=sha1", PermError},
		{"of another version", strings.Replace(record[0], "DKIM1", "DKIM2", 1), PermError},
		{"broken", "v=DKIM1; k=rsa; p=AAAA", PermError},
		{"too short", "v=DKIM1; k=rsa; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALrRHR7pyRp6o+9ZJj5XNX0VB8Vn9EFSPIqTHXtOFRHKCGoqUBmsTmtAyCFCO0UOz4QlzFLzGdYJQkzkLL8VIYECAwEAAQ==", PermError},
		{"Ed25519", "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", PermError},
		{"for all services", record[0] + "; s=*", Pass},
		{"of flags", record[0] + "; t=y:s", Pass},
	} {
		z.set(name, txt(c.record))
		v := j.test(t, Message{}, signed)
		if got := results(v); !slices.Equal(got, []Result{c.want}) {
			t.Errorf("a key that is %s: %+v", c.name, v.DKIM)
		}
	}
	z.set(name, txt("hello"), txt(record[0]))
	if v := j.test(t, Message{}, signed); v.DKIM[0].Result != Pass {
		t.Errorf("with another record beside: %+v", v.DKIM)
	}
	z.set(name, "SERVFAIL")
	if v := j.test(t, Message{}, signed); v.DKIM[0].Result != TempError {
		t.Errorf("without DNS: %+v", v.DKIM)
	}
}

// Of many signatures some are verified, those of the author first.
func TestManySignatures(t *testing.T) {
	j, z, _ := judging(t)
	publish(t, z, "example.org", keys(t))
	junk := strings.Repeat("DKIM-Signature: v=1; a=rsa-sha256; d=example.net; s=x; h=from; bh=AAAA; b=AAAA\r\n", 50)
	before := int(z.Queries.Load())
	v := j.test(t, Message{}, junk+sign(t, "example.org", keys(t), plain))
	if len(v.DKIM) != maxSignatures || v.DKIM[0].Result != Pass || v.DKIM[1].Result != Pass {
		t.Errorf("%+v", v.DKIM)
	}
	if int(z.Queries.Load())-before > 10 {
		t.Errorf("the DNS was asked %d times", int(z.Queries.Load())-before)
	}
}

// repeated is a body that is large and kept nowhere.
type repeated struct {
	text string
	left int64
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) && r.left > 0 {
		k := copy(p[n:min(len(p), n+int(min(r.left, int64(len(r.text)))))], r.text[r.at:])
		r.at = (r.at + k) % len(r.text)
		n, r.left = n+k, r.left-int64(k)
	}
	return n, nil
}

// 100 MB are judged and signed in constant memory, whatever they consist of.
func TestLargeMessagesInConstantMemory(t *testing.T) {
	j, z, _ := judging(t)
	publish(t, z, "example.org", keys(t))
	for name, text := range map[string]string{
		"lines": strings.Repeat("x", 70) + "\r\n", "line ends": "\r\n", "spaces": " ", "one line": "x",
	} {
		size := int64(16 << 20) // enough to tell
		if name == "lines" {
			size = 100 << 20
		}
		body := func() io.Reader {
			return io.MultiReader(strings.NewReader(plain), &repeated{text: text, left: size})
		}
		s, err := NewSigner("example.org", keys(t), j.now())
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := io.Copy(s, body()); err != nil {
			t.Fatal(err)
		}
		fields, err := s.Fields()
		if err != nil {
			t.Fatal(err)
		}
		v, err := j.Judge(t.Context(), Message{}, io.MultiReader(strings.NewReader(fields), body()))
		if err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if got := results(v); !slices.Equal(got, []Result{Pass, Pass}) {
			t.Errorf("%s: %+v", name, v.DKIM)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
			t.Errorf("%s: %d KB were allocated for %d MB", name, used>>10, size>>20)
		}
	}
}

func TestHeaderBombs(t *testing.T) {
	j, _, _ := judging(t)
	for name, header := range map[string]string{
		"fields": strings.Repeat("A: b\r\n", maxFields+1),
		"bytes":  "A: " + strings.Repeat("b", maxHeader),
		"lines":  "A: b\r\n" + strings.Repeat(" c\r\n", maxHeader/4),
	} {
		v := j.test(t, Message{}, header+plain)
		if v.DMARC.Result != PermError || len(v.DKIM) != 0 {
			t.Errorf("too many %s: %+v", name, v)
		}
	}
	s, err := NewSigner("example.org", keys(t), j.now())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(s, strings.Repeat("A: b\r\n", maxFields+1)+plain)
	if _, err := s.Fields(); err == nil {
		t.Error("a bomb was signed")
	}
}

func TestSigningNeedsKeysAndFrom(t *testing.T) {
	if _, err := NewSigner("example.org", nil, time.Now()); err == nil {
		t.Error("signed without keys")
	}
	s, err := NewSigner("例子.test", keys(t), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(s, "Subject: x\r\n\r\nx\r\n")
	if _, err := s.Fields(); err == nil {
		t.Error("signed without From")
	}
}

// The relaxed hash of an empty body is that of nothing, the simple one of a line end.
func TestEmptyBodies(t *testing.T) {
	if got, want := newBodyHash(true).finish(), sha256.Sum256(nil); !bytes.Equal(got, want[:]) {
		t.Error("relaxed")
	}
	if got, want := newBodyHash(false).finish(), sha256.Sum256([]byte("\r\n")); !bytes.Equal(got, want[:]) {
		t.Error("simple")
	}
}
