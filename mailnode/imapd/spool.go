package imapd

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
)

const (
	// memorySpool is how much of what arrives is kept in memory; more goes to a file.
	memorySpool = 128 << 10
	// firstSpool is how much is taken to begin with: most messages fit.
	firstSpool = 16 << 10
)

var spoolRooms = sync.Pool{New: func() any { return new([firstSpool]byte) }}

// spool keeps messages while they arrive, one behind the other: until the last byte is
// there nothing else is held for a peer that sends slowly.
type spool struct {
	dir  string
	room *[firstSpool]byte // from the pool; mem begins in it, or copies pass through it
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
	rest, err := io.CopyBuffer(struct{ io.Writer }{p.file}, r, p.room[:]) // the file's own ReadFrom takes memory each time
	p.size += rest
	return n + rest, err
}

// fill appends to memory until it is full or r ends.
func (p *spool) fill(r io.Reader) (n int64, err error) {
	for len(p.mem) < memorySpool {
		p.grow()
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

// grow makes room for at least a byte in memory.
func (p *spool) grow() {
	switch {
	case len(p.mem) < cap(p.mem):
	case p.room == nil:
		p.room = spoolRooms.Get().(*[firstSpool]byte) // the pool holds nothing else
		p.mem = p.room[:0]
	default:
		grown := make([]byte, len(p.mem), min(memorySpool, 2*cap(p.mem)))
		copy(grown, p.mem)
		p.mem = grown
	}
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

// close gives everything back: what section returned must not be read any more.
func (p *spool) close() {
	if p.room != nil {
		spoolRooms.Put(p.room)
		p.room, p.mem = nil, nil
	}
	if p.file != nil {
		_ = p.file.Close() // it is gone
	}
}
