// Package pop3d lets users fetch their mail by POP3 (RFC 1939), with CAPA (RFC 2449),
// STLS (RFC 2595) and response codes (RFC 2449, RFC 3206). Only app imports it.
//
// A session holds its maildrop alone: a second one is told [IN-USE]. It sees the
// maildrop as it was at sign-in, and what it deletes goes in one change at QUIT.
package pop3d

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/gate"
	"mailfleet/mailnode/store"
)

// Verifier proves who signs in. Its errors are those of auth.Verifier.
type Verifier interface {
	Verify(ctx context.Context, address, password string) (directory.Account, error)
}

// Mailboxes holds the mail. Its errors are those of store.Store.
type Mailboxes interface {
	Snapshot(ctx context.Context, p store.Place) (store.Mailbox, []store.Message, error)
	Body(m store.Message) io.Reader
	Expunge(ctx context.Context, p store.Place, uids []uint32) (store.Expunged, error)
}

// Settings can be changed while the server runs; a connection has those that were
// in force when it began.
type Settings struct {
	Hostname  string      // this server's name
	TLS       *tls.Config // nil: STLS is not offered
	PlainAuth bool        // passwords without TLS from anywhere, not from loopback only
	Limits    gate.Limits
}

// Counters grow from the server's start.
type Counters struct {
	Logins        atomic.Int64
	LoginFailures atomic.Int64
	Retrieved     atomic.Int64 // messages sent whole
	Deleted       atomic.Int64 // messages removed at QUIT
}

// Options are what a server is made of.
type Options struct {
	Verifier  Verifier
	Mailboxes Mailboxes
	Logger    *slog.Logger
	Settings  Settings
}

// Server serves POP3.
type Server struct {
	Counters Counters
	Gate     *gate.Gate

	verifier  Verifier
	mailboxes Mailboxes
	log       *slog.Logger
	settings  atomic.Pointer[Settings]
	conns     atomic.Uint64 // numbers connections for the log
	sessions  sync.WaitGroup
	ctx       context.Context // ends when sessions must
	cancel    context.CancelFunc

	mu    sync.Mutex
	inUse map[string]bool // accounts whose maildrop a session holds
}

// New returns a server that does not listen yet.
func New(o Options) *Server {
	s := &Server{
		verifier:  o.Verifier,
		mailboxes: o.Mailboxes,
		log:       o.Logger.With("component", "pop3d"),
		inUse:     map[string]bool{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.Configure(o.Settings)
	s.Gate = gate.New(
		func() gate.Limits { return s.settings.Load().Limits },
		func(reason string) string { return "-ERR [SYS/TEMP] " + reason + "\r\n" })
	return s
}

// Configure changes the settings for connections that begin from now on.
func (s *Server) Configure(set Settings) { s.settings.Store(&set) }

// Serve takes connections from l until l is closed or the server stops.
func (s *Server) Serve(l *gate.Listener) { s.serve(l, false) }

// ServeTLS is Serve for connections that begin with TLS (RFC 8314 §3.3).
func (s *Server) ServeTLS(l *gate.Listener) { s.serve(l, true) }

func (s *Server) serve(l *gate.Listener, secure bool) {
	for {
		c, err := l.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				s.log.Error("accepting connections ended", "address", l.Addr(), "error", err)
			}
			return
		}
		session := newSession(s, c.(*gate.Conn), secure) // Accept's promise
		s.sessions.Go(session.run)
	}
}

// Stop takes no more connections, lets what is being sent finish, and closes what is
// left when ctx ends.
func (s *Server) Stop(ctx context.Context) {
	defer context.AfterFunc(ctx, s.cancel)()
	s.Gate.Stop(ctx)
	s.cancel()
	s.sessions.Wait()
}

// hold takes the maildrop for one session (RFC 1939 §4); false when another has it.
func (s *Server) hold(account string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inUse[account] {
		return false
	}
	s.inUse[account] = true
	return true
}

func (s *Server) release(account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.inUse, account)
}
