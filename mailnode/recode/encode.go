package recode

import "encoding/base64"

// encoder makes other bytes of those of a piece.
type encoder interface {
	// encode appends what src becomes, as far as that is known.
	encode(dst, src []byte) []byte
	// finish appends the rest, at the end of the piece.
	finish(dst []byte) []byte
}

// lineMost is how long an encoded line may be (RFC 2045 §6.7, §6.8).
const lineMost = 76

const hexDigits = "0123456789ABCDEF"

// quoted encodes in quoted-printable. Only CR LF is a line end; each of them alone is data.
type quoted struct {
	column int
	cr     bool
	blank  byte // a space or tab that may be the last of its line; 0 for none
}

func (q *quoted) encode(dst, src []byte) []byte {
	for _, c := range src {
		if q.cr {
			q.cr = false
			if c == '\n' {
				dst = append(q.escapeBlank(dst), "\r\n"...)
				q.column = 0
				continue
			}
			dst = q.escape(q.writeBlank(dst), '\r')
		}
		if c == '\r' {
			q.cr = true
			continue
		}
		dst = q.writeBlank(dst)
		switch {
		case c == ' ', c == '\t':
			q.blank = c
		case c > ' ' && c <= '~' && c != '=':
			dst = append(q.room(dst, 1), c)
		default:
			dst = q.escape(dst, c)
		}
	}
	return dst
}

func (q *quoted) finish(dst []byte) []byte {
	if q.cr {
		return q.escape(q.writeBlank(dst), '\r')
	}
	return q.escapeBlank(dst)
}

// room breaks the line when n more characters and the sign of the break have no room.
func (q *quoted) room(dst []byte, n int) []byte {
	if q.column+n >= lineMost {
		dst = append(dst, "=\r\n"...)
		q.column = 0
	}
	q.column += n
	return dst
}

func (q *quoted) escape(dst []byte, c byte) []byte {
	return append(q.room(dst, 3), '=', hexDigits[c>>4], hexDigits[c&15])
}

func (q *quoted) writeBlank(dst []byte) []byte {
	if q.blank == 0 {
		return dst
	}
	dst = append(q.room(dst, 1), q.blank)
	q.blank = 0
	return dst
}

func (q *quoted) escapeBlank(dst []byte) []byte {
	if q.blank == 0 {
		return dst
	}
	dst = q.escape(dst, q.blank)
	q.blank = 0
	return dst
}

// requoted escapes what cannot stand in quoted-printable that has it all the same.
type requoted struct{ column int }

func (r *requoted) encode(dst, src []byte) []byte {
	for _, c := range src {
		switch {
		case c >= 0x80 || c == 0:
			if r.column+3 >= lineMost {
				dst = append(dst, "=\r\n"...)
				r.column = 0
			}
			r.column += 3
			dst = append(dst, '=', hexDigits[c>>4], hexDigits[c&15])
		default:
			r.column++
			if c == '\n' {
				r.column = 0
			}
			dst = append(dst, c)
		}
	}
	return dst
}

func (r *requoted) finish(dst []byte) []byte { return dst }

// group is how many bytes become a line of base64.
const group = lineMost / 4 * 3

// armoured encodes in base64. Its last line has no end: that is the delimiter's that follows.
type armoured struct {
	rest  []byte
	begun bool
}

func (a *armoured) encode(dst, src []byte) []byte {
	if len(a.rest) > 0 {
		n := min(group-len(a.rest), len(src))
		a.rest = append(a.rest, src[:n]...)
		src = src[n:]
		if len(a.rest) < group {
			return dst
		}
		dst = a.line(dst, a.rest)
		a.rest = a.rest[:0]
	}
	for len(src) >= group {
		dst = a.line(dst, src[:group])
		src = src[group:]
	}
	a.rest = append(a.rest, src...)
	return dst
}

func (a *armoured) line(dst, src []byte) []byte {
	if a.begun {
		dst = append(dst, "\r\n"...)
	}
	a.begun = true
	return base64.StdEncoding.AppendEncode(dst, src)
}

func (a *armoured) finish(dst []byte) []byte {
	if len(a.rest) == 0 {
		return dst
	}
	return a.line(dst, a.rest)
}

// masked has question marks in place of what cannot stand in lines of ASCII.
type masked struct{}

func (masked) encode(dst, src []byte) []byte {
	for _, c := range src {
		if c >= 0x80 || c == 0 {
			c = '?'
		}
		dst = append(dst, c)
	}
	return dst
}

func (masked) finish(dst []byte) []byte { return dst }
