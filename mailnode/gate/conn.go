package gate

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"net"
	"sync"
	"time"

	"mailfleet/inventory"
)

// Conn is an admitted connection.
type Conn struct {
	net.Conn
	gate     *Gate
	listener *Listener
	from     source // under gate.mu
	rest     []byte // read ahead behind a PROXY header
	id       string
	since    time.Time
	once     sync.Once

	mu          sync.Mutex
	remote      net.Addr // of the client behind a proxy
	waiting     bool     // for a command: may be interrupted
	interrupted error    // why the session must end
	active      time.Time
	account     inventory.ID
	user        string
	tls         uint16 // version, 0 in the clear
	cut         *time.Timer
}

// newID names a connection so that another one, even after a restart, is not taken for it.
func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	return hex.EncodeToString(b[:])
}

// ID names the connection, in the log and in the list of sessions.
func (c *Conn) ID() string { return c.id }

// Port is that of the listener it came to; 0 when that has none.
func (c *Conn) Port() int { return c.listener.Port() }

// Local reports whether it came to a listener marked local.
func (c *Conn) Local() bool { return c.listener.Local }

// SignedIn notes whose session it is; the empty account makes it nobody's again.
func (c *Conn) SignedIn(account inventory.ID, user string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.account, c.user = account, user
}

// Secured notes that TLS has begun, of a version of crypto/tls.
func (c *Conn) Secured(version uint16) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tls = version
}

// Await is called before a session reads the next command: the reads that follow
// fail when d has passed, the session is ended or the server stops. It fails with
// ErrStopping or ErrEnded when that is so already.
func (c *Conn) Await(d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.interrupted != nil {
		return c.interrupted
	}
	c.waiting, c.active = true, time.Now()
	return c.SetReadDeadline(c.active.Add(d))
}

// Engage is called before a session reads in the middle of something that a stop
// should let finish: the reads that follow fail only when d has passed.
func (c *Conn) Engage(d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = false
	return c.SetReadDeadline(time.Now().Add(d))
}

// Interrupted reports whether the session must end.
func (c *Conn) Interrupted() bool { return c.Cause() != nil }

// Cause is why the session must end, ErrStopping or ErrEnded; nil when it need not.
func (c *Conn) Cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.interrupted
}

func (c *Conn) interrupt(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.interrupted == nil {
		c.interrupted = cause
	}
	if c.waiting {
		_ = c.SetReadDeadline(time.Now()) // fails only on a closed connection
	}
}

// Close closes the connection and gives its place free.
func (c *Conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.gate.release(c)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.cut != nil {
			c.cut.Stop()
		}
	})
	return err
}

// endGrace is how long a session that is ended may take over what it is doing.
const endGrace = 3 * time.Second

// end interrupts the session, and cuts it off when that does not help.
func (c *Conn) end() {
	c.interrupt(ErrEnded)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut == nil {
		c.cut = time.AfterFunc(endGrace, func() { _ = c.Conn.Close() }) // the session notices and releases it
	}
}

// session describes the connection.
func (c *Conn) session() inventory.MailSession {
	s := inventory.MailSession{ID: c.id, Since: c.since}
	if peer, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		s.Address, s.Port = peer.AddrPort().Addr().Unmap().String(), peer.Port
	}
	if local := c.LocalAddr(); local != nil {
		s.Listener = local.String()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Account, s.User, s.Active = c.account, c.user, c.active
	if c.tls != 0 {
		s.TLS = tls.VersionName(c.tls)
	}
	return s
}

// Sessions describes the open connections.
func (g *Gate) Sessions() []inventory.MailSession {
	conns := g.conns()
	list := make([]inventory.MailSession, len(conns))
	for i, c := range conns {
		list[i] = c.session()
	}
	return list
}

// End ends the connection with an id, and reports whether it was open.
func (g *Gate) End(id string) bool {
	g.mu.Lock()
	c := g.open[id]
	g.mu.Unlock()
	if c == nil {
		return false
	}
	c.end()
	return true
}

func (g *Gate) conns() []*Conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := make([]*Conn, 0, len(g.open))
	for _, c := range g.open {
		list = append(list, c)
	}
	return list
}
