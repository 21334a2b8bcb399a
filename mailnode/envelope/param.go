package envelope

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// Param is a parameter of MAIL or RCPT (RFC 5321 §4.1.2).
type Param struct {
	Key   string // in upper case
	Value string
	Given bool // there was a =, and so a value
}

var (
	errParam      = errors.New("a parameter is not well-formed")
	errManyParams = errors.New("there are too many parameters")
	errTwice      = errors.New("a parameter is there twice")
	errXtext      = errors.New("the value is not well-formed xtext")
)

// maxParams is how many parameters a command may have: more than there are.
const maxParams = 32

// ParseParams reads what follows a path, blanks included.
func ParseParams(s string) ([]Param, error) {
	var params []Param
	for word := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ' ' }) {
		if len(params) == maxParams {
			return nil, errManyParams
		}
		key, value, given := strings.Cut(word, "=")
		if !isKeyword(key) || given && !isParamValue(value) {
			return nil, errParam
		}
		key = strings.ToUpper(key)
		for _, p := range params {
			if p.Key == key {
				return nil, errTwice
			}
		}
		params = append(params, Param{key, value, given})
	}
	return params, nil
}

func isKeyword(s string) bool {
	if s == "" || !isAlnum(s[0]) {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}

// isParamValue accepts an esmtp-value, with the characters RFC 6531 §3.3 adds.
func isParamValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '=' || c == 0x7f {
			return false
		}
	}
	return s != "" && utf8.ValidString(s)
}

// DecodeXtext reads xtext (RFC 3461 §4), in which +3D stands for an equals sign.
func DecodeXtext(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			if i+2 >= len(s) {
				return "", errXtext
			}
			high, low := unhex(s[i+1]), unhex(s[i+2])
			if high < 0 || low < 0 {
				return "", errXtext
			}
			b.WriteByte(byte(high<<4 | low))
			i += 2
		case c <= ' ' || c == '=' || c == 0x7f:
			return "", errXtext
		default: // characters beyond ASCII may stand for themselves (RFC 6533 §3)
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}

// EncodeXtext writes a text as xtext.
func EncodeXtext(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c > ' ' && c < 0x7f && c != '+' && c != '=' {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'+', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

// unhex is the value of a hexadecimal digit, which xtext writes in upper case; -1 for none.
func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
