package imapd

import (
	"bytes"
	"errors"
	"io"

	"github.com/emersion/go-imap/v2"

	"mailfleet/mailnode/imapd/wire"
	"mailfleet/mailnode/message"
	"mailfleet/mailnode/store"
)

// decoded finds the part of a BINARY and the size it has with its transfer encoding
// undone (RFC 3516 §4.3). part is nil for the message itself.
func (d *sender) decoded(m *store.Message, path []int) (part *message.Part, structure *message.Part, size int64, err error) {
	if len(path) == 0 {
		return nil, nil, m.Size, nil
	}
	if structure, err = structureOf(m); err != nil {
		return nil, nil, 0, err
	}
	if part = structure.At(path); part == nil {
		return nil, nil, 0, errNoPart
	}
	switch {
	case part.Multipart():
		return part, structure, part.Size(), nil
	case part.Decoded < 0:
		return nil, nil, 0, refuse(imap.ResponseCodeUnknownCTE, "the transfer encoding of a part is not known")
	}
	return part, structure, part.Decoded, nil
}

// binarySize is BINARY.SIZE.
func (d *sender) binarySize(m *store.Message, section *wire.Section) error {
	_, _, size, err := d.decoded(m, section.Size.Part)
	d.s.w.Raw(section.Name).Space()
	switch {
	case errors.Is(err, errNoPart):
		d.s.w.Num(0)
	case isRefusal(err):
		d.s.w.Num(0)
		d.failed = err
	case err != nil:
		return d.broken(err)
	default:
		d.s.w.Num(uint64(size))
	}
	return nil
}

func isRefusal(err error) bool {
	var no *refusal
	return errors.As(err, &no)
}

// binary is BINARY. What contains NUL goes as a literal8 (RFC 3516 §4.2); as that is
// not known before all has been read, all of it does.
func (d *sender) binary(m *store.Message, section *wire.Section) error {
	part, structure, size, err := d.decoded(m, section.Binary.Part)
	d.s.w.Raw(section.Name).Space()
	switch {
	case errors.Is(err, errNoPart):
		d.s.w.Raw("NIL")
		return nil
	case isRefusal(err):
		d.s.w.Raw("NIL")
		d.failed = err
		return nil
	case err != nil:
		return d.broken(err)
	}
	var from io.Reader
	if part == nil {
		from = span{0, size}.of(d.bytes(m))
	} else if from, err = openMessage(d.bytes(m), m, structure, false).Decode(part); err != nil {
		return d.broken(err)
	}
	p := span{0, size}.cut(section.Binary.Partial)
	if _, err := io.CopyN(io.Discard, from, p.offset); err != nil {
		return d.broken(err)
	}
	return d.literal8(io.LimitReader(from, p.size), p.size)
}

// literal8 sends n bytes. Short ones without NUL go as a plain literal, which every
// client understands.
func (d *sender) literal8(from io.Reader, n int64) error {
	const short = 64 << 10
	if n <= short {
		b := make([]byte, n)
		if _, err := io.ReadFull(from, b); err != nil {
			return d.broken(err)
		}
		if bytes.IndexByte(b, 0) >= 0 {
			d.s.w.Byte('~')
		}
		_, err := d.s.w.Literal(n).Write(b)
		return err
	}
	d.s.w.Byte('~').Literal(n)
	if sent, err := io.Copy(d.s.w, from); err != nil || sent != n {
		return d.broken(err)
	}
	return nil
}
