// Package auth proves who signs in, for every face alike: by a password or through a
// SASL exchange (RFC 4422). It throttles those who guess, and counts, logs and
// remembers each attempt. pop3d, imapd, smtpd and the HTTP face use it; app makes it.
//
// A face tells of its peer (Peer) and then either asks Password, for a command
// that carries name and password, or offers Mechanisms and runs what Start
// returns, which is a sasl.Server:
//
//	x, err := a.Start(ctx, peer, "PLAIN") // ErrClear, ErrMechanism
//	for response := initial; ; response = read() {
//		challenge, done, err := x.Next(response)
//		…
//	}
//	x.Identity()
//
// A failed attempt has already been delayed, counted and logged when its error
// comes; the face only answers, and ends the connection after a few.
package auth

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"mailfleet/inventory"
	"mailfleet/inventory/throttle"
	"mailfleet/mailnode/api"
	"mailfleet/mailnode/directory"
)

// Why an attempt fails. ErrRefused is a wrong name or credential; it is not said
// which, and both take the same time. ErrSuspended and ErrOff come only after the
// right credential. Other errors than these and *ThrottledError are the server's
// trouble, or ctx's.
var (
	ErrRefused   = errors.New("auth: wrong address or password")
	ErrSuspended = errors.New("auth: the account is suspended")
	ErrOff       = errors.New("auth: the protocol is switched off for the account")
	ErrClear     = errors.New("auth: nobody signs in here without TLS")
	ErrMechanism = errors.New("auth: there is no such mechanism")
	ErrMalformed = errors.New("auth: the response is not one of the mechanism")
)

// ThrottledError refuses an attempt unseen, because too many have failed.
type ThrottledError struct{ Wait time.Duration }

func (e *ThrottledError) Error() string {
	return fmt.Sprintf("auth: too many failed sign-ins, try again in %s", throttle.RoundUp(e.Wait))
}

// Accounts finds the account that signs in.
type Accounts interface {
	Account(address string) (directory.Account, bool)
	Accounts() []directory.Account
}

// Tokens checks bearer tokens (RFC 6750), by whatever means: a signature, or a
// question to who issued them.
type Tokens interface {
	// Verify returns the address of the account that a token lets in. ErrRefused: the
	// token is not good, or not any more.
	Verify(ctx context.Context, token string) (address string, err error)
}

// History remembers sign-ins. It is safe for concurrent use.
type History interface {
	// Add notes an attempt to sign in to an account: First, Last and Count need not be set.
	Add(account string, s inventory.MailSignIn)
	// Known reports whether a sign-in from the neighbourhood has succeeded lately.
	Known(account, neighbourhood string) bool
}

// Options are what an Auth is made of.
type Options struct {
	Accounts Accounts
	Tokens   Tokens  // nil: OAUTHBEARER is not offered
	History  History // nil: nothing is remembered
	Key      []byte  // 32 random bytes, the same at each start: makes the salts of accounts that do not exist
	Logger   *slog.Logger
}

// Auth proves who signs in. It is safe for concurrent use.
type Auth struct {
	accounts Accounts
	tokens   Tokens
	history  History
	key      []byte
	log      *slog.Logger
	slots    *semaphore.Weighted // password hashings at once
	lanes    *lanes
	verified *verified
	nonce    func() string // SCRAM's; a test has its own

	mu     sync.Mutex
	counts map[api.Protocol]Counts
}

// Counts grow from the start.
type Counts struct {
	OK     int64
	Failed int64 // for whatever reason

	// Why says of those that failed how many there were of each cause, by the names of
	// api.LoginFailureCauses.
	Why map[string]int64
}

// New returns an Auth.
func New(o Options) *Auth {
	if o.History == nil {
		o.History = forgetful{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Auth{
		accounts: o.Accounts,
		tokens:   o.Tokens,
		history:  o.History,
		key:      o.Key,
		log:      o.Logger.With("component", "auth"),
		slots:    semaphore.NewWeighted(int64(runtime.GOMAXPROCS(0))),
		lanes:    newLanes(),
		verified: newVerified(),
		nonce:    rand.Text,
		counts:   map[api.Protocol]Counts{},
	}
}

type forgetful struct{}

func (forgetful) Add(string, inventory.MailSignIn) {}
func (forgetful) Known(string, string) bool        { return false }

// Counts returns the counts of a protocol.
func (a *Auth) Counts(p api.Protocol) Counts {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.counts[p]
	c.Why = maps.Clone(c.Why)
	return c
}

// Peer is who signs in, as the face knows them.
type Peer struct {
	Protocol     api.Protocol         // api.POP3 for pop3 and pop3s, api.Submission, and so on
	Address      string               // IP address
	Local        bool                 // the listener is marked local
	TLS          *tls.ConnectionState // nil: in the clear
	Certificates []tls.Certificate    // of the server in TLS
	Log          *slog.Logger         // the connection's; nil: that of Auth
}

// Address is the IP address of a connection's peer.
func Address(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().String()
	}
	return a.String()
}

// MayAuthenticate reports whether the peer may sign in where it is: in TLS, or
// on a listener marked local.
func (p *Peer) MayAuthenticate() bool { return p.TLS != nil || p.Local }

// Identity is who has signed in.
type Identity struct {
	Account    directory.Account
	Mechanism  string       // of SASL, or the name of the command
	Credential inventory.ID // application password used; empty: the account's own credential
}

// Password signs in by a command that carries an address and a password, which
// is named by command (USER, LOGIN).
func (a *Auth) Password(ctx context.Context, p *Peer, command, address, password string) (Identity, error) {
	if !p.MayAuthenticate() {
		return Identity{}, ErrClear
	}
	return a.password(ctx, p, command, address, password)
}

// attempt is a sign-in under way.
type attempt struct {
	auth      *Auth
	peer      *Peer
	mechanism string
	account   directory.Account
	exists    bool   // there is such an account
	lane      string // whom failures are held against
	known     bool   // the peer is where the account's user has been
}

func (a *Auth) attempt(p *Peer, mechanism, name string) *attempt {
	t := &attempt{auth: a, peer: p, mechanism: mechanism}
	t.account, t.exists = a.accounts.Account(name)
	if !t.exists {
		t.lane = "unknown " + strings.ToLower(name)
		return t
	}
	place := throttle.Neighbourhood(p.Address)
	t.lane = t.account.ID
	if t.known = a.lanes.known(t.account.ID, place) || a.history.Known(t.account.ID, place); t.known {
		t.lane += " " + place
	}
	return t
}

// succeed counts, logs and remembers a success.
func (t *attempt) succeed(credential inventory.ID) (Identity, error) {
	if t.account.Suspended {
		return Identity{}, t.note("suspended", ErrSuspended)
	}
	if !t.account.May(t.peer.Protocol.Feature()) {
		return Identity{}, t.note("switched off", ErrOff)
	}
	t.auth.lanes.welcome(t.account.ID, throttle.Neighbourhood(t.peer.Address))
	t.auth.count(t.peer.Protocol, "")
	t.logger().Info("signed in", "account", t.account.ID, "mechanism", t.mechanism, "address", t.peer.Address, "credential", string(credential))
	t.auth.history.Add(t.account.ID, inventory.MailSignIn{
		Protocol: string(t.peer.Protocol.Feature()), Address: t.peer.Address, Mechanism: t.mechanism, Credential: credential, OK: true,
	})
	return Identity{Account: t.account, Mechanism: t.mechanism, Credential: credential}, nil
}

// note counts, logs and remembers a failure, which is no guess of a credential.
func (t *attempt) note(reason string, err error) error {
	t.auth.count(t.peer.Protocol, t.cause(err))
	account := "unknown" // what was given instead of an account's address may well be a password
	if t.exists {
		account = t.account.ID
		t.auth.history.Add(account, inventory.MailSignIn{
			Protocol: string(t.peer.Protocol.Feature()), Address: t.peer.Address, Mechanism: t.mechanism, Reason: reason,
		})
	}
	t.logger().Warn("sign-in refused", "account", account, "mechanism", t.mechanism, "address", t.peer.Address, "reason", reason)
	return err
}

// guess notes a failure and holds it against the lane, unless guess repeats an
// earlier one; the answer is delayed by what is in the lane.
func (t *attempt) guess(ctx context.Context, reason string, guess uint64) error {
	if !t.exists {
		reason = "unknown account"
	}
	err := t.note(reason, ErrRefused)
	select {
	case <-time.After(t.auth.lanes.fail(t, guess)):
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// open is a *ThrottledError while no guess is taken.
func (t *attempt) open() error {
	if wait := t.auth.lanes.wait(t); wait > 0 {
		return t.note("throttled", &ThrottledError{wait})
	}
	return nil
}

func (t *attempt) logger() *slog.Logger {
	if t.peer.Log != nil {
		return t.peer.Log
	}
	return t.auth.log.With("protocol", t.peer.Protocol)
}

// cause is what a failure counts as.
func (t *attempt) cause(err error) string {
	_, throttled := errors.AsType[*ThrottledError](err)
	switch {
	case throttled:
		return api.LoginThrottled
	case errors.Is(err, ErrSuspended):
		return api.LoginSuspended
	case errors.Is(err, ErrOff):
		return api.LoginOff
	case errors.Is(err, ErrMalformed):
		return api.LoginMalformed
	case !t.exists:
		return api.LoginUnknown
	default:
		return api.LoginRefused
	}
}

// count counts a sign-in that failed for a cause, or succeeded when there is none.
func (a *Auth) count(p api.Protocol, cause string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.counts[p]
	if cause == "" {
		c.OK++
	} else {
		c.Failed++
		if c.Why == nil {
			c.Why = map[string]int64{}
		}
		c.Why[cause]++
	}
	a.counts[p] = c
}
