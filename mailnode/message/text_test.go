package message

import (
	"io"
	"strings"
	"testing"
)

func TestDecodedHeaders(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"plain", "hello", "hello"},
		{"Q", "=?iso-8859-1?Q?Andr=E9_Dupont?= <x>", "André Dupont <x>"},
		{"gb2312 is GBK", "=?gb2312?B?xOO6ww==?=", "你好"},
		{"gb2312 that is GB18030", "=?GB2312?B?gTnvNQ==?=", "㐆"},
		{"two words, white space between", "=?utf-8?q?a?= \t =?utf-8?q?b?=", "ab"},
		{"a character cut between words", "=?utf-8?B?5L0=?= =?utf-8?B?oOWlvQ==?=", "你好"},
		{"a character cut between words of GBK", "=?gbk?Q?=C4?= =?GBK?Q?=E3=BA=C3?=", "你好"},
		{"big5", "=?big5?B?p0GmbqFBpUCsyQ==?=", "你好，世界"},
		{"iso-2022-jp", "=?ISO-2022-JP?B?GyRCJDMkcyRLJEEkTxsoQg==?=", "こんにちは"},
		{"euc-kr", "=?euc-kr?B?vsiz58fPvLy/5A==?=", "안녕하세요"},
		{"ks_c_5601-1987", "=?ks_c_5601-1987?B?vsiz58fPvLy/5A==?=", "안녕하세요"},
		{"a language", "=?us-ascii*en?Q?hi?=", "hi"},
		{"spaces within the word", "=?utf-8?Q?a b?=", "a b"},
		{"no padding", "=?utf-8?B?YWI?=", "ab"},
		{"within a word", "x=?utf-8?q?y?=z", "xyz"},
		{"in quotes", `"=?utf-8?q?y?="`, `"y"`},
		{"no end", "=?utf-8?q?abc", "=?utf-8?q?abc"},
		{"unknown encoding", "=?utf-8?x?abc?=", "=?utf-8?x?abc?="},
		{"unknown charset", "=?martian?q?abc?=", "abc"},
		{"Q that begins with =", "=?utf-8?q?=41b?=", "Ab"},
		{"raw UTF-8", "你好", "你好"},
		{"raw GBK", "\xc4\xe3\xba\xc3", "你好"},
		{"raw Latin-1", "caf\xe9", "café"},
		{"mislabelled UTF-8", "=?utf-8?B?xOO6ww==?=", "你好"},
		{"UTF-7", "=?utf-7?Q?+T2BZfQ-?=", "你好"},
		{"HZ", "=?HZ-GB-2312?Q?=7E{Dc:C=7E}?=", "你好"},
		{"line ends", "a\r\n b\x00c", "a   b c"},
	} {
		if got := DecodeHeader([]byte(tc.in)); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestFoldedText(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"Hello  World\r\n\tagain ", "HELLO WORLD AGAIN"},
		{"天\r\n气", "天气"},
		{"天 气", "天 气"},
		{"天气。\n明天", "天气。明天"},
		{"ab\n天", "AB 天"},
		{"ＡＢＣ　ｘ", "ABC X"},
		{"é", "E\u0301"},
		{"e\u0301", "E\u0301"},
		{"ﬁ", "FI"},
		{"soft\u00adhyphen\u200b", "SOFTHYPHEN"},
		{"привет", "ПРИВЕТ"},
		{"\xff\xfe", "\xff\xfe"},
		{"天\xe5\xa4", "天\xe5\xa4"}, // cut in a character
		{"é\xc3", "E\u0301\xc3"},
	} {
		if got := Fold(tc.in); got != tc.want {
			t.Errorf("Fold(%q) = %q, want %q", tc.in, got, tc.want)
		}
		var f foldStage
		var out []byte
		for i := range len(tc.in) {
			out = f.decode(out, []byte{tc.in[i]})
		}
		if got := string(f.finish(out)); got != tc.want {
			t.Errorf("%q byte by byte: %q, want %q", tc.in, got, tc.want)
		}
	}
}

func TestTextOfHTML(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"tags", "<p>a<b>b</b>c</p>d", "\nabc\nd"},
		{"references", "a&amp;b&nbsp;c&#20320;&#x597D;&bogus;&", "a&b c你好&bogus;&"},
		{"a reference without its semicolon", "&lt b", "< b"},
		{"script and style", "a<script>if (a<b) x</script>b<STYLE type=x>p{}</style>c", "abc"},
		{"comments", "a<!-- <p> -- > -->b<!-->c<!--->d<!--x--->e", "abcde"},
		{"no tag", "1 < 2 <3 a<=b", "1 < 2 <3 a<=b"},
		{"quoted >", `<a href="x>y" title='>'>z</a>`, "z"},
		{"doctype", "<!DOCTYPE html><?xml?>x", "x"},
		{"unfinished", "x<p", "x"},
		{"cells", "<td>a</td><td>b", " a  b"},
	} {
		h := newPipe(&htmlStage{})
		got := string(h.decode([]byte(tc.in)))
		got += string(h.finish())
		if got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
		var each htmlStage
		var out []byte
		for i := range len(tc.in) {
			out = each.decode(out, []byte{tc.in[i]})
		}
		if got := string(each.finish(out)); got != tc.want {
			t.Errorf("%s, byte by byte: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestTextOfParts(t *testing.T) {
	for _, tc := range []struct{ name, header, body, want string }{
		{"GBK that says gb2312", "Content-Type: text/plain; charset=gb2312", "\xc4\xe3\xba\xc3", "你好"},
		{"no charset, GBK", "", "hi \xc4\xe3\xba\xc3", "hi 你好"},
		{"UTF-8 in quoted-printable", "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: Quoted-Printable", "=E4=BD=\n=A0=e5=A5=BD=xy  \nend=", "你好=xy\r\nend"},
		{"base64 with noise", "Content-Transfer-Encoding: base64", "5L2g!\n5aW9\n\n", "你好"},
		{"base64 in two pieces, padded", "Content-Transfer-Encoding: base64", "YQ==Yg==YWI", "abab"},
		{"HTML that names its charset", "Content-Type: text/html", `<meta content="text/html; charset=big5"><p>` + "\xa7A\xa6n", "\n你好"},
		{"ISO-2022-KR", "Content-Type: text/plain; charset=iso-2022-kr", "\x1b$)C\x0e>H3g\x0f", "안녕"},
		{"ISO-2022-CN", "Content-Type: text/plain; charset=iso-2022-cn", "\x1b$)A\x0eDc:C\x0f.", "你好."},
		{"UTF-16", "Content-Type: text/plain; charset=utf-16\nContent-Transfer-Encoding: base64", "/v9PYFl9", "你好"},
	} {
		msg := crlf(tc.header + "\n\n" + tc.body)
		if tc.header == "" {
			msg = crlf("Subject: x\n\n" + tc.body)
		}
		d := parse(t, msg)
		m := Open(strings.NewReader(msg), d.Structure)
		got, err := io.ReadAll(m.Text(d.Structure))
		if err != nil || string(got) != tc.want {
			t.Errorf("%s: %q (%v), want %q", tc.name, got, err, tc.want)
		}
		r, err := m.Decode(d.Structure)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, r); err != nil || n != d.Structure.Decoded {
			t.Errorf("%s: decoded %d bytes (%v), the digest says %d", tc.name, n, err, d.Structure.Decoded)
		}
	}
}

func TestSearchesFindWhatIsThere(t *testing.T) {
	msg := crlf(mixed)
	d := parse(t, msg)
	m := Open(strings.NewReader(msg), d.Structure)
	for _, tc := range []struct {
		scope  Scope
		needle string
		want   bool
	}{
		{BodyScope, "你", true},
		{BodyScope, "hello world", true},
		{BodyScope, "<p>", false},
		{BodyScope, "subject: inner", true},
		{BodyScope, "ZHANG", false},
		{BodyScope, "preamble", false},
		{TextScope, "zhang san", true},
		{TextScope, "[list] 你好", true},
		{TextScope, "charset=gb2312", true},
		{TextScope, "worldsubject", false},
		{TextScope, "", true},
	} {
		got, err := m.Contains(tc.scope, tc.needle)
		if err != nil || got[0] != tc.want {
			t.Errorf("scope %d, %q: %v (%v)", tc.scope, tc.needle, got, err)
		}
	}
	got, err := m.Contains(TextScope, "你好", "absent", "two lines")
	if err != nil || !got[0] || got[1] || !got[2] {
		t.Errorf("three needles: %v (%v)", got, err)
	}
}

// TestNeedlesAreFoundAcrossPieces cuts text at every place.
func TestNeedlesAreFoundAcrossPieces(t *testing.T) {
	const text, word = "ABABAC", "ABAC"
	for i := range len(text) {
		for j := i; j <= len(text); j++ {
			x := NewMatcher(word, "ABB")
			for _, piece := range []string{text[:i], text[i:j], text[j:]} {
				if _, err := io.WriteString(x, piece); err != nil {
					t.Fatal(err)
				}
			}
			if f := x.Found(); !f[0] || f[1] {
				t.Errorf("cut at %d and %d: %v", i, j, f)
			}
		}
	}
}
