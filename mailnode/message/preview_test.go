package message

import (
	"strings"
	"testing"
)

func TestPreview(t *testing.T) {
	long := strings.Repeat("长", 3*maxPreview)
	const html = "Content-Type: text/html; charset=utf-8\r\n\r\n"
	for _, c := range []struct{ name, message, want string }{
		{"lines become one", "\r\n one\r\n\ttwo  three \r\n\r\nfour", "one two three four"},
		{"quotations are left out", "\r\n> was\r\n \t>> before\r\nanswer\r\n> more\r\n", "answer"},
		{"quotations are all there is", "\r\n> was\r\n> before\r\n", "> was > before"},
		{"what is not seen before a sign of quotation", "\r\n\u200b> shown\r\n", "> shown"},
		{"cut between characters", "Content-Type: text/plain; charset=utf-8\r\n\r\n" + long, strings.Repeat("长", maxPreview)},
		{"cut before a word", "\r\n" + strings.Repeat("x", maxPreview) + " y", strings.Repeat("x", maxPreview)},
		{"a space is the last character", "\r\n" + strings.Repeat("x", maxPreview-1) + " y", strings.Repeat("x", maxPreview-1)},
		{"a long quotation first", "\r\n" + strings.Repeat("> "+strings.Repeat("q", 70)+"\r\n", 50) + "answer\r\n", "answer"},
		{"an answer too far down", "\r\n" + strings.Repeat("> "+strings.Repeat("q", 70)+"\r\n", 200) + "answer\r\n", "> " + strings.Repeat("q", 70) + " > " + strings.Repeat("q", 70) + " > " + strings.Repeat("q", 52)},
		{"HTML with a long head", html + "<style>" + strings.Repeat("p { color: red }\r\n", 1000) + "</style><p>hello</p>", "hello"},
		{"control characters and cut characters", "\r\na\x01b\xe9\x95", "ab"},
		{"nothing", "\r\n \r\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, step := range []int{1, 7, previewPiece, len(c.message)} {
				p := NewParser()
				for rest := []byte(c.message); len(rest) > 0; rest = rest[min(step, len(rest)):] {
					_, _ = p.Write(rest[:min(step, len(rest))]) // never fails
				}
				if got := p.Digest().Preview; got != c.want {
					t.Errorf("in steps of %d: %q, want %q", step, got, c.want)
				}
			}
		})
	}
}
