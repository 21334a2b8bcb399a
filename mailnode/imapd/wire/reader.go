package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/emersion/go-imap/v2"
)

// Limits bound a command. They are checked before memory is taken.
type Limits struct {
	Line    int   // bytes outside literals
	Literal int64 // bytes of one literal that becomes an argument in memory
	Memory  int64 // bytes of all arguments in memory together
	Discard int64 // bytes of a refused command that are read and thrown away; a peer that sends more is left
}

// Error is why a command is not carried out: Type is BAD for what is not in the
// grammar and NO for what is over a limit.
type Error struct {
	Type imap.StatusResponseType
	Code imap.ResponseCode
	Text string
}

func (e *Error) Error() string { return "imap: " + e.Text }

// Bad returns the Error of a command that is not in the grammar.
func Bad(format string, args ...any) error {
	return &Error{Type: imap.StatusResponseTypeBad, Text: fmt.Sprintf(format, args...)}
}

// ErrFlood is a peer that sends more than is thrown away for it. The connection
// cannot be used any more.
var ErrFlood = errors.New("imap: the peer sends more than is read")

var (
	errEndOfCommand = Bad("the command ends too early")
	errLine         = &Error{Type: imap.StatusResponseTypeBad, Code: imap.ResponseCodeLimit, Text: "the command line is too long"}
	errLiteral      = &Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeTooBig, Text: "the literal is too large"}
	errMemory       = &Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeLimit, Text: "the command is too large"}
)

const (
	smallBuffer = 96       // most commands fit
	largeBuffer = 16 << 10 // what is taken from the pool for longer ones
)

var largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}

// Reader reads commands. Between two of them it holds a buffer only when it has
// read ahead.
type Reader struct {
	Limits Limits
	// Proceed is called when the peer waits for leave to send a literal: it sends the
	// command continuation request.
	Proceed func() error
	// Busy, if there is one, is called before each read in the middle of a command.
	Busy func() error

	src   io.Reader
	small [smallBuffer]byte
	large *[largeBuffer]byte
	buf   []byte // small or large, what was read
	pos   int    // of what is not used yet

	line      int   // bytes of this command outside literals
	memory    int64 // bytes of its arguments
	discarded int64
	ended     bool // the end of the command has been read
	literal   int64
	begun     bool
}

// NewReader returns a reader of src.
func NewReader(src io.Reader) *Reader { return &Reader{src: src} }

// Reset makes src what is read from now on. What is buffered is lost.
func (r *Reader) Reset(src io.Reader) {
	r.src = src
	r.buf, r.pos = nil, 0
	r.release()
}

// Buffered is what has been read ahead and not used.
func (r *Reader) Buffered() []byte { return r.buf[r.pos:] }

// HasLine reports whether a whole line has been read ahead: the next command can
// be read, or begun, without waiting for the peer.
func (r *Reader) HasLine() bool { return bytes.IndexByte(r.buf[r.pos:], '\n') >= 0 }

// Begin waits for a command. An error is the source's.
func (r *Reader) Begin() error {
	r.line, r.memory, r.discarded, r.literal = 0, 0, 0, 0
	r.ended, r.begun = false, false
	if r.pos == len(r.buf) {
		r.release()
		n, err := r.read(r.small[:])
		if err != nil {
			return err
		}
		r.buf, r.pos = r.small[:n], 0
	}
	r.begun = true
	return nil
}

func (r *Reader) release() {
	if r.large != nil {
		largeBuffers.Put(r.large)
		r.large = nil
	}
	r.buf, r.pos = nil, 0
}

// Close gives the buffer back.
func (r *Reader) Close() { r.release() }

func (r *Reader) read(p []byte) (int, error) {
	if r.begun && r.Busy != nil {
		if err := r.Busy(); err != nil {
			return 0, err
		}
	}
	for range 100 {
		if n, err := r.src.Read(p); n > 0 {
			return n, nil
		} else if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}

// fill reads more behind what is left in the buffer, at most one byte.
func (r *Reader) fill() error {
	if r.large == nil {
		r.large = largeBuffers.Get().(*[largeBuffer]byte) // the pool holds nothing else
	}
	left := copy(r.large[:], r.buf[r.pos:])
	n, err := r.read(r.large[left:])
	r.buf, r.pos = r.large[:left+n], 0
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// peek returns the next byte without using it.
func (r *Reader) peek() (byte, error) {
	if r.ended {
		return 0, errEndOfCommand
	}
	if r.pos == len(r.buf) {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	return r.buf[r.pos], nil
}

// use uses the byte that peek returned.
func (r *Reader) use() error {
	r.pos++
	if r.line++; r.line > r.Limits.Line {
		return errLine
	}
	return nil
}

// next uses and returns the next byte.
func (r *Reader) next() (byte, error) {
	c, err := r.peek()
	if err != nil {
		return 0, err
	}
	return c, r.use()
}

// Is reports whether the next byte is c.
func (r *Reader) Is(c byte) bool {
	got, err := r.peek()
	return err == nil && got == c
}

// IsTwo reports whether the next two bytes are a and b.
func (r *Reader) IsTwo(a, b byte) bool {
	if !r.Is(a) {
		return false
	}
	if r.pos+1 == len(r.buf) {
		if err := r.fill(); err != nil {
			return false
		}
		if r.pos+1 >= len(r.buf) {
			return false
		}
	}
	return r.buf[r.pos+1] == b
}

// Take uses the next byte if it is c.
func (r *Reader) Take(c byte) bool { return r.Is(c) && r.use() == nil }

// Want uses the next byte, which must be c.
func (r *Reader) Want(c byte) error {
	got, err := r.peek()
	switch {
	case err != nil:
		return err
	case got == c:
		return r.use()
	case got == '\r' || got == '\n':
		return errEndOfCommand
	case c == ' ':
		return Bad("a space is missing")
	}
	return Bad("%q is missing", c)
}

// Space reads the one space between arguments.
func (r *Reader) Space() error { return r.Want(' ') }

// AtEnd reports whether nothing but the end of the command follows.
func (r *Reader) AtEnd() bool {
	c, err := r.peek()
	return err == nil && (c == '\r' || c == '\n')
}

// End reads the end of the command: CRLF, or LF alone.
func (r *Reader) End() error {
	r.Take('\r')
	c, err := r.peek()
	if err != nil {
		return err
	}
	if c != '\n' {
		return Bad("there is more than the command takes")
	}
	r.pos++
	r.ended = true
	return nil
}

// Ended reports whether the command has been read to its end.
func (r *Reader) Ended() bool { return r.ended }

// Discard reads what is left of a command that is not carried out. A literal the
// peer sends without waiting for leave is part of it; after one for which it
// waits the command is over. It fails with ErrFlood when too much comes.
func (r *Reader) Discard() error {
	if err := r.discard(r.literal); err != nil {
		return err
	}
	r.literal = 0
	for !r.ended {
		size, sync, found, err := r.discardLine()
		if err != nil {
			return err
		}
		if !found || sync {
			r.ended = true
			return nil
		}
		if err := r.discard(size); err != nil {
			return err
		}
	}
	return nil
}

// discardLine reads a line to its end and returns the size of the literal that it
// announces.
func (r *Reader) discardLine() (size int64, sync, found bool, err error) {
	var tail [32]byte // the end of the line
	n := 0
	for {
		if r.pos == len(r.buf) {
			if err := r.fill(); err != nil {
				return 0, false, false, err
			}
		}
		c := r.buf[r.pos]
		r.pos++
		if c == '\n' {
			break
		}
		if r.discarded++; r.discarded > r.Limits.Discard {
			return 0, false, false, ErrFlood
		}
		if n == len(tail) {
			copy(tail[:], tail[1:])
			n--
		}
		tail[n] = c
		n++
	}
	line := bytes.TrimSuffix(tail[:n], []byte("\r"))
	open := bytes.LastIndexByte(line, '{')
	if open < 0 || !bytes.HasSuffix(line, []byte("}")) {
		return 0, false, false, nil
	}
	size, sync, err = literalSize(line[open+1 : len(line)-1])
	return size, sync, err == nil, nil
}

func (r *Reader) discard(n int64) error {
	if n == 0 {
		return nil
	}
	if r.discarded += n; r.discarded > r.Limits.Discard || n < 0 {
		return ErrFlood
	}
	for n > 0 {
		if r.pos == len(r.buf) {
			if err := r.fill(); err != nil {
				return err
			}
		}
		part := min(n, int64(len(r.buf)-r.pos))
		r.pos += int(part)
		n -= part
	}
	return nil
}

// Line reads a line that is no command: a part of a SASL exchange, or DONE
// (RFC 9051 §6.2.2, RFC 2177).
func (r *Reader) Line(limit int) (string, error) {
	var b []byte
	for {
		if r.pos == len(r.buf) {
			if err := r.fill(); err != nil {
				return "", err
			}
		}
		c := r.buf[r.pos]
		r.pos++
		if c == '\n' {
			r.ended = true
			return string(bytes.TrimSuffix(b, []byte("\r"))), nil
		}
		if len(b) == limit {
			return "", ErrFlood
		}
		b = append(b, c)
	}
}
