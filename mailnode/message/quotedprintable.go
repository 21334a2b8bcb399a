package message

// qpState decodes quoted-printable (RFC 2045 §6.7) piece by piece. What is not
// valid stays as it is; white space at the end of a line is not the message's.
type qpState struct {
	pend []byte // what cannot be decoded yet: "=…", or white space
}

// maxPend is how much white space is held back in the hope of a line end.
const maxPend = 256

// qpSpecial has the bytes that may not stand for themselves.
var qpSpecial = [256]bool{'=': true, ' ': true, '\t': true}

// decode appends what b decodes to.
func (q *qpState) decode(dst, b []byte) []byte {
	for len(b) > 0 {
		if len(q.pend) > 0 {
			var again bool
			if dst, again = q.resolve(dst, b[0]); !again {
				b = b[1:]
			}
			continue
		}
		n := 0
		for n < len(b) && !qpSpecial[b[n]] {
			n++
		}
		dst = append(dst, b[:n]...)
		if b = b[n:]; len(b) == 0 {
			break
		}
		if b[0] == '=' && len(b) > 2 && hexValue[b[1]] >= 0 && hexValue[b[2]] >= 0 {
			dst = append(dst, byte(hexValue[b[1]]<<4|hexValue[b[2]]))
			b = b[3:]
			continue
		}
		if b[0] != '=' && len(b) > 1 && b[1] > ' ' && b[1] != '=' {
			dst = append(dst, b[0], b[1])
			b = b[2:]
			continue
		}
		q.pend = append(q.pend, b[0])
		b = b[1:]
	}
	return dst
}

// resolve looks at what is held back with the byte after it, which is not consumed
// when it stands for itself.
func (q *qpState) resolve(dst []byte, c byte) (out []byte, again bool) {
	blank := c == ' ' || c == '\t'
	switch {
	case q.pend[0] != '=': // white space
		if blank && len(q.pend) < maxPend {
			q.pend = append(q.pend, c)
			return dst, false
		}
		if c == '\r' || c == '\n' {
			q.pend = q.pend[:0]
			return dst, true
		}
	case len(q.pend) == 1 && hexValue[c] >= 0, len(q.pend) < maxPend && (blank || c == '\r') && !(len(q.pend) == 2 && hexValue[q.pend[1]] >= 0):
		q.pend = append(q.pend, c)
		return dst, false
	case len(q.pend) == 2 && hexValue[q.pend[1]] >= 0:
		if hexValue[c] >= 0 {
			dst = append(dst, byte(hexValue[q.pend[1]]<<4|hexValue[c]))
			q.pend = q.pend[:0]
			return dst, false
		}
	case c == '\n': // soft line break
		q.pend = q.pend[:0]
		return dst, false
	}
	dst = append(dst, q.pend...)
	q.pend = q.pend[:0]
	return dst, true
}

// finish appends what is left at the end of the part.
func (q *qpState) finish(dst []byte) []byte {
	if len(q.pend) == 2 && hexValue[q.pend[1]] >= 0 {
		dst = append(dst, q.pend...)
	}
	q.pend = q.pend[:0]
	return dst
}

// hexValue has the value of each hexadecimal digit, -1 for other bytes.
var hexValue = func() (t [256]int8) {
	for c := range t {
		t[c] = -1
	}
	for i, c := range "0123456789abcdef" {
		t[c] = int8(i)
	}
	for i, c := range "ABCDEF" {
		t[c] = int8(10 + i)
	}
	return t
}()
