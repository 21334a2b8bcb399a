package milter

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"mailfleet/mailnode/envelope"
)

// Chain is a list of milters. It is safe for concurrent use.
type Chain struct {
	log     *slog.Logger
	milters []*milter
}

// milter is one program that is asked.
type milter struct {
	Settings
	network, address string
	slots            chan struct{}

	mu    sync.Mutex
	until time.Time // it is left alone
}

// New returns a chain that asks in this order.
func New(list []Settings, log *slog.Logger) (*Chain, error) {
	c := &Chain{log: log.With("component", "milter")}
	for _, s := range list {
		if err := s.Check(); err != nil {
			return nil, err
		}
		s = s.withDefaults()
		m := &milter{Settings: s, slots: make(chan struct{}, s.Connections)}
		m.network, m.address, _ = s.dial() // checked above
		c.milters = append(c.milters, m)
	}
	return c, nil
}

var (
	errResting = errors.New("it failed a moment ago")
	errBusy    = errors.New("too many connections to it are open")
)

// open connects and negotiates.
func (m *milter) open(ctx context.Context) (*link, error) {
	m.mu.Lock()
	resting := time.Now().Before(m.until)
	m.mu.Unlock()
	if resting {
		return nil, errResting
	}
	select {
	case m.slots <- struct{}{}:
	default:
		return nil, errBusy
	}
	dialing, cancel := context.WithTimeout(ctx, m.ConnectTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(dialing, m.network, m.address)
	if err != nil {
		<-m.slots
		return nil, err
	}
	l := &link{conn: conn, r: bufio.NewReader(conn), w: bufio.NewWriter(conn)}
	defer l.within(ctx, m.ConnectTimeout)()
	if err := l.negotiate(); err != nil {
		_ = conn.Close() // it is of no use
		<-m.slots
		return nil, err
	}
	return l, nil
}

// rest leaves the milter alone for a while.
func (m *milter) rest() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.until = time.Now().Add(m.Rest)
}

// visit is one milter in one session.
type visit struct {
	*milter
	log  *slog.Logger
	link *link // nil when there is none now

	session bool // it wants to see no more of the session
	message bool // nor of this message
	open    bool // it is in the middle of a message
}

// want tells whether the milter is asked about the message.
func (v *visit) want() bool { return !v.session && !v.message && v.link != nil }

// failed ends the link. The ruling says what that means for the mail.
func (v *visit) failed(ctx context.Context, err error) Ruling {
	v.close()
	v.message = true
	if ctx.Err() == nil { // else the session was ended: nobody's fault
		if !errors.Is(err, errResting) && !errors.Is(err, errBusy) {
			v.rest()
		}
		v.log.Warn("a milter failed", "milter", v.Name, "required", v.Required, "error", err)
	}
	if !v.Required {
		return Ruling{}
	}
	return Ruling{Refusal: &envelope.Refusal{
		Code: 451, Enhanced: "4.3.0",
		Text: fmt.Sprintf("the filter %s does not answer now: try again later", printable(v.Name)),
	}}
}

func (v *visit) close() {
	if v.link == nil {
		return
	}
	_ = v.link.conn.Close() // nothing more is wanted of it
	v.link, v.open = nil, false
	<-v.slots
}

// Session is one session that milters follow. It is used by one goroutine.
type Session struct {
	peer   Peer
	visits []*visit
}

// Connect begins a session. It is to be closed even when the ruling refuses it.
func (c *Chain) Connect(ctx context.Context, p Peer) (*Session, Ruling) {
	s := &Session{peer: p}
	for _, m := range c.milters {
		s.visits = append(s.visits, &visit{milter: m, log: c.log})
	}
	return s, s.each(func(v *visit) Ruling { return v.connect(ctx, p) })
}

// Empty reports whether there is no milter in the chain.
func (c *Chain) Empty() bool { return len(c.milters) == 0 }

// each asks the milters in order until one ends it.
func (s *Session) each(ask func(v *visit) Ruling) Ruling {
	all := Ruling{Accept: true}
	for _, v := range s.visits {
		if v.session || v.message {
			continue
		}
		r := ask(v)
		if r.Refusal != nil || r.Discard {
			return r
		}
		if !v.session && !v.message {
			all.Accept = false
		}
	}
	return all
}

// Helo is called when the peer has said what it calls itself.
func (s *Session) Helo(ctx context.Context, p Peer) Ruling {
	s.peer = p
	return s.each(func(v *visit) Ruling {
		if v.link == nil {
			return Ruling{}
		}
		return v.helo(ctx, p)
	})
}

// Mail begins a message.
func (s *Session) Mail(ctx context.Context, from string, params []envelope.Param) Ruling {
	for _, v := range s.visits {
		v.message = false
	}
	return s.each(func(v *visit) Ruling {
		if v.link == nil { // it failed before: perhaps it is back
			if r := v.connect(ctx, s.peer); r.Refusal != nil || v.message || v.session {
				return r
			}
			if r := v.helo(ctx, s.peer); r.Refusal != nil || v.message || v.session {
				return r
			}
		}
		return v.mail(ctx, s.peer, from, params)
	})
}

// Recipient is called for each recipient that is to be taken.
func (s *Session) Recipient(ctx context.Context, to string, params []envelope.Param) Ruling {
	return s.each(func(v *visit) Ruling { return v.recipient(ctx, to, params) })
}

// Reset gives up the message under way.
func (s *Session) Reset(ctx context.Context) {
	for _, v := range s.visits {
		v.abort(ctx)
	}
}

// Close ends the session.
func (s *Session) Close() {
	for _, v := range s.visits {
		if v.link != nil {
			stop := v.link.within(context.Background(), time.Second)
			if v.link.send(cmdQuit) == nil {
				_ = v.link.w.Flush() // it notices without, too
			}
			stop()
		}
		v.close()
	}
}
