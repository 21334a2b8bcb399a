package message

import "strings"

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
	var text string
	switch c.part.encoding() {
	case base64Coding:
		text = decodeText(c.part.param("charset"), appendBase64(nil, c.bytes))
	case quotedPrintable:
		var q qpState
		text = decodeText(c.part.param("charset"), q.decode(nil, c.bytes))
	default:
		text = decodeText(c.part.param("charset"), c.bytes)
	}
	words := strings.Fields(strings.ToValidUTF8(text, ""))
	line := []rune(strings.Join(words, " "))
	return string(line[:min(maxPreview, len(line))])
}
