package message

import (
	"bytes"
	"strings"
)

// begin opens a part of a multipart; a digest's parts are messages by default.
func (p *Parser) begin(digest bool) {
	part := &Part{Header: p.off, Body: p.off, Decoded: -1}
	if digest {
		part.Type, part.Subtype = "message", "rfc822"
	} else {
		part.Type, part.Subtype = "text", "plain"
	}
	p.push(&frame{part: part})
}

// beginMessage opens the message, or one enclosed in the part last opened.
func (p *Parser) beginMessage() {
	part := &Part{Header: p.off, Body: p.off, Decoded: -1, Type: "text", Subtype: "plain"}
	f := &frame{part: part, envelope: &Envelope{}, begun: true, lines: p.lines}
	if len(p.open) > 0 {
		outer := p.open[len(p.open)-1].part
		outer.Message, outer.Envelope = part, f.envelope
	}
	p.open = append(p.open, f)
	p.parts++
	p.state = inHeader
	p.fields.reset(true)
}

// beginOpaque opens the part that stands for the rest of a multipart.
func (p *Parser) beginOpaque() {
	part := &Part{Decoded: -1, Encoding: "binary"}
	part.opaque()
	p.push(&frame{part: part, leaf: true})
}

func (p *Parser) push(f *frame) {
	outer := p.open[len(p.open)-1].part
	outer.Parts = append(outer.Parts, f.part)
	p.open = append(p.open, f)
	p.parts++
	p.fields.reset(false)
}

// opaque makes the part one that is not looked into.
func (p *Part) opaque() {
	p.Type, p.Subtype, p.Params = "application", "octet-stream", nil
}

// endHeader ends the header of the part last opened, and looks what its body is.
func (p *Parser) endHeader() {
	f := p.open[len(p.open)-1]
	p.describe(f)
	part := f.part
	multipart, enclosed := part.is("multipart"), part.is("message") && part.enclosing()
	switch {
	case (multipart || enclosed) && len(p.open) >= MaxDepth, enclosed && p.parts >= MaxParts:
		part.opaque()
		p.leaf(f)
	case multipart:
		f.digest = strings.EqualFold(part.Subtype, "digest")
		if b := part.param("boundary"); b != "" && len(b) <= maxBoundary {
			f.boundary = bytes.TrimRight([]byte(b), " \t")
		}
	case enclosed && part.encoding().identity():
		p.beginMessage()
	default:
		p.leaf(f)
	}
}

// cutHeader ends the header of a part that has no body.
func (p *Parser) cutHeader(f *frame) {
	p.describe(f)
	if !f.part.is("multipart") {
		p.leaf(f)
	}
}

func (p *Parser) leaf(f *frame) {
	f.leaf = true
	f.sink = sink{coding: f.part.encoding()}
	if f.sink.coding == quotedPrintable {
		f.sink.scratch = p.decoding()
	}
	p.preview(f)
}

// decoding is room that one leaf after the other uses.
func (p *Parser) decoding() []byte {
	if p.scratch == nil {
		p.scratch = make([]byte, 4096)
	}
	return p.scratch
}

// describe fills in a part from its header, which ends here.
func (p *Parser) describe(f *frame) {
	f.part.Body, f.lines = p.off, p.lines
	p.fields.describe(f.part)
	if f.envelope != nil {
		p.fields.envelope(f.envelope)
		if len(p.open) == 1 {
			p.references = p.fields.take(fieldReferences)
		}
	}
}

// end ends a part.
func (f *frame) end(end, lines int64) {
	p := f.part
	p.End, p.Lines = max(p.Body, end), max(0, lines-f.lines)
	switch {
	case f.leaf:
		p.Decoded = f.sink.size()
	case p.Message != nil:
		p.Decoded = p.Size()
	}
	if f.leaf && p.is("message") && p.enclosing() {
		p.Envelope, p.Message = &Envelope{}, plainPart(p.Body)
	}
	if p.is("multipart") && len(p.Parts) == 0 {
		// Its text, if it has any, is all that there is to show.
		text := plainPart(p.Body)
		text.End, text.Lines, text.Decoded = p.End, p.Lines, p.Size()
		p.Parts = []*Part{text}
	}
}

// plainPart is an empty part without a header (RFC 2045 §5.2).
func plainPart(at int64) *Part {
	return &Part{
		Type: "text", Subtype: "plain", Params: []Param{{"charset", "us-ascii"}}, Encoding: "7bit",
		Header: at, Body: at, End: at,
	}
}

// is tells whether the part's main type is t.
func (p *Part) is(t string) bool { return strings.EqualFold(p.Type, t) }

// enclosing tells, of a part of type message, whether it encloses one (RFC 2046
// §5.2.1, RFC 6532 §3.7).
func (p *Part) enclosing() bool {
	return strings.EqualFold(p.Subtype, "rfc822") || strings.EqualFold(p.Subtype, "global")
}

// param is the value of a parameter of the content type.
func (p *Part) param(name string) string { return value(p.Params, name) }

func value(params []Param, name string) string {
	for _, q := range params {
		if strings.EqualFold(q.Name, name) {
			return q.Value
		}
	}
	return ""
}
