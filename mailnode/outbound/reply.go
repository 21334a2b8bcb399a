package outbound

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
)

// reply is what a server answers (RFC 5321 §4.2).
type reply struct {
	code     int
	enhanced string // "" when it has none
	lines    []string
}

// Bounds of a reply. RFC 5321 §4.5.3.1.5 allows 512 bytes a line; real servers exceed it.
const (
	replyLine  = 2048
	replyLines = 128
	replyText  = 500 // of what is kept for reports
)

var errReply = errors.New("it answered something that is no SMTP reply")

// readReply reads a reply. What has not its form is errReply.
func readReply(r *bufio.Reader) (reply, error) {
	var got reply
	for {
		line, err := readLine(r)
		if err != nil {
			return got, err
		}
		code, more, text, ok := parseLine(line)
		if !ok || len(got.lines) > 0 && code != got.code || len(got.lines) == replyLines {
			return got, errReply
		}
		got.code = code
		got.lines = append(got.lines, text)
		if !more {
			got.enhanced = enhanced(got.lines[0], code)
			return got, nil
		}
	}
}

// readLine reads a line and takes its end off.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull), err == nil && len(line) > replyLine:
		return "", errReply
	case err != nil:
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), nil
}

func parseLine(line string) (code int, more bool, text string, ok bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' {
		return 0, false, "", false
	}
	for _, c := range []byte(line[:3]) {
		if c < '0' || c > '9' {
			return 0, false, "", false
		}
		code = code*10 + int(c-'0')
	}
	if len(line) == 3 {
		return code, false, "", true
	}
	if line[3] != ' ' && line[3] != '-' {
		return 0, false, "", false
	}
	return code, line[3] == '-', clean(line[4:]), true
}

// enhanced is the enhanced status code at the head of a text (RFC 2034), when it fits
// the reply's code.
func enhanced(text string, code int) string {
	word, _, _ := strings.Cut(text, " ")
	parts := strings.Split(word, ".")
	if len(parts) != 3 || parts[0] != fmt.Sprint(code/100) {
		return ""
	}
	for _, p := range parts[1:] {
		if len(p) == 0 || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return ""
		}
	}
	return word
}

// clean replaces what must not be in a log line or a report.
func clean(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == '\uFFFD' || c >= 0x80 && c < 0xa0 {
			return '?'
		}
		return c
	}, s)
}

// String is the reply in one line.
func (r reply) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d", r.code)
	for i, line := range r.lines {
		if i > 0 { // its codes were said
			line = strings.TrimPrefix(strings.TrimPrefix(line, r.enhanced), " ")
		}
		if line != "" {
			b.WriteByte(' ')
			b.WriteString(line)
		}
	}
	s := b.String()
	if len(s) > replyText {
		s = strings.ToValidUTF8(s[:replyText], "") + "…"
	}
	return s
}

func (r reply) positive() bool  { return r.code/100 == 2 }
func (r reply) permanent() bool { return r.code/100 == 5 }
