// Package smtpd receives mail by SMTP (RFC 5321) for the accounts of this server.
// Only app imports it.
//
// The protocol is emersion/go-smtp's; between it and the network stands a guard
// (guard.go) that hands it one well-formed command at a time and never lets bytes
// of a message come near its command parser. What go-smtp v0.25.1 does wrong, the
// guard keeps from it:
//
//	seen in go-smtp                              here
//	BDAT cut short is accepted whole             CHUNKING is not offered; BDAT ends the connection
//	BDAT with junk runs the chunk as commands    the same
//	after a timeout in DATA the body is run      any error in DATA ends the connection
//	one deadline for the whole of DATA           a deadline for each read
//	a second MAIL keeps the old recipients       503 (session.go)
//	RCPT TO:<postmaster> is a syntax error       completed with the server's name
//	8-bit addresses without SMTPUTF8             refused
//	bare CR and LF in messages are passed on     521, and the connection ends
//	a body ending in CR before the end hangs     the same
//	the line limit counts lines of messages      it counts commands only
//	STARTTLS keeps part of the session           TLS begins with a new session
//	502 for commands out of order                503
//	limits after the greeting                    in the listener (package gate)
package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/emersion/go-smtp"

	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/gate"
	"mailfleet/mailnode/store"
)

// Recipients says which account gets the mail for an address. Its errors are those
// of directory.Directory.Recipient.
type Recipients interface {
	Recipient(address string) (directory.Account, error)
}

// Mailboxes takes messages in. Its errors are those of store.Store.
type Mailboxes interface {
	Deliver(ctx context.Context, d store.Delivery) ([]store.Receipt, error)
	Room(size int64) error
	CanTake(account string, messages, bytes int64) error
}

// Settings can be changed while the server runs; a connection has those that were
// in force when it began.
type Settings struct {
	Hostname     string      // this server's name
	TLS          *tls.Config // nil: STARTTLS is not offered
	MessageBytes int64       // largest message
	Recipients   int         // most recipients of a message
	Limits       gate.Limits
}

// Counters grow from the server's start.
type Counters struct {
	Accepted  atomic.Int64 // messages answered 250
	Rejected  atomic.Int64 // recipients and messages answered 4xx or 5xx
	Delivered atomic.Int64 // copies put into mailboxes
	Bytes     atomic.Int64 // size of these copies
}

// Options are what a server is made of.
type Options struct {
	Recipients Recipients
	Mailboxes  Mailboxes
	SpoolDir   string // for messages too large for memory while they arrive
	Logger     *slog.Logger
	Settings   Settings
}

// Server receives mail.
type Server struct {
	Counters Counters
	Gate     *gate.Gate

	recipients Recipients
	mailboxes  Mailboxes
	spoolDir   string
	log        *slog.Logger
	settings   atomic.Pointer[Settings]
	conns      atomic.Uint64 // numbers connections for the log

	smtp     *smtp.Server
	upgrades *upgrades
	serving  sync.WaitGroup
	ctx      context.Context // ends when sessions must
	cancel   context.CancelFunc
}

// New returns a server that does not listen yet.
func New(o Options) *Server {
	s := &Server{
		recipients: o.Recipients,
		mailboxes:  o.Mailboxes,
		spoolDir:   o.SpoolDir,
		log:        o.Logger.With("component", "smtpd"),
		upgrades:   newUpgrades(),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.Configure(o.Settings)
	s.Gate = gate.New(
		func() gate.Limits { return s.settings.Load().Limits },
		func(reason string) string {
			return fmt.Sprintf("421 4.3.2 %s %s\r\n", s.settings.Load().Hostname, reason)
		})
	s.smtp = smtp.NewServer(smtp.BackendFunc(s.newSession))
	s.smtp.MaxLineLength = 0 // the guard bounds commands; lines of messages have no limit
	s.smtp.ErrorLog = libraryLog{s.log}
	s.serving.Go(func() { s.serve(s.upgrades) })
	return s
}

// Configure changes the settings for connections that begin from now on.
func (s *Server) Configure(set Settings) { s.settings.Store(&set) }

// Serve takes connections from l until l is closed or the server stops.
func (s *Server) Serve(l *gate.Listener) {
	s.serve(guarded{l, s})
}

func (s *Server) serve(l net.Listener) {
	if err := s.smtp.Serve(l); err != nil && !errors.Is(err, net.ErrClosed) {
		s.log.Error("accepting connections ended", "address", l.Addr(), "error", err)
	}
}

// Stop takes no more connections, lets messages that are being received finish,
// and closes what is left when ctx ends.
func (s *Server) Stop(ctx context.Context) {
	defer context.AfterFunc(ctx, s.cancel)()
	s.Gate.Stop(ctx)
	s.cancel()
	_ = s.upgrades.Close()
	_ = s.smtp.Shutdown(context.Background()) // all connections are closed: it waits for their last steps
	s.serving.Wait()
}

// guarded gives go-smtp connections behind guards.
type guarded struct {
	*gate.Listener
	srv *Server
}

func (l guarded) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	admitted := c.(*gate.Conn) // Accept's promise
	return newGuard(l.srv, admitted), nil
}

// upgrades is the listener through which a connection that has asked for TLS
// comes back, to be a new session (RFC 3207 §4.2).
type upgrades struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newUpgrades() *upgrades {
	return &upgrades{conns: make(chan net.Conn), done: make(chan struct{})}
}

// hand gives a connection over; false when the server has stopped.
func (u *upgrades) hand(c net.Conn) bool {
	select {
	case u.conns <- c:
		return true
	case <-u.done:
		return false
	}
}

// Accept implements net.Listener.
func (u *upgrades) Accept() (net.Conn, error) {
	select {
	case c := <-u.conns:
		return c, nil
	case <-u.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (u *upgrades) Close() error {
	u.once.Do(func() { close(u.done) })
	return nil
}

// Addr implements net.Listener.
func (u *upgrades) Addr() net.Addr { return &net.TCPAddr{} }

// libraryLog is where go-smtp reports its own troubles, panics among them.
type libraryLog struct{ log *slog.Logger }

func (l libraryLog) Printf(format string, args ...any) {
	l.log.Error("go-smtp: " + fmt.Sprintf(format, args...))
}

func (l libraryLog) Println(args ...any) {
	l.log.Error("go-smtp: " + fmt.Sprint(args...))
}
