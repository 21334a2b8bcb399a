// Package pop3d lets users fetch their mail by POP3. Only app imports it.
//
// A session holds its maildrop, the account's inbox, alone: a second one is told
// [IN-USE]. It sees the maildrop as it was at sign-in, and what it deletes goes in one
// durable change at QUIT.
//
//	RFC   what                                     state        test
//	1939  POP3, with TOP and UIDL; not APOP¹       complete     TestSession, TestMaildropIsASnapshot
//	2449  CAPA, RESP-CODES, PIPELINING, EXPIRE     complete     TestCapabilities, TestPipelining
//	2595  STLS                                     complete     TestNobodySignsInInTheClear
//	3206  SYS/TEMP, SYS/PERM, AUTH                 complete     TestSignInIsRefused
//	5034  AUTH: the mechanisms of package auth     complete     TestAUTH
//	6856  UTF8 with USER, LANG (en, zh)            complete²    TestLanguages, TestUTF8
//	8314  TLS from the first byte (pop3s)          complete     TestTLSFromTheFirstByte
//
// ¹ APOP needs the password itself on the server, and MD5.
// ² A message with 8-bit header fields is served as it is to a client that has not said
// UTF8: what is downgraded (RFC 6857) cannot be verified or replied to, and clients
// have always coped with raw bytes.
//
// A message's UIDL is made of the inbox's UIDVALIDITY and its UID, which no other
// message ever has, and which survive a move of the account and a failover.
package pop3d

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"mailfleet/mailnode/auth"
	"mailfleet/mailnode/gate"
)

// Settings can be changed while the server runs; a connection has those that were
// in force when it began.
type Settings struct {
	Hostname string      // this server's name
	TLS      *tls.Config // nil: STLS is not offered
	Limits   gate.Limits
}

// Counters grow from the server's start. Sign-ins are counted by auth.Auth.
type Counters struct {
	Retrieved atomic.Int64 // messages sent whole
	Deleted   atomic.Int64 // messages removed at QUIT
}

// Options are what a server is made of.
type Options struct {
	Auth      *auth.Auth
	Mailboxes Mailboxes
	Logger    *slog.Logger
	Settings  Settings
}

// Server serves POP3.
type Server struct {
	Counters Counters
	Gate     *gate.Gate

	auth      *auth.Auth
	mailboxes Mailboxes
	log       *slog.Logger
	settings  atomic.Pointer[Settings]
	sessions  sync.WaitGroup
	ctx       context.Context // ends when sessions must
	cancel    context.CancelFunc

	mu    sync.Mutex
	inUse map[string]bool // accounts whose maildrop a session holds
}

// New returns a server that does not listen yet.
func New(o Options) *Server {
	s := &Server{
		auth:      o.Auth,
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
		session := newSession(s, c.(*gate.Conn)) // Accept's promise
		s.sessions.Go(func() { session.run(secure) })
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
