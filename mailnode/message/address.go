package message

import "bytes"

// ParseAddresses reads the value of an address field (RFC 5322 §3.4), obsolete and
// malformed forms included: it makes of it what it can, in linear time. It is nil
// when there is no address.
func ParseAddresses(value []byte) []Address {
	if len(bytes.TrimSpace(value)) == 0 {
		return nil
	}
	p := addressParser{in: value, out: make([]byte, 0, len(value)), at: -1, quoted: -1}
	for p.i < len(p.in) {
		p.step()
	}
	p.finish()
	if p.group {
		p.list = append(p.list, Address{})
	}
	return p.list
}

// addressParser goes over the bytes once. What it makes of them stands in out, which
// is as long as the value, so that addresses share it.
type addressParser struct {
	in   []byte
	i    int
	list []Address

	group     bool
	bracket   bool // the mailbox's address in brackets was read
	openQuote bool // the rest has a quote that does not end
	openParen bool // the same of a comment

	// The mailbox being read.
	out     []byte
	from    int    // where its words begin in out
	space   bool   // white space came before what is next
	at      int    // offset in out of the last @ outside quotes, -1 for none
	quoted  int    // offset in out of the last quoted word, -1 for none
	comment []byte // its last comment
}

func (p *addressParser) step() {
	switch c := p.in[p.i]; c {
	case ' ', '\t', '\r', '\n':
		p.space = true
		p.i++
	case ',':
		p.i++
		p.finish()
	case ';':
		p.i++
		p.finish()
		if p.group {
			p.group = false
			p.list = append(p.list, Address{})
		}
	case ':':
		p.i++
		if p.group || p.at >= 0 || p.from == len(p.out) {
			p.word([]byte{c})
			return
		}
		p.group = true
		p.list = append(p.list, Address{Mailbox: p.words()})
	case '<':
		p.i++
		p.angle()
	case '(':
		p.readComment()
	case '"':
		p.readQuoted()
	case '[':
		n := bytes.IndexAny(p.near(), "],;")
		if n < 0 || p.in[p.i+n] != ']' {
			n = 0
		}
		p.word(p.in[p.i : p.i+n+1])
		p.i += n + 1
	case '@':
		p.space = false
		p.at = len(p.out)
		p.word(p.in[p.i : p.i+1])
		p.i++
	default:
		n := bytes.IndexAny(p.in[p.i+1:], " \t\r\n,;:<>(\"[@")
		if n < 0 {
			n = len(p.in) - p.i - 1
		}
		p.word(p.in[p.i : p.i+1+n])
		p.i += 1 + n
	}
}

// word adds to the mailbox's words.
func (p *addressParser) word(b []byte) {
	if p.space && len(p.out) > p.from && p.out[len(p.out)-1] != '@' {
		p.out = append(p.out, ' ')
	}
	p.space = false
	p.out = append(p.out, b...)
}

// words takes the words, nil when there are none.
func (p *addressParser) words() []byte {
	w := p.cut(len(p.out))
	p.at, p.quoted, p.space = -1, -1, false
	return w
}

// cut takes the words up to an offset in out.
func (p *addressParser) cut(end int) []byte {
	w := p.out[p.from:end:end]
	p.from = end
	if len(w) == 0 {
		return nil
	}
	return w
}

// readQuoted reads a quoted string (RFC 5322 §3.2.4). A quote that does not end is
// left out.
func (p *addressParser) readQuoted() {
	p.i++
	if p.openQuote {
		return
	}
	end := p.i
	for end < len(p.in) && p.in[end] != '"' {
		if p.in[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(p.in) {
		p.openQuote = true
		return
	}
	p.word(nil)
	p.quoted = len(p.out)
	p.out = unescape(p.out, p.in[p.i:end])
	p.i = end + 1
}

// unescape appends the content of a quoted string or comment.
func unescape(dst, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+1 < len(b) {
			i++
		}
		dst = append(dst, b[i])
	}
	return dst
}

// readComment reads a comment (RFC 5322 §3.2.2). One that does not end is text.
func (p *addressParser) readComment() {
	end, depth := p.i, 0
	for ; end < len(p.in) && !p.openParen; end++ {
		switch p.in[end] {
		case '\\':
			end++
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth == 0 {
			break
		}
	}
	if p.openParen || end >= len(p.in) {
		p.openParen = true
		p.word(p.in[p.i : p.i+1])
		p.i++
		return
	}
	p.comment = p.in[p.i+1 : end]
	p.space = true
	p.i = end + 1
}

// angle reads an address in angle brackets, of which what came before is the name.
func (p *addressParser) angle() {
	a := Address{Name: p.words()}
	p.skipSpace()
	if p.i < len(p.in) && p.in[p.i] == '@' {
		if n := bytes.IndexAny(p.near(), ":>"); n >= 0 && p.in[p.i+n] == ':' {
			a.Route = bytes.Clone(p.in[p.i : p.i+n])
			p.i += n + 1
		}
	}
	for p.i < len(p.in) {
		c := p.in[p.i]
		if c == '>' {
			p.i++
			break
		}
		if c == '<' || c == ',' || c == ';' {
			break // the bracket does not end
		}
		if c == ':' {
			p.word(p.in[p.i : p.i+1])
			p.i++
			continue
		}
		p.step()
	}
	p.addrSpec(&a)
	p.add(a)
	p.bracket = true
}

// near is as much of the value as is looked at more than once.
func (p *addressParser) near() []byte { return p.in[p.i:min(p.i+512, len(p.in))] }

func (p *addressParser) skipSpace() {
	for p.i < len(p.in) && (p.in[p.i] == ' ' || p.in[p.i] == '\t') {
		p.i++
	}
}

// addrSpec makes local part and domain of the words.
func (p *addressParser) addrSpec(a *Address) {
	a.Mailbox, a.Host = []byte{}, []byte{}
	if p.at < 0 {
		if w := p.words(); w != nil {
			a.Mailbox = w
		}
		return
	}
	if local := bytes.TrimRight(p.cut(p.at), " "); len(local) > 0 {
		a.Mailbox = local
	}
	p.from++ // the @
	host, _, _ := bytes.Cut(dotted(p.cut(len(p.out))), []byte(" "))
	if host != nil {
		a.Host = host
	}
	p.words()
}

// dotted removes the blanks around dots, in place.
func dotted(b []byte) []byte {
	if !bytes.Contains(b, []byte(" .")) && !bytes.Contains(b, []byte(". ")) {
		return b
	}
	out := b[:0]
	for i, c := range b {
		if c == ' ' && (i+1 < len(b) && b[i+1] == '.' || len(out) > 0 && out[len(out)-1] == '.') {
			continue
		}
		out = append(out, c)
	}
	return out
}

// finish ends the mailbox at a comma or the end of the value.
func (p *addressParser) finish() {
	late := p.bracket && p.at < 0 // words after the brackets
	p.bracket = false
	if late || p.from == len(p.out) {
		p.words()
		p.comment = nil
		return
	}
	var a Address
	switch {
	case p.at >= 0:
		p.split(&a)
	case p.quoted >= 0, bytes.IndexByte(p.out[p.from:], ' ') >= 0:
		a.Name = p.words()
	}
	p.addrSpec(&a)
	p.add(a)
}

// split takes off the words before an address without brackets: its name.
func (p *addressParser) split(a *Address) {
	from := p.quoted
	if from < 0 || from > p.at {
		local := dotted(p.out[p.from:p.at])
		// What dotted removed leaves room between the local part and the @.
		copy(p.out[p.at-len(local):p.at], local)
		from = p.at - len(local)
		p.from = from
		if i := bytes.LastIndexByte(bytes.TrimRight(p.out[from:p.at], " "), ' '); i >= 0 {
			from += i + 1
		}
	}
	a.Name = bytes.TrimRight(p.cut(from), " ")
	if len(a.Name) == 0 {
		a.Name = nil
	}
}

// add adds an address; one without a name is called by its comment.
func (p *addressParser) add(a Address) {
	if a.Name == nil && p.comment != nil {
		a.Name = unescape(nil, p.comment)
	}
	p.comment = nil
	if len(a.Name)+len(a.Mailbox)+len(a.Host) > 0 {
		p.list = append(p.list, a)
	}
}
