package origin

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"io"
)

// relaxedField appends a field in relaxed form (RFC 6376 §3.4.2).
func relaxedField(dst, raw []byte) []byte {
	name, value, _ := bytes.Cut(raw, []byte(":"))
	dst = append(dst, bytes.ToLower(bytes.TrimRight(name, " \t\r\n"))...)
	dst = append(dst, ':')
	start, space := len(dst), false
	for _, c := range value {
		switch c {
		case ' ', '\t', '\r', '\n':
			space = true
			continue
		}
		if space && len(dst) > start {
			dst = append(dst, ' ')
		}
		space = false
		dst = append(dst, c)
	}
	return append(dst, '\r', '\n')
}

// bodyHash hashes a body in canonical form (RFC 6376 §3.4.3, §3.4.4). What is held
// back of it is a count of line ends, so a body of empty lines costs no memory.
type bodyHash struct {
	relaxed bool
	sum     hash.Hash
	buf     []byte

	ends    int64 // line ends that count when something follows
	space   bool  // white space that counts when the line goes on (relaxed)
	cr      bool  // a CR that may be the first half of a line end
	written bool
}

func newBodyHash(relaxed bool) *bodyHash {
	return &bodyHash{relaxed: relaxed, sum: sha256.New(), buf: make([]byte, 0, 8<<10)}
}

// Write never fails.
func (h *bodyHash) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		c := p[0]
		switch {
		case c == '\n':
			h.cr, h.space = false, false
			h.ends++
			p = p[1:]
			continue
		case h.cr: // it was one of its own
			h.cr = false
			h.content([]byte{'\r'})
			continue
		case c == '\r':
			h.cr = true
			p = p[1:]
			continue
		case h.relaxed && (c == ' ' || c == '\t'):
			h.space = true
			p = p[1:]
			continue
		}
		run := h.run(p)
		h.content(p[:run])
		p = p[run:]
	}
	return n, nil
}

// run is how many bytes from the front stay as they are, the first one included:
// single blanks between words do, too.
func (h *bodyHash) run(p []byte) int {
	if !h.relaxed {
		if i := bytes.IndexAny(p, "\r\n"); i >= 0 {
			return i
		}
		return len(p)
	}
	for i := 1; i < len(p); i++ {
		if !special[p[i]] {
			continue
		}
		if p[i] != ' ' || i+1 == len(p) || special[p[i+1]] {
			return i
		}
	}
	return len(p)
}

// special are the bytes that the relaxed form treats.
var special = [256]bool{' ': true, '\t': true, '\r': true, '\n': true}

var lineEnds = bytes.Repeat([]byte("\r\n"), 2048)

// content takes bytes that stand in the canonical body, after what was held back.
func (h *bodyHash) content(b []byte) {
	h.written = true
	for ; h.ends > 0; h.ends -= min(h.ends, int64(len(lineEnds)/2)) {
		h.put(lineEnds[:2*min(h.ends, int64(len(lineEnds)/2))])
	}
	if h.space {
		h.space = false
		h.put([]byte{' '})
	}
	h.put(b)
}

func (h *bodyHash) put(b []byte) {
	if len(h.buf)+len(b) > cap(h.buf) {
		h.sum.Write(h.buf)
		h.buf = h.buf[:0]
	}
	if len(b) > cap(h.buf) {
		h.sum.Write(b)
		return
	}
	h.buf = append(h.buf, b...)
}

// finish returns the hash; the body has ended.
func (h *bodyHash) finish() []byte {
	if h.cr {
		h.content([]byte{'\r'})
		h.cr = false
	}
	if h.written || !h.relaxed {
		h.put([]byte("\r\n"))
	}
	h.sum.Write(h.buf)
	h.buf = h.buf[:0]
	return h.sum.Sum(nil)
}

// hashFields writes the fields that are signed (RFC 6376 §5.4.2): of a name that is
// there more than once the lowest first; a name without a field stands for nothing.
func hashFields(w io.Writer, fields []field, index map[string][]int, names []string, relaxed bool) {
	used := make(map[string]int, len(names))
	var buf []byte
	for _, name := range names {
		at := index[name]
		n := len(at) - 1 - used[name]
		if n < 0 {
			continue
		}
		used[name]++
		raw := fields[at[n]].raw
		if relaxed {
			buf = relaxedField(buf[:0], raw)
			raw = buf
		}
		_, _ = w.Write(raw) // to a hash
	}
}
