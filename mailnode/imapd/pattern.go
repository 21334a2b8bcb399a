package imapd

import "strings"

// delimiter stands between the levels of a mailbox name.
const delimiter = '/'

// pattern is a mailbox pattern of LIST (RFC 9051 §6.3.9): * is any name, % any name
// within a level.
type pattern string

// newPattern joins the reference to a pattern. One that begins with the delimiter
// stands for itself.
func newPattern(reference, p string) pattern {
	if !strings.HasPrefix(p, string(delimiter)) {
		p = reference + p
	}
	if len(p) >= 5 && strings.EqualFold(p[:5], inbox) && (len(p) == 5 || p[5] == delimiter) {
		p = inbox + p[5:]
	}
	return pattern(p)
}

// match reports whether a name matches. It goes through the name once, with all the
// places of the pattern it may be at: no pattern makes it slow.
func (p pattern) match(name string) bool {
	at := make([]bool, len(p)+1)
	at[0] = true
	p.skip(at)
	for i := range len(name) {
		c, alive := name[i], false
		for j := len(p); j >= 0; j-- { // backwards: at[j+1] is not looked at again
			if !at[j] {
				continue
			}
			stay := j < len(p) && (p[j] == '*' || p[j] == '%' && c != delimiter)
			if j < len(p) && p[j] == c && p[j] != '*' && p[j] != '%' {
				at[j+1], alive = true, true
			}
			at[j], alive = stay, alive || stay
		}
		if !alive {
			return false
		}
		p.skip(at)
	}
	return at[len(p)]
}

// skip adds the places behind wildcards, which may stand for nothing.
func (p pattern) skip(at []bool) {
	for j := range len(p) {
		if at[j] && (p[j] == '*' || p[j] == '%') {
			at[j+1] = true
		}
	}
}
