package message

import (
	"bytes"
	"io"
	"sync"
)

// Parser makes a message's digest from its bytes as they pass: it is an io.Writer
// that never fails. It keeps what the digest keeps, the header being read and the
// beginning of the message's text, never the message.
type Parser struct {
	off   int64 // offset of the first byte not yet consumed
	lines int64 // line ends before off
	state state
	carry []byte // beginning of a line that cannot be judged yet
	nl    [2]byte
	hold  int // bytes of nl: a line end before off that may belong to a delimiter

	open   []*frame // the parts being read, the message first
	parts  int
	fields fields

	scratch    []byte
	references []byte   // the message's References
	text, html *capture // previews of its first texts; nil when it has none
}

type state int

const (
	inHeader state = iota
	inField        // within a line of a header of which the beginning was judged
	inBody         // at the beginning of a line of a body
	inLine         // within a line of a body
	inSkip         // in the rest of a delimiter's line
)

// judged is how many bytes of a line decide what it is: a delimiter, or a field.
const judged = 2 + maxBoundary + 2 + 64

// maxBoundary is the longest boundary taken for one; RFC 2046 §5.1.1 allows 70.
const maxBoundary = 256

// frame is a part being read.
type frame struct {
	part     *Part
	boundary []byte // of a multipart until its end; nil otherwise
	sink     sink   // what counts a leaf's decoded bytes
	leaf     bool
	begun    bool      // the line of the delimiter before it has ended
	envelope *Envelope // of a message
	digest   bool      // a multipart/digest: parts are messages by default (RFC 2046 §5.1.5)
	opaque   bool      // the limit of parts was met within it
	lines    int64     // line ends before Body
}

// NewParser is a parser at the beginning of a message.
func NewParser() *Parser {
	p := &Parser{fields: fields{budget: maxHeader}}
	p.beginMessage()
	return p
}

// Parse reads a message to its end. It fails only when r does.
func Parse(r io.Reader) (*Digest, error) {
	p := NewParser()
	room := readRooms.Get().(*[readRoom]byte) // the pool holds nothing else
	defer readRooms.Put(room)
	if _, err := io.CopyBuffer(p, r, room[:]); err != nil {
		return nil, err
	}
	return p.Digest(), nil
}

// readRoom is how much of a message is read at once.
const readRoom = 32 << 10

var readRooms = sync.Pool{New: func() any { return new([readRoom]byte) }}

// Write takes the message's next bytes. It always takes them all.
func (p *Parser) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		switch p.state {
		case inHeader:
			rest = p.start(rest, p.headerLine)
		case inField:
			line, more := cutLine(rest)
			p.fields.add(line)
			p.pass(line, inField, inHeader)
			rest = more
		case inBody:
			rest = p.body(rest)
		case inLine:
			rest = p.block(rest)
		case inSkip:
			line, more := cutLine(rest)
			p.skip(line)
			rest = more
		}
	}
	return len(b), nil
}

// cutLine splits off the first line with its end, or what there is of it.
func cutLine(b []byte) (line, rest []byte) {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i+1], b[i+1:]
	}
	return b, nil
}

// trimEnd removes the line end.
func trimEnd(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
		if n > 1 && line[n-2] == '\r' {
			line = line[:n-2]
		}
	}
	return line
}

// pass moves over a part of a line; when that ends the line, the state is ended.
func (p *Parser) pass(line []byte, within, ended state) {
	p.off += int64(len(line))
	if line[len(line)-1] == '\n' {
		p.lines++
		p.state = ended
	} else {
		p.state = within
	}
}

// start collects the beginning of a line until judge can tell what it is. judge gets
// the line, or as much of it as matters, and consumes it.
func (p *Parser) start(b []byte, judge func(line []byte)) (rest []byte) {
	if len(p.carry) == 0 {
		line, rest := cutLine(b)
		if line[len(line)-1] == '\n' || len(line) >= judged {
			judge(line)
			return rest
		}
	}
	want := min(judged-len(p.carry), len(b))
	if i := bytes.IndexByte(b[:want], '\n'); i >= 0 {
		want = i + 1
	}
	p.carry = append(p.carry, b[:want]...)
	if n := len(p.carry); n >= judged || p.carry[n-1] == '\n' {
		line := p.carry
		p.carry = p.carry[:0]
		judge(line)
	}
	return b[want:]
}

// headerLine takes a line of a header, from its beginning.
func (p *Parser) headerLine(line []byte) {
	if line[0] == '\n' || line[0] == '\r' && len(line) == 2 && line[1] == '\n' {
		p.pass(line, inBody, inBody)
		p.endHeader()
		return
	}
	if p.delimiter(line) {
		return
	}
	if line[0] == ' ' || line[0] == '\t' {
		p.fields.unfold()
		p.fields.add(blank)
		p.fields.add(line[1:])
	} else {
		p.fields.begin(line)
	}
	p.pass(line, inField, inHeader)
}

// blank is what a line begins with that continues a field: a tab there is for show.
var blank = []byte(" ")

// body takes a body from the beginning of a line.
func (p *Parser) body(b []byte) (rest []byte) {
	if len(p.carry) == 0 && (b[0] != '-' || len(b) > 1 && b[1] != '-') {
		p.state = inLine
		return b
	}
	return p.start(b, func(line []byte) {
		if !p.delimiter(line) {
			p.state = inLine
			p.block(line)
		}
	})
}

var delimiterLine = []byte("\n--")

// block takes a body up to the next line that may be a delimiter.
func (p *Parser) block(b []byte) (rest []byte) {
	n := len(b)
	if i := bytes.Index(b, delimiterLine); i >= 0 {
		n = i + 1
		p.state = inBody
	} else if i := bytes.LastIndexByte(b, '\n'); i >= 0 && len(b)-i <= 2 && (len(b)-i == 1 || b[len(b)-1] == '-') {
		n = i + 1
		p.state = inBody
	}
	block := b[:n]
	p.off += int64(n)
	p.lines += int64(bytes.Count(block, delimiterLine[:1]))
	p.feed(block)
	return b[n:]
}

// feed gives a leaf its bytes. A line end is held back: before a delimiter it is
// the delimiter's (RFC 2046 §5.1.1).
func (p *Parser) feed(block []byte) {
	end := len(block)
	if block[end-1] == '\n' {
		end--
	}
	if end > 0 && block[end-1] == '\r' {
		end--
	}
	top := p.open[len(p.open)-1]
	if end == 0 && p.hold == 1 && p.nl[0] == '\r' && block[0] == '\n' {
		p.nl[1], p.hold = '\n', 2
		return
	}
	if top.leaf {
		top.sink.write(p.nl[:p.hold])
		top.sink.write(block[:end])
	}
	p.hold = copy(p.nl[:], block[end:])
}

// delimiter looks whether a line delimits an open multipart's parts (RFC 2046
// §5.1.1), and if so ends parts, begins one, and consumes what it was given of the
// line.
func (p *Parser) delimiter(line []byte) bool {
	if len(line) < 3 || line[0] != '-' || line[1] != '-' {
		return false
	}
	level, last := p.match(bytes.TrimRight(line[2:], " \t\r\n"))
	if level < 0 {
		return false
	}
	f := p.open[level]
	if f.opaque && !last {
		return false // the rest of the multipart is one part
	}
	p.close(level + 1)
	switch {
	case last:
		f.boundary = nil
	case p.parts < MaxParts:
		p.begin(f.digest)
	default:
		f.opaque = true
		p.beginOpaque()
	}
	p.skip(line)
	return true
}

// match finds the innermost open multipart whose boundary the text is, and whether
// the text ends it. Only the whole line counts: a boundary that begins like an
// enclosing one must not end it when it is itself not known.
func (p *Parser) match(text []byte) (level int, last bool) {
	for i := len(p.open) - 1; i >= 0; i-- {
		b := p.open[i].boundary
		if b == nil || !bytes.HasPrefix(text, b) {
			continue
		}
		switch rest := text[len(b):]; {
		case len(rest) == 0:
			return i, false
		case string(rest) == "--":
			return i, true
		}
	}
	return -1, false
}

// skip moves over a delimiter's line. What follows it begins a part, or continues
// the multipart.
func (p *Parser) skip(line []byte) {
	p.pass(line, inSkip, inBody)
	p.hold = 0
	top := p.open[len(p.open)-1]
	if !top.begun {
		top.part.Header, top.part.Body = p.off, p.off
		top.lines = p.lines
		if p.state == inBody {
			top.begun = true
			if !top.leaf {
				p.state = inHeader
			}
		}
	}
}

// close ends the parts from a level on, before the line end that is held back.
func (p *Parser) close(level int) {
	end, lines := p.off-int64(p.hold), p.lines
	if p.hold > 0 {
		lines--
	}
	for _, f := range p.open[level:] {
		if p.state == inHeader && f == p.open[len(p.open)-1] {
			p.cutHeader(f) // by the delimiter
		}
		f.end(end, lines)
	}
	p.open = p.open[:level]
	p.hold = 0
}
