package imapd

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"mailfleet/mailnode/auth"
	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/gate"
	"mailfleet/mailnode/search"
	"mailfleet/mailnode/store"
)

// Accounts tells whose a shared mailbox is, and who has rights in one.
type Accounts interface {
	Account(address string) (directory.Account, bool)
	ByID(id string) (directory.Account, bool)
}

// Texts is an index of what messages say: a prefilter, see package search.
type Texts interface {
	Candidates(ctx context.Context, p search.Place, q search.Query) (search.Answer, error)
	// Touch says that the mailbox is searched, and should be indexed.
	Touch(p search.Place)
}

// Settings can be changed while the server runs; a connection has those that were
// in force when it began.
type Settings struct {
	Hostname     string      // this server's name
	TLS          *tls.Config // nil: STARTTLS is not offered
	MessageBytes int64       // largest message that is taken
	Limits       gate.Limits
}

// Counters grow from the server's start. Sign-ins are counted by auth.Auth.
type Counters struct {
	Fetched  atomic.Int64 // messages of which a part was sent
	Appended atomic.Int64
	Expunged atomic.Int64 // moved ones too
}

// Options are what a server is made of.
type Options struct {
	Auth     *auth.Auth
	Accounts Accounts
	Store    *store.Store
	Texts    Texts  // nil: every search looks at the messages themselves
	SpoolDir string // where large messages are kept while they arrive
	Logger   *slog.Logger
	Settings Settings
}

// Server serves IMAP.
type Server struct {
	Counters Counters
	Gate     *gate.Gate

	auth     *auth.Auth
	accounts Accounts
	store    *store.Store
	texts    Texts
	spoolDir string
	log      *slog.Logger
	settings atomic.Pointer[Settings]
	sessions sync.WaitGroup
	ctx      context.Context // ends when sessions must
	cancel   context.CancelFunc
}

// New returns a server that does not listen yet.
func New(o Options) *Server {
	s := &Server{
		auth:     o.Auth,
		accounts: o.Accounts,
		store:    o.Store,
		texts:    o.Texts,
		spoolDir: o.SpoolDir,
		log:      o.Logger.With("component", "imapd"),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.Configure(o.Settings)
	s.Gate = gate.New(
		func() gate.Limits { return s.settings.Load().Limits },
		func(reason string) string { return "* BYE [UNAVAILABLE] " + reason + "\r\n" })
	return s
}

// Configure changes the settings for connections that begin from now on.
func (s *Server) Configure(set Settings) { s.settings.Store(&set) }

// Serve takes connections from l until l is closed or the server stops.
func (s *Server) Serve(l *gate.Listener) { s.serve(l, false) }

// ServeTLS is Serve for connections that begin with TLS (RFC 8314 §3.2).
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

// Stop takes no more connections, lets what is being done finish, and closes what
// is left when ctx ends.
func (s *Server) Stop(ctx context.Context) {
	defer context.AfterFunc(ctx, s.cancel)()
	s.Gate.Stop(ctx)
	s.cancel()
	s.sessions.Wait()
}
