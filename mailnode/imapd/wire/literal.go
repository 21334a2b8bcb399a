package wire

import (
	"errors"
	"io"
	"strconv"
	"strings"
)

// Literal is an announced literal: {5}, {5+} or, with ~ before it, literal8
// (RFC 9051 §4.3, RFC 7888, RFC 3516).
type Literal struct {
	Size   int64
	Binary bool // literal8: it may contain NUL
	sync   bool // the peer waits for leave to send it
}

// LiteralHead reads the announcement of a literal, which ends a line. The bytes are read
// by Body; until then Discard leaves them out.
func (r *Reader) LiteralHead() (Literal, error) {
	var l Literal
	if r.Take('~') {
		l.Binary = true
	}
	if err := r.Want('{'); err != nil {
		return l, err
	}
	var digits [24]byte
	n := 0
	for {
		c, err := r.peek()
		if err != nil {
			return l, err
		}
		if c != '}' && c != '+' && (c < '0' || c > '9') || n == len(digits) {
			return l, Bad("the size of a literal is not a number")
		}
		if err := r.use(); err != nil {
			return l, err
		}
		if c == '}' {
			break
		}
		digits[n] = c
		n++
	}
	var err error
	if l.Size, l.sync, err = literalSize(digits[:n]); err != nil {
		return l, err
	}
	r.Take('\r')
	if err := r.Want('\n'); err != nil {
		return l, err
	}
	if l.sync {
		r.ended = true // until the peer is asked to go on
	} else {
		r.literal = l.Size
	}
	return l, nil
}

func literalSize(b []byte) (size int64, sync bool, err error) {
	digits, nonSync := strings.CutSuffix(string(b), "+")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false, Bad("the size of a literal is not a number")
	}
	if size, err = strconv.ParseInt(digits, 10, 64); err != nil {
		return 0, false, Bad("the size of a literal is out of range")
	}
	return size, !nonSync, nil
}

// Body gives leave where the peer waits for it and returns the bytes of a literal.
// They must be read to their end before anything else is read.
func (r *Reader) Body(l Literal) (io.Reader, error) {
	if l.sync {
		if err := r.Proceed(); err != nil {
			return nil, err
		}
	}
	r.ended, r.literal = false, l.Size
	return (*body)(r), nil
}

// body reads the literal that the reader stands before.
type body Reader

func (b *body) Read(p []byte) (int, error) {
	r := (*Reader)(b)
	if r.literal == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > r.literal {
		p = p[:r.literal]
	}
	if r.pos < len(r.buf) {
		n := copy(p, r.buf[r.pos:])
		r.pos += n
		r.literal -= int64(n)
		return n, nil
	}
	n, err := r.read(p)
	r.literal -= int64(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// literalString reads a literal that becomes an argument.
func (r *Reader) literalString() (string, error) {
	l, err := r.LiteralHead()
	if err != nil {
		return "", err
	}
	if l.Size > r.Limits.Literal {
		return "", errLiteral
	}
	if err := r.remember(int(l.Size)); err != nil {
		return "", err
	}
	from, err := r.Body(l)
	if err != nil {
		return "", err
	}
	b := make([]byte, l.Size)
	if _, err := io.ReadFull(from, b); err != nil {
		return "", err
	}
	if !l.Binary && strings.IndexByte(string(b), 0) >= 0 {
		return "", Bad("a literal contains NUL")
	}
	return string(b), nil
}

// remember counts n bytes of an argument that is kept.
func (r *Reader) remember(n int) error {
	if r.memory += int64(n); r.memory > r.Limits.Memory {
		return errMemory
	}
	return nil
}
