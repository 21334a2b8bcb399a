package message

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// Specifier is what of a part a section means (RFC 9051 §6.4.5.1).
type Specifier int

// The specifiers.
const (
	Entire Specifier = iota // BODY[] or the part's body
	Header
	HeaderFields
	HeaderFieldsNot
	Text
	MIME
)

// Section names bytes of a message, as BODY[…] does.
type Section struct {
	Path      []int // part numbers; none for the message
	Specifier Specifier
	Fields    []string // names, of HeaderFields and HeaderFieldsNot
}

// Errors of sections.
var (
	// ErrNoSection says that the message has no such part, or that the part has no
	// header or text of that kind.
	ErrNoSection = errors.New("message: there is no such section")
	// ErrUnknownCTE says that a part's transfer encoding is not known, so that it
	// cannot be decoded (RFC 3516 §4.3 UNKNOWN-CTE).
	ErrUnknownCTE = errors.New("message: the part's transfer encoding is not known")
)

// Message is a message's bytes with its structure.
type Message struct {
	r    io.ReaderAt
	root *Part
}

// Open joins bytes and structure of a message.
func Open(r io.ReaderAt, structure *Part) *Message { return &Message{r: r, root: structure} }

// span is a range of a message's bytes.
type span struct{ from, to int64 }

// Extract is a sequence of a message's bytes, read when it is read.
type Extract struct {
	r     io.ReaderAt
	spans []span
	tail  string // what follows the spans
}

// Section finds the bytes that a section names. Only for HeaderFields and
// HeaderFieldsNot does it read any: those of the header.
func (m *Message) Section(s Section) (*Extract, error) {
	p := m.root.At(s.Path)
	if p == nil {
		return nil, ErrNoSection
	}
	x := &Extract{r: m.r}
	header := span{p.Header, p.Body}
	text := span{p.Body, p.End}
	if len(s.Path) > 0 && s.Specifier != Entire && s.Specifier != MIME {
		if p.Message == nil {
			return nil, ErrNoSection
		}
		header, text = span{p.Message.Header, p.Message.Body}, span{p.Message.Body, p.Message.End}
	}
	switch s.Specifier {
	case Entire:
		if len(s.Path) == 0 {
			text.from = p.Header
		}
		x.spans = []span{text}
	case Text:
		x.spans = []span{text}
	case Header:
		x.spans = []span{header}
	case MIME:
		if len(s.Path) == 0 {
			return nil, ErrNoSection
		}
		x.spans = []span{header}
	case HeaderFields, HeaderFieldsNot:
		f := fieldFilter{not: s.Specifier == HeaderFieldsNot, names: s.Fields, at: header.from}
		if err := f.read(io.NewSectionReader(m.r, header.from, header.to-header.from)); err != nil {
			return nil, err
		}
		x.spans = f.spans
		if !f.ended && !f.not {
			x.tail = "\r\n"
		}
	}
	return x, nil
}

// Size is how many bytes it has.
func (x *Extract) Size() int64 {
	n := int64(len(x.tail))
	for _, s := range x.spans {
		n += s.to - s.from
	}
	return n
}

// Partial is at most count of its bytes from an offset on: BODY[]<offset.count>.
func (x *Extract) Partial(offset, count int64) *Extract {
	out := &Extract{r: x.r}
	for _, s := range x.spans {
		skip := min(offset, s.to-s.from)
		offset -= skip
		s.from += skip
		s.to = min(s.to, s.from+count)
		if s.from < s.to {
			out.spans = append(out.spans, s)
			count -= s.to - s.from
		}
	}
	offset = min(offset, int64(len(x.tail)))
	out.tail = x.tail[offset:min(int64(len(x.tail)), offset+count)]
	return out
}

// Reader reads it from its beginning.
func (x *Extract) Reader() io.Reader {
	if len(x.spans) == 1 && x.tail == "" {
		return io.NewSectionReader(x.r, x.spans[0].from, x.spans[0].to-x.spans[0].from)
	}
	readers := make([]io.Reader, 0, len(x.spans)+1)
	for _, s := range x.spans {
		readers = append(readers, io.NewSectionReader(x.r, s.from, s.to-s.from))
	}
	return io.MultiReader(append(readers, strings.NewReader(x.tail))...)
}

// fieldFilter finds the fields of a header that are, or are not, named.
type fieldFilter struct {
	names []string
	not   bool
	at    int64 // offset of the next line
	spans []span
	keep  bool // the field that a continuation continues
	ended bool // the empty line was met
}

func (f *fieldFilter) read(r io.Reader) error {
	lines := newLineReader(r)
	for {
		line, first, err := lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if first {
			f.judge(line)
		}
		if f.keep {
			f.add(int64(len(line)))
		}
		f.at += int64(len(line))
	}
}

// judge looks whether the line that begins so is kept.
func (f *fieldFilter) judge(line []byte) {
	if len(trimEnd(line)) == 0 {
		f.keep, f.ended = true, true
		return
	}
	if line[0] == ' ' || line[0] == '\t' {
		return
	}
	name, _, ok := bytes.Cut(line, []byte(":"))
	f.keep = f.not
	if ok {
		name = bytes.TrimRight(name, " \t")
		for _, n := range f.names {
			if strings.EqualFold(n, string(name)) {
				f.keep = !f.not
			}
		}
	}
}

func (f *fieldFilter) add(n int64) {
	if last := len(f.spans) - 1; last >= 0 && f.spans[last].to == f.at {
		f.spans[last].to += n
		return
	}
	f.spans = append(f.spans, span{f.at, f.at + n})
}
