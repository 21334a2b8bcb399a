package message

import (
	"strings"
	"unicode"
)

// Bytes of a part that a preview is looked for in. HTML begins with much that is no
// text.
const (
	maxPreviewText = 8 << 10
	maxPreviewHTML = 64 << 10
	maxPreview     = 200 // characters (RFC 8970 §3.1)
)

// preview has the beginning of a leaf kept when it is the message's first text.
func (p *Parser) preview(f *frame) {
	if !f.part.is("text") || strings.EqualFold(f.part.Disposition, "attachment") {
		return
	}
	switch {
	case strings.EqualFold(f.part.Subtype, "plain") && p.text.part == nil:
		p.text = capture{part: f.part, room: maxPreviewText}
		f.sink.keep = &p.text
	case strings.EqualFold(f.part.Subtype, "html") && p.html.part == nil:
		p.html = capture{part: f.part, room: maxPreviewHTML}
		f.sink.keep = &p.html
	}
}

// makePreview is the beginning of the text, without quotations if it has more, in
// one line.
func (p *Parser) makePreview() string {
	for _, c := range []*capture{&p.text, &p.html} {
		if c.part == nil {
			continue
		}
		if s := c.preview(); s != "" {
			return s
		}
	}
	return ""
}

func (c *capture) preview() string {
	p := newPipe(c.part.textStages()...)
	text := string(p.decode(c.bytes)) + string(p.finish())
	if s := firstLine(text, true); s != "" {
		return s
	}
	return firstLine(text, false)
}

// firstLine joins the lines of a text to one of at most maxPreview characters; own
// leaves out those that quote.
func firstLine(text string, own bool) string {
	var b strings.Builder
	characters := 0
	for line := range strings.Lines(text) {
		if own && strings.HasPrefix(strings.TrimLeft(line, " \t"), ">") {
			continue
		}
		for word := range strings.FieldsSeq(strings.Map(shown, line)) {
			if characters > 0 && characters < maxPreview {
				b.WriteByte(' ')
				characters++
			}
			for _, r := range word {
				if characters == maxPreview {
					return strings.TrimRight(b.String(), " ")
				}
				b.WriteRune(r)
				characters++
			}
		}
	}
	return b.String()
}

// shown leaves out what is not seen.
func shown(r rune) rune {
	if invisible(r) || r < ' ' && !unicode.IsSpace(r) || r == unicode.ReplacementChar {
		return -1
	}
	return r
}
