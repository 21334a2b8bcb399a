// Package gate admits connections: it bounds how many are open in all and from one
// address, knows each that is open, and ends them in good order, one by one or when
// the server stops. The protocol faces (smtpd, pop3d, imapd) stand behind it.
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
	Connections int  // in all
	PerAddress  int  // from one IPv4 address or one IPv6 /64; those of a proxy count for its clients
	Drained     bool // no new ones at all; those that are open go on
}

// Why a session ends at its next command.
var (
	ErrStopping = errors.New("gate: the server is stopping")
	ErrEnded    = errors.New("gate: the session was ended by an administrator")
)

// Gate is the gate of one protocol. Its methods are safe for concurrent use.
type Gate struct {
	limits  func() Limits
	refuse  func(reason string) string
	refused atomic.Int64

	mu        sync.Mutex
	stopping  bool
	listeners map[*Listener]struct{}
	open      map[string]*Conn // by id
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
		open:      map[string]*Conn{},
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
func (g *Gate) admit(c net.Conn, l *Listener) (*Conn, string) {
	limits, from := g.limits(), origin(c.RemoteAddr())
	if l.Proxies.has(c.RemoteAddr()) || l.Fronts.has(c.RemoteAddr()) {
		from = netip.Prefix{} // it counts for the client it will name
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.stopping:
		return nil, "the server is stopping"
	case limits.Drained:
		return nil, "this server is being drained, try again or use another server"
	case len(g.open) >= limits.Connections:
		return nil, "too many connections, try again later"
	case from.IsValid() && g.from[from] >= limits.PerAddress && !l.uncapped():
		return nil, crowded
	}
	now := time.Now()
	admitted := &Conn{Conn: c, gate: g, listener: l, from: from, id: newID(), since: now, active: now}
	g.open[admitted.id] = admitted
	g.count(from, 1)
	return admitted, ""
}

const crowded = "too many connections from your address, try again later"

// count adds to the connections from an address; no address has no limit of its own. It
// is called with g.mu held.
func (g *Gate) count(from netip.Prefix, n int) {
	if !from.IsValid() {
		return
	}
	if g.from[from] += n; g.from[from] == 0 {
		delete(g.from, from)
	}
}

func (g *Gate) release(c *Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.open, c.id)
	g.count(c.from, -1)
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
	for _, c := range open {
		c.interrupt(ErrStopping)
	}
	select {
	case <-g.empty:
		return
	case <-ctx.Done():
	}
	for _, c := range open {
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

	// Set before it accepts.
	Local   bool     // passwords may travel in the clear
	Proxies Networks // whose connections begin with a PROXY header
	Fronts  Networks // who may name a client in the protocol itself (XCLIENT)

	Uncapped func() bool // connections from one address are not bounded now; nil: they are
}

func (l *Listener) uncapped() bool { return l.Uncapped != nil && l.Uncapped() }

// Port is the TCP port it listens on; 0 for another listener.
func (l *Listener) Port() int {
	tcp, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0
	}
	return tcp.Port
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
		admitted, reason := l.gate.admit(c, l)
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
