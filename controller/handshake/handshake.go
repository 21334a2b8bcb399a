// Package handshake is the controller's door: it takes connections and gives
// those whose TLS handshake is over.
//
// A handshake costs a millisecond of a processor, and a fleet may come back all
// at once. So few are worked on at a time and the rest wait in line: in the order
// they came, address by address, so that one address with many does not keep the
// others out. Who only waits for the other end holds no place: silence, or a word
// now and then, costs the others nothing. The time the other end is given runs
// while it is waited for, not while it waits; and who has left the line by the
// time it is his turn costs no more work.
//
// Only the controller's app imports it.
package handshake

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Options are what a Listener is made of. Config and Log are needed.
type Options struct {
	Config   *tls.Config
	Work     int           // handshakes worked on at a time; 0: two a processor
	Most     int           // connections whose handshake is not over; 0: 4,096
	Patience time.Duration // how long in all the other end may let one wait; 0: 10 s
	Log      *slog.Logger
}

// Listener gives connections, each a *tls.Conn, whose handshake is over.
type Listener struct {
	net.Listener
	opts    Options
	places  *places
	ready   chan accepted
	working context.Context // until Close
	stop    context.CancelFunc
	serving sync.WaitGroup

	mu      sync.Mutex
	open    map[netip.Addr][]*conn // whose handshake is not over, oldest first
	pending int                    // how many those are
}

type accepted struct {
	conn net.Conn
	err  error
}

// New takes connections from inner, which it owns from then on.
func New(inner net.Listener, o Options) *Listener {
	if o.Work == 0 {
		o.Work = 2 * runtime.GOMAXPROCS(0)
	}
	if o.Most == 0 {
		o.Most = 4096
	}
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	l := &Listener{
		Listener: inner, opts: o, places: newPlaces(o.Work), ready: make(chan accepted), open: make(map[netip.Addr][]*conn),
	}
	l.working, l.stop = context.WithCancel(context.Background())
	l.serving.Go(l.take)
	return l
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case a := <-l.ready:
		return a.conn, a.err
	case <-l.working.Done():
		return nil, net.ErrClosed
	}
}

// Close ends all handshakes and waits for them.
func (l *Listener) Close() error {
	err := l.Listener.Close()
	l.stop()
	l.serving.Wait()
	return err
}

// give hands something to Accept; it tells whether it did.
func (l *Listener) give(a accepted) bool {
	select {
	case l.ready <- a:
		return true
	case <-l.working.Done():
		return false
	}
}

// take takes connections until the listener is closed. Who accepts hears of
// errors, and waits a while after them.
func (l *Listener) take() {
	for {
		got, err := l.Listener.Accept()
		if err != nil {
			if !l.give(accepted{err: err}) || errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		c := &conn{Conn: got, places: l.places, from: addressOf(got), left: l.opts.Patience, cut: make(chan struct{})}
		if l.enter(c) {
			l.serving.Go(func() { l.shake(c) })
		}
	}
}

// shake makes the handshake of a connection and gives it to Accept.
func (l *Listener) shake(c *conn) {
	private := tls.Server(c, l.opts.Config)
	err := private.HandshakeContext(l.working)
	c.end()
	l.leave(c)
	if err != nil {
		refuse(err)
		_ = c.Close()
		l.opts.Log.Debug("handshake failed", "address", c.RemoteAddr().String(), "err", err)
		return
	}
	if !l.give(accepted{conn: private}) {
		_ = c.Close()
	}
}

// refuse answers who speaks HTTP where HTTPS is spoken.
func refuse(err error) {
	plain, ok := errors.AsType[tls.RecordHeaderError](err)
	if !ok || plain.Conn == nil {
		return
	}
	for _, method := range []string{"GET ", "HEAD", "POST", "PUT ", "OPTI", "DELE", "PATC"} {
		if strings.HasPrefix(string(plain.RecordHeader[:]), method) {
			_, _ = io.WriteString(plain.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nThis port speaks HTTPS: begin the address with https://\n")
			return
		}
	}
}

// enter counts a connection in. When there are too many, the address with the
// most gives up its newest; false: that is this one.
func (l *Listener) enter(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[c.from] = append(l.open[c.from], c)
	if l.pending++; l.pending <= l.opts.Most {
		return true
	}
	most := c.from
	for address, list := range l.open {
		if len(list) > len(l.open[most]) {
			most = address
		}
	}
	list := l.open[most]
	victim := list[len(list)-1]
	l.drop(victim)
	close(victim.cut)
	_ = victim.Close()
	l.opts.Log.Debug("too many handshakes: one is given up", "address", most, "of", len(list))
	return victim != c
}

// leave counts a connection out.
func (l *Listener) leave(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(c)
}

// drop forgets a connection, unless that was done. l.mu is held.
func (l *Listener) drop(c *conn) {
	list := l.open[c.from]
	for i, other := range list {
		if other != c {
			continue
		}
		if l.pending--; len(list) == 1 {
			delete(l.open, c.from)
		} else {
			l.open[c.from] = append(list[:i:i], list[i+1:]...)
		}
		return
	}
}

// addressOf is where a connection comes from.
func addressOf(c net.Conn) netip.Addr {
	at, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{} // no TCP: all such are one
	}
	return at.Addr().Unmap()
}
