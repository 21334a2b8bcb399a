package recode

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"mailfleet/mailnode/message"
)

// region is a range of the message that is looked at as a whole, which follows the one
// before it.
type region struct {
	size  int64
	kind  kind
	part  *message.Part
	whole bool // the part is a message, not one of a multipart
	facts facts
	head  head // of a header
}

// kind is what a region is.
type kind int

const (
	header kind = iota
	leaf        // the body of a part that is encoded as one
	gap         // of a multipart what is in none of its parts
	sealed      // what must not be changed
)

// facts are what is known of a region's bytes.
type facts struct {
	size    int64
	high    int64 // bytes that are not ASCII
	escapes int64 // bytes that quoted-printable escapes
	bare    bool  // NUL, or CR or LF alone
	alone   bool  // the latter
	long    bool  // a line of more than 998 bytes
	utf8    bool  // all of it is UTF-8
}

// lineLimit is how long a line may be (RFC 5321 §4.5.3.1.6).
const lineLimit = 998

// fits tells whether the bytes can stand as they are.
func (f *facts) fits(form Form) bool { return !f.bare && (form == EightBit || f.high == 0) }

// regions cuts a message into its regions.
func regions(root *message.Part) []region {
	var list []region
	at := root.Header
	add := func(to int64, r region) {
		r.size, at = to-at, to
		list = append(list, r)
	}
	var walk func(p *message.Part, whole bool)
	walk = func(p *message.Part, whole bool) {
		add(p.Body, region{kind: header, part: p, whole: whole})
		switch {
		case closed(p):
			add(p.End, region{kind: sealed, part: p})
		case p.Message != nil && is(p, "message", "rfc822") && p.Message.End == p.End:
			walk(p.Message, true)
			add(p.End, region{kind: gap, part: p})
		case len(p.Parts) == 0:
			add(p.End, region{kind: leaf, part: p})
		case len(p.Parts) == 1 && p.Parts[0].Header == p.Parts[0].Body: // one without parts
			add(p.End, region{kind: sealed, part: p})
		default:
			for _, q := range p.Parts {
				add(q.Header, region{kind: gap, part: p})
				walk(q, false)
			}
			add(p.End, region{kind: gap, part: p})
		}
	}
	walk(root, true)
	return list
}

func is(p *message.Part, kind, subkind string) bool {
	return strings.EqualFold(p.Type, kind) && (subkind == "" || strings.EqualFold(p.Subtype, subkind))
}

// closed tells parts of which nothing inside may be changed.
func closed(p *message.Part) bool {
	return is(p, "multipart", "signed") || is(p, "multipart", "encrypted")
}

// head is what is known of a header.
type head struct {
	encodings []span // the fields Content-Transfer-Encoding
	dropped   []span
	end       int64  // where a field can be added; -1 for nowhere
	main      string // main type that the header names, in lower case; "" for none
	version   bool   // it has MIME-Version
	many      bool   // more of such fields than are remembered
}

// spansMost is how many fields of a header are remembered.
const spansMost = 100

// remember adds a field to some.
func (h *head) remember(list *[]span, s span) {
	if len(*list) == spansMost {
		h.many = true
		return
	}
	*list = append(*list, s)
}

// span is a range of a region.
type span struct{ from, to int64 }

// survey looks at all bytes of the regions.
func survey(r io.Reader, list []region, drop func(name string, value []byte) bool) error {
	in := bufio.NewReaderSize(r, readRoom)
	lines := bufio.NewReaderSize(nil, readRoom)
	for i := range list {
		g := &list[i]
		var err error
		if g.kind == header {
			lines.Reset(io.LimitReader(in, g.size))
			err = g.readHeader(lines, drop)
		} else {
			err = g.facts.read(in, g.size)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// read looks at the next n bytes.
func (f *facts) read(r *bufio.Reader, n int64) error {
	l := look{facts: facts{utf8: true}}
	for n > 0 {
		if _, err := r.Peek(1); err != nil {
			return unexpected(err)
		}
		b, _ := r.Peek(int(min(n, int64(r.Buffered())))) // they are there
		l.write(b)
		n -= int64(len(b))
		_, _ = r.Discard(len(b))
	}
	*f = l.end()
	return nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// look makes facts of bytes as they pass.
type look struct {
	facts
	cr     bool
	column int
	cut    []byte // a character of UTF-8 that is not complete
}

func (l *look) write(b []byte) {
	l.size += int64(len(b))
	for _, c := range b {
		if l.cr != (c == '\n') { // one of them is alone
			l.bare, l.alone = true, true
			l.escapes++
		}
		l.cr = c == '\r'
		l.column++
		switch {
		case c == '\n':
			l.long = l.long || l.column > lineLimit+2
			l.column = 0
		case c >= 0x80:
			l.high++
			l.escapes++
		case c == 0:
			l.bare = true
			l.escapes++
		case c == '=', c < ' ' && c != '\r' && c != '\t', c == 0x7f:
			l.escapes++
		}
	}
	l.valid(b)
}

// valid looks whether it is UTF-8.
func (l *look) valid(b []byte) {
	if !l.utf8 {
		return
	}
	if len(l.cut) > 0 {
		n := min(utf8.UTFMax-len(l.cut), len(b))
		joined := append(l.cut, b[:n]...)
		if !utf8.FullRune(joined) {
			l.cut = joined
			return
		}
		_, size := utf8.DecodeRune(joined)
		l.utf8 = size > len(l.cut) // else it is the error's one byte
		b = b[max(size-len(l.cut), 0):]
		l.cut = nil
	}
	end := len(b)
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-i:]) {
				end = len(b) - i
			}
			break
		}
	}
	l.utf8 = l.utf8 && utf8.Valid(b[:end])
	l.cut = append(l.cut, b[end:]...)
}

func (l *look) end() facts {
	l.bare, l.alone = l.bare || l.cr, l.alone || l.cr
	l.long = l.long || l.column > lineLimit
	l.utf8 = l.utf8 && len(l.cut) == 0
	return l.facts
}
