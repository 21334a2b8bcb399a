package origin

import (
	"bytes"
	"errors"
)

// field is a header field as it stands, with its last line end.
type field struct {
	name string // in lower case; "" when there is none
	raw  []byte
}

// value is what stands after the colon.
func (f field) value() []byte {
	_, v, _ := bytes.Cut(f.raw, []byte(":"))
	return v
}

// header collects a message's header from a stream. Lines that end with a bare LF
// get the CR that they lack.
type header struct {
	buf    []byte
	line   int // where the line begins that is being read
	done   bool
	broken error // why it is not looked at
	fields []field
}

// add takes a part of the message and returns what of it belongs to the body.
func (h *header) add(p []byte) (rest []byte) {
	for len(p) > 0 && !h.done {
		i := bytes.IndexByte(p, '\n')
		piece := p
		if i >= 0 {
			piece = p[:i+1]
		}
		p = p[len(piece):]
		if len(h.buf)+len(piece) > maxHeader {
			h.fail(errors.New("the header is too large"))
			return nil
		}
		h.buf = append(h.buf, piece...)
		if i >= 0 {
			h.endLine()
		}
	}
	return p
}

func (h *header) endLine() {
	n := len(h.buf)
	if n-h.line < 2 || h.buf[n-2] != '\r' {
		h.buf = append(h.buf[:n-1], '\r', '\n')
	}
	if len(h.buf)-h.line == 2 {
		h.buf = h.buf[:h.line]
		h.end()
		return
	}
	h.line = len(h.buf)
}

// end makes the fields of what was collected.
func (h *header) end() {
	if h.done {
		return
	}
	h.done = true
	if n := len(h.buf); n > 0 && h.buf[n-1] != '\n' { // the message has ended in its header
		h.buf = append(h.buf, '\r', '\n')
	}
	for rest := h.buf; len(rest) > 0; {
		n := fieldLength(rest)
		if len(h.fields) == maxFields {
			h.fail(errors.New("the header has too many fields"))
			return
		}
		h.fields = append(h.fields, field{fieldName(rest[:n]), rest[:n:n]})
		rest = rest[n:]
	}
}

func (h *header) fail(err error) {
	h.done, h.broken, h.buf, h.fields = true, err, nil, nil
}

// fieldLength is the length of the first field: a line and those that continue it.
func fieldLength(b []byte) int {
	n := 0
	for {
		i := bytes.IndexByte(b[n:], '\n')
		if i < 0 {
			return len(b)
		}
		n += i + 1
		if n == len(b) || b[n] != ' ' && b[n] != '\t' {
			return n
		}
	}
}

func fieldName(raw []byte) string {
	name, _, ok := bytes.Cut(raw, []byte(":"))
	if !ok {
		return ""
	}
	return string(bytes.ToLower(bytes.TrimRight(name, " \t")))
}

// named are the indexes of the fields of each name, from the top.
func named(fields []field) map[string][]int {
	m := make(map[string][]int, len(fields))
	for i, f := range fields {
		m[f.name] = append(m[f.name], i)
	}
	return m
}
