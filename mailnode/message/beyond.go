package message

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// beyond writes the text of what a structure does not describe: parts below MaxDepth and
// after MaxParts. It makes no structure: of the multiparts around a place it knows the
// delimiters, and nothing else. So its work is linear in the bytes, however they nest.
type beyond struct {
	w     io.Writer
	scope Scope
	lines *lineReader

	open   []level
	levels map[string][]int // by boundary: where in open, innermost last
	fields fields
	line   []byte // the last one
	first  bool   // it begins in this piece
	met    event  // what it is; after a header an empty line, which is plain, or why there was none
}

// level is a multipart whose end has not come.
type level struct {
	boundary string
	digest   bool
}

type event int

const (
	ended     event = iota // the bytes have ended
	plainLine              // none: a line like any other
	delimited              // a part begins
	closed                 // a multipart has ended
)

// opaque tells parts that were not looked into: their headers say multipart or message,
// or they stand for all further parts of a multipart and have none.
func (m *Message) opaque(p *Part) bool {
	if !p.is("application") || !strings.EqualFold(p.Subtype, "octet-stream") || p.Params != nil || p.Message != nil {
		return false
	}
	if p.Header == p.Body {
		return true
	}
	h := fields{budget: maxField}
	if err := m.eachField(p, func(name, value []byte) error {
		h.begin(fieldLine(name, value))
		return nil
	}); err != nil {
		return false // whoever reads on meets it again
	}
	own := Part{Type: "text", Subtype: "plain"}
	h.describe(&own)
	return own.is("multipart") || own.is("message")
}

// fieldLine is a field as it was before it was read, in one line.
func fieldLine(name, value []byte) []byte {
	return append(append(bytes.Clone(name), ':'), value...)
}

// writeBeyond writes the text of an opaque part, which the multipart around it, if any, is in.
func (m *Message) writeBeyond(w io.Writer, scope Scope, p, around *Part) error {
	b := newBeyond(w, scope, m.read(p.Header, p.End))
	if p.Header == p.Body && around != nil {
		b.enter(around)
	}
	return b.run(false)
}

// writeEncoded writes the text of a message that is enclosed in an encoding (RFC 6532 §3.7).
func (m *Message) writeEncoded(w io.Writer, scope Scope, p *Part) error {
	r, err := m.Decode(p)
	if errors.Is(err, ErrUnknownCTE) {
		return nil
	}
	if err != nil {
		return err
	}
	return newBeyond(w, scope, r).run(true)
}

func newBeyond(w io.Writer, scope Scope, r io.Reader) *beyond {
	return &beyond{w: w, scope: scope, levels: map[string][]int{}, lines: newLineReader(r)}
}

// run goes through parts, beginning at a header; whole tells that it is a message's.
func (b *beyond) run(whole bool) error {
	for {
		part := Part{Type: "text", Subtype: "plain"}
		if n := len(b.open); !whole && n > 0 && b.open[n-1].digest {
			part.Type, part.Subtype = "message", "rfc822"
		}
		if err := b.header(&part, whole); err != nil {
			return err
		}
		whole = false
		if b.met == plainLine {
			if whole = part.is("message") && part.enclosing() && part.encoding().identity(); whole {
				continue
			}
			if err := b.text(&part); err != nil {
				return err
			}
		}
		for b.met == closed { // what follows the last part is nobody's
			if err := b.skip(); err != nil {
				return err
			}
		}
		if b.met == ended {
			return nil
		}
	}
}

// header reads a header up to its end and writes its fields where the scope has them.
func (b *beyond) header(part *Part, whole bool) error {
	b.fields = fields{budget: maxField, arena: b.fields.arena[:0]}
	told := whole || b.scope != BodyScope
	err := readFields(b.within, func(name, value []byte) error {
		b.fields.begin(fieldLine(name, value))
		if !told {
			return nil
		}
		return writeField(b.w, name, value)
	})
	if err != nil {
		return err
	}
	b.fields.describe(part)
	if !told {
		return nil
	}
	return writeFileName(b.w, part)
}

// within is next, for which the bytes end at a delimiter.
func (b *beyond) within() (piece []byte, first bool, err error) {
	if err := b.next(); err != nil {
		return nil, false, err
	}
	if b.met != plainLine {
		return nil, false, io.EOF
	}
	return b.line, b.first, nil
}

// text writes a part's text. A multipart's own, which is before its first part, is text
// as well: there may be no part.
func (b *beyond) text(part *Part) error {
	if part.is("multipart") {
		b.enter(part)
		part = plainPart(0)
	}
	if b.scope == HeaderScope || !part.is("text") && !part.is("message") {
		return b.skip()
	}
	p := newPipe(append(part.textStages(), &foldStage{})...)
	for {
		if err := b.next(); err != nil {
			return err
		}
		if b.met != plainLine {
			break
		}
		if _, err := b.w.Write(p.decode(b.line)); err != nil {
			return err
		}
	}
	_, err := b.w.Write(append(bytes.Clone(p.finish()), separator...))
	return err
}

// skip goes to the next delimiter.
func (b *beyond) skip() error {
	for {
		if err := b.next(); err != nil || b.met != plainLine {
			return err
		}
	}
}

// enter notes a multipart's delimiters.
func (b *beyond) enter(part *Part) {
	boundary := strings.TrimRight(part.param("boundary"), " \t")
	if boundary == "" || len(boundary) > maxBoundary {
		return
	}
	b.levels[boundary] = append(b.levels[boundary], len(b.open))
	b.open = append(b.open, level{boundary, strings.EqualFold(part.Subtype, "digest")})
}

// leave ends the multiparts from a level on.
func (b *beyond) leave(n int) {
	for _, l := range b.open[n:] {
		b.levels[l.boundary] = b.levels[l.boundary][:len(b.levels[l.boundary])-1]
		if len(b.levels[l.boundary]) == 0 {
			delete(b.levels, l.boundary)
		}
	}
	b.open = b.open[:n]
}

// next reads a piece of a line.
func (b *beyond) next() (err error) {
	b.line, b.first, err = b.lines.next()
	switch {
	case errors.Is(err, io.EOF):
		b.met = ended
		return nil
	case err != nil:
		return err
	}
	b.met = plainLine
	if !b.first || len(b.line) < 3 || b.line[0] != '-' || b.line[1] != '-' {
		return nil
	}
	text := bytes.TrimRight(b.line[2:], " \t\r\n")
	if at := b.levels[string(text)]; len(at) > 0 {
		b.leave(at[len(at)-1] + 1)
		b.met = delimited
	} else if text, ok := bytes.CutSuffix(text, []byte("--")); ok {
		if at := b.levels[string(text)]; len(at) > 0 {
			b.leave(at[len(at)-1])
			b.met = closed
		}
	}
	return nil
}
