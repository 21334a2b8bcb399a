package message

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"
)

// nestedParts is a message of multiparts within each other.
func nestedParts(levels int) string {
	var b strings.Builder
	b.WriteString("Subject: deep\r\n")
	for i := range levels {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	b.WriteString("\r\nin the deep\r\n")
	for i := levels - 1; i >= 0; i-- {
		fmt.Fprintf(&b, "--b%d--\r\n", i)
	}
	return b.String()
}

// nestedMessages is a message in a message, and so on.
func nestedMessages(levels int) string {
	return strings.Repeat("Subject: deep\r\nContent-Type: message/rfc822\r\n\r\n", levels) + "\r\nin the deep\r\n"
}

// manyParts is a multipart of many parts, in the first of two parts of another.
func manyParts(n int) string {
	return "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
		strings.Repeat("--b\r\nContent-Type: text/html\r\n\r\nx\r\n", n) + "--b--\r\n--a\r\n\r\nlast\r\n--a--\r\n"
}

// measures are depth and number of parts of a structure.
func measures(p *Part) (depth, parts int) {
	children := p.Parts
	if p.Message != nil {
		children = []*Part{p.Message}
	}
	for _, q := range children {
		d, n := measures(q)
		depth, parts = max(depth, d), parts+n
	}
	return depth + 1, parts + 1
}

func TestDepthAndPartsAreCapped(t *testing.T) {
	for _, tc := range []struct {
		name, text   string
		depth, parts int
	}{
		{"10,000 multiparts within each other", nestedParts(10_000), MaxDepth, MaxDepth},
		{"10,000 messages within each other", nestedMessages(10_000), MaxDepth, MaxDepth},
		{"100,000 parts", manyParts(100_000), 3, MaxParts + 2},
		{"20,000 parts that are messages", strings.ReplaceAll(manyParts(20_000), "text/html", "message/rfc822"), 4, MaxParts + 2},
	} {
		d := parse(t, tc.text)
		depth, parts := measures(d.Structure)
		if depth != tc.depth || parts != tc.parts {
			t.Errorf("%s: %d levels, %d parts", tc.name, depth, parts)
		}
		if again, err := d.Encode().Structure(); err != nil || outline(again) != outline(d.Structure) {
			t.Errorf("%s: decoded otherwise (%v)", tc.name, err)
		}
	}
}

// TestTheRestBeyondTheLimitsIsOnePart: what follows in enclosing parts is not lost.
func TestTheRestBeyondTheLimitsIsOnePart(t *testing.T) {
	const n = 3000
	text := manyParts(n)
	d := parse(t, text)
	inner := d.Structure.Parts[0]
	rest := inner.Parts[len(inner.Parts)-1]
	if rest.Type != "application" || rest.Subtype != "octet-stream" {
		t.Errorf("the rest is %s/%s", rest.Type, rest.Subtype)
	}
	if end := strings.Index(text, "\r\n--b--\r\n"); rest.End != int64(end) {
		t.Errorf("the rest ends at %d, want %d", rest.End, end)
	}
	outer := d.Structure.Parts
	if len(outer) != 2 || text[outer[1].Header:outer[1].End] != "\r\nlast" {
		t.Errorf("the outer multipart has %d parts, the last %q", len(outer), text[outer[1].Header:outer[1].End])
	}
}

// endless is n bytes of a text over and over.
func endless(text string, n int64) io.Reader {
	return io.LimitReader(&repeated{strings.Repeat(text, 1+(64<<10)/len(text)), 0}, n)
}

type repeated struct {
	text string
	at   int
}

func (r *repeated) Read(b []byte) (int, error) {
	n := copy(b, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}

// TestMemoryIsBounded parses 16 MB of each kind and looks what was allocated.
func TestMemoryIsBounded(t *testing.T) {
	const size, limit = 16 << 20, 18 << 20
	for name, r := range map[string]io.Reader{
		"an attachment": io.MultiReader(strings.NewReader("Content-Transfer-Encoding: base64\r\n\r\n"), endless(strings.Repeat("QUJD", 19)+"\r\n", size)),
		"one line":      io.MultiReader(strings.NewReader("\r\n"), endless("x", size)),
		"one field":     io.MultiReader(strings.NewReader("Subject: "), endless("x", size)),
		"a name":        endless("x", size),
		"many fields":   endless("To: a@b.test\r\n", size),
		"a folded one":  io.MultiReader(strings.NewReader("To: x\r\n"), endless(" a@b.test,\r\n", size)),
		"dashes":        io.MultiReader(strings.NewReader("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"), endless("-", size)),
		"delimiters":    io.MultiReader(strings.NewReader("Content-Type: multipart/mixed; boundary=b\r\n\r\n"), endless("--b\r\nTo: x\r\n\r\n", size)),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		d, err := Parse(r)
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > limit {
			t.Errorf("%s: %d MB allocated for a message of %d MB", name, got>>20, size>>20)
		}
		if n := len(d.Encode()); n > 8<<20 {
			t.Errorf("%s: the digest has %d MB", name, n>>20)
		}
	}
}

// TestWorkIsLinear compares the processor time of a large message with that of sixteen
// of a sixteenth of its size: the same for linear work, sixteen times as long for
// quadratic.
func TestWorkIsLinear(t *testing.T) {
	header := func(field, unit string) func(int) string {
		return func(n int) string { return field + ": " + strings.Repeat(unit, n) + "\r\n\r\n" }
	}
	for name, text := range map[string]func(n int) string{
		"levels":           func(n int) string { return nestedParts(n / 10) },
		"messages":         func(n int) string { return nestedMessages(n / 10) },
		"parts":            manyParts,
		"delimiter-like":   func(n int) string { return nestedParts(99) + strings.Repeat("--b1\r\n--b\r\n", n) },
		"recipients":       header("To", "a <b@c>, "),
		"recipient fields": func(n int) string { return strings.Repeat("To: a@b\r\n", n) + "\r\n" },
		"angles":           header("To", "<@"),
		"brackets":         header("To", "["),
		"parentheses":      header("To", "("),
		"quotes":           header("To", `"\`),
		"groups":           header("To", "g:"),
		"blobs":            header("Subject", "[a]"),
		"forwards":         header("Subject", "[fwd:"),
		"words":            header("Subject", "=?a?b?"),
		"encoded words":    header("Subject", "=?utf-8?q?a?= "),
		"parameters":       header("Content-Type", "a=b;"),
		"open parameters":  header("Content-Type", `a="\";`),
		"sections":         header("Content-Type", "a*1=b;"),
		"comments":         header("Content-Type", "a=(;"),
		"references":       header("References", "<a"),
		"dates":            header("Date", "1 "),
		"HTML":             func(n int) string { return "Content-Type: text/html\r\n\r\n" + strings.Repeat("<a&b", n) },
	} {
		read := func(msg string) {
			d := parse(t, msg)
			m := Open(strings.NewReader(msg), d.Structure)
			if _, err := m.Contains(TextScope, "absent"); err != nil {
				t.Fatal(err)
			}
		}
		const n = 16 << 10
		small, large := text(n/16), text(n)
		var apart, whole time.Duration
		for apart < 20*time.Millisecond {
			apart += cpuTime(t, func() {
				for range 16 {
					read(small)
				}
			})
			whole += cpuTime(t, func() { read(large) })
		}
		if whole > 6*apart {
			t.Errorf("%s: %v for sixteen messages, %v for one as large as they", name, apart, whole)
		}
	}
}
