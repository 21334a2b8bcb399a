// Package gate admits connections: it bounds how many are open in all and from one
// address, and ends them in good order when the server stops. The protocol faces
// (smtpd, pop3d, imapd) stand behind it.
package gate

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Limits are how many connections may be open.
type Limits struct {
	Connections int // in all
	PerAddress  int // from one IPv4 address or one IPv6 /64
}

// ErrStopping says that the server is stopping: a session ends at its next command.
var ErrStopping = errors.New("gate: the server is stopping")

// Gate is the gate of one protocol. Its methods are safe for concurrent use.
type Gate struct {
	limits  func() Limits
	refuse  func(reason string) string
	refused atomic.Int64

	mu        sync.Mutex
	stopping  bool
	listeners map[*Listener]struct{}
	open      map[*Conn]struct{}
	from      map[netip.Prefix]int
	empty     chan struct{} // closed when the server stops and nothing is open any more
}

// New returns a gate. limits is asked for each connection. A connection over a limit is sent
// refuse's answer and closed; reason is a sentence without a full stop.
func New(limits func() Limits, refuse func(reason string) string) *Gate {
	return &Gate{
		limits:    limits,
		refuse:    refuse,
		listeners: map[*Listener]struct{}{},
		open:      map[*Conn]struct{}{},
		from:      map[netip.Prefix]int{},
		empty:     make(chan struct{}),
	}
}

// Open is the number of connections now open.
func (g *Gate) Open() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.open)
}

// Refused is the number of connections refused since the start.
func (g *Gate) Refused() int64 { return g.refused.Load() }

// admit returns the admitted connection, or the reason why it is not.
func (g *Gate) admit(c net.Conn) (*Conn, string) {
	limits, from := g.limits(), origin(c.RemoteAddr())
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.stopping:
		return nil, "the server is stopping"
	case len(g.open) >= limits.Connections:
		return nil, "too many connections, try again later"
	case g.from[from] >= limits.PerAddress:
		return nil, "too many connections from your address, try again later"
	}
	admitted := &Conn{Conn: c, gate: g, from: from}
	g.open[admitted] = struct{}{}
	g.from[from]++
	return admitted, ""
}

func (g *Gate) release(c *Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.open, c)
	if g.from[c.from]--; g.from[c.from] == 0 {
		delete(g.from, c.from)
	}
	g.checkEmpty()
}

// checkEmpty is called with g.mu held.
func (g *Gate) checkEmpty() {
	if g.stopping && len(g.open) == 0 {
		select {
		case <-g.empty:
		default:
			close(g.empty)
		}
	}
}

// Stop closes the listeners, interrupts the connections that wait for a command,
// and returns when all have closed. When ctx ends first, it closes those that are
// left; what their sessions do then is at most to fail.
func (g *Gate) Stop(ctx context.Context) {
	g.mu.Lock()
	g.stopping = true
	listeners, open := maps.Clone(g.listeners), maps.Clone(g.open)
	g.checkEmpty()
	g.mu.Unlock()
	for l := range listeners {
		_ = l.Close() // closed is all it has to be
	}
	for c := range open {
		c.interrupt()
	}
	select {
	case <-g.empty:
		return
	case <-ctx.Done():
	}
	for c := range open {
		_ = c.Conn.Close() // the session notices and releases it
	}
	<-g.empty
}

// origin is the network a connection counts for: peers in one IPv6 /64 are one.
func origin(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap()
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.WithZone("").Prefix(bits) // fails for no address
	return p
}

// Listener accepts the connections a gate admits.
type Listener struct {
	net.Listener
	gate *Gate
}

// Listen puts l behind the gate.
func (g *Gate) Listen(l net.Listener) *Listener {
	guarded := &Listener{Listener: l, gate: g}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.listeners[guarded] = struct{}{}
	return guarded
}

// Close closes the listener; its connections go on.
func (l *Listener) Close() error {
	l.gate.mu.Lock()
	delete(l.gate.listeners, l)
	l.gate.mu.Unlock()
	return l.Listener.Close()
}

const (
	// refusalTimeout is how long a refused peer has to take its answer.
	refusalTimeout = 2 * time.Second
	// acceptPause is how long accepting rests when the system is out of resources.
	acceptPause = 50 * time.Millisecond
)

// Accept returns the next admitted connection, always a *Conn. It fails only when
// the listener is closed.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if err != nil { // out of file descriptors or memory, or the peer left already
			time.Sleep(acceptPause)
			continue
		}
		admitted, reason := l.gate.admit(c)
		if admitted != nil {
			return admitted, nil
		}
		l.gate.refused.Add(1)
		// A new socket's send buffer takes a line at once; errors are the peer's loss.
		_ = c.SetDeadline(time.Now().Add(refusalTimeout))
		_, _ = io.WriteString(c, l.gate.refuse(reason))
		_ = c.Close()
	}
}

// Conn is an admitted connection.
type Conn struct {
	net.Conn
	gate *Gate
	from netip.Prefix
	once sync.Once

	mu          sync.Mutex
	waiting     bool // for a command: may be interrupted
	interrupted bool
}

// Await is called before a session reads the next command: the reads that follow
// fail when d has passed or the server stops. It fails with ErrStopping when the
// server is stopping already.
func (c *Conn) Await(d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.interrupted {
		return ErrStopping
	}
	c.waiting = true
	return c.SetReadDeadline(time.Now().Add(d))
}

// Engage is called before a session reads in the middle of something that a stop
// should let finish: the reads that follow fail only when d has passed.
func (c *Conn) Engage(d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = false
	return c.SetReadDeadline(time.Now().Add(d))
}

// Interrupted reports whether the server is stopping.
func (c *Conn) Interrupted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.interrupted
}

// Wake makes the reads of a session that waits for a command fail now, with
// os.ErrDeadlineExceeded, until it calls Await again. A session that does not wait
// finds whatever it is woken for before it waits.
func (c *Conn) Wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting {
		_ = c.SetReadDeadline(time.Now()) // fails only on a closed connection
	}
}

func (c *Conn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupted = true
	if c.waiting {
		_ = c.SetReadDeadline(time.Now()) // fails only on a closed connection
	}
}

// Close closes the connection and gives its place free.
func (c *Conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { c.gate.release(c) })
	return err
}
