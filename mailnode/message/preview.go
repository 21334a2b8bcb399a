package message

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bytes of a part that a preview is looked for in. HTML begins with much that is no
// text.
const (
	maxPreviewText = 8 << 10
	maxPreviewHTML = 64 << 10
	maxPreview     = 200 // characters (RFC 8970 §3.1)
)

// preview begins to make one of a leaf that is the message's first text.
func (p *Parser) preview(f *frame) {
	if !f.part.is("text") || strings.EqualFold(f.part.Disposition, "attachment") {
		return
	}
	switch {
	case strings.EqualFold(f.part.Subtype, "plain") && p.text == nil:
		p.text = newCapture(f.part, maxPreviewText)
		f.sink.preview = p.text
	case strings.EqualFold(f.part.Subtype, "html") && p.html == nil:
		p.html = newCapture(f.part, maxPreviewHTML)
		f.sink.preview = p.html
	}
}

// makePreview is the beginning of the text, without quotations if it has more, in
// one line.
func (p *Parser) makePreview() string {
	for _, c := range []*capture{p.text, p.html} {
		if c == nil {
			continue
		}
		if s := c.end(); s != "" {
			return s
		}
	}
	return ""
}

// previewPiece is how many bytes of a part are decoded at a time. It does not depend on
// how they come: what a charset is taken for depends on it.
const previewPiece = 1 << 10

// capture makes a preview of a part's encoded bytes, of no more of them than it takes.
type capture struct {
	pipe   *pipe
	piece  []byte // not yet decoded
	room   int    // how many bytes are still looked at
	own    firstLine
	quoted firstLine // with quotations
}

func newCapture(part *Part, room int) *capture {
	return &capture{pipe: newPipe(part.textStages()...), room: room, own: firstLine{own: true}}
}

func (c *capture) write(b []byte) {
	b = b[:min(len(b), c.room)]
	c.room -= len(b)
	for len(b) > 0 && !c.own.full {
		n := min(len(b), previewPiece-len(c.piece))
		c.piece = append(c.piece, b[:n]...)
		b = b[n:]
		if len(c.piece) == previewPiece {
			c.add(c.pipe.decode(c.piece))
			c.piece = c.piece[:0]
		}
	}
}

func (c *capture) add(text []byte) {
	c.own.add(text)
	if !c.quoted.full {
		c.quoted.add(text)
	}
}

// end is the preview of all that was written.
func (c *capture) end() string {
	if !c.own.full {
		c.add(c.pipe.decode(c.piece))
		c.add(c.pipe.finish())
	}
	if s := c.own.text(); s != "" {
		return s
	}
	return c.quoted.text()
}

// firstLine joins the lines of a text to one of at most maxPreview characters; own
// leaves out those that quote.
type firstLine struct {
	own        bool
	full       bool // nothing that follows would change it
	made       []byte
	characters int
	rest       []byte // of a character that is not complete
	gap        bool   // white space is due
	within     bool   // a line, behind its first character that is no blank
	quotes     bool   // a line
}

func (l *firstLine) add(text []byte) {
	if len(l.rest) > 0 {
		text = append(l.rest, text...)
		l.rest = nil
	}
	for len(text) > 0 && !l.full {
		if n := l.plain(text); n > 0 {
			text = text[n:]
			continue
		}
		if !utf8.FullRune(text) {
			l.rest = append(l.rest, text...)
			return
		}
		r, n := utf8.DecodeRune(text)
		text = text[n:]
		l.character(r)
	}
}

// plain takes what needs no look at each character, a quotation or a part of a word in
// ASCII, and returns how long it is.
func (l *firstLine) plain(text []byte) (n int) {
	switch {
	case l.quotes:
		if n = bytes.IndexByte(text, '\n'); n < 0 {
			n = len(text)
		}
	case l.within && !l.gap:
		room := min(len(text), maxPreview-l.characters)
		for n < room && text[n] > ' ' && text[n] < 0x7f {
			n++
		}
		l.made = append(l.made, text[:n]...)
		l.characters += n
	}
	return n
}

func (l *firstLine) character(r rune) {
	if r == '\n' {
		l.gap, l.within, l.quotes = true, false, false
		return
	}
	if !l.within && r != ' ' && r != '\t' {
		l.within, l.quotes = true, l.own && r == '>'
	}
	switch {
	case l.quotes || !shown(r):
	case unicode.IsSpace(r):
		l.gap = true
	default:
		if l.gap && l.characters > 0 && l.characters < maxPreview {
			l.made = append(l.made, ' ')
			l.characters++
		}
		l.gap = false
		if l.full = l.characters == maxPreview; !l.full {
			l.made = utf8.AppendRune(l.made, r)
			l.characters++
		}
	}
}

func (l *firstLine) text() string {
	return strings.TrimRight(string(l.made), " ")
}

// shown tells what is seen, or separates what is.
func shown(r rune) bool {
	return !invisible(r) && (r >= ' ' || unicode.IsSpace(r)) && r != unicode.ReplacementChar
}
