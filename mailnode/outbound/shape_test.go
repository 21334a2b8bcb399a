package outbound

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/resolve/resolvetest"
)

// The form in which a message goes to servers of different abilities.
func TestShapes(t *testing.T) {
	const (
		head   = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
		eight  = head + "\r\n你好\r\n"
		image  = "MIME-Version: 1.0\r\nContent-Type: image/x\r\n"
		binary = image + "Content-Transfer-Encoding: binary\r\n\r\n.a\x00\nb\rc"
	)
	for _, x := range []struct {
		name, extensions, text string
		body                   envelope.Body
		command, want          string // "": the same text
	}{
		{"8-bit to such a server", "8BITMIME", eight, envelope.Body8Bit, "BODY=8BITMIME", ""},
		{"8-bit to an old server", "", eight, envelope.Body8Bit, "", head + "Content-Transfer-Encoding: base64\r\n\r\n5L2g5aW9DQo=\r\n"},
		{"8-bit in chunks", "CHUNKING", eight, envelope.Body8Bit, "", head + "Content-Transfer-Encoding: base64\r\n\r\n5L2g5aW9DQo=\r\n"},
		{"8-bit that was not announced", "PIPELINING", eight, "", "", head + "Content-Transfer-Encoding: base64\r\n\r\n5L2g5aW9DQo=\r\n"},
		{"binary to such a server", "BINARYMIME CHUNKING PIPELINING", binary, envelope.BodyBinary, "BODY=BINARYMIME", ""},
		{"binary without chunks", "BINARYMIME 8BITMIME", binary, envelope.BodyBinary, "BODY=8BITMIME", image + "Content-Transfer-Encoding: base64\r\n\r\nLmEACmINYw==\r\n"},
		{"binary to an old server", "CHUNKING", binary, envelope.BodyBinary, "", image + "Content-Transfer-Encoding: base64\r\n\r\nLmEACmINYw==\r\n"},
		{"binary in name only, 8-bit", "8BITMIME CHUNKING", eight, envelope.BodyBinary, "BODY=8BITMIME", ""},
		{"binary in name only", "", text, envelope.BodyBinary, "", ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := serve(t, "127.0.0.2", 0, func(r *remote) { r.extensions = append(strings.Fields(x.extensions), "SIZE 1000") })
			d := resolvetest.New(t, "remote.test. 300 IN A 127.0.0.2")
			m := letter(x.text, "u@remote.test")
			m.Body = x.body
			if o := client(t, d, r.addr.Port(), nil).Send(t.Context(), "remote.test", nil, m)[0]; o.State != Sent {
				t.Fatalf("got %+v", o)
			}
			if x.want == "" {
				x.want = x.text
			}
			if got := r.taken()[0]; got != x.want {
				t.Errorf("it took %q, want %q", got, x.want)
			}
			size, command, _ := strings.Cut(strings.TrimPrefix(r.commands[1], "MAIL FROM:<a@out.test> SIZE="), " ")
			if command != x.command || size == "" {
				t.Errorf("it heard %q", r.commands[1])
			}
		})
	}
}

// ink signs by counting.
type ink struct{ err error }

func (i ink) Sign(_ context.Context, domain string, message io.Reader) ([]byte, error) {
	b, err := io.ReadAll(message)
	if err != nil {
		return nil, err
	}
	return []byte("Signature: " + domain + " " + strings.Repeat("i", strings.Count(string(b), "\r\n")) + "\r\n"), i.err
}

func (ink) Signed(domain, name string, value []byte) bool {
	return name == "signature" && strings.Contains(string(value), " "+domain+" ")
}

func TestSignedAgain(t *testing.T) {
	const rest = "From: a@out.test\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
	const signed = "Signature: out.test iiiiiii\r\nSignature: far.test x\r\n" + rest + "\r\n你好\r\n"
	const seven = "Signature: far.test x\r\n" + rest + "Content-Transfer-Encoding: base64\r\n\r\n5L2g5aW9DQo=\r\n"
	r := serve(t, "127.0.0.2", 0, func(r *remote) { r.answers["RCPT b@"] = "452 4.5.3 too many" })
	d := resolvetest.New(t, "remote.test. 300 IN MX 1 a.remote.test.", "a.remote.test. 300 IN A 127.0.0.2")
	broken := errors.New("the key is gone")
	signer := ink{}
	c := client(t, d, r.addr.Port(), func(s *Settings) { s.Signer = &signer })
	send := func(account string, to ...string) (got []Outcome) {
		m := letter(signed, to...)
		m.Body, m.Account = envelope.Body8Bit, account
		return c.Send(t.Context(), "remote.test", nil, m)
	}
	send("1", "u@remote.test", "v@remote.test")
	send("", "u@remote.test")
	signer.err = broken
	if o := send("1", "u@remote.test")[0]; o.State != Temporary || o.Enhanced != "4.3.0" || !strings.Contains(o.Text, "the key is gone") {
		t.Errorf("with no key the outcome is %+v", o)
	}
	own := "Signature: out.test iiiiiii\r\n"
	want := []string{own + seven, strings.Replace(signed, rest+"\r\n你好\r\n", seven[len("Signature: far.test x\r\n"):], 1)}
	if got := r.taken(); len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("it took %q, want %q", got, want)
	}
}
