package recode

import (
	"errors"
	"io"
)

// piece is a range of the message, which follows the one before it, and what becomes of
// it. Before its bytes text is written.
type piece struct {
	text string
	size int64
	how  treatment
}

// treatment is what becomes of bytes.
type treatment int

const (
	kept treatment = iota
	dropped
	asQuoted
	asRequoted
	asBase64
	asMasked
)

func (t treatment) encoder() encoder {
	switch t {
	case asQuoted:
		return &quoted{}
	case asRequoted:
		return &requoted{}
	case asBase64:
		return &armoured{}
	case asMasked:
		return masked{}
	}
	return nil
}

// reader reads a message as its pieces become.
type reader struct {
	src    io.Reader
	pieces []piece // that have not ended; the first has begun
	rest   int64   // bytes of the first that were not read
	enc    encoder
	in     []byte
	out    []byte // made and not read
	buf    []byte // what out is part of
	err    error
}

const readRoom = 16 << 10

func newReader(src io.Reader, pieces []piece) *reader {
	r := &reader{src: src, pieces: pieces, in: make([]byte, readRoom)}
	r.begin()
	return r
}

// begin begins the first of the pieces left.
func (r *reader) begin() {
	if len(r.pieces) == 0 {
		return
	}
	p := r.pieces[0]
	r.rest, r.enc = p.size, p.how.encoder()
	r.out = append(r.out, p.text...)
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	for len(r.out) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.out = r.buf[:0]
		r.fill()
		r.buf = r.out[:0]
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// fill makes some more of the message, or sets err.
func (r *reader) fill() {
	if len(r.pieces) == 0 {
		r.err = io.EOF
		return
	}
	if r.rest == 0 {
		if r.enc != nil {
			r.out = r.enc.finish(r.out)
		}
		r.pieces = r.pieces[1:]
		r.begin()
		return
	}
	n, err := r.src.Read(r.in[:min(r.rest, int64(len(r.in)))])
	r.rest -= int64(n)
	switch {
	case r.enc != nil:
		r.out = r.enc.encode(r.out, r.in[:n])
	case r.pieces[0].how == kept:
		r.out = append(r.out, r.in[:n]...)
	}
	switch {
	case err == nil, errors.Is(err, io.EOF) && r.rest == 0:
	case errors.Is(err, io.EOF):
		r.err = io.ErrUnexpectedEOF
	default:
		r.err = err
	}
}
