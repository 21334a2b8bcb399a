package recode

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"mailfleet/mailnode/message"
)

// crlf makes line ends of a text those of messages.
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// recoded is a message in its new form.
func recoded(t testing.TB, text string, form Form) string {
	t.Helper()
	r, err := Message(func() io.Reader { return strings.NewReader(text) }, form, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r.Open())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMessages(t *testing.T) {
	for name, x := range map[string]struct{ from, to string }{
		"text, mostly ASCII": {
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\nSubject: a\n\nGrüße aus Köln, und was sonst noch zu schreiben ist \nEnde=\n",
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\nSubject: a\n\nGr=C3=BC=C3=9Fe aus K=C3=B6ln, und was sonst noch zu schreiben ist=20\nEnde=3D\n",
		},
		"text, mostly not": {
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n你好，世界\n",
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n5L2g5aW977yM5LiW55WMDQo=\n",
		},
		"a message that says nothing": {
			"Subject: a\n\nEs ist nicht schön, aber es kommt vor\n",
			"Subject: a\nContent-Transfer-Encoding: quoted-printable\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\nEs ist nicht sch=C3=B6n, aber es kommt vor\n",
		},
		"a message that says nothing, in Latin-1": {
			"Subject: a\n\nEs ist nicht sch\xf6n, aber es kommt vor\n",
			"Subject: a\nContent-Transfer-Encoding: quoted-printable\nMIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\n\nEs ist nicht sch=F6n, aber es kommt vor\n",
		},
		"parts, of which some need it": {
			"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\nVoilà des parties\n--b\nContent-Type: text/plain\n\nplain\n--b\nContent-Type: application/x\nContent-Transfer-Encoding: 8bit\nX: y\n\n\xff\xfe\n--b\nContent-Type: text/plain\nContent-Transfer-Encoding:\n\t8bit\n\nASCII\n--b--\nfin né\n",
			"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 7bit\n\nVoil?? des parties\n--b\nContent-Type: text/plain\n\nplain\n--b\nContent-Type: application/x\nContent-Transfer-Encoding: base64\nX: y\n\n//4=\n--b\nContent-Type: text/plain\nContent-Transfer-Encoding: 7bit\n\nASCII\n--b--\nfin n??\n",
		},
		"messages in it": {
			"MIME-Version: 1.0\nContent-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: in\n\n\xe4\xf6\xfc und so weiter, und so fort\n--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nMIME-Version: 1.0\nContent-Type: text/html\n\né <p>and more than that, in ASCII</p>\n--b--\n",
			"MIME-Version: 1.0\nContent-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: in\nContent-Transfer-Encoding: quoted-printable\nMIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\n\n=E4=F6=FC und so weiter, und so fort\n--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 7bit\n\nMIME-Version: 1.0\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n=C3=A9 <p>and more than that, in ASCII</p>\n--b--\n",
		},
		"a signed part that needs nothing": {
			"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/signed; boundary=b\nContent-Transfer-Encoding: 8bit\n\n--b\nContent-Transfer-Encoding: 8bit\n\nsigned\n--b--\n--a\n\né\n--a--\n",
			"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/signed; boundary=b\nContent-Transfer-Encoding: 8bit\n\n--b\nContent-Transfer-Encoding: 8bit\n\nsigned\n--b--\n--a\nContent-Transfer-Encoding: base64\nContent-Type: text/plain; charset=utf-8\n\nw6k=\n--a--\n",
		},
		"quoted-printable with other letters in it": {
			"MIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable\nContent-Type: text/plain\n\na=20é=\nb\n",
			"MIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable\nContent-Type: text/plain\n\na=20=C3=A9=\nb\n",
		},
		"internationalized enclosures": {
			"MIME-Version: 1.0\nContent-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/global\n\nSubject: é\n\nx\n--b\nContent-Type: text/rfc822-headers\n\nSubject: and é, in a header that was given back\n--b--\n",
			"MIME-Version: 1.0\nContent-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/global\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogw6kNCg0KeA==\n--b\nContent-Type: text/rfc822-headers\nContent-Transfer-Encoding: quoted-printable\n\nSubject: and =C3=A9, in a header that was given back\n--b--\n",
		},
		"an enclosure that is a header only": {
			"MIME-Version: 1.0\nContent-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/global\n\nSubject: é\n\n--b\nContent-Type: text/plain\n\nx\n--b--\n",
			"MIME-Version: 1.0\nContent-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/global\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogw6kNCg0K\n--b\nContent-Type: text/plain\n\nx\n--b--\n",
		},
		"two encodings": {
			"MIME-Version: 1.0\nContent-Type: application/x\nContent-Transfer-Encoding: 8bit\nContent-Transfer-Encoding: 7bit\n\né\n",
			"MIME-Version: 1.0\nContent-Type: application/x\nContent-Transfer-Encoding: base64\n\nw6kNCg==\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := recoded(t, crlf(x.from), SevenBit); got != crlf(x.to) {
				t.Errorf("got:\n%s\nwant:\n%s", got, x.to)
			}
			if got := recoded(t, crlf(x.from), EightBit); got != crlf(x.from) {
				t.Errorf("for a server that takes it as it is it is changed:\n%s", got)
			}
		})
	}
}

func TestBinary(t *testing.T) {
	const head = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: binary\r\n\r\n--b\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: binary\r\n\r\n"
	const between = "\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: binary\r\n\r\n"
	const tail = "\r\n--b--\r\n"
	in := head + "a\x00b\nc\rd" + between + "née" + tail
	eight := strings.NewReplacer("binary\r\n\r\n--b", "8bit\r\n\r\n--b", "binary\r\n\r\na\x00b\nc\rd", "base64\r\n\r\nYQBiCmMNZA==", "binary\r\n\r\nn", "8bit\r\n\r\nn").Replace(in)
	if got := recoded(t, in, EightBit); got != eight {
		t.Errorf("in lines of 8 bits it is %q, want %q", got, eight)
	}
	seven := strings.NewReplacer("8bit\r\n\r\n--b", "7bit\r\n\r\n--b", "8bit\r\n\r\nnée", "base64\r\n\r\nbsOpZQ==").Replace(eight)
	if got := recoded(t, in, SevenBit); got != seven {
		t.Errorf("in lines of 7 bits it is %q, want %q", got, seven)
	}
	long := "MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\n" + strings.Repeat("a", 2000) + "\n"
	got := recoded(t, long, EightBit)
	for line := range strings.SplitSeq(got, "\r\n") {
		if len(line) > lineMost && !strings.HasPrefix(line, "Content-") {
			t.Errorf("a line has %d bytes", len(line))
		}
	}
	if !strings.HasSuffix(got, "=0A") {
		t.Errorf("a LF that is data became %q", got[len(got)-10:])
	}
}

func TestRefused(t *testing.T) {
	deep := "MIME-Version: 1.0\n"
	for i := range message.MaxDepth + 1 {
		deep += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	for text, want := range map[string]string{
		"Subject: é\n\nx\n": "its header has letters outside ASCII",
		"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Disposition: attachment; filename=é\n\nx\n--b--\n": "the header of one of its parts has letters outside ASCII",
		"MIME-Version: 1.0\nContent-Type: message/rfc822\n\nSubject: é\n\nx\n":                                                           "the header of a message in it has letters outside ASCII",
		"MIME-Version: 1.0\nContent-Type: multipart/signed; boundary=b\n\n--b\n\né\n--b--\n":                                             "its part of the type multipart/signed must not be changed",
		"MIME-Version: 1.0\nContent-Type: multipart/encrypted; boundary=b\n\n--b\n\né\n--b--\n":                                          "its part of the type multipart/encrypted must not be changed",
		"MIME-Version: 1.0\nContent-Type: message/partial; id=a; number=1\n\né\n":                                                        "its part of the type message/partial may have no encoding",
		"MIME-Version: 1.0\nContent-Type: message/external-body\n\né\n":                                                                  "its part of the type message/external-body may have no encoding",
		"MIME-Version: 1.0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\né\n":                                      "its part of the type message/rfc822 may have no encoding",
		"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\né\n":                                                            "its part of the type multipart/mixed has no parts that could be encoded",
		"MIME-Version: 1.0\nContent-Type: text/plain\nContent-Transfer-Encoding: x-uuencode\n\né\n":                                      "one of its parts is in the encoding x-uuencode, which does not go with its bytes",
		"MIME-Version: 1.0\n" + strings.Repeat("Content-Transfer-Encoding: 8bit\n", spansMost+1) + "\né\n":                               "a header in it has far too many fields of one name",
		deep + "\né\n": "it has too many parts, or they nest too deep",
		"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\né\n", message.MaxParts+1): "it has too many parts, or they nest too deep",
	} {
		text = crlf(text)
		_, err := Message(func() io.Reader { return strings.NewReader(text) }, SevenBit, nil)
		if e, ok := errors.AsType[*Error](err); !ok || e.Text != want {
			t.Errorf("%.60q: got %v, want %q", text, err, want)
		}
	}
}

func TestAuthorAndFields(t *testing.T) {
	text := "X: 1\r\nDKIM-Signature: v=1;\r\n\td=here.test\r\nFrom: A <a@Here.test>\r\nDKIM-Signature: v=1; d=far.test\r\n\r\né\r\n"
	r, err := Message(func() io.Reader { return strings.NewReader(text) }, SevenBit, func(author, name string, value []byte) bool {
		return author == "here.test" && name == "dkim-signature" && bytes.Contains(value, []byte("d=here.test"))
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r.Open())
	if err != nil {
		t.Fatal(err)
	}
	if r.Author != "here.test" || !strings.HasPrefix(string(got), "X: 1\r\nFrom: A <a@Here.test>\r\nDKIM-Signature: v=1; d=far.test\r\n") {
		t.Errorf("of %s: %q", r.Author, got)
	}
	broken := errors.New("the disk is gone")
	if _, err := Message(func() io.Reader { return iotest.ErrReader(broken) }, SevenBit, nil); !errors.Is(err, broken) {
		t.Errorf("an error of reading became %v", err)
	}
}

// TestMemory: a large message is not held in memory.
func TestMemory(t *testing.T) {
	const size = 64 << 20
	open := func() io.Reader {
		return io.MultiReader(strings.NewReader("MIME-Version: 1.0\r\nContent-Type: application/x\r\n\r\n"), io.LimitReader(noise{}, size))
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r, err := Message(open, SevenBit, nil)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, r.Open())
	if err != nil || n < size*4/3 {
		t.Fatalf("%d bytes came, %v", n, err)
	}
	runtime.ReadMemStats(&after)
	if made := after.TotalAlloc - before.TotalAlloc; made > 1<<20 {
		t.Errorf("%d bytes of memory were used for it", made)
	}
}

// noise is bytes that are not ASCII.
type noise struct{}

func (noise) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 0xe9
	}
	return len(p), nil
}

// leaves are the parts of a message that have a body of their own, decoded.
func leaves(t testing.TB, text string) (list []string) {
	t.Helper()
	d, err := message.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	m := message.Open(strings.NewReader(text), d.Structure)
	var walk func(p *message.Part)
	walk = func(p *message.Part) {
		kind := kindOf(p)
		switch {
		case p.Message != nil && kind == "message/rfc822":
			walk(p.Message)
		case p.Multipart() && !closed(p):
			list = append(list, kind)
			for _, q := range p.Parts {
				walk(q)
			}
		default:
			r, err := m.Decode(p)
			if err != nil {
				list = append(list, kind)
				return
			}
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, kind+": "+string(b))
		}
	}
	walk(d.Structure)
	return list
}

func FuzzMessage(f *testing.F) {
	files, err := filepath.Glob("../message/testdata/*.eml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(crlf("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\nVoilà\n--b\nContent-Type: text/plain\n\nplain\n--b\nContent-Type: application/x\nContent-Transfer-Encoding: 8bit\nX: y\n\n\xff\xfe\n--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding:\n\t8bit\n\nSubject: x\n\né\n--b--\nfin né\n")))
	f.Fuzz(func(t *testing.T, b []byte) {
		text := string(b)
		r, err := Message(func() io.Reader { return iotest.HalfReader(strings.NewReader(text)) }, SevenBit, nil)
		if _, ok := errors.AsType[*Error](err); ok {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		out, err := io.ReadAll(r.Open())
		if err != nil {
			t.Fatal(err)
		}
		if !r.Changed && string(out) != text {
			t.Fatal("it was changed unnoticed")
		}
		if i := bytes.IndexFunc(out, func(r rune) bool { return r >= 0x80 || r == 0 }); i >= 0 {
			t.Fatalf("byte %d is %#x", i, out[i])
		}
		again, err := Message(func() io.Reader { return bytes.NewReader(out) }, SevenBit, nil)
		if err != nil || again.Changed {
			t.Fatalf("the new form is to be changed again: %v", err)
		}
		want, got := leaves(t, text), leaves(t, string(out))
		if len(want) != len(got) {
			t.Fatalf("it has the parts %q, not %q", got, want)
		}
		for i := range want {
			// Where quoted-printable or base64 had bytes that are none of it, decoders differ.
			if want[i] != got[i] && !strings.Contains(strings.ToLower(text), "quoted-printable") && !strings.Contains(strings.ToLower(text), "base64") {
				t.Fatalf("a part is %q, not %q", got[i], want[i])
			}
		}
	})
}
