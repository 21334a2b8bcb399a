package message

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParse checks what holds for the digest of any bytes: pieces do not matter,
// parts lie within each other in order, sizes are those of what is decoded, and the
// stored form is the digest again.
func FuzzParse(f *testing.F) {
	for _, s := range corpus() {
		f.Add([]byte(s.text), uint8(7))
	}
	f.Fuzz(func(t *testing.T, msg []byte, piece uint8) {
		d, err := Parse(bytes.NewReader(msg))
		if err != nil {
			t.Fatal(err)
		}
		stored := d.Encode()
		p := NewParser()
		for rest := msg; len(rest) > 0; {
			n := min(int(piece)+1, len(rest))
			if _, err := p.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if !bytes.Equal(p.Digest().Encode(), stored) {
			t.Error("pieces make another digest")
		}
		again, err := stored.Digest()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.Encode(), stored) {
			t.Error("the stored form is not the digest")
		}
		if !utf8.ValidString(d.Preview) || utf8.RuneCountInString(d.Preview) > maxPreview || strings.ContainsAny(d.Preview, "\r\n") {
			t.Errorf("preview %q", d.Preview)
		}
		if s := d.Structure; s.Header != 0 || s.End != int64(len(msg)) {
			t.Errorf("the message is from %d to %d", s.Header, s.End)
		}
		m := Open(bytes.NewReader(msg), d.Structure)
		checkPart(t, m, d.Structure)
		if err := m.WriteFolded(io.Discard, TextScope); err != nil {
			t.Error(err)
		}
		for _, spec := range []Specifier{Entire, Header, HeaderFields, HeaderFieldsNot, Text} {
			x, err := m.Section(Section{Specifier: spec, Fields: []string{"subject"}})
			if err != nil {
				t.Fatal(err)
			}
			if n, err := io.Copy(io.Discard, x.Reader()); err != nil || n != x.Size() {
				t.Errorf("section %v has %d bytes (%v), not %d", spec, n, err, x.Size())
			}
		}
	})
}

func checkPart(t *testing.T, m *Message, p *Part) {
	if p.Header > p.Body || p.Body > p.End || p.Lines < 0 || p.Lines > p.Size() {
		t.Errorf("part from %d, %d to %d, %d lines", p.Header, p.Body, p.End, p.Lines)
	}
	at := p.Body
	for _, q := range p.Parts {
		if q.Header < at || q.End > p.End {
			t.Errorf("a part from %d to %d in one from %d to %d", q.Header, q.End, at, p.End)
		}
		at = q.End
		checkPart(t, m, q)
	}
	if p.is("multipart") && !p.Multipart() || (p.Message == nil) != (p.Envelope == nil) {
		t.Errorf("%s/%s has %d parts, envelope %v", p.Type, p.Subtype, len(p.Parts), p.Envelope != nil)
	}
	if p.Message != nil {
		checkPart(t, m, p.Message)
		return
	}
	if p.Multipart() {
		return
	}
	r, err := m.Decode(p)
	if err != nil {
		return
	}
	if n, err := io.Copy(io.Discard, r); err != nil || n != p.Decoded {
		t.Errorf("%d decoded bytes (%v), the digest says %d", n, err, p.Decoded)
	}
}

// FuzzDecode decodes damaged digests.
func FuzzDecode(f *testing.F) {
	for _, s := range corpus() {
		f.Add([]byte(parse(f, s.text).Encode()))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Encoded(b).Digest()
		if err != nil {
			return
		}
		again, err := d.Encode().Digest()
		if err != nil || outline(again.Structure) != outline(d.Structure) {
			t.Errorf("a digest that was decoded cannot be stored (%v)", err)
		}
	})
}

func FuzzAddresses(f *testing.F) {
	for _, s := range addressSamples() {
		f.Add([]byte(s.text))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		group := false
		for _, a := range ParseAddresses(v) {
			switch {
			case a.Mailbox == nil && (!group || a.Host != nil):
				t.Errorf("%q: an end of a group that was not open", v)
			case a.Mailbox == nil:
				group = false
			case a.Host == nil:
				group = true
			}
		}
		if group {
			t.Errorf("%q: a group does not end", v)
		}
	})
}

func FuzzHeaderText(f *testing.F) {
	for _, s := range headerSamples() {
		f.Add([]byte(s.text))
	}
	f.Add([]byte("=?gb2312?B?xOO6ww==?= =?utf-7?Q?+T2B?= =?iso-2022-cn?q?=1B?="))
	f.Fuzz(func(t *testing.T, v []byte) {
		s := DecodeHeader(v)
		if !utf8.ValidString(s) || strings.ContainsAny(s, "\r\n\x00") {
			t.Errorf("%q decodes to %q", v, s)
		}
		if Fold(Fold(s)) != Fold(s) {
			t.Errorf("%q folds twice", s)
		}
		BaseSubject(s)
	})
}

func FuzzDate(f *testing.F) {
	for _, tc := range dates {
		f.Add([]byte(tc.in))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		if d, ok := ParseDate(v); ok && (d.Year() < 0 || d.Year() > 9999) {
			t.Errorf("%q is %v", v, d)
		}
	})
}

func FuzzParams(f *testing.F) {
	for _, s := range typeSamples() {
		f.Add([]byte(s.text))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		_, params := parseParams(v)
		p := Part{Params: params, DispositionParams: params}
		if !utf8.ValidString(p.FileName()) {
			t.Errorf("%q: file name %q", v, p.FileName())
		}
		for _, q := range params {
			if q.Name == "" {
				t.Errorf("%q: a parameter without name", v)
			}
		}
	})
}

// FuzzText sends bytes through the decoders of every kind, whole and byte by byte.
func FuzzText(f *testing.F) {
	f.Add([]byte("=E4=BD=A0 =\r\n<p>&amp;\x1b$)A\x0eDc\x0f+T2B-"), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, kind uint8) {
		encodings := []string{"7bit", "base64", "quoted-printable"}
		charsets := []string{"", "utf-8", "gb2312", "big5", "iso-2022-jp", "iso-2022-kr", "iso-2022-cn", "utf-7", "hz-gb-2312", "utf-16", "euc-jp", "latin1"}
		p := Part{Type: "text", Subtype: []string{"plain", "html"}[kind%2], Encoding: encodings[kind/2%3],
			Params: []Param{{"charset", charsets[int(kind/6)%len(charsets)]}}}
		whole := newPipe(append(p.textStages(), &foldStage{})...)
		want := append(bytes.Clone(whole.decode(b)), whole.finish()...)
		each := newPipe(append(p.textStages(), &foldStage{})...)
		var got []byte
		for i := range b {
			got = append(got, each.decode(b[i:i+1])...)
		}
		if got = append(got, each.finish()...); !bytes.Equal(got, want) {
			t.Errorf("%s %v: %q, byte by byte %q", p.Encoding, p.Params, want, got)
		}
	})
}
