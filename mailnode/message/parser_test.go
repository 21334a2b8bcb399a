package message

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// crlf makes a message's line ends those of the wire.
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func parse(t testing.TB, msg string) *Digest {
	t.Helper()
	d, err := Parse(struct{ io.Reader }{strings.NewReader(msg)})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// outline is a structure in one line a part: path, type, ranges, lines, decoded size.
func outline(p *Part) string {
	var b strings.Builder
	var walk func(path string, p *Part)
	walk = func(path string, p *Part) {
		fmt.Fprintf(&b, "%s %s/%s %d-%d-%d lines %d decoded %d\n", path, p.Type, p.Subtype, p.Header, p.Body, p.End, p.Lines, p.Decoded)
		if p.Message != nil {
			walk(path+".M", p.Message)
		}
		for i, q := range p.Parts {
			walk(fmt.Sprintf("%s.%d", path, i+1), q)
		}
	}
	walk("0", p)
	return b.String()
}

const mixed = `From: "Zhang San" <zhang@example.test>
To: Li <li@example.test>, wang@example.test (Wang)
Subject: Re: [list] =?gb2312?B?xOO6ww==?=
Date: Mon, 2 Jan 2006 15:04:05 +0800
Message-ID: <1@example.test>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"

preamble
--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=gb2312
Content-Transfer-Encoding: base64

xOO6ww==
--inner
Content-Type: text/html
Content-Transfer-Encoding: quoted-printable

<p>Hello=20=
World</p>
--inner--

--outer
Content-Type: message/rfc822

Subject: inner
From: a@b

text
of two lines

--outer--
epilogue
`

func TestDigestOfAMixedMessage(t *testing.T) {
	msg := crlf(mixed)
	d := parse(t, msg)
	if d.Keys.Subject != "Re: [list] 你好" || d.Keys.Base != "你好" || !d.Keys.Reply {
		t.Errorf("subject %q, base %q, reply %v", d.Keys.Subject, d.Keys.Base, d.Keys.Reply)
	}
	if d.Preview != "你好" {
		t.Errorf("preview %q", d.Preview)
	}
	m := Open(strings.NewReader(msg), d.Structure)
	for _, tc := range []struct {
		section Section
		want    string
	}{
		{Section{Path: []int{1, 1}}, "xOO6ww=="},
		{Section{Path: []int{1, 1}, Specifier: MIME}, "Content-Type: text/plain; charset=gb2312\nContent-Transfer-Encoding: base64\n\n"},
		{Section{Path: []int{2}, Specifier: Header}, "Subject: inner\nFrom: a@b\n\n"},
		{Section{Path: []int{2}, Specifier: Text}, "text\nof two lines\n"},
		{Section{Path: []int{2, 1}}, "text\nof two lines\n"},
		{Section{Specifier: HeaderFields, Fields: []string{"to", "SUBJECT"}}, "To: Li <li@example.test>, wang@example.test (Wang)\nSubject: Re: [list] =?gb2312?B?xOO6ww==?=\n\n"},
	} {
		x, err := m.Section(tc.section)
		if err != nil {
			t.Errorf("%+v: %v", tc.section, err)
			continue
		}
		got, err := io.ReadAll(x.Reader())
		if err != nil || string(got) != crlf(tc.want) || x.Size() != int64(len(got)) {
			t.Errorf("%+v: %q (%v), want %q", tc.section, got, err, tc.want)
		}
	}
	again, err := d.Encode().Digest()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := outline(again.Structure), outline(d.Structure); got != want {
		t.Errorf("decoded\n%s, want\n%s", got, want)
	}
}

// TestPiecesMakeTheSameDigest writes the message byte by byte, and in other sizes.
func TestPiecesMakeTheSameDigest(t *testing.T) {
	msg := crlf(mixed)
	want := string(parse(t, msg).Encode())
	for n := 1; n < 100; n++ {
		p := NewParser()
		for rest := msg; len(rest) > 0; rest = rest[min(n, len(rest)):] {
			if _, err := io.WriteString(p, rest[:min(n, len(rest))]); err != nil {
				t.Fatal(err)
			}
		}
		if d := p.Digest(); string(d.Encode()) != want {
			t.Fatalf("in pieces of %d:\n%s", n, outline(d.Structure))
		}
	}
}
