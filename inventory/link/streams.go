package link

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

// streams are those of a session. From the moment a session is being closed until its
// connection is, which may take seconds, whoever reads from a stream of yamux 0.1.2 turns
// in a loop without rest; when thousands of links break at once, they leave no processor to
// those who close them. So reading is ended first.
type streams struct {
	mu    sync.Mutex
	open  map[*stream]bool
	ended bool
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// add makes a stream of yamux one of them.
func (s *streams) add(c net.Conn) net.Conn {
	y, ok := c.(*yamux.Stream)
	if !ok {
		return c
	}
	added := &stream{Stream: y, of: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		_ = y.SetReadDeadline(past)
		return added
	}
	if s.open == nil {
		s.open = make(map[*stream]bool)
	}
	s.open[added] = true
	return added
}

// end ends reading, now and later.
func (s *streams) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for one := range s.open {
		_ = one.Stream.SetReadDeadline(past)
	}
	s.open = nil
}

// stream is a stream whose reading can be ended.
type stream struct {
	*yamux.Stream
	of *streams
}

// Read implements net.Conn.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	if errors.Is(err, yamux.ErrTimeout) {
		s.of.mu.Lock()
		defer s.of.mu.Unlock()
		if s.of.ended {
			err = io.EOF
		}
	}
	return n, err
}

// Close implements net.Conn.
func (s *stream) Close() error {
	s.of.mu.Lock()
	delete(s.of.open, s)
	s.of.mu.Unlock()
	return s.Stream.Close()
}

// SetReadDeadline implements net.Conn.
func (s *stream) SetReadDeadline(t time.Time) error {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	if s.of.ended {
		t = past
	}
	return s.Stream.SetReadDeadline(t)
}

// SetDeadline implements net.Conn.
func (s *stream) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

// door is where the other end's streams come in.
type door struct {
	*yamux.Session
	streams *streams
}

// Accept implements net.Listener.
func (d door) Accept() (net.Conn, error) {
	c, err := d.Session.Accept()
	if err != nil {
		return nil, err
	}
	return d.streams.add(c), nil
}
