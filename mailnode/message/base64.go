package message

import "encoding/base64"

// from64 has the value of each digit of base64, -1 for other bytes.
var from64 = func() (t [256]int8) {
	for c := range t {
		t[c] = -1
	}
	for i, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
		t[c] = int8(i)
	}
	return t
}()

// b64State decodes base64 (RFC 2045 §6.8) piece by piece. What is no digit is
// skipped, padding ends a quantum, and so may the end of the text.
type b64State struct {
	bits   uint32
	digits int // of the quantum in bits
}

// decode appends what b decodes to.
func (s *b64State) decode(dst, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		if s.digits == 0 {
			// Whole lines of digits go the fast way.
			n := 0
			for n < len(b)-i && from64[b[i+n]] >= 0 {
				n++
			}
			if n &^= 3; n > 0 {
				dst, _ = base64.StdEncoding.AppendDecode(dst, b[i:i+n])
				if i += n; i == len(b) {
					break
				}
			}
		}
		v := from64[b[i]]
		switch {
		case v >= 0:
			s.bits = s.bits<<6 | uint32(v)
			if s.digits++; s.digits == 4 {
				dst = append(dst, byte(s.bits>>16), byte(s.bits>>8), byte(s.bits))
				s.bits, s.digits = 0, 0
			}
		case b[i] == '=':
			dst = s.finish(dst)
		}
	}
	return dst
}

// finish appends what an unfinished quantum holds.
func (s *b64State) finish(dst []byte) []byte {
	switch s.digits {
	case 2:
		dst = append(dst, byte(s.bits>>4))
	case 3:
		dst = append(dst, byte(s.bits>>10), byte(s.bits>>2))
	}
	s.bits, s.digits = 0, 0
	return dst
}

// appendBase64 decodes a whole text.
func appendBase64(dst, b []byte) []byte {
	var s b64State
	return s.finish(s.decode(dst, b))
}
