package message

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// Scope is what of a message a search looks at (RFC 9051 §6.4.4).
type Scope int

// The scopes.
const (
	// BodyScope is the text of the message's parts, and headers only of messages
	// enclosed in it: SEARCH BODY.
	BodyScope Scope = iota
	// TextScope is that and all headers, those of parts included: SEARCH TEXT.
	TextScope
	// HeaderScope is the headers alone, those of the message and of its parts: what
	// TextScope has and BodyScope has not, and more.
	HeaderScope
)

// Decode reads a part's body with its transfer encoding undone (RFC 3516). It fails
// with ErrUnknownCTE when the encoding is not known. A part without an encoding that
// can be undone is read as it is; so is a multipart.
func (m *Message) Decode(p *Part) (io.Reader, error) {
	c := p.encoding()
	switch {
	case c == unknownCoding:
		return nil, ErrUnknownCTE
	case c == identity, p.Multipart():
		return m.read(p.Body, p.End), nil
	}
	return &pipeReader{r: m.read(p.Body, p.End), p: newPipe(c.stage())}, nil
}

// Text reads the text of a part of type text: UTF-8, of HTML without the tags.
func (m *Message) Text(p *Part) io.Reader {
	return &pipeReader{r: m.read(p.Body, p.End), p: newPipe(p.textStages()...)}
}

func (m *Message) read(from, to int64) io.Reader {
	return io.NewSectionReader(m.r, from, to-from)
}

// pipeReader reads what comes out of a pipe.
type pipeReader struct {
	r    io.Reader
	p    *pipe
	buf  []byte
	rest []byte
	err  error
}

// Read implements io.Reader.
func (r *pipeReader) Read(b []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if r.buf == nil {
			r.buf = make([]byte, pieceSize)
		}
		n, err := r.r.Read(r.buf)
		r.err = err
		switch {
		case n > 0:
			r.rest = r.p.decode(r.buf[:n])
			if errors.Is(err, io.EOF) {
				r.rest = append(bytes.Clone(r.rest), r.p.finish()...)
			}
		case errors.Is(err, io.EOF):
			r.rest = r.p.finish()
		}
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// separator stands between texts that do not belong together: a search finds nothing
// that crosses it.
const separator = "\x00"

// WriteFolded writes the folded text (see Fold) of what the scope says, with a zero
// byte after each text of its own: a header field, a part. It stops at an error of w.
func (m *Message) WriteFolded(w io.Writer, scope Scope) error {
	return m.walk(w, scope, m.root, nil)
}

// Contains tells for each of the needles whether the scope has it, folded, as a
// substring. It reads no more than it needs to know.
func (m *Message) Contains(scope Scope, needles ...string) ([]bool, error) {
	x := NewMatcher(needles...)
	if err := m.WriteFolded(x, scope); err != nil && !errors.Is(err, errMatched) {
		return nil, err
	}
	return x.Found(), nil
}

// walk writes the text of a part and those below it. around is the one it is in.
func (m *Message) walk(w io.Writer, scope Scope, p, around *Part) error {
	if m.opaque(p) {
		return m.writeBeyond(w, scope, p, around)
	}
	if scope != BodyScope {
		if err := m.writeHeader(w, p); err != nil {
			return err
		}
	}
	switch {
	case p.Message != nil && !p.encoding().identity():
		return m.writeEncoded(w, scope, p)
	case p.Message != nil:
		if scope == BodyScope {
			if err := m.writeHeader(w, p.Message); err != nil {
				return err
			}
		}
		return m.walk(w, scope, p.Message, p)
	case p.Multipart():
		for _, q := range p.Parts {
			if err := m.walk(w, scope, q, p); err != nil {
				return err
			}
		}
		return nil
	case scope == HeaderScope:
		return nil
	case p.is("text"), p.is("message"):
		stages := append(p.textStages(), &foldStage{})
		if err := newPipe(stages...).copy(w, m.read(p.Body, p.End)); err != nil {
			return err
		}
		_, err := io.WriteString(w, separator)
		return err
	}
	return nil
}

// writeHeader writes the fields of a part's header, and its file name, which the
// header may have encoded.
func (m *Message) writeHeader(w io.Writer, p *Part) error {
	err := m.eachField(p, func(name, value []byte) error { return writeField(w, name, value) })
	if err != nil {
		return err
	}
	return writeFileName(w, p)
}

func writeField(w io.Writer, name, value []byte) error {
	line := DecodeHeader(value)
	if len(name) > 0 {
		line = string(name) + ": " + line
	}
	_, err := io.WriteString(w, Fold(line)+separator)
	return err
}

func writeFileName(w io.Writer, p *Part) error {
	name := p.FileName()
	if name == "" {
		return nil
	}
	_, err := io.WriteString(w, Fold(name)+separator)
	return err
}

// Fields are the decoded values of the message's own header fields of that name, in
// their order: what SEARCH HEADER looks at. Of a field without a value there is an
// empty one.
func (m *Message) Fields(name string) (values []string, err error) {
	budget := maxHeader
	err = m.eachField(m.root, func(n, value []byte) error {
		if strings.EqualFold(name, string(n)) && budget > 0 {
			budget -= len(value)
			values = append(values, DecodeHeader(value))
		}
		return nil
	})
	return values, err
}

// eachField calls f with name and unfolded value of each field of a part's header. A
// field longer than maxField comes in pieces. A line that is no field has no name.
func (m *Message) eachField(p *Part, f func(name, value []byte) error) error {
	return readFields(newLineReader(m.read(p.Header, p.Body)).next, f)
}

// readFields is eachField for lines that next reads, up to an empty one.
func readFields(next func() (piece []byte, first bool, err error), f func(name, value []byte) error) error {
	var name, value []byte
	open := false
	flush := func() error {
		if !open {
			return nil
		}
		open = false
		return f(name, bytes.TrimSpace(value))
	}
	for {
		line, first, err := next()
		if errors.Is(err, io.EOF) {
			return flush()
		}
		if err != nil {
			return err
		}
		text := trimEnd(line)
		if first && len(text) == 0 {
			return flush()
		}
		begins := first && line[0] != ' ' && line[0] != '\t'
		if begins || len(value)+len(text) > maxField {
			if err := flush(); err != nil {
				return err
			}
			value, open = value[:0], true
		}
		if begins {
			n, v, ok := bytes.Cut(text, []byte(":"))
			if !ok {
				n, v = nil, text
			}
			name, text = append(name[:0], bytes.TrimRight(n, " \t")...), v
		}
		value = append(value, text...)
	}
}
