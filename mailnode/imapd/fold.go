package imapd

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// fold makes two strings equal that i;unicode-casemap calls equal (RFC 5051).
func fold(s string) string {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return norm.NFKD.String(strings.Map(unicode.ToTitle, s))
		}
	}
	return strings.ToUpper(s)
}
