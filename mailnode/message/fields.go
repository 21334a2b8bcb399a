package message

import (
	"bytes"
	"slices"
	"strings"
)

// fieldID names a header field that a digest is made of.
type fieldID int

const (
	noField fieldID = iota
	fieldBcc
	fieldCc
	fieldContentDescription
	fieldContentDisposition
	fieldContentID
	fieldContentLanguage
	fieldContentLocation
	fieldContentMD5
	fieldContentTransferEncoding
	fieldContentType
	fieldDate
	fieldFrom
	fieldInReplyTo
	fieldMessageID
	fieldReferences
	fieldReplyTo
	fieldSender
	fieldSubject
	fieldTo
	fieldCount
)

var fieldNames = map[string]fieldID{
	"bcc": fieldBcc, "cc": fieldCc, "content-description": fieldContentDescription,
	"content-disposition": fieldContentDisposition, "content-id": fieldContentID,
	"content-language": fieldContentLanguage, "content-location": fieldContentLocation,
	"content-md5": fieldContentMD5, "content-transfer-encoding": fieldContentTransferEncoding,
	"content-type": fieldContentType, "date": fieldDate, "from": fieldFrom,
	"in-reply-to": fieldInReplyTo, "message-id": fieldMessageID, "references": fieldReferences,
	"reply-to": fieldReplyTo, "sender": fieldSender, "subject": fieldSubject, "to": fieldTo,
}

// maxName is the length of the longest of the names.
const maxName = len("content-transfer-encoding")

// fields collects the values of one header.
type fields struct {
	budget  int  // bytes that may still be kept, of all parts
	message bool // the header is a message's: it has an envelope
	last    fieldID
	arena   []byte // the values, one after another
	from    int    // where the last begins
	value   [fieldCount][]byte
}

func (h *fields) reset(message bool) {
	h.message, h.last, h.arena, h.from = message, noField, h.arena[:0], 0
	clear(h.value[:])
}

// begin takes a field's first line, or the beginning of it.
func (h *fields) begin(line []byte) {
	h.finish()
	name, value, ok := bytes.Cut(line, []byte(":"))
	name = bytes.TrimRight(name, " \t")
	if !ok || len(name) > maxName {
		return
	}
	var buf [maxName]byte
	lower := buf[:copy(buf[:], name)]
	for i, c := range lower {
		if 'A' <= c && c <= 'Z' {
			lower[i] = c + 'a' - 'A'
		}
	}
	id := fieldNames[string(lower)]
	if id >= fieldContentDescription && id <= fieldContentType || h.message {
		h.last = id
	}
	h.add(value)
}

// add takes more of the field's bytes.
func (h *fields) add(b []byte) {
	if h.last == noField {
		return
	}
	n := min(len(b), h.budget, maxField-(len(h.arena)-h.from))
	h.budget -= n
	h.arena = append(h.arena, b[:n]...)
}

// unfold removes the line end that the field's next line, a continuation, follows
// (RFC 5322 §2.2.3).
func (h *fields) unfold() {
	h.arena = h.arena[:h.from+len(trimEnd(h.arena[h.from:]))]
}

// finish ends the field. Of one that is there twice the first counts, but
// recipients of all are recipients.
func (h *fields) finish() {
	if h.last == noField {
		return
	}
	h.unfold()
	v := bytes.Trim(h.arena[h.from:], " \t")
	switch old := h.value[h.last]; {
	case old == nil && len(v) == 0:
		h.value[h.last] = []byte{}
	case old == nil:
		h.value[h.last] = v[:len(v):len(v)]
	case (h.last == fieldTo || h.last == fieldCc || h.last == fieldBcc) && len(old)+len(v) < maxField:
		h.value[h.last] = append(append(old, ", "...), v...)
	}
	h.last, h.from = noField, len(h.arena)
}

// take is a copy of a value, nil when there is none.
func (h *fields) take(id fieldID) []byte {
	if h.value[id] == nil {
		return nil
	}
	return append([]byte{}, h.value[id]...)
}

// describe fills in what the header says of the part. Its type has the default.
func (h *fields) describe(p *Part) {
	h.finish()
	if v := h.value[fieldContentType]; v != nil {
		if t, sub, params, ok := parseContentType(v); ok {
			p.Type, p.Subtype, p.Params = t, sub, params
		}
	}
	if p.is("text") && p.param("charset") == "" && !slices.ContainsFunc(p.Params, func(q Param) bool { return strings.EqualFold(q.Name, "charset") }) {
		p.Params = append(p.Params, Param{"charset", "us-ascii"}) // RFC 2045 §5.2
	}
	p.Encoding = "7bit"
	if v := token(h.value[fieldContentTransferEncoding]); v != "" {
		p.Encoding = v
	}
	if v := h.value[fieldContentDisposition]; v != nil {
		p.Disposition, p.DispositionParams = parseParams(v)
	}
	p.ID = h.take(fieldContentID)
	p.Description = h.take(fieldContentDescription)
	p.MD5 = h.take(fieldContentMD5)
	p.Location = h.take(fieldContentLocation)
	p.Language = parseLanguages(h.value[fieldContentLanguage])
}

// envelope fills in a message's envelope.
func (h *fields) envelope(e *Envelope) {
	e.Date = h.take(fieldDate)
	e.Subject = h.take(fieldSubject)
	e.From = ParseAddresses(h.value[fieldFrom])
	e.Sender = ParseAddresses(h.value[fieldSender])
	e.ReplyTo = ParseAddresses(h.value[fieldReplyTo])
	e.To = ParseAddresses(h.value[fieldTo])
	e.Cc = ParseAddresses(h.value[fieldCc])
	e.Bcc = ParseAddresses(h.value[fieldBcc])
	e.InReplyTo = h.take(fieldInReplyTo)
	e.MessageID = h.take(fieldMessageID)
	if e.Sender == nil {
		e.Sender = e.From
	}
	if e.ReplyTo == nil {
		e.ReplyTo = e.From
	}
}
