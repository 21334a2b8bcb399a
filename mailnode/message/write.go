package message

import (
	"crypto/rand"
	"encoding/base64"
	"strings"
	"time"
	"unicode/utf8"
)

// maxLine is the length of a header line that is aimed at (RFC 5322 §2.1.1).
const maxLine = 78

// AppendField appends a header field with its line end, folded. Words outside ASCII
// become encoded words (RFC 2047), none cut within a character. Line ends in the value become blanks, so that no value can add a field.
func AppendField(dst []byte, name, value string) []byte {
	dst = append(append(dst, name...), ':')
	column := len(name) + 1
	value = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(value, "\uFFFD"))
	for _, word := range foldable(value) {
		if column+1+len(word) > maxLine && column > len(name)+1 {
			dst = append(dst, "\r\n"...)
			column = 0
		}
		dst = append(append(dst, ' '), word...)
		column += 1 + len(word)
	}
	return append(dst, "\r\n"...)
}

// foldable are the words of a value between which lines may end.
func foldable(value string) (words []string) {
	var encode []string // consecutive words that need encoding: one text
	flush := func() {
		if len(encode) > 0 {
			words = append(words, encodedWords(strings.Join(encode, " "))...)
			encode = nil
		}
	}
	for word := range strings.SplitSeq(value, " ") {
		if isASCII(word) && !strings.Contains(word, "=?") {
			if word != "" {
				flush()
				words = append(words, word)
			}
			continue
		}
		encode = append(encode, word)
	}
	flush()
	return words
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// encodedWords encodes a text in words short enough for a line that begins with a
// field's name: one may have 76 bytes (RFC 2047 §2).
func encodedWords(text string) (words []string) {
	const room = 30
	for len(text) > 0 {
		n := min(room, len(text))
		for n < len(text) && !utf8.RuneStart(text[n]) {
			n--
		}
		words = append(words, "=?utf-8?B?"+base64.StdEncoding.EncodeToString([]byte(text[:n]))+"?=")
		text = text[n:]
	}
	return words
}

// NewMessageID is a message id of a host, with its angle brackets (RFC 5322 §3.6.4).
func NewMessageID(host string) string { return "<" + rand.Text() + "@" + host + ">" }

// FormatDate is a time as Date has it (RFC 5322 §3.3).
func FormatDate(t time.Time) string { return t.Format("Mon, 2 Jan 2006 15:04:05 -0700") }
