package imapd

import (
	"bytes"
	"errors"
	"io"
	"time"

	"github.com/emersion/go-imap/v2"

	"mailfleet/mailnode/imapd/wire"
	"mailfleet/mailnode/message"
	"mailfleet/mailnode/store"
)

// errNoPart is a section that the message does not have.
var errNoPart = errors.New("imapd: there is no such part")

// span is a stretch of a message.
type span struct{ offset, size int64 }

func savedAt(m *store.Item) time.Time { return time.Unix(m.Saved, 0).UTC() }

// spanOf finds a section in a message (RFC 9051 §6.4.5.1).
func spanOf(m *store.Message, structure *message.Part, b *imap.FetchItemBodySection) (span, error) {
	if isWhole(b) {
		return span{0, m.Size}, nil
	}
	prefix := int64(m.Prefix)
	if len(b.Part) == 0 {
		body := structure.Body + prefix
		if b.Specifier == imap.PartSpecifierText {
			return span{body, m.Size - body}, nil
		}
		return span{0, body}, nil
	}
	p := structure.At(b.Part)
	if p == nil {
		return span{}, errNoPart
	}
	switch b.Specifier {
	case imap.PartSpecifierNone:
		return span{p.Body + prefix, p.End - p.Body}, nil
	case imap.PartSpecifierMIME:
		if p == structure { // part 1 of a message that is no multipart: its header is the message's
			return span{0, p.Body + prefix}, nil
		}
		return span{p.Header + prefix, p.Body - p.Header}, nil
	}
	if p = p.Message; p == nil {
		return span{}, errNoPart
	}
	if b.Specifier == imap.PartSpecifierText {
		return span{p.Body + prefix, p.End - p.Body}, nil
	}
	return span{p.Header + prefix, p.Body - p.Header}, nil
}

// cut narrows a stretch to what a partial fetch asks for.
func (p span) cut(partial *imap.SectionPartial) span {
	if partial == nil {
		return p
	}
	skip := min(partial.Offset, p.size)
	return span{p.offset + skip, min(partial.Size, p.size-skip)}
}

// openSection opens a section, all of it that was asked for, of a message's bytes.
func openSection(all io.ReaderAt, m *store.Message, b *imap.FetchItemBodySection) (io.Reader, int64, error) {
	var structure *message.Part
	if !isWhole(b) {
		var err error
		if structure, err = structureOf(m); err != nil {
			return nil, 0, err
		}
	}
	if b.HeaderFields != nil || b.HeaderFieldsNot != nil {
		x, err := headerFields(all, m, structure, b)
		if err != nil {
			return nil, 0, err
		}
		return x.Reader(), x.Size(), nil
	}
	p, err := spanOf(m, structure, b)
	if err != nil {
		return nil, 0, err
	}
	p = p.cut(b.Partial)
	return p.of(all), p.size, nil
}

// of reads a stretch of a message. What it returns also implements io.WriterTo where that
// saves copying.
func (p span) of(all io.ReaderAt) io.Reader {
	switch all := all.(type) {
	case readAhead:
		return bytes.NewReader(all[min(p.offset, int64(len(all))):min(p.offset+p.size, int64(len(all)))])
	case interface {
		Section(offset, n int64) io.Reader
	}:
		return all.Section(p.offset, p.size)
	}
	return io.NewSectionReader(all, p.offset, p.size)
}

// readAhead is a message that was read already.
type readAhead []byte

// ReadAt implements io.ReaderAt.
func (b readAhead) ReadAt(p []byte, offset int64) (n int, err error) {
	if offset < int64(len(b)) {
		n = copy(p, b[offset:])
	}
	if n < len(p) {
		err = io.EOF
	}
	return n, err
}

// bytes is the message that is being sent.
func (d *sender) bytes(m *store.Message) io.ReaderAt {
	if d.body != nil {
		return readAhead(d.body)
	}
	return d.s.srv.store.ReaderAt(*m)
}

// section writes a section. One that begins must end: when the store fails in between,
// the connection is at an end too.
func (d *sender) section(m *store.Message, section *wire.Section) error {
	switch {
	case section.Size != nil:
		return d.binarySize(m, section)
	case section.Binary != nil:
		return d.binary(m, section)
	}
	from, size, err := openSection(d.bytes(m), m, section.Body)
	d.s.w.Raw(section.Name).Space()
	if errors.Is(err, errNoPart) {
		d.s.w.Raw("NIL")
		return nil
	}
	if err != nil {
		return d.broken(err)
	}
	d.s.w.Literal(size)
	if n, err := io.Copy(d.s.w, from); err != nil || n != size {
		return d.broken(err)
	}
	return nil
}

// broken ends the connection in the middle of a response.
func (d *sender) broken(err error) error {
	if err == nil {
		err = store.ErrDamaged
	}
	if d.s.w.Err() == nil {
		d.s.log().Error("a message cannot be sent to its end", "mailbox", d.s.box.place.Mailbox, "error", err)
	}
	d.s.over = true
	return errors.Join(err, errAnswered)
}

// headerFields finds the fields of a header that are named, or the others, and the
// empty line (RFC 9051 §6.4.5.1).
func headerFields(all io.ReaderAt, m *store.Message, p *message.Part, b *imap.FetchItemBodySection) (*message.Extract, error) {
	section := message.Section{Path: b.Part, Specifier: message.HeaderFields, Fields: b.HeaderFields}
	if b.HeaderFields == nil {
		section.Specifier, section.Fields = message.HeaderFieldsNot, b.HeaderFieldsNot
	}
	x, err := openMessage(all, m, p, len(b.Part) == 0).Section(section)
	if errors.Is(err, message.ErrNoSection) {
		return nil, errNoPart
	}
	if err == nil && b.Partial != nil {
		x = x.Partial(b.Partial.Offset, b.Partial.Size)
	}
	return x, err
}

// openMessage joins a message's bytes with its structure, whose offsets know nothing
// of the header lines that the store put before it. The message itself, if that is what
// is looked at, has them.
func openMessage(all io.ReaderAt, m *store.Message, p *message.Part, itself bool) *message.Message {
	if itself {
		whole := *p
		whole.Body += int64(m.Prefix)
		whole.End = m.Size
		return message.Open(all, &whole)
	}
	return message.Open(io.NewSectionReader(all, int64(m.Prefix), m.Size-int64(m.Prefix)), p)
}

// structureOf is a message's structure.
func structureOf(m *store.Message) (*message.Part, error) {
	p, err := message.Encoded(m.Digest).Structure()
	if err != nil {
		return nil, errors.Join(store.ErrDamaged, err)
	}
	return p, nil
}
