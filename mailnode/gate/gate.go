// Package gate admits connections: it bounds how many are open in all, at one listener, from
// one address and from its network, knows each that is open, and ends them in good order, one by one or when
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
	PerAddress  int  // from one IPv4 address or one IPv6 /64; those of a proxy count for its clients; 0: not bounded
	PerNetwork  int  // from one IPv4 /24 or one IPv6 /48; 0: not bounded
	Drained     bool // no new ones at all; those that are open go on
}

// Bounds are those of one listener, in place of its gate's.
type Bounds struct {
	Connections int // at this listener; 0: as many as there may be in all
	PerAddress  int // as in Limits
	PerNetwork  int
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
	open      map[string]*Conn     // by id
	from      map[netip.Prefix]int // by address and by network
	empty     chan struct{}        // closed when the server stops and nothing is open any more
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
	limits, from := g.limits(), l.origin(c.RemoteAddr())
	bounds := l.bounds(limits)
	if l.Proxies.has(c.RemoteAddr()) || l.Fronts.has(c.RemoteAddr()) {
		from = source{} // it counts for the client it will name
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
	case bounds.Connections > 0 && l.open >= bounds.Connections:
		return nil, "too many connections at this port, try again later"
	}
	if reason := g.crowded(from, bounds); reason != "" {
		return nil, reason
	}
	now := time.Now()
	admitted := &Conn{Conn: c, gate: g, listener: l, from: from, id: newID(), since: now, active: now}
	g.open[admitted.id] = admitted
	l.open++
	g.count(from, 1)
	return admitted, ""
}

// crowded is why no more may come from somewhere, "" when they may. It is called with
// g.mu held.
func (g *Gate) crowded(from source, b Bounds) (reason string) {
	switch {
	case from.address.IsValid() && b.PerAddress > 0 && g.from[from.address] >= b.PerAddress:
		return "too many connections from your address, try again later"
	case from.network.IsValid() && b.PerNetwork > 0 && g.from[from.network] >= b.PerNetwork:
		return "too many connections from your network, try again later"
	}
	return ""
}

// count adds to the connections from somewhere; what has no address has no limit of its
// own. It is called with g.mu held.
func (g *Gate) count(from source, n int) {
	for _, p := range []netip.Prefix{from.address, from.network} {
		if !p.IsValid() {
			continue
		}
		if g.from[p] += n; g.from[p] == 0 {
			delete(g.from, p)
		}
	}
}

func (g *Gate) release(c *Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.open, c.id)
	c.listener.open--
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

// source is where a connection comes from, not valid where nothing is bounded.
type source struct {
	address netip.Prefix // an IPv4 address; peers in one IPv6 /64 are one
	network netip.Prefix // the IPv4 /24 or IPv6 /48 it is in
}

// origin is where a connection to a listener comes from.
func (l *Listener) origin(a net.Addr) (from source) {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return from
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	address, network := 32, 24
	if ip.Is6() {
		address, network = 64, 48
	}
	from.address, _ = ip.Prefix(address) // fails for no address
	if !l.Trusted.has(a) {
		from.network, _ = ip.Prefix(network)
	}
	return from
}

// Listener accepts the connections a gate admits.
type Listener struct {
	net.Listener
	gate *Gate
	open int // connections, under gate.mu

	// Set before it accepts.
	Local   bool     // passwords may travel in the clear
	Proxies Networks // whose connections begin with a PROXY header
	Fronts  Networks // who may name a client in the protocol itself (XCLIENT)

	Trusted Networks // whose connections do not count for a network

	Bounds func() Bounds // now; nil: those of the gate
}

// bounds are what bounds its connections now.
func (l *Listener) bounds(limits Limits) Bounds {
	if l.Bounds == nil {
		return Bounds{PerAddress: limits.PerAddress, PerNetwork: limits.PerNetwork}
	}
	return l.Bounds()
}

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
