package recode

import (
	"cmp"
	"io"
	"slices"
	"strings"

	"mailfleet/mailnode/message"
)

// Message recodes a message, which open reads from its beginning as often as wanted. drop
// may be nil. That it cannot be recoded is an *Error; other errors are those of reading.
func Message(open func() io.Reader, form Form, drop Field) (*Recoded, error) {
	digest, err := message.Parse(open())
	if err != nil {
		return nil, err
	}
	r := &Recoded{open: open, Author: author(digest.Envelope.From)}
	var dropped func(name string, value []byte) bool
	if drop != nil {
		dropped = func(name string, value []byte) bool { return drop(r.Author, name, value) }
	}
	list := regions(digest.Structure)
	if err := survey(open(), list, dropped); err != nil {
		return nil, err
	}
	p := planner{form: form, end: digest.Structure.End}
	if r.Changed = slices.ContainsFunc(list, p.misfit); !r.Changed {
		return r, nil
	}
	for i := range list {
		if err := p.add(list, i); err != nil {
			return nil, err
		}
	}
	r.pieces = p.pieces
	return r, nil
}

// author is the domain of the first of some addresses that has one.
func author(from []message.Address) string {
	for _, a := range from {
		if a.Host != nil { // else it begins or ends a group
			return strings.ToLower(string(a.Host))
		}
	}
	return ""
}

// planner makes the pieces.
type planner struct {
	form   Form
	end    int64 // of the message
	pieces []piece
	text   string // to be written before the next piece
}

// misfit tells whether a region cannot stay as it is.
func (p *planner) misfit(g region) bool {
	return !g.facts.fits(p.form) || g.kind == leaf && g.facts.long && plain(g.part)
}

// plain tells that a part is in no encoding (RFC 2045 §6.2).
func plain(p *message.Part) bool {
	e := strings.ToLower(p.Encoding)
	return e == "7bit" || e == "8bit" || e == "binary"
}

// put adds a piece, or makes the last longer.
func (p *planner) put(size int64, how treatment) {
	if size == 0 && p.text == "" {
		return
	}
	if n := len(p.pieces); n > 0 && p.text == "" && how == kept && p.pieces[n-1].how == kept {
		p.pieces[n-1].size += size
		return
	}
	p.pieces = append(p.pieces, piece{p.text, size, how})
	p.text = ""
}

// add adds the pieces of a region.
func (p *planner) add(list []region, i int) error {
	g := &list[i]
	bad := p.misfit(*g)
	switch g.kind {
	case header:
		if bad {
			return p.badHeader(g)
		}
		return p.header(g, list[i+1:])
	case sealed:
		switch {
		case bad && closed(g.part):
			return &Error{"its part of the type " + kindOf(g.part) + " must not be changed"}
		case bad:
			return &Error{"its part of the type " + kindOf(g.part) + " has no parts that could be encoded"}
		}
	case gap:
		if bad && g.facts.alone {
			return &Error{"it has lines that end with CR or LF alone between its parts"}
		}
		if bad {
			p.put(g.size, asMasked)
			return nil
		}
	case leaf:
		how, _, err := p.treat(g, &list[i-1])
		if err != nil {
			return err
		}
		p.put(g.size, how)
		if how == asBase64 && (g.part.End == p.end || headerOnly(g.part)) {
			p.text = "\r\n"
			p.put(0, kept)
		}
		return nil
	}
	p.put(g.size, kept)
	return nil
}

// headerOnly tells of an enclosed message that it may end with the line end before the
// boundary: the empty line after a header is needed for both.
func headerOnly(p *message.Part) bool {
	last := p
	for last.Message != nil || len(last.Parts) > 0 {
		if last.Message != nil {
			last = last.Message
		} else {
			last = last.Parts[len(last.Parts)-1]
		}
	}
	return last != p && last.Body == last.End
}

func (p *planner) badHeader(g *region) error {
	whose := "its header"
	switch {
	case !g.whole:
		whose = "the header of one of its parts"
	case g.part.Header > 0:
		whose = "the header of a message in it"
	}
	if g.facts.bare {
		return &Error{whose + " has NUL bytes, or lines that end with CR or LF alone"}
	}
	return &Error{whose + " has letters outside ASCII"}
}

func kindOf(p *message.Part) string { return strings.ToLower(p.Type + "/" + p.Subtype) }

// treat says what becomes of a leaf, and which encoding it is in then; "" for the one it
// says.
func (p *planner) treat(g, h *region) (how treatment, encoding string, err error) {
	if !p.misfit(*g) {
		return kept, p.label(g.part, g.facts.high > 0), nil
	}
	kind := kindOf(g.part)
	main, _, _ := strings.Cut(kind, "/")
	beyond := h.size == 0 || h.head.main != main && (h.head.main == "multipart" || h.head.main == "message")
	switch e := strings.ToLower(g.part.Encoding); {
	case beyond:
		return kept, "", &Error{"it has too many parts, or they nest too deep"}
	case main == "message" && !strings.HasPrefix(kind, "message/global"), main == "multipart":
		return kept, "", &Error{"its part of the type " + kind + " may have no encoding"}
	case e == "quoted-printable" && !g.facts.alone:
		return asRequoted, "", nil
	case e == "base64" && !g.facts.alone:
		return asMasked, "", nil // they are no digits: whoever decodes it skips them
	case !plain(g.part):
		return kept, "", &Error{"one of its parts is in the encoding " + e + ", which does not go with its bytes"}
	case main == "text" && g.facts.escapes*5 < g.facts.size:
		return asQuoted, "quoted-printable", nil
	}
	return asBase64, "base64", nil
}

// label is the encoding that a part without one is in from now on; "" for the one it says.
func (p *planner) label(part *message.Part, high bool) string {
	binary := strings.EqualFold(part.Encoding, "binary")
	switch {
	case !binary && (p.form == EightBit || !strings.EqualFold(part.Encoding, "8bit")):
		return ""
	case p.form == EightBit && high:
		return "8bit"
	}
	return "7bit"
}

// header adds the pieces of a header; its part's body is the next of the regions that follow.
func (p *planner) header(g *region, next []region) error {
	encoding := ""
	switch {
	case g.head.many:
		return &Error{"a header in it has far too many fields of one name"}
	case len(next) == 0 || next[0].kind == sealed:
	case next[0].kind == leaf:
		var err error
		if _, encoding, err = p.treat(&next[0], g); err != nil {
			return err
		}
	default: // a part that consists of others
		encoding = p.label(g.part, true)
	}
	type edit struct {
		span
		text string
	}
	var edits []edit
	for _, s := range g.head.dropped {
		edits = append(edits, edit{s, ""})
	}
	if encoding != "" {
		field := "Content-Transfer-Encoding: " + encoding + "\r\n"
		for _, s := range g.head.encodings { // a second one says something else
			edits = append(edits, edit{s, field})
			field = ""
		}
		if g.head.end >= 0 {
			edits = append(edits, edit{span{g.head.end, g.head.end}, field + p.missing(g, next)})
		}
	}
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Compare(a.from, b.from) })
	at := int64(0)
	for _, e := range edits {
		p.put(e.from-at, kept)
		p.text += e.text
		p.put(e.to-e.from, dropped)
		at = e.to
	}
	p.put(g.size-at, kept)
	return nil
}

// missing are the fields without which a message says nothing of an encoding (RFC 2045 §4,
// §5.2).
func (p *planner) missing(g *region, next []region) (fields string) {
	if g.whole && !g.head.version {
		fields = "MIME-Version: 1.0\r\n"
	}
	if g.head.main == "" && next[0].kind == leaf && next[0].facts.high > 0 {
		charset := "unknown-8bit" // RFC 1428
		if next[0].facts.utf8 {
			charset = "utf-8"
		}
		fields += "Content-Type: text/plain; charset=" + charset + "\r\n"
	}
	return fields
}
