package message

import (
	"bytes"
	"strings"
)

// coding is a content transfer encoding (RFC 2045 §6).
type coding int

const (
	identity coding = iota // 7bit, 8bit, binary
	base64Coding
	quotedPrintable
	unknownCoding
)

func (c coding) identity() bool { return c == identity }

// encoding is the part's transfer encoding.
func (p *Part) encoding() coding {
	switch e := p.Encoding; {
	case e == "", strings.EqualFold(e, "7bit"), strings.EqualFold(e, "8bit"), strings.EqualFold(e, "binary"):
		return identity
	case strings.EqualFold(e, "base64"):
		return base64Coding
	case strings.EqualFold(e, "quoted-printable"):
		return quotedPrintable
	}
	return unknownCoding
}

// sink counts the decoded bytes of a leaf and shows the beginning of its encoded
// ones to who makes a preview of them.
type sink struct {
	coding  coding
	n       int64
	b64     int // digits of an unfinished quantum of base64
	qp      qpState
	scratch []byte // room for decoding
	preview *capture
}

func (s *sink) write(b []byte) {
	if len(b) == 0 {
		return
	}
	if s.preview != nil {
		s.preview.write(b)
	}
	switch s.coding {
	case identity:
		s.n += int64(len(b))
	case base64Coding:
		s.base64(b)
	case quotedPrintable:
		for len(b) > 0 {
			n := min(len(b), len(s.scratch)/2)
			s.n += int64(len(s.qp.decode(s.scratch[:0], b[:n])))
			b = b[n:]
		}
	}
}

// size is the number of decoded bytes, -1 when the coding is not known.
func (s *sink) size() int64 {
	switch s.coding {
	case unknownCoding:
		return -1
	case base64Coding:
		return s.n + int64(rest64(s.b64))
	case quotedPrintable:
		return s.n + int64(len(s.qp.finish(nil)))
	}
	return s.n
}

// rest64 is how many bytes the digits of an unfinished quantum hold.
func rest64(digits int) int { return digits * 6 / 8 }

// digit64 has 1 for each digit of base64.
var digit64 = func() (t [256]uint8) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
		t[c] = 1
	}
	return t
}()

// base64 counts as the decoder decodes: what is no digit is skipped, padding ends a
// quantum.
func (s *sink) base64(b []byte) {
	for len(b) > 0 {
		run := b
		pad := bytes.IndexByte(b, '=')
		if pad >= 0 {
			run = b[:pad]
		}
		digits := s.b64
		for _, c := range run {
			digits += int(digit64[c])
		}
		s.n += int64(digits/4) * 3
		s.b64 = digits % 4
		if pad < 0 {
			return
		}
		s.n += int64(rest64(s.b64))
		s.b64 = 0
		b = b[pad+1:]
	}
}
