package wire

import (
	"encoding/base64"
	"unicode/utf16"
	"unicode/utf8"
)

var utf7 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding).Strict()

// EncodeUTF7 writes a name in modified UTF-7 (RFC 3501 §5.1.3).
func EncodeUTF7(s string) string {
	plain := true
	for i := range len(s) {
		plain = plain && s[i] >= ' ' && s[i] <= '~' && s[i] != '&'
	}
	if plain {
		return s
	}
	var out, wide []byte
	end := func() {
		if len(wide) > 0 {
			out = append(out, '&')
			out = utf7.AppendEncode(out, wide)
			out = append(out, '-')
			wide = wide[:0]
		}
	}
	for _, c := range s {
		if c >= ' ' && c <= '~' {
			end()
			if out = append(out, byte(c)); c == '&' {
				out = append(out, '-')
			}
			continue
		}
		for _, u := range utf16.AppendRune(nil, c) {
			wide = append(wide, byte(u>>8), byte(u))
		}
	}
	end()
	return string(out)
}

// DecodeUTF7 reads a name in modified UTF-7; ok is false when it is none. The form must
// be the one EncodeUTF7 would write, so that a name has no second spelling.
func DecodeUTF7(s string) (name string, ok bool) {
	var out []byte
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < ' ' || c > '~' {
			return "", false
		}
		if c != '&' {
			out = append(out, c)
			continue
		}
		end := i + 1
		for end < len(s) && s[end] != '-' {
			end++
		}
		if end == len(s) {
			return "", false
		}
		if end == i+1 {
			out = append(out, '&')
		} else if out, ok = decodeShifted(out, s[i+1:end]); !ok {
			return "", false
		}
		i = end
	}
	name = string(out)
	return name, EncodeUTF7(name) == s
}

func decodeShifted(out []byte, s string) ([]byte, bool) {
	b, err := utf7.DecodeString(s)
	if err != nil || len(b)%2 != 0 {
		return nil, false
	}
	for i := 0; i < len(b); i += 2 {
		c := rune(b[i])<<8 | rune(b[i+1])
		if utf16.IsSurrogate(c) {
			if i += 2; i >= len(b) {
				return nil, false
			}
			if c = utf16.DecodeRune(c, rune(b[i])<<8|rune(b[i+1])); c == utf8.RuneError {
				return nil, false
			}
		}
		out = utf8.AppendRune(out, c)
	}
	return out, true
}
