package gate

import (
	"bufio"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"
)

// Networks says which addresses belong to some networks, such as those of trusted proxies.
type Networks func(netip.Addr) bool

// Within are the addresses in some networks; nil for none, which is how a Listener
// says nobody.
func Within(networks []netip.Prefix) Networks {
	if len(networks) == 0 {
		return nil
	}
	return func(ip netip.Addr) bool {
		for _, n := range networks {
			if n.Contains(ip) {
				return true
			}
		}
		return false
	}
}

func (n Networks) has(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return n != nil && ok && n(tcp.AddrPort().Addr().Unmap())
}

// ErrNoProxy is a trusted proxy that did not say whom it speaks for.
var ErrNoProxy = errors.New("gate: a proxy sent no well-formed PROXY header")

// crowdedError refuses a client behind a proxy; its text is a sentence for the client.
type crowdedError struct{ reason string }

func (e crowdedError) Error() string { return e.reason }

// IsProxy reports whether the peer must begin with a PROXY header.
func (c *Conn) IsProxy() bool { return c.listener.Proxies.has(c.Conn.RemoteAddr()) }

// IsFront reports whether the peer may name its client in the protocol itself.
func (c *Conn) IsFront() bool { return c.listener.Fronts.has(c.Conn.RemoteAddr()) }

// ReadProxy reads the header with which a trusted proxy names its client (PROXY
// protocol 1 or 2), and does nothing for other peers. A session calls it before it
// reads or writes anything. It fails with ErrNoProxy, and as Readdress does.
func (c *Conn) ReadProxy(patience time.Duration) error {
	if !c.IsProxy() {
		return nil
	}
	if err := c.Engage(patience); err != nil {
		return err
	}
	r := bufio.NewReader(c.Conn)
	header, err := proxyproto.Read(r)
	if err != nil {
		return errors.Join(ErrNoProxy, err)
	}
	if n := r.Buffered(); n > 0 {
		rest, _ := r.Peek(n) // it is there
		c.rest = append([]byte(nil), rest...)
	}
	if header.Command.IsLocal() { // the proxy itself, to see whether we are well
		return nil
	}
	source, _, ok := header.TCPAddrs()
	if !ok {
		return ErrNoProxy
	}
	return c.Readdress(source)
}

// Readdress makes a the peer's address, for a trusted peer that speaks for another:
// the connection counts for that address from now on. When there are too many from
// there the error's text is a sentence for the peer, without a full stop.
func (c *Conn) Readdress(a *net.TCPAddr) error {
	g, from := c.gate, c.listener.origin(a)
	bounds := c.listener.bounds(g.limits())
	g.mu.Lock()
	g.count(c.from, -1)
	if reason := g.crowded(from, bounds); reason != "" {
		g.count(c.from, 1)
		g.mu.Unlock()
		g.refused.Add(1)
		return crowdedError{reason}
	}
	g.count(from, 1)
	c.from = from
	g.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remote = a
	return nil
}

// RemoteAddr implements net.Conn: it is the client's address behind a proxy.
func (c *Conn) RemoteAddr() net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.remote != nil {
		return c.remote
	}
	return c.Conn.RemoteAddr()
}

// Read implements net.Conn: what came right after a PROXY header is read first.
func (c *Conn) Read(p []byte) (int, error) {
	if len(c.rest) > 0 {
		n := copy(p, c.rest)
		c.rest = c.rest[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}
