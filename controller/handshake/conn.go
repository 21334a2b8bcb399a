package handshake

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// conn is a connection whose handshake goes on. It holds a place but for while it
// waits for the other end. One goroutine uses it until the handshake is over.
type conn struct {
	net.Conn
	places *places
	from   netip.Addr
	left   time.Duration // that the other end may still let it wait
	holds  bool          // a place
	over   bool          // the handshake is
	cut    chan struct{} // closed when it is given up
}

var errGivenUp = errors.New("there were too many handshakes, most of them of its address")

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if c.over {
		return c.Conn.Read(p)
	}
	c.rise()
	began := time.Now()
	if err := c.SetReadDeadline(began.Add(c.left)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	c.left -= time.Since(began)
	if err != nil {
		return n, err
	}
	if !c.places.take(c.from, c.cut) {
		return 0, errGivenUp
	}
	c.holds = true
	if departed(c.Conn) {
		return 0, io.EOF
	}
	return n, nil
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	if !c.over {
		if err := c.SetWriteDeadline(time.Now().Add(c.left)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(p)
}

// SyscallConn implements syscall.Conn, for who asks the kernel about the connection.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	tcp, ok := c.Conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return tcp.SyscallConn()
}

// rise gives the place back.
func (c *conn) rise() {
	if c.holds {
		c.holds = false
		c.places.free()
	}
}

// end ends the handshake.
func (c *conn) end() {
	c.rise()
	c.over = true
	_ = c.SetDeadline(time.Time{}) // on a broken connection what comes next fails
}

// departed tells whether the other end has left, with nothing of it left to read.
func departed(c net.Conn) bool {
	tcp, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return true // it is closed
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		n, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		gone = n == 0 && err == nil || err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
	return gone || err != nil
}
