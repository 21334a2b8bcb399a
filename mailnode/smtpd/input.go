package smtpd

import (
	"bytes"
	"errors"
	"net"
	"sync"
)

const (
	smallInput = 256
	largeInput = 32 << 10
)

// input reads ahead. While a peer is waited for it has only a small buffer of its own;
// a large one is borrowed for what is longer.
type input struct {
	conn  net.Conn
	buf   []byte // small, or large
	r, w  int    // what was read and not taken yet is buf[r:w]
	small [smallInput]byte
	large *[largeInput]byte
}

var inputs = sync.Pool{New: func() any { return new([largeInput]byte) }}

var errLineTooLong = errors.New("smtpd: the line is too long")

// reset forgets what was read and reads from c.
func (in *input) reset(c net.Conn) {
	in.conn, in.r, in.w = c, 0, 0
	in.shrink()
}

// ahead is what was read and not taken yet.
func (in *input) ahead() []byte { return in.buf[in.r:in.w] }

// take takes n bytes of what was read.
func (in *input) take(n int) { in.r += n }

// shrink gives the large buffer back if nothing is in it.
func (in *input) shrink() {
	if in.r < in.w {
		return
	}
	in.r, in.w = 0, 0
	in.buf = in.small[:]
	if in.large != nil {
		inputs.Put(in.large)
		in.large = nil
	}
}

// grow borrows the large buffer.
func (in *input) grow() {
	if in.large != nil {
		return
	}
	in.large = inputs.Get().(*[largeInput]byte)
	in.w = copy(in.large[:], in.ahead())
	in.r, in.buf = 0, in.large[:]
}

// fill reads once more.
func (in *input) fill() error {
	if in.r == in.w {
		in.r, in.w = 0, 0
	}
	if in.w == len(in.buf) {
		switch {
		case in.large == nil:
			in.grow()
		case in.r > 0:
			in.w = copy(in.buf, in.ahead())
			in.r = 0
		default:
			return errLineTooLong
		}
	}
	n, err := in.conn.Read(in.buf[in.w:])
	in.w += n
	if n > 0 {
		return nil // an error comes again
	}
	return err
}

// hasLine reports whether a whole line was read.
func (in *input) hasLine() bool { return bytes.IndexByte(in.ahead(), '\n') >= 0 }

// line takes a line of at most limit bytes with its end, reading on as it must. It is
// good until the next read.
func (in *input) line(limit int) ([]byte, error) {
	for from := 0; ; {
		ahead := in.ahead()
		if i := bytes.IndexByte(ahead[from:], '\n'); i >= 0 && from+i < limit {
			in.take(from + i + 1)
			return ahead[:from+i+1], nil
		}
		if len(ahead) >= limit {
			return nil, errLineTooLong
		}
		from = len(ahead)
		if err := in.fill(); err != nil {
			return nil, err
		}
	}
}
