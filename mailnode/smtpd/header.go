package smtpd

import (
	"bytes"
	"slices"
	"strings"

	"mailfleet/mailnode/milter"
)

// maxHeader is how large a message's header may be. It is in memory as a whole.
const maxHeader = memorySpool

// maxHops is how many Received fields a message may have (RFC 5321 §6.3).
const maxHops = 100

// headerEnd is where a message's header ends: behind the last line that can belong to one,
// before the empty line or what else comes. It is len(mem) when all of mem is header.
func headerEnd(mem []byte) int {
	end := 0
	for end < len(mem) {
		line := mem[end:]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line = line[:i+1]
		}
		if !isFieldLine(line, end == 0) {
			break
		}
		end += len(line)
	}
	return end
}

// isFieldLine reports whether a line can belong to a header.
func isFieldLine(line []byte, first bool) bool {
	if line[0] == ' ' || line[0] == '\t' {
		return !first
	}
	colon := bytes.IndexByte(line[:min(len(line), 1000)], ':')
	if colon <= 0 {
		return false
	}
	return !slices.ContainsFunc(bytes.TrimRight(line[:colon], " \t"), func(c byte) bool { return c <= ' ' || c > '~' })
}

// field is one field of a header, as it came.
type field struct {
	name string // in lower case
	raw  []byte // with its line ends
}

// value is what is behind the colon, unfolded.
func (f *field) value() []byte {
	_, v, _ := bytes.Cut(f.raw, []byte(":"))
	return bytes.TrimSpace(bytes.ReplaceAll(v, crlf, nil))
}

// fieldsOf takes a header apart.
func fieldsOf(header []byte) []field {
	var list []field
	for len(header) > 0 {
		end := 0
		for {
			i := bytes.IndexByte(header[end:], '\n')
			if i < 0 {
				end = len(header)
				break
			}
			if end += i + 1; end == len(header) || header[end] != ' ' && header[end] != '\t' {
				break
			}
		}
		name, _, _ := bytes.Cut(header[:end], []byte(":"))
		list = append(list, field{strings.ToLower(string(bytes.TrimRight(name, " \t"))), header[:end]})
		header = header[end:]
	}
	return list
}

func join(list []field) []byte {
	var b []byte
	for _, f := range list {
		b = append(b, f.raw...)
	}
	return b
}

// count is how many fields of a name there are.
func count(list []field, name string) (n int) {
	for _, f := range list {
		if f.name == name {
			n++
		}
	}
	return n
}

// without removes the fields of a name that are chosen.
func without(list []field, name string, chosen func(*field) bool) []field {
	return slices.DeleteFunc(list, func(f field) bool { return f.name == name && chosen(&f) })
}

func every(*field) bool { return true }

// newField is a field of a filter's making: line ends in its value become folds, and
// nothing in it can begin another field.
func newField(name, value string) (field, bool) {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }) {
		return field{}, false
	}
	var b strings.Builder
	b.WriteString(name + ": ")
	lines := strings.FieldsFunc(value, func(r rune) bool { return r == '\r' || r == '\n' })
	for i, line := range lines {
		if i > 0 {
			b.WriteString("\r\n")
			if line[0] != ' ' && line[0] != '\t' {
				b.WriteByte('\t')
			}
		}
		b.WriteString(strings.ReplaceAll(line, "\x00", ""))
	}
	b.WriteString("\r\n")
	return field{strings.ToLower(name), []byte(b.String())}, true
}

// change does what a filter wants of a header.
func change(list []field, changes []milter.HeaderChange) []field {
	for _, c := range changes {
		f, ok := newField(c.Name, c.Value)
		if !ok {
			continue
		}
		switch c.Op {
		case milter.AppendField:
			list = append(list, f)
		case milter.InsertField:
			list = slices.Insert(list, min(max(c.Index, 0), len(list)), f)
		case milter.ReplaceField:
			list = replace(list, f, c.Index, c.Value == "")
		}
	}
	return list
}

// replace puts f in the place of the n-th of its name, or behind all when there are fewer.
func replace(list []field, f field, n int, remove bool) []field {
	for i := range list {
		if list[i].name != f.name {
			continue
		}
		if n--; n <= 0 {
			if remove {
				return slices.Delete(list, i, i+1)
			}
			list[i] = f
			return list
		}
	}
	if remove {
		return list
	}
	return append(list, f)
}
