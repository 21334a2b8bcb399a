package message

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"time"
)

// texts are what a search in a scope looks at.
func texts(t *testing.T, write func(w *bytes.Buffer) error) []string {
	t.Helper()
	var w bytes.Buffer
	if err := write(&w); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(w.String(), separator), separator)
}

// What is read without a structure has all the text that is read with one, in the same
// order.
func TestTextWithoutStructureIsTheSame(t *testing.T) {
	samples := append(corpus(),
		sample{"messages within each other", nestedMessages(20)}, sample{"multiparts within each other", nestedParts(20)},
		sample{"many parts", manyParts(50)})
	for _, c := range samples {
		if c.name == "attached message in base64" { // only its text is read
			continue
		}
		m := Open(strings.NewReader(c.text), parse(t, c.text).Structure)
		for scope, name := range map[Scope]string{BodyScope: "body", TextScope: "text", HeaderScope: "headers"} {
			want := texts(t, func(w *bytes.Buffer) error { return m.WriteFolded(w, scope) })
			got := texts(t, func(w *bytes.Buffer) error {
				return newBeyond(w, scope, strings.NewReader(c.text)).run(false)
			})
			rest := got
			for _, text := range want {
				if text == "" || text == "--B--" { // a delimiter is none, though nothing comes before it
					continue
				}
				for len(rest) > 0 && rest[0] != text {
					rest = rest[1:]
				}
				if len(rest) == 0 {
					t.Errorf("%s, %s: %q is not in %q", c.name, name, text, got)
					break
				}
				rest = rest[1:]
			}
		}
	}
}

// TestTextBeyondTheLimitsIsFound looks for what the structure does not describe.
func TestTextBeyondTheLimitsIsFound(t *testing.T) {
	leaf := "Content-Type: text/plain; charset=gbk\r\nContent-Transfer-Encoding: base64\r\nContent-Description: described\r\n\r\nxOO6ww==\r\n"
	deep := strings.Replace(nestedParts(3*MaxDepth), "\r\nin the deep\r\n", leaf, 1)
	enclosed := strings.Repeat("Subject: above\r\nContent-Type: message/rfc822\r\n\r\n", 2*MaxDepth) +
		"Subject: =?gbk?B?xOO6ww==?=\r\n\r\nin the deep\r\n"
	many := strings.Replace(manyParts(3*MaxParts), strings.Repeat("--b\r\nContent-Type: text/html\r\n\r\nx\r\n", 2*MaxParts)+"--b--",
		strings.Repeat("--b\r\nContent-Type: text/html\r\n\r\nx\r\n", 2*MaxParts)+"--b\r\n"+leaf+"--b\r\nContent-Type: application/x; name=document.bin\r\n\r\nno text\r\n--b\r\nContent-Type: text/html\r\n\r\nx\r\n--b--", 1)
	digest := "Content-Type: multipart/digest; boundary=d\r\n\r\n" + strings.Repeat("--d\r\n\r\nSubject: above\r\n\r\nx\r\n", MaxParts) +
		"--d\r\n\r\nSubject: 你好\r\n\r\nin the deep\r\n--d--\r\n"
	coded := "Content-Type: message/global\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		base64.StdEncoding.EncodeToString([]byte("Subject: =?gbk?B?xOO6ww==?=\r\n\r\nin the deep\r\n")) + "\r\n"
	for _, c := range []struct {
		name, text, needle string
		body, whole        bool
	}{
		{"a subject of an encoded message", coded, "subject: 你好", true, true},
		{"the text of an encoded message", coded, "in the deep", true, true},
		{"a coded text in multiparts", deep, "你好", true, true},
		{"a header field of a part", deep, "described", false, true},
		{"a delimiter", deep, "--b", false, false},
		{"the encoding", deep, "xOO6ww", false, false},
		{"a subject of an enclosed message", enclosed, "subject: 你好", true, true},
		{"the text of an enclosed message", enclosed, "in the deep", true, true},
		{"a coded text in one of many parts", many, "你好", true, true},
		{"a part after them", many, "last", true, true},
		{"a file name", many, "document.bin", false, true},
		{"a part that is no text", many, "no text", false, false},
		{"text across two parts", many, "xx", false, false},
		{"a subject in a digest", digest, "subject: 你好", true, true},
		{"the text in a digest", digest, "in the deep", true, true},
	} {
		m := Open(strings.NewReader(c.text), parse(t, c.text).Structure)
		for scope, want := range map[Scope]bool{BodyScope: c.body, TextScope: c.whole} {
			found, err := m.Contains(scope, c.needle)
			if err != nil || found[0] != want {
				t.Errorf("%s, scope %d: found %v (%v)", c.name, scope, found, err)
			}
		}
	}
}

// TestSearchBeyondTheLimitsIsLinear doubles messages that are made to be slow to read.
func TestSearchBeyondTheLimitsIsLinear(t *testing.T) {
	for name, text := range map[string]func(n int) string{
		"multiparts":          nestedParts,
		"messages":            nestedMessages,
		"parts":               func(n int) string { return manyParts(2 * n) },
		"delimiters in depth": func(n int) string { return nestedParts(n) + strings.Repeat("--b\r\n--none--\r\n", n) },
		"one name for all": func(n int) string {
			return strings.Repeat("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", n) + strings.Repeat("--b--\r\n", n)
		},
	} {
		times := func(n int) time.Duration {
			msg := text(n)
			m := Open(strings.NewReader(msg), parse(t, msg).Structure)
			best := time.Duration(1 << 62)
			for range 3 {
				best = min(best, cpuTime(t, func() {
					if found, err := m.Contains(TextScope, "nowhere"); err != nil || found[0] {
						t.Errorf("%s: %v, %v", name, found, err)
					}
				}))
			}
			return best
		}
		short, long := times(4000), times(32_000)
		if long > 24*short+50*time.Millisecond {
			t.Errorf("%s: 8 times as much takes %v instead of %v", name, long, short)
		}
	}
}
