package imapd

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// memorySpool is how much of what arrives is kept in memory; more goes to a file.
const memorySpool = 128 << 10

// spool keeps messages while they arrive, one behind the other: until the last byte is
// there nothing else is held for a peer that sends slowly.
type spool struct {
	dir  string
	mem  []byte
	file *os.File // all there is, once it is too much for memory; it has no name, so that a crash leaves nothing behind
	size int64
}

// ReadFrom implements io.ReaderFrom: it appends all of r.
func (p *spool) ReadFrom(r io.Reader) (n int64, err error) {
	if p.file == nil {
		if n, err = p.fill(r); err != nil || len(p.mem) < memorySpool {
			return n, err
		}
		if err := p.spill(); err != nil {
			return n, err
		}
	}
	rest, err := io.Copy(p.file, r)
	p.size += rest
	return n + rest, err
}

// fill appends to memory until it is full or r ends.
func (p *spool) fill(r io.Reader) (n int64, err error) {
	for len(p.mem) < memorySpool {
		if len(p.mem) == cap(p.mem) {
			grown := make([]byte, len(p.mem), min(memorySpool, max(16<<10, 2*cap(p.mem))))
			copy(grown, p.mem)
			p.mem = grown
		}
		got, err := r.Read(p.mem[len(p.mem):cap(p.mem)])
		p.mem = p.mem[:len(p.mem)+got]
		p.size += int64(got)
		n += int64(got)
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// spill moves what is in memory to a file.
func (p *spool) spill() error {
	f, err := os.CreateTemp(p.dir, "append-*")
	if err != nil {
		return err
	}
	p.file = f
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	_, err = f.Write(p.mem)
	p.mem = nil
	return err
}

// section reads n bytes from an offset on.
func (p *spool) section(offset, n int64) io.Reader {
	if p.file == nil {
		return bytes.NewReader(p.mem[offset : offset+n])
	}
	return io.NewSectionReader(p.file, offset, n)
}

func (p *spool) close() {
	if p.file != nil {
		_ = p.file.Close() // it is gone
	}
}
