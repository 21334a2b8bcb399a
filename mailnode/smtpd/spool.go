package smtpd

import (
	"bytes"
	"io"
	"os"
	"sync"
)

// memorySpool is how much of an arriving message is kept in memory; the rest of a larger
// one goes to a file.
const memorySpool = 128 << 10

// spool keeps a message while it arrives. It takes what it is given without an error: what
// is wrong is said at the end.
type spool struct {
	dir   string
	limit int64 // bytes of the largest message; what is beyond it is not kept
	size  int64 // bytes given
	mem   []byte
	file  *os.File // what is not in mem; it has no name, so that a crash leaves nothing behind
	err   error    // the file cannot be written
}

// memories are buffers in which most messages fit.
var memories = sync.Pool{New: func() any { b := make([]byte, 0, 16<<10); return &b }}

func newSpool(dir string, limit int64) *spool {
	return &spool{dir: dir, limit: limit, mem: *memories.Get().(*[]byte)}
}

// Write implements io.Writer.
func (s *spool) Write(p []byte) (int, error) {
	s.size += int64(len(p))
	if s.size <= s.limit && s.err == nil {
		s.err = s.keep(p)
	}
	return len(p), nil
}

func (s *spool) keep(p []byte) error {
	if s.file == nil {
		n := min(memorySpool-len(s.mem), len(p))
		s.mem = append(s.mem, p[:n]...)
		if p = p[n:]; len(p) == 0 {
			return nil
		}
		if err := s.spill(); err != nil {
			return err
		}
	}
	_, err := s.file.Write(p)
	return err
}

func (s *spool) spill() error {
	f, err := os.CreateTemp(s.dir, "message-*")
	if err != nil {
		return err
	}
	s.file = f
	return os.Remove(f.Name())
}

// tooLarge reports whether more was given than the limit.
func (s *spool) tooLarge() bool { return s.size > s.limit }

// from reads the message from an offset on, which is in mem.
func (s *spool) from(offset int) io.Reader {
	if s.file == nil {
		return bytes.NewReader(s.mem[offset:])
	}
	return io.MultiReader(bytes.NewReader(s.mem[offset:]), io.NewSectionReader(s.file, 0, s.size-int64(len(s.mem))))
}

func (s *spool) close() {
	if s.mem != nil {
		mem := s.mem[:0]
		s.mem = nil
		memories.Put(&mem)
	}
	if s.file != nil {
		_ = s.file.Close() // it was only read last, and is gone
		s.file = nil
	}
}
