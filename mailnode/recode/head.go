package recode

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
)

// valueMost is how much of a field's value is looked at.
const valueMost = 16 << 10

// headReader reads the header of a region.
type headReader struct {
	*region
	drop  func(name string, value []byte) bool // nil for none
	at    int64                                // of the next line
	from  int64                                // where the field begins
	name  string                               // of the field, in lower case; "" for none
	value []byte
	ended bool // the empty line was met
}

// readHeader looks at a region that is a header, and at its fields.
func (g *region) readHeader(r *bufio.Reader, drop func(name string, value []byte) bool) error {
	h := headReader{region: g, drop: drop}
	if !g.whole || g.part.Header != 0 {
		h.drop = nil
	}
	l := look{facts: facts{utf8: true}}
	first := true // the piece begins a line
	for {
		b, err := r.ReadSlice('\n')
		l.write(b)
		if len(b) > 0 {
			h.line(b, first)
		}
		switch {
		case err == nil:
			first = true
		case errors.Is(err, bufio.ErrBufferFull):
			first = false
		case errors.Is(err, io.EOF):
			h.field()
			if !h.ended {
				g.head.end = -1
			}
			g.facts = l.end()
			if h.at != g.size {
				return io.ErrUnexpectedEOF
			}
			return nil
		default:
			return err
		}
	}
}

// line takes a line, or a piece of it.
func (h *headReader) line(b []byte, first bool) {
	switch {
	case h.ended:
	case first && len(bytes.TrimRight(b, "\r\n")) == 0:
		h.field()
		h.ended, h.head.end = true, h.at
	case first && b[0] != ' ' && b[0] != '\t':
		h.field()
		name, value, ok := bytes.Cut(b, []byte(":"))
		h.from, h.name, h.value = h.at, "", h.value[:0]
		if ok {
			h.name = strings.ToLower(string(bytes.TrimRight(name, " \t")))
			h.keep(value)
		}
	default:
		h.keep(b)
	}
	h.at += int64(len(b))
}

func (h *headReader) keep(b []byte) {
	h.value = append(h.value, b[:min(len(b), valueMost-len(h.value))]...)
}

// field takes the field that has ended.
func (h *headReader) field() {
	s := span{h.from, h.at}
	switch h.name {
	case "":
		return
	case "content-transfer-encoding":
		h.head.remember(&h.head.encodings, s)
	case "mime-version":
		h.head.version = true
	case "content-type":
		if h.head.main == "" {
			main, _, _ := bytes.Cut(h.value, []byte("/"))
			h.head.main = strings.ToLower(string(bytes.TrimSpace(main)))
		}
	default:
		if h.drop != nil && h.drop(h.name, h.value) {
			h.head.remember(&h.head.dropped, s)
		}
	}
	h.name = ""
}
