package wire

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
)

// Items are the data items of a FETCH that have no arguments.
type Items uint32

// The data items (RFC 9051 §6.4.5, RFC 7162, RFC 8474, RFC 8514, RFC 8970).
const (
	ItemUID Items = 1 << iota
	ItemFlags
	ItemInternalDate
	ItemSize
	ItemEnvelope
	ItemBody // BODY without a section: the structure without extensions
	ItemBodyStructure
	ItemModSeq
	ItemEmailID
	ItemThreadID
	ItemSaveDate
	ItemPreview
	ItemPreviewLazy
)

var items = map[string]Items{
	"UID": ItemUID, "FLAGS": ItemFlags, "INTERNALDATE": ItemInternalDate, "RFC822.SIZE": ItemSize,
	"ENVELOPE": ItemEnvelope, "BODYSTRUCTURE": ItemBodyStructure, "MODSEQ": ItemModSeq,
	"EMAILID": ItemEmailID, "THREADID": ItemThreadID, "SAVEDATE": ItemSaveDate,
	"ALL":  ItemFlags | ItemInternalDate | ItemSize | ItemEnvelope,
	"FAST": ItemFlags | ItemInternalDate | ItemSize,
	"FULL": ItemFlags | ItemInternalDate | ItemSize | ItemEnvelope | ItemBody,
}

// Section is a data item that names a part of the message.
type Section struct {
	Name   string                           // as the response names it
	Body   *imap.FetchItemBodySection       // BODY[…] and RFC822…
	Binary *imap.FetchItemBinarySection     // BINARY[…]
	Size   *imap.FetchItemBinarySectionSize // BINARY.SIZE[…]
}

// Partial is a range of results (RFC 9394): from First to Last, counted from 1, or
// from -1 backwards for the last ones.
type Partial struct{ First, Last int64 }

// Fetch is what a FETCH asks for.
type Fetch struct {
	Items        Items
	Sections     []Section
	ChangedSince uint64 // RFC 7162 §3.1.4.1; 0 for none
	Vanished     bool   // RFC 7162 §3.2.6
	Partial      *Partial
}

// Marks reports whether the messages become \Seen.
func (f *Fetch) Marks() bool {
	return slices.ContainsFunc(f.Sections, func(s Section) bool {
		return s.Body != nil && !s.Body.Peek || s.Binary != nil && !s.Binary.Peek
	})
}

const (
	maxSections = 256
	maxPartPath = 128
	maxFields   = 1024
)

// Fetch reads what FETCH takes after its set, without modifiers.
func (r *Reader) Fetch() (*Fetch, error) {
	f := &Fetch{}
	return f, r.OneOrList(func() error { return r.fetchItem(f) })
}

// FetchModifiers reads the modifiers of FETCH, if there are any.
func (r *Reader) FetchModifiers(f *Fetch) error {
	if !r.Take(' ') {
		return nil
	}
	return r.List(func() error {
		word, err := r.Word()
		if err != nil {
			return err
		}
		switch word {
		case "CHANGEDSINCE":
			if err := r.Space(); err != nil {
				return err
			}
			f.ChangedSince, err = r.Number64()
			if err == nil && f.ChangedSince == 0 {
				err = Bad("CHANGEDSINCE takes a number from 1")
			}
			f.Items |= ItemModSeq
			return err
		case "VANISHED":
			f.Vanished = true
			return nil
		case "PARTIAL":
			if err := r.Space(); err != nil {
				return err
			}
			f.Partial, err = r.Partial()
			return err
		}
		return Bad("FETCH has no modifier %s", shorten(word))
	})
}

// Partial reads the range of a PARTIAL.
func (r *Reader) Partial() (*Partial, error) {
	back := r.Take('-')
	first, err := r.nonZero()
	if err != nil {
		return nil, err
	}
	if err := r.Want(':'); err != nil {
		return nil, err
	}
	if r.Take('-') != back {
		return nil, Bad("a PARTIAL counts from one end")
	}
	last, err := r.nonZero()
	if err != nil {
		return nil, err
	}
	p := &Partial{int64(min(first, last)), int64(max(first, last))}
	if back {
		p.First, p.Last = -p.First, -p.Last
	}
	return p, nil
}

func (r *Reader) nonZero() (uint32, error) {
	n, err := r.Number()
	if err == nil && n == 0 {
		err = Bad("a number must not be 0")
	}
	return n, err
}

func (r *Reader) fetchItem(f *Fetch) error {
	word, err := r.itemName()
	if err != nil {
		return err
	}
	if item, ok := items[word]; ok {
		f.Items |= item
		return nil
	}
	if len(f.Sections) == maxSections {
		return errMemory
	}
	switch word {
	case "PREVIEW":
		f.Items |= ItemPreview
		return r.previewModifiers(f)
	case "BODY":
		if !r.Is('[') {
			f.Items |= ItemBody
			return nil
		}
		return r.bodySection(f, false)
	case "BODY.PEEK":
		return r.bodySection(f, true)
	case "BINARY", "BINARY.PEEK", "BINARY.SIZE":
		return r.binarySection(f, word)
	case "RFC822":
		f.Sections = append(f.Sections, Section{Name: word, Body: &imap.FetchItemBodySection{}})
	case "RFC822.HEADER":
		f.Sections = append(f.Sections, Section{Name: word, Body: &imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader, Peek: true}})
	case "RFC822.TEXT":
		f.Sections = append(f.Sections, Section{Name: word, Body: &imap.FetchItemBodySection{Specifier: imap.PartSpecifierText}})
	default:
		return Bad("FETCH has no item %s", shorten(word))
	}
	return nil
}

// itemName reads the name of a data item: letters, digits and dots.
func (r *Reader) itemName() (string, error) {
	var b [24]byte
	n := 0
	for {
		c, err := r.peek()
		if err != nil {
			return "", err
		}
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != '.' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			break
		}
		if n == len(b) {
			return "", Bad("%s… is no item", b[:])
		}
		b[n] = c
		n++
		if err := r.use(); err != nil {
			return "", err
		}
	}
	if n == 0 {
		return "", r.missing("an item")
	}
	return string(b[:n]), nil
}

func (r *Reader) previewModifiers(f *Fetch) error {
	if !r.IsTwo(' ', '(') {
		return nil
	}
	if err := r.Space(); err != nil {
		return err
	}
	return r.List(func() error {
		word, err := r.Word()
		if err == nil && word != "LAZY" {
			err = Bad("PREVIEW has no modifier %s", shorten(word))
		}
		f.Items |= ItemPreviewLazy
		return err
	})
}

func (r *Reader) bodySection(f *Fetch, peek bool) error {
	s := &imap.FetchItemBodySection{Peek: peek}
	if err := r.Want('['); err != nil {
		return err
	}
	var name strings.Builder
	name.WriteString("BODY[")
	path, more, err := r.partPath(&name)
	if err != nil {
		return err
	}
	if s.Part = path; more {
		if err := r.specifier(s, &name); err != nil {
			return err
		}
	}
	if err := r.Want(']'); err != nil {
		return err
	}
	name.WriteByte(']')
	if s.Partial, err = r.partialBytes(&name); err != nil {
		return err
	}
	f.Sections = append(f.Sections, Section{Name: name.String(), Body: s})
	return r.remember(name.Len())
}

// partPath reads "1.2.3"; more reports whether a specifier follows.
func (r *Reader) partPath(name *strings.Builder) (path []int, more bool, err error) {
	for {
		c, err := r.peek()
		if err != nil {
			return nil, false, err
		}
		if c < '0' || c > '9' {
			if c == ']' && len(path) > 0 {
				return nil, false, Bad("a part number is missing")
			}
			return path, c != ']', nil
		}
		n, err := r.nonZero()
		if err != nil {
			return nil, false, err
		}
		if len(path) == maxPartPath {
			return nil, false, Bad("there is no part so deep")
		}
		if len(path) > 0 {
			name.WriteByte('.')
		}
		appendNumber(name, uint64(n))
		path = append(path, int(n))
		if !r.Take('.') {
			return path, false, nil
		}
	}
}

func (r *Reader) specifier(s *imap.FetchItemBodySection, name *strings.Builder) error {
	word, err := r.itemName()
	if err != nil {
		return err
	}
	if len(s.Part) > 0 {
		name.WriteByte('.')
	}
	name.WriteString(word)
	switch word {
	case "HEADER", "TEXT":
		s.Specifier = imap.PartSpecifier(word)
	case "MIME":
		if len(s.Part) == 0 {
			return Bad("MIME needs a part number")
		}
		s.Specifier = imap.PartSpecifierMIME
	case "HEADER.FIELDS", "HEADER.FIELDS.NOT":
		s.Specifier = imap.PartSpecifierHeader
		fields, err := r.headerFields(name)
		if err != nil {
			return err
		}
		if word == "HEADER.FIELDS" {
			s.HeaderFields = fields
		} else {
			s.HeaderFieldsNot = fields
		}
	default:
		return Bad("there is no section %s", shorten(word))
	}
	return nil
}

func (r *Reader) headerFields(name *strings.Builder) (fields []string, err error) {
	if err := r.Space(); err != nil {
		return nil, err
	}
	name.WriteString(" (")
	err = r.List(func() error {
		field, err := r.AString()
		if err != nil {
			return err
		}
		if len(fields) == maxFields {
			return errMemory
		}
		if field == "" || strings.ContainsFunc(field, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == ':' }) {
			return Bad("%q is not the name of a header field", shorten(field))
		}
		if len(fields) > 0 {
			name.WriteByte(' ')
		}
		if strings.ContainsAny(field, `(){%*"\]`) {
			name.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(field) + `"`)
		} else {
			name.WriteString(field)
		}
		fields = append(fields, field)
		return nil
	})
	name.WriteByte(')')
	if err == nil && len(fields) == 0 {
		err = Bad("a header field is missing")
	}
	return fields, err
}

// partialBytes reads "<0.100>"; the response names the first number only.
func (r *Reader) partialBytes(name *strings.Builder) (*imap.SectionPartial, error) {
	if !r.Take('<') {
		return nil, nil
	}
	offset, err := r.Number64()
	if err != nil {
		return nil, err
	}
	if err := r.Want('.'); err != nil {
		return nil, err
	}
	size, err := r.Number64()
	if err != nil {
		return nil, err
	}
	if size == 0 {
		return nil, Bad("a partial fetch takes a number from 1")
	}
	name.WriteByte('<')
	appendNumber(name, offset)
	name.WriteByte('>')
	return &imap.SectionPartial{Offset: int64(offset), Size: int64(size)}, r.Want('>')
}

func (r *Reader) binarySection(f *Fetch, word string) error {
	if err := r.Want('['); err != nil {
		return err
	}
	var name strings.Builder
	name.WriteString(strings.TrimSuffix(word, ".PEEK"))
	name.WriteByte('[')
	path, more, err := r.partPath(&name)
	if err != nil {
		return err
	}
	if more {
		return Bad("BINARY takes a part number")
	}
	if err := r.Want(']'); err != nil {
		return err
	}
	name.WriteByte(']')
	if word == "BINARY.SIZE" {
		f.Sections = append(f.Sections, Section{Name: name.String(), Size: &imap.FetchItemBinarySectionSize{Part: path}})
		return nil
	}
	partial, err := r.partialBytes(&name)
	if err != nil {
		return err
	}
	f.Sections = append(f.Sections, Section{Name: name.String(), Binary: &imap.FetchItemBinarySection{
		Part: path, Partial: partial, Peek: word == "BINARY.PEEK",
	}})
	return r.remember(name.Len())
}
