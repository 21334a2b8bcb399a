package pop3d

import (
	"io"
	"strings"
	"testing"
)

// parts reads a text a few bytes at a time.
type parts struct {
	text string
	size int
}

func (p *parts) Read(b []byte) (int, error) {
	if p.text == "" {
		return 0, io.EOF
	}
	n := copy(b, p.text[:min(len(p.text), p.size)])
	p.text = p.text[n:]
	return n, nil
}

func stuffed(t *testing.T, text string, part uint8, lines *int) string {
	t.Helper()
	var b strings.Builder
	s := &stuffer{w: &b, lineStart: true}
	if lines != nil {
		s.top, s.lines = true, *lines
	}
	if err := s.copy(&parts{text, int(part) + 1}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTopStopsAfterTheLinesWhereverTheMessageIsCut(t *testing.T) {
	const text = "A: 1\r\nB: 2\r\n\r\n.x\r\n\r\ny\r\nz\r\n"
	for lines, want := range map[int]string{
		0: "A: 1\r\nB: 2\r\n\r\n",
		1: "A: 1\r\nB: 2\r\n\r\n..x\r\n",
		3: "A: 1\r\nB: 2\r\n\r\n..x\r\n\r\ny\r\n",
		9: "A: 1\r\nB: 2\r\n\r\n..x\r\n\r\ny\r\nz\r\n",
	} {
		for part := range uint8(30) {
			if got := stuffed(t, text, part, &lines); got != want {
				t.Errorf("%d lines in parts of %d: got %q", lines, part+1, got)
			}
		}
	}
}
