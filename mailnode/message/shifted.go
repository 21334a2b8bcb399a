package message

import (
	"encoding/base64"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/transform"
)

// shifted is a seven-bit form of a two-byte charset: between SO and SI its bytes
// stand without their high bit, and escape sequences say which charset it is
// (RFC 1557 ISO-2022-KR, RFC 1922 ISO-2022-CN, of which the GB 2312 set is known).
type shifted struct{ encoding.Encoding }

// NewDecoder implements encoding.Encoding.
func (s shifted) NewDecoder() *encoding.Decoder {
	return &encoding.Decoder{Transformer: transform.Chain(&unshift{}, s.Encoding.NewDecoder())}
}

const (
	shiftOut = 0x0e
	shiftIn  = 0x0f
	escape   = 0x1b
)

// unshift makes the eight-bit form of a seven-bit one.
type unshift struct{ out bool }

// Reset implements transform.Transformer.
func (u *unshift) Reset() { u.out = false }

// Transform implements transform.Transformer.
func (u *unshift) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		c := src[nSrc]
		switch c {
		case shiftOut:
			u.out = true
		case shiftIn:
			u.out = false
		case escape:
			n := 4 // ESC $ ) A
			if nSrc+1 < len(src) && src[nSrc+1] != '$' {
				n = 2 // ESC N, of one character
			}
			if nSrc+n > len(src) {
				if !atEOF {
					return nDst, nSrc, transform.ErrShortSrc
				}
				n = len(src) - nSrc
			}
			nSrc += n
			continue
		default:
			if nDst == len(dst) {
				return nDst, nSrc, transform.ErrShortDst
			}
			if c == '\n' {
				u.out = false // a line begins in ASCII
			}
			if u.out && c > ' ' {
				c |= 0x80
			}
			dst[nDst] = c
			nDst++
		}
		nSrc++
	}
	return nDst, nSrc, nil
}

// utf7 is UTF-7 (RFC 2152), for mail of long ago.
type utf7 struct{}

// NewDecoder implements encoding.Encoding.
func (utf7) NewDecoder() *encoding.Decoder {
	return &encoding.Decoder{Transformer: &fromUTF7{}}
}

// NewEncoder implements encoding.Encoding: nothing is written in UTF-7.
func (utf7) NewEncoder() *encoding.Encoder { return encoding.Replacement.NewEncoder() }

type fromUTF7 struct{ transform.NopResetter }

// maxUTF7 is the longest run of base64 taken for UTF-16.
const maxUTF7 = 1024

// Transform implements transform.Transformer.
func (*fromUTF7) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		out, n := src[nSrc:nSrc+1], 1
		if src[nSrc] == '+' {
			end := nSrc + 1
			for end < len(src) && end-nSrc < maxUTF7 && digit64[src[end]] == 1 {
				end++
			}
			if end == len(src) && !atEOF && end-nSrc < maxUTF7 {
				return nDst, nSrc, transform.ErrShortSrc
			}
			out = utf16Text(src[nSrc+1 : end])
			if end < len(src) && src[end] == '-' {
				if end == nSrc+1 {
					out = src[nSrc : nSrc+1]
				}
				end++
			}
			n = end - nSrc
		}
		if nDst+len(out) > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += copy(dst[nDst:], out)
		nSrc += n
	}
	return nDst, nSrc, nil
}

// utf16Text is the text of base64 digits of big-endian UTF-16.
func utf16Text(digits []byte) []byte {
	raw := make([]byte, base64.RawStdEncoding.DecodedLen(len(digits)))
	n, _ := base64.RawStdEncoding.Decode(raw, digits)
	units := make([]uint16, 0, n/2)
	for i := 0; i+1 < n; i += 2 {
		units = append(units, uint16(raw[i])<<8|uint16(raw[i+1]))
	}
	var out []byte
	for _, r := range utf16.Decode(units) {
		out = utf8.AppendRune(out, r)
	}
	return out
}
