package message

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

const (
	maxKey        = 1000 // bytes of a text among the keys
	maxReferences = 100  // the newest are kept
)

// Digest ends the message and returns its digest. The parser is of no use after it.
func (p *Parser) Digest() *Digest {
	if line := p.carry; len(line) > 0 {
		p.carry = nil
		switch {
		case p.state == inHeader:
			p.headerLine(line)
		case !p.delimiter(line):
			p.block(line)
		}
	}
	if p.state == inHeader || p.state == inField {
		p.cutHeader(p.open[len(p.open)-1])
	}
	root := p.open[0].part
	top := p.open[len(p.open)-1]
	if top.leaf {
		top.sink.write(p.nl[:p.hold])
	}
	for _, f := range p.open {
		f.end(p.off, p.lines)
	}
	d := &Digest{Envelope: *p.open[0].envelope, Structure: root}
	d.keys(p.references)
	d.Preview = p.makePreview()
	return d
}

// keys fills in what is decoded of the envelope.
func (d *Digest) keys(references []byte) {
	e, k := &d.Envelope, &d.Keys
	k.Date, _ = ParseDate(e.Date)
	k.Subject = clip(DecodeHeader(e.Subject), maxKey)
	k.Base, k.Reply = BaseSubject(k.Subject)
	k.From, k.FromName = sortKey(e.From)
	k.To, k.ToName = sortKey(e.To)
	k.Cc, _ = sortKey(e.Cc)
	if ids := messageIDs(e.MessageID); len(ids) > 0 {
		k.MessageID = ids[0]
	}
	k.References = messageIDs(references)
	if len(k.References) == 0 {
		k.References = messageIDs(e.InReplyTo)
		k.References = k.References[:min(1, len(k.References))]
	}
	k.References = k.References[max(0, len(k.References)-maxReferences):]
	k.Attachment = d.Structure.attachment(false)
}

// clip shortens a text to at most n bytes, between characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.Clone(s[:n])
}

// sortKey is the mailbox of the first address, and what is shown of it: its name, or
// the whole address (RFC 5256 §3, RFC 5957 §3).
func sortKey(list []Address) (mailbox, shown string) {
	if len(list) == 0 {
		return "", ""
	}
	a := list[0]
	mailbox = clip(DecodeHeader(a.Mailbox), maxKey)
	if shown = clip(DecodeHeader(a.Name), maxKey); shown == "" {
		shown = mailbox
		if len(a.Host) > 0 {
			shown += "@" + clip(DecodeHeader(a.Host), maxKey)
		}
	}
	return mailbox, shown
}

// messageIDs are the ids of a value, without brackets; white space within an id is
// not part of it (RFC 5256 §2.2, RFC 5322 §3.6.4).
func messageIDs(v []byte) (ids []string) {
	for {
		_, after, ok := bytes.Cut(v, []byte("<"))
		if !ok {
			break
		}
		id, rest, ok := bytes.Cut(after, []byte(">"))
		if !ok {
			break
		}
		if i := bytes.LastIndexByte(id, '<'); i >= 0 {
			id = id[i+1:]
		}
		if id = bytes.Join(bytes.Fields(id), nil); len(id) > 0 && len(id) <= maxKey {
			ids = append(ids, string(bytes.ReplaceAll(id, []byte(`"`), nil)))
		}
		v = rest
	}
	return ids
}

// attachment tells whether the part is, or has, what a reader would call an
// attachment. Within a multipart/related a part with a name may be a picture of the
// text.
func (p *Part) attachment(related bool) bool {
	if strings.EqualFold(p.Disposition, "attachment") {
		return true
	}
	if p.Multipart() {
		related = strings.EqualFold(p.Subtype, "related")
		for i, q := range p.Parts {
			if q.attachment(related && i > 0) {
				return true
			}
		}
		return false
	}
	switch {
	case p.is("text"):
		return p.FileName() != "" && !strings.EqualFold(p.Disposition, "inline")
	case related && p.ID != nil, strings.EqualFold(p.Disposition, "inline") && p.is("image"):
		return false
	case p.is("application"):
		sub := strings.ToLower(p.Subtype)
		return sub != "pgp-signature" && sub != "pgp-encrypted" && !strings.HasSuffix(sub, "pkcs7-signature")
	case p.is("message"):
		return p.enclosing()
	}
	return !p.is("multipart")
}

// FileName is the part's decoded file name, empty when it has none: Content-
// Disposition's filename, or Content-Type's name (RFC 2183 §2.3), either in the form
// of RFC 2231, of RFC 2047 as many programs write it, or raw.
func (p *Part) FileName() string {
	for _, from := range []struct {
		params []Param
		name   string
	}{{p.DispositionParams, "filename"}, {p.Params, "name"}} {
		if v := value(from.params, from.name+"*"); v != "" {
			return decodeExtended(v)
		}
		if v := value(from.params, from.name); v != "" {
			return DecodeHeader([]byte(v))
		}
	}
	return ""
}

// decodeExtended decodes charset'language'text (RFC 2231 §4).
func decodeExtended(v string) string {
	cs, rest, ok := strings.Cut(v, "'")
	_, text, ok2 := strings.Cut(rest, "'")
	if !ok || !ok2 {
		cs, text = "", v
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) && hexValue[text[i+1]] >= 0 && hexValue[text[i+2]] >= 0 {
			out = append(out, byte(hexValue[text[i+1]])<<4|byte(hexValue[text[i+2]]))
			i += 2
			continue
		}
		out = append(out, text[i])
	}
	return decodeText(cs, out)
}
