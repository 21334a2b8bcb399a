package imapd

import (
	"errors"
	"net"
	"os"
	"time"

	"mailfleet/mailnode/gate"
)

const (
	readTimeout  = time.Minute     // for each part of a command that has begun
	writeTimeout = 2 * time.Minute // for each part of an answer
)

// link is a session's connection. Each write to it may take its time, and no more;
// it remembers that it failed.
type link struct {
	base   *gate.Conn
	woken  func() bool // a read ended early: reports whether it goes on
	conn   net.Conn    // base, or TLS over it
	failed bool
	in     int64 // bytes read
	out    int64 // bytes written
}

// Read reads. When the session is woken meanwhile it does what there is to do and
// reads on: those who read through it, such as a decompressor, need not know.
func (l *link) Read(p []byte) (int, error) {
	for {
		n, err := l.conn.Read(p)
		l.in += int64(n)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !l.woken() {
			return n, err
		}
	}
}

func (l *link) Write(p []byte) (int, error) {
	err := l.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	n := 0
	if err == nil {
		n, err = l.conn.Write(p)
		l.out += int64(n)
	}
	if err != nil {
		l.failed = true
	}
	return n, err
}
