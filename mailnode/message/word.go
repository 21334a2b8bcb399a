package message

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// DecodeHeader is the text of a header value: encoded words (RFC 2047) decoded,
// malformed ones as far as they can be, and bytes outside ASCII guessed at. The text
// is valid UTF-8 without line ends.
func DecodeHeader(value []byte) string {
	if plain(value) {
		return string(value)
	}
	d := wordDecoder{in: value}
	d.decode()
	return strings.Map(func(r rune) rune {
		if r == '\r' || r == '\n' || r == 0 {
			return ' '
		}
		return r
	}, d.out.String())
}

// plain tells whether a value is ASCII without encoded words.
func plain(v []byte) bool {
	for i, c := range v {
		if c >= utf8.RuneSelf || c < ' ' && c != '\t' || c == '=' && i+1 < len(v) && v[i+1] == '?' {
			return false
		}
	}
	return true
}

// wordDecoder decodes the encoded words of a value. Bytes of adjacent words of the
// same charset are decoded together: programs cut words within characters.
type wordDecoder struct {
	in      []byte
	out     strings.Builder
	charset string
	pending []byte // decoded bytes of words, of the charset
	noEnd   bool   // no word ends in the rest
}

func (d *wordDecoder) decode() {
	rest := d.in
	for {
		i := bytes.Index(rest, []byte("=?"))
		if i < 0 || d.noEnd {
			d.text(rest)
			return
		}
		text := rest[:i]
		charset, content, after, ok := d.word(rest[i:])
		if !ok {
			d.text(rest[:i+2])
			rest = rest[i+2:]
			continue
		}
		// White space between two words is not part of the text (RFC 2047 §6.2).
		if len(d.pending) == 0 || len(bytes.TrimSpace(text)) > 0 {
			d.text(text)
		}
		if !strings.EqualFold(charset, d.charset) {
			d.flush()
			d.charset = charset
		}
		d.pending = append(d.pending, content...)
		rest = after
	}
}

// word reads an encoded word.
func (d *wordDecoder) word(b []byte) (charset string, content, rest []byte, ok bool) {
	name, after, ok := cutNear(b[2:], '?', 64)
	if !ok || len(name) == 0 || len(after) < 2 || after[1] != '?' {
		return "", nil, nil, false
	}
	name, _, _ = bytes.Cut(name, []byte("*")) // RFC 2231 §5: a language
	enc, text := after[0], after[2:]
	end := bytes.Index(text, []byte("?="))
	if end < 0 {
		d.noEnd = true
		return "", nil, nil, false
	}
	if end == 0 && len(text) > 2 && bytes.IndexByte(hexDigits, text[2]) >= 0 && enc|0x20 == 'q' {
		// "?=" may be the beginning of the text: "=?x?q?=41?=".
		if more := bytes.Index(text[1:], []byte("?=")); more >= 0 {
			end = more + 1
		}
	}
	switch enc {
	case 'b', 'B':
		content = appendBase64(nil, text[:end])
	case 'q', 'Q':
		content = appendQ(nil, text[:end])
	default:
		return "", nil, nil, false
	}
	return string(name), content, text[end+2:], true
}

var hexDigits = []byte("0123456789ABCDEFabcdef")

// cutNear cuts at a byte among the first n.
func cutNear(b []byte, sep byte, n int) (before, after []byte, ok bool) {
	i := bytes.IndexByte(b[:min(n, len(b))], sep)
	if i < 0 {
		return nil, nil, false
	}
	return b[:i], b[i+1:], true
}

// appendQ decodes the Q encoding (RFC 2047 §4.2).
func appendQ(dst, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '_':
			dst = append(dst, ' ')
		case c == '=' && i+2 < len(b) && hexValue[b[i+1]] >= 0 && hexValue[b[i+2]] >= 0:
			dst = append(dst, byte(hexValue[b[i+1]])<<4|byte(hexValue[b[i+2]]))
			i += 2
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// text adds what stands outside encoded words.
func (d *wordDecoder) text(b []byte) {
	d.flush()
	d.out.WriteString(guess(b))
}

func (d *wordDecoder) flush() {
	if len(d.pending) > 0 {
		d.out.WriteString(strings.ToValidUTF8(decodeText(d.charset, d.pending), "\uFFFD"))
		d.pending = d.pending[:0]
	}
}
