package message

import (
	"bufio"
	"errors"
	"io"
)

// lineReader reads lines, long ones in pieces.
type lineReader struct {
	r    *bufio.Reader
	open bool // the last piece did not end its line
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 4096)}
}

// next is a line with its end, or a piece of it; first tells whether it begins one.
// It is valid until the next call.
func (l *lineReader) next() (piece []byte, first bool, err error) {
	first = !l.open
	piece, err = l.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		l.open = true
		return piece, first, nil
	}
	l.open = false
	if errors.Is(err, io.EOF) && len(piece) > 0 {
		return piece, first, nil
	}
	return piece, first, err
}
