package origin

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// field writes Authentication-Results (RFC 8601 §2.2).
func (v Verdict) field(id string) string {
	var b strings.Builder
	b.WriteString("Authentication-Results: " + id)
	method := func(name string, r Result, comment, reason string, props ...string) {
		b.WriteString(";\r\n\t" + name + "=" + string(r))
		if comment != "" {
			b.WriteString(" (" + comment + ")")
		}
		if reason != "" {
			b.WriteString(" reason=" + quote(reason))
		}
		for i := 0; i+1 < len(props); i += 2 {
			if props[i+1] != "" {
				b.WriteString(" " + props[i] + "=" + value(props[i+1]))
			}
		}
	}
	sender := "smtp.mailfrom"
	if v.SPF.Helo {
		sender = "smtp.helo"
	}
	method("spf", v.SPF.Result, "", v.SPF.Reason, sender, v.SPF.Sender)
	if len(v.DKIM) == 0 {
		method("dkim", None, "", "")
	}
	for _, k := range v.DKIM {
		method("dkim", k.Result, "", k.Reason, "header.d", k.Domain, "header.s", k.Selector, "header.a", k.Algorithm, "header.b", k.Start)
	}
	comment := ""
	if v.DMARC.Policy != "" {
		comment = "p=" + v.DMARC.Policy
	}
	method("dmarc", v.DMARC.Result, comment, v.DMARC.Reason, "header.from", v.DMARC.Domain)
	if v.ARC.Result != None {
		method("arc", v.ARC.Result, fmt.Sprintf("i=%d", v.ARC.Sets), v.ARC.Reason, "header.d", v.ARC.Domain)
	}
	b.WriteString("\r\n")
	return b.String()
}

// maxValue bounds what of the sender's words is repeated.
const maxValue = 320

// value writes a property's value as it is when it may stand so, else quoted.
func value(s string) string {
	local, domain, ok := cutLast(s, "@")
	if ok && isToken(domain) && isToken(local) && len(s) <= maxValue || !ok && isToken(s) && len(s) <= maxValue {
		return s
	}
	return quote(s)
}

// isToken tells whether s is a token (RFC 2045 §5.1).
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// quote writes a quoted string. What a header may not hold becomes a question mark.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	n := 0
	for _, r := range s {
		if n += utf8.RuneLen(max(r, 0)); n > maxValue {
			break
		}
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f || r == utf8.RuneError:
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// Forged tells whether a header field of a message from outside has to be removed: it
// is an Authentication-Results that says to be from this server (RFC 8601 §5), or that
// cannot be read, so that nobody knows how others would read it. name and value are
// those of the field, ids the names that results written here may have.
func Forged(name string, value []byte, ids ...string) bool {
	if !strings.EqualFold(strings.TrimRight(name, " \t"), "Authentication-Results") {
		return false
	}
	id, ok := authservID(value)
	if !ok {
		return true
	}
	for _, own := range ids {
		if strings.EqualFold(strings.TrimSuffix(id, "."), strings.TrimSuffix(own, ".")) {
			return true
		}
	}
	return false
}

// authservID reads the name at the beginning of a field's value.
func authservID(v []byte) (id string, ok bool) {
	s := string(v[:min(len(v), 2000)])
	if s, ok = skipComments(s); !ok || s == "" {
		return "", false
	}
	var b strings.Builder
	if s[0] == '"' {
		for s = s[1:]; s != ""; s = s[1:] {
			switch s[0] {
			case '"':
				return b.String(), true
			case '\\':
				if s = s[1:]; s == "" {
					return "", false
				}
			}
			b.WriteByte(s[0])
		}
		return "", false
	}
	for _, c := range []byte(s) {
		if strings.IndexByte(" \t\r\n;(", c) >= 0 {
			break
		}
		b.WriteByte(c)
	}
	return b.String(), b.Len() > 0
}

// skipComments takes white space and comments from the front (RFC 5322 §3.2.2).
func skipComments(s string) (string, bool) {
	depth := 0
	for s != "" {
		switch c := s[0]; {
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == '\\' && depth > 0:
			if s = s[1:]; s == "" {
				return "", false
			}
		case depth == 0 && strings.IndexByte(" \t\r\n", c) < 0:
			return s, true
		}
		s = s[1:]
	}
	return "", false
}
