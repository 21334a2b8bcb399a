package link

import (
	"crypto/tls"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// vigil is how an end finds out that the other one is gone: after quiet without
// a word it asks. When patience passes without a word, and the other machine has
// not even acknowledged the question, it is gone. A machine that has is there, and
// its program slow: it is given hung.
type vigil struct{ quiet, patience, hung time.Duration }

// The end that dialled asks first, so that one question in five seconds is all
// that a link costs. It is patient: a controller to which thousands come back is
// slow to answer, and would be slower if they all came again. The end that
// accepted is not: it is to tell who is down.
var vigils = map[Side]vigil{
	Dialled:  {quiet: 5 * time.Second, patience: 15 * time.Second, hung: 45 * time.Second},
	Accepted: {quiet: 6500 * time.Millisecond, patience: 4 * time.Second, hung: 15 * time.Second},
}

// lastLook is what a word that has come, and was not read yet, may take.
const lastLook = 500 * time.Millisecond

// heard is when the other end was last heard.
type heard struct{ at atomic.Int64 } // nanoseconds since 1970

func (h *heard) now() { h.at.Store(time.Now().UnixNano()) }

func (h *heard) time() time.Time { return time.Unix(0, h.at.Load()) }

// subject is the other end, as a vigil sees it.
type subject struct {
	last  *heard
	ask   func() <-chan struct{} // asks for a word; closed when there was one, or never will be
	acked func() bool            // whether its machine has acknowledged all that was sent
	done  <-chan struct{}        // closed when the link is
}

// watch returns when the other end is gone, or the link closed.
func (v vigil) watch(o subject) (gone bool) {
	for {
		if wait := v.quiet - time.Since(o.last.time()); wait > 0 {
			if !pause(wait, o.done, nil) {
				return false
			}
			continue
		}
		asked, before := time.Now(), o.last.time()
		spoke := func() bool { return o.last.time().After(before) }
		if !pause(v.patience, o.done, o.ask()) {
			return false
		}
		// An answer that came while nobody had time to read it is one.
		if !spoke() && !pause(lastLook, o.done, nil) {
			return false
		}
		switch {
		case spoke():
		case !o.acked(), asked.Sub(before) > v.hung:
			return true
		}
	}
}

// pause waits, or until enough is closed; false: done was.
func pause(d time.Duration, done, enough <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-enough:
		return true
	case <-done:
		return false
	}
}

// ackedOf returns what tells whether the machine at the other end of a connection
// has acknowledged all that was sent; of what is not TCP it has not.
func ackedOf(conn net.Conn) func() bool {
	if private, ok := conn.(*tls.Conn); ok {
		conn = private.NetConn()
	}
	tcp, ok := conn.(syscall.Conn)
	if !ok {
		return func() bool { return false }
	}
	return func() bool {
		raw, err := tcp.SyscallConn()
		if err != nil {
			return false
		}
		queued, failed := 0, error(nil)
		err = raw.Control(func(fd uintptr) { queued, failed = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }) // tcp(7)
		return err == nil && failed == nil && queued == 0
	}
}
