// Package smtpd receives mail: from other servers by SMTP (RFC 5321), from users who
// sign in (submission, RFC 6409), and by LMTP (RFC 2033). Only app imports it.
//
// It speaks the protocol and keeps to its limits; who is a recipient, who takes
// responsibility for a message, and what is thought of a peer or a message, it asks
// through the interfaces in interfaces.go. A message is answered with 250 only after
// the Deliverer has taken it.
//
//	RFC   what                                      state         test
//	1870  SIZE                                      complete      TestSenderIsChecked
//	2033  LMTP                                      complete      TestLMTPAnswersForEachRecipient
//	2034  enhanced status codes, on every line      complete      TestEveryLineHasItsEnhancedCode
//	2920  PIPELINING                                complete      TestPipelining
//	3030  CHUNKING, BINARYMIME                      complete      TestChunks, TestBinaryMessage
//	3207  STARTTLS                                  complete      TestSTARTTLS
//	3461  DSN                                       complete      TestEnvelopeCarriesWhatWasAsked
//	4865  FUTURERELEASE                             complete      TestFutureReleaseAndPriority
//	4954  AUTH: the mechanisms of package auth      complete      TestSubmission
//	5321  SMTP; no EXPN, no source routing          complete      TestCommandsOutOfOrder
//	6152  8BITMIME                                  complete      TestEHLOOffersWhatIsDone
//	6409  submission                                complete      TestSubmissionCompletesMessages
//	6531  SMTPUTF8                                  complete      TestInternationalAddresses
//	6710  MT-PRIORITY                               complete¹     TestFutureReleaseAndPriority
//	8314  TLS from the first byte (submissions)     complete      TestImplicitTLS
//	8689  REQUIRETLS                                complete      TestRequireTLS
//	9422  LIMITS: RCPTMAX, MAILMAX                  complete      TestLimitsAreAnnounced
//
// ¹ Nobody gets ahead of others: a priority above normal counts as normal, and the reply
// says so.
//
// Besides, PROXY protocol (package gate) and XCLIENT, from trusted networks.
//
// emersion/go-smtp's server, v0.25.1, was measured before this one was written; it took
// cut chunks for whole messages, ran the rest of a timed-out body as commands, and
// more. Each of these has a test here (known_test.go).
package smtpd

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"mailfleet/mailnode/auth"
	"mailfleet/mailnode/gate"
)

// Kind is what a listener is for.
type Kind int

// The kinds of listeners.
const (
	Receiving   Kind = iota // mail from other servers
	Submission              // mail from users, with STARTTLS
	Submissions             // mail from users, over TLS from the first byte
	LMTP                    // mail from a server that has judged it already
	kinds
)

// submits reports whether users send their mail by it.
func (k Kind) submits() bool { return k == Submission || k == Submissions }

// Settings can be changed while the server runs; a connection has those that were
// in force when it began.
type Settings struct {
	Hostname     string        // this server's name
	TLS          *tls.Config   // nil: STARTTLS is not offered
	MessageBytes int64         // largest message
	Recipients   int           // most recipients of a message
	Transactions int           // most messages of a connection; 0: no limit
	MaxHold      time.Duration // how long users may have their messages held back (FUTURERELEASE); 0: not offered
	Limits       gate.Limits   // for each of receiving, submission and LMTP
	Receiving    int           // connections of receiving in all; 0: as Limits has it
}

// Policy is what one listener does of the things that can be switched. It is asked for
// each connection.
type Policy struct {
	Reputation bool          // ask Options.Reputation about peers and their recipients
	Judge      bool          // ask Options.Judge about messages
	Filter     bool          // ask Options.Filter about everything
	EarlyTalk  time.Duration // a peer that speaks before it is greeted, within this time, is refused; 0: nobody is
	Relay      gate.Networks // who may send to anybody without signing in; nil: nobody
	Known      gate.Networks // who is greeted at once and neither judged nor asked about; nil: nobody
}

// DefaultPolicy is what a listener of a kind does unless its owner wants otherwise.
func DefaultPolicy(k Kind) Policy {
	switch k {
	case Receiving:
		return Policy{Reputation: true, Judge: true, Filter: true, EarlyTalk: 200 * time.Millisecond}
	case LMTP:
		return Policy{}
	}
	return Policy{Filter: true}
}

// Counters grow from the server's start.
type Counters struct {
	Accepted   atomic.Int64 // messages answered 250
	Rejected   atomic.Int64 // peers, recipients and messages answered 4xx or 5xx
	Recipients atomic.Int64 // of accepted messages
	Bytes      atomic.Int64 // of accepted messages
}

// Options are what a server is made of. Recipients and Deliverer are needed; of the
// rest nil means that nobody is asked.
type Options struct {
	Recipients Recipients
	Deliverer  Deliverer
	Room       func(size int64) error // an error when a message of size bytes would not be taken now
	Auth       *auth.Auth             // nil: nobody signs in, and so nobody submits
	Senders    Senders                // nil: users send as their own address only
	Allowance  Allowance
	Signer     Signer
	Judge      Judge
	Filter     Filter
	Reputation Reputation
	SpoolDir   string // for messages too large for memory while they arrive
	Logger     *slog.Logger
	Settings   Settings
}

// Server receives mail.
type Server struct {
	Counters Counters

	o        Options
	gates    [kinds]*gate.Gate // Submission and Submissions share one
	log      *slog.Logger
	settings atomic.Pointer[Settings]
	sessions sync.WaitGroup
	ctx      context.Context // ends when sessions must
	cancel   context.CancelFunc
	stopping context.Context // ends when sessions should
	stop     context.CancelFunc
}

// New returns a server that does not listen yet.
func New(o Options) *Server {
	s := &Server{o: o, log: o.Logger.With("component", "smtpd")}
	if s.o.Senders == nil {
		s.o.Senders = ownAddress{}
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.stopping, s.stop = context.WithCancel(s.ctx)
	s.Configure(o.Settings)
	limits := func() gate.Limits { return s.settings.Load().Limits }
	receiving := func() gate.Limits {
		set := s.settings.Load()
		l := set.Limits
		l.Connections = cmp.Or(set.Receiving, l.Connections)
		return l
	}
	refuse := func(reason string) string {
		return fmt.Sprintf("421 4.3.2 %s %s\r\n", s.settings.Load().Hostname, reason)
	}
	s.gates[Receiving] = gate.New(receiving, refuse)
	for _, k := range []Kind{Submission, LMTP} {
		s.gates[k] = gate.New(limits, refuse)
	}
	s.gates[Submissions] = s.gates[Submission]
	return s
}

// Gate is the gate that connections of a kind come through.
func (s *Server) Gate(k Kind) *gate.Gate { return s.gates[k] }

// Configure changes the settings for connections that begin from now on.
func (s *Server) Configure(set Settings) { s.settings.Store(&set) }

// Hostname is this server's name.
func (s *Server) Hostname() string { return s.settings.Load().Hostname }

// Serve takes connections from l, a listener of Gate(k), until l is closed or the
// server stops. policy is asked for each; nil means DefaultPolicy.
func (s *Server) Serve(l *gate.Listener, k Kind, policy func() Policy) {
	if policy == nil {
		policy = func() Policy { return DefaultPolicy(k) }
	}
	for {
		c, err := l.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				s.log.Error("accepting connections ended", "address", l.Addr(), "error", err)
			}
			return
		}
		session := newSession(s, c.(*gate.Conn), k, policy()) // Accept's promise
		s.sessions.Go(session.run)
	}
}

// Stop takes no more connections, lets messages that are being received finish,
// and closes what is left when ctx ends.
func (s *Server) Stop(ctx context.Context) {
	defer context.AfterFunc(ctx, s.cancel)()
	s.stop()
	var all sync.WaitGroup
	for _, k := range []Kind{Receiving, Submission, LMTP} {
		all.Go(func() { s.gates[k].Stop(ctx) })
	}
	all.Wait()
	s.cancel()
	s.sessions.Wait()
}

// pause waits d, or until the server stops.
func (s *Server) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-time.After(min(d, maxDelay)):
	case <-s.stopping.Done():
	}
}

// maxDelay is the longest a peer is kept waiting on purpose.
const maxDelay = 30 * time.Second
