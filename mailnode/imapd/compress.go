package imapd

import (
	"compress/flate"
	"io"
	"sync"

	"github.com/emersion/go-imap/v2"
)

// compress is RFC 4978.
func (s *session) compress(c *call) error {
	if err := s.r.Space(); err != nil {
		return err
	}
	method, err := s.r.Word()
	if err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	switch {
	case method != "DEFLATE":
		return refuse(imap.ResponseCodeCannot, "there is no such method")
	case s.compressed:
		return refuse("COMPRESSIONACTIVE", "it is on already")
	}
	s.tagged(c, "OK", "", "from now on")
	if err := s.w.Flush(); err != nil {
		return err
	}
	s.compressed = true
	s.w.Reset(&deflater{dst: &s.link})
	rest := s.r.Buffered()
	s.r.Reset(&inflater{src: &prefixed{head: append([]byte(nil), rest...), rest: &s.link}})
	return errAnswered
}

// prefixed reads what was read ahead, then the rest.
type prefixed struct {
	head []byte
	rest io.Reader
	buf  [512]byte
}

func (p *prefixed) ReadByte() (byte, error) {
	for len(p.head) == 0 {
		n, err := p.rest.Read(p.buf[:])
		if n == 0 && err != nil {
			return 0, err
		}
		p.head = p.buf[:n]
	}
	c := p.head[0]
	p.head = p.head[1:]
	return c, nil
}

var deflaters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, flate.BestSpeed)
	if err != nil {
		panic(err) // the level is good
	}
	return w
}}

// deflater compresses what is written. Between two flushes it has a compressor
// from the pool: after a flush the stream stands at a byte's end, and another
// compressor that knows nothing of what came before can go on with it.
type deflater struct {
	dst io.Writer
	z   *flate.Writer
}

func (d *deflater) Write(p []byte) (int, error) {
	if d.z == nil {
		d.z = deflaters.Get().(*flate.Writer) // the pool holds nothing else
		d.z.Reset(d.dst)
	}
	return d.z.Write(p)
}

// Flush sends what was written.
func (d *deflater) Flush() error {
	if d.z == nil {
		return nil
	}
	err := d.z.Flush()
	d.z.Reset(nil)
	deflaters.Put(d.z)
	d.z = nil
	return err
}
