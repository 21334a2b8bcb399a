package wire

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// class says in which tokens a byte may stand (RFC 9051 §9).
type class byte

const (
	atomChar class = 1 << iota
	astringChar
	listChar
	tagChar
)

var classes = func() (t [256]class) {
	for c := range t {
		if c <= ' ' || c == 0x7f || strings.IndexByte(`(){%*"\]`, byte(c)) >= 0 {
			continue
		}
		t[c] = atomChar | astringChar | listChar
		if c < 0x80 && c != '+' {
			t[c] |= tagChar
		}
	}
	t[']'] = astringChar | listChar | tagChar
	t['%'], t['*'] = listChar, listChar
	return t
}()

// token reads bytes of a class, at least one.
func (r *Reader) token(in class, what string) (string, error) {
	var kept []byte // what was in buffers before this one
	for {
		if _, err := r.peek(); err != nil {
			return "", err
		}
		n := r.pos
		for n < len(r.buf) && classes[r.buf[n]]&in != 0 {
			n++
		}
		part := r.buf[r.pos:n]
		r.pos = n
		if r.line += len(part); r.line > r.Limits.Line {
			return "", errLine
		}
		if n < len(r.buf) {
			if len(part)+len(kept) == 0 {
				return "", r.missing(what)
			}
			if err := r.remember(len(part) + len(kept)); err != nil {
				return "", err
			}
			if kept == nil {
				return string(part), nil
			}
			return string(append(kept, part...)), nil
		}
		kept = append(kept, part...)
	}
}

func (r *Reader) missing(what string) error {
	if r.AtEnd() {
		return errEndOfCommand
	}
	return Bad("%s is missing", what)
}

// Tag reads the tag of a command.
func (r *Reader) Tag() (string, error) { return r.token(tagChar, "a tag") }

// Atom reads an atom.
func (r *Reader) Atom() (string, error) { return r.token(atomChar, "an atom") }

// Word reads an atom whose case does not matter and returns it in upper case.
func (r *Reader) Word() (string, error) {
	s, err := r.Atom()
	return strings.ToUpper(s), err
}

// AString reads an atom or a string.
func (r *Reader) AString() (string, error) {
	if r.isString() {
		return r.String()
	}
	return r.token(astringChar, "an argument")
}

// isString reports whether a string (quoted or literal) comes next.
func (r *Reader) isString() bool { return r.Is('"') || r.Is('{') || r.IsTwo('~', '{') }

// String reads a quoted string or a literal.
func (r *Reader) String() (string, error) {
	if !r.Is('"') {
		if r.Is('{') || r.IsTwo('~', '{') {
			return r.literalString()
		}
		return "", r.missing("a string")
	}
	return r.quoted()
}

func (r *Reader) quoted() (string, error) {
	if err := r.Want('"'); err != nil {
		return "", err
	}
	var b []byte
	for {
		c, err := r.next()
		if err != nil {
			return "", err
		}
		switch c {
		case '"':
			if !utf8.Valid(b) {
				return "", Bad("a quoted string is not UTF-8")
			}
			return string(b), r.remember(len(b))
		case '\\':
			if c, err = r.next(); err != nil {
				return "", err
			}
			if c != '"' && c != '\\' {
				return "", Bad(`only " and \ may be quoted in a string`)
			}
		case 0, '\r':
			return "", Bad("a quoted string is not closed")
		case '\n':
			r.ended = true
			return "", Bad("a quoted string is not closed")
		}
		b = append(b, c)
	}
}

// NString reads a string or NIL; ok is false for NIL.
func (r *Reader) NString() (s string, ok bool, err error) {
	if r.isString() {
		s, err = r.String()
		return s, true, err
	}
	word, err := r.Word()
	if err != nil {
		return "", false, err
	}
	if word != "NIL" {
		return "", false, Bad("a string or NIL is missing")
	}
	return "", false, nil
}

// ListMailbox reads a mailbox pattern.
func (r *Reader) ListMailbox() (string, error) {
	if r.isString() {
		return r.String()
	}
	return r.token(listChar, "a mailbox pattern")
}

// Number reads a number of 32 bits.
func (r *Reader) Number() (uint32, error) {
	n, err := r.number(32)
	return uint32(n), err
}

// Number64 reads a number of 63 bits (RFC 9051 §4.2.1).
func (r *Reader) Number64() (uint64, error) { return r.number(63) }

func (r *Reader) number(bits int) (uint64, error) {
	var digits [20]byte
	n := 0
	for {
		c, err := r.peek()
		if err != nil {
			return 0, err
		}
		if c < '0' || c > '9' {
			break
		}
		if n == len(digits) {
			return 0, Bad("a number is out of range")
		}
		digits[n] = c
		n++
		if err := r.use(); err != nil {
			return 0, err
		}
	}
	if n == 0 {
		return 0, r.missing("a number")
	}
	v, err := strconv.ParseUint(string(digits[:n]), 10, bits)
	if err != nil {
		return 0, Bad("a number is out of range")
	}
	return v, nil
}

// List reads a parenthesised list, whose members item reads.
func (r *Reader) List(item func() error) error {
	if err := r.Want('('); err != nil {
		return err
	}
	if r.Take(')') {
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		if r.Take(')') {
			return nil
		}
		if err := r.Space(); err != nil {
			return err
		}
	}
}

// OneOrList reads one item, or a list of items.
func (r *Reader) OneOrList(item func() error) error {
	if r.Is('(') {
		return r.List(item)
	}
	return item()
}

// maxFlags bounds the flags of one command.
const maxFlags = 1000

// Flag reads a flag or keyword.
func (r *Reader) Flag() (string, error) {
	system := r.Take('\\')
	name, err := r.Atom()
	if err != nil {
		return "", err
	}
	if system {
		return `\` + name, nil
	}
	return name, nil
}

// Flags reads a list of flags; without parentheses too where bare is set.
func (r *Reader) Flags(bare bool) (flags []string, err error) {
	item := func() error {
		f, err := r.Flag()
		if err != nil {
			return err
		}
		if len(flags) == maxFlags {
			return errMemory
		}
		flags = append(flags, f)
		return nil
	}
	if !bare || r.Is('(') {
		return flags, r.List(item)
	}
	for {
		if err := item(); err != nil {
			return nil, err
		}
		if !r.Take(' ') {
			return flags, nil
		}
	}
}

func appendNumber(b *strings.Builder, n uint64) {
	var digits [20]byte
	b.Write(strconv.AppendUint(digits[:0], n, 10))
}
