package message

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// token is a value up to white space, a comment or a semicolon.
func token(v []byte) string {
	v = skipComments(v)
	if i := bytes.IndexAny(v, " \t\r\n(;"); i >= 0 {
		v = v[:i]
	}
	return string(bytes.Trim(v, `"`))
}

// skipComments moves over white space and comments.
func skipComments(v []byte) []byte {
	for {
		v = bytes.TrimLeft(v, " \t\r\n")
		if len(v) == 0 || v[0] != '(' {
			return v
		}
		depth, i := 0, 0
		for ; i < len(v); i++ {
			switch v[i] {
			case '\\':
				i++
			case '(':
				depth++
			case ')':
				depth--
			}
			if depth == 0 {
				break
			}
		}
		v = v[min(i+1, len(v)):]
	}
}

// parseContentType reads the value of Content-Type (RFC 2045 §5.1).
func parseContentType(v []byte) (typ, subtype string, params []Param, ok bool) {
	head, params := parseParams(v)
	typ, subtype, ok = strings.Cut(head, "/")
	typ, subtype = strings.TrimSpace(typ), strings.TrimSpace(subtype)
	if i := strings.IndexAny(subtype, " \t"); i >= 0 {
		subtype = subtype[:i] // the semicolon is missing
	}
	return typ, subtype, params, ok && typ != "" && subtype != ""
}

// parseLanguages reads the value of Content-Language (RFC 3282).
func parseLanguages(v []byte) (tags []string) {
	for part := range bytes.SplitSeq(v, []byte(",")) {
		if t := token(part); t != "" {
			tags = append(tags, t)
		}
	}
	return tags
}

// parseParams reads a value with parameters (RFC 2045 §5.1), malformed ones as far
// as their sense is clear. Continuations are put together.
func parseParams(v []byte) (head string, params []Param) {
	i := bytes.IndexByte(v, ';')
	if i < 0 {
		i = len(v)
	}
	head = strings.TrimSpace(string(skipComments(v[:i])))
	if j := strings.IndexByte(head, '('); j >= 0 {
		head = strings.TrimSpace(head[:j])
	}
	head = strings.Trim(head, `"`)
	continued := false
	for v = v[i:]; len(v) > 0; {
		v = skipComments(bytes.TrimLeft(v, "; \t\r\n"))
		i := bytes.IndexAny(v, "=;")
		if i < 0 {
			break
		}
		if v[i] == ';' {
			v = v[i:]
			continue
		}
		name := strings.TrimSpace(string(v[:i]))
		var val string
		val, v = paramValue(v[i+1:])
		if name == "" {
			continue
		}
		continued = continued || strings.Contains(name, "*")
		params = append(params, Param{Name: name, Value: val})
	}
	if continued {
		params = join(params)
	}
	return head, params
}

// paramValue reads a parameter's value, quoted or not. One without quotes may have
// blanks, as many programs write file names.
func paramValue(v []byte) (value string, rest []byte) {
	v = skipComments(v)
	if len(v) > 0 && v[0] == '"' {
		for i := 1; i < len(v); i++ {
			switch v[i] {
			case '\\':
				i++
			case '"':
				value = string(unescape(nil, v[1:i]))
				rest = v[i+1:]
				if j := bytes.IndexByte(rest, ';'); j >= 0 {
					return value, rest[j:]
				}
				return value, nil
			}
		}
		v = v[1:] // the quote does not end
	}
	if i := bytes.IndexByte(v, ';'); i >= 0 {
		v, rest = v[:i], v[i:]
	}
	if i := bytes.Index(v, []byte(" (")); i >= 0 {
		v = v[:i]
	}
	return string(bytes.TrimSpace(v)), rest
}

// section is one of a parameter's sections (RFC 2231 §3).
type section struct {
	order   int // of the parameter among the others
	number  int
	encoded bool
	value   string
}

// join puts continued parameters together (RFC 2231 §3, §4.1). The name of one that
// is encoded keeps a star.
func join(params []Param) []Param {
	var out []Param
	var sections []section
	index := map[string]int{}
	for _, q := range params {
		base, star, ok := strings.Cut(q.Name, "*")
		number, encoded := strings.CutSuffix(star, "*")
		n, err := strconv.Atoi(number)
		if !ok || err != nil || n < 0 || base == "" {
			out = append(out, q)
			continue
		}
		at, ok := index[strings.ToLower(base)]
		if !ok {
			at = len(out)
			index[strings.ToLower(base)] = at
			out = append(out, Param{Name: base})
		}
		sections = append(sections, section{at, n, encoded, q.Value})
	}
	slices.SortStableFunc(sections, func(a, b section) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.number, b.number))
	})
	for len(sections) > 0 {
		n := 1
		for n < len(sections) && sections[n].order == sections[0].order {
			n++
		}
		q := &out[sections[0].order]
		q.Value = joinSections(sections[:n])
		if sections[0].encoded {
			q.Name += "*"
		}
		sections = sections[n:]
	}
	return out
}

// joinSections is the value of one parameter's sections. When the first is encoded
// the whole is, and what was not is made so.
func joinSections(sections []section) string {
	var b strings.Builder
	for i, s := range sections {
		if i > 0 && s.number == sections[i-1].number {
			continue
		}
		if sections[0].encoded && !s.encoded {
			s.value = percent(s.value)
		}
		b.WriteString(s.value)
	}
	return b.String()
}

// percent encodes a value as RFC 2231 §7 wants it.
func percent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("*'%()<>@,;:\\\"/[]?=", c) >= 0 {
			const digits = "0123456789ABCDEF"
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
