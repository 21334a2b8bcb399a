package smtpd

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// memorySpool is how much of an arriving message is kept in memory; a larger one
// goes to a file.
const memorySpool = 128 << 10

var errTooLarge = errors.New("smtpd: the message is too large")

// spool keeps a message while it arrives.
type spool struct {
	dir  string
	size int64
	mem  []byte   // the message, or its first part
	file *os.File // the rest; it has no name, so that a crash leaves nothing behind
}

// fill reads a message of at most limit bytes.
func (s *spool) fill(r io.Reader, limit int64) error {
	var mem bytes.Buffer
	mem.Grow(16 << 10) // most messages fit
	n, err := mem.ReadFrom(io.LimitReader(r, min(memorySpool, limit+1)))
	s.mem, s.size = mem.Bytes(), n
	if err != nil {
		return err
	}
	if s.size == memorySpool && limit >= memorySpool {
		if err := s.spill(io.LimitReader(r, limit+1-s.size)); err != nil {
			return err
		}
	}
	if s.size > limit {
		return errTooLarge
	}
	return nil
}

func (s *spool) spill(r io.Reader) error {
	f, err := os.CreateTemp(s.dir, "message-*")
	if err != nil {
		return err
	}
	s.file = f
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	n, err := io.Copy(f, r)
	s.size += n
	if err != nil {
		return err
	}
	_, err = f.Seek(0, io.SeekStart)
	return err
}

// reader reads the message, once.
func (s *spool) reader() io.Reader {
	if s.file == nil {
		return bytes.NewReader(s.mem)
	}
	return io.MultiReader(bytes.NewReader(s.mem), s.file)
}

func (s *spool) close() {
	if s.file != nil {
		_ = s.file.Close() // it was only read last, and is gone
	}
}
