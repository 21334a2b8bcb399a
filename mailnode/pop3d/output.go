package pop3d

import (
	"net"
	"sync"
	"time"
)

const (
	writeTimeout = 5 * time.Minute // for each part of an answer
	outputSize   = 64 << 10
)

// output gathers answers and sends them when there are many, or when the peer is
// waited for. It has a buffer only while there is something in it, so that an idle
// connection costs nothing. Its first error stays.
type output struct {
	conn net.Conn
	buf  []byte
	err  error
}

var buffers = sync.Pool{New: func() any { return new([outputSize]byte) }}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && o.err == nil {
		if o.buf == nil {
			o.buf = buffers.Get().(*[outputSize]byte)[:0]
		}
		part := p[:min(len(p), outputSize-len(o.buf))]
		o.buf = append(o.buf, part...)
		p = p[len(part):]
		if len(o.buf) == outputSize {
			o.send()
		}
	}
	return n - len(p), o.err
}

// string is Write for a string.
func (o *output) string(s string) {
	if o.buf != nil && len(o.buf)+len(s) < outputSize {
		o.buf = append(o.buf, s...)
		return
	}
	_, _ = o.Write([]byte(s)) // an error stays
}

// flush sends what there is and gives the buffer back.
func (o *output) flush() error {
	if len(o.buf) > 0 && o.err == nil {
		o.send()
	}
	if o.buf != nil {
		buffers.Put((*[outputSize]byte)(o.buf[:outputSize]))
		o.buf = nil
	}
	return o.err
}

func (o *output) send() {
	if o.err = o.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); o.err == nil {
		_, o.err = o.conn.Write(o.buf)
	}
	o.buf = o.buf[:0]
}
