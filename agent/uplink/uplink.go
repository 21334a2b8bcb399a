// Package uplink is the agent's connection to its controller: the identity it
// joined with, the certificates it renews, and the one link it keeps open and
// dials again when it breaks.
//
// app wires it; steward and watch ask through the client it gives.
package uplink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"mailfleet/controller/api"
	"mailfleet/inventory/identity"
	"mailfleet/inventory/link"
)

// After a break the link is dialled again at a random moment within a time, and
// then of ever longer ones, so that a fleet does not come back all at once: at
// first firstRetry, or what the controller has found right for a fleet of its
// size, at last lastRetry, or twice that.
const (
	firstRetry = time.Second
	lastRetry  = 15 * time.Second
	dialLimit  = 10 * time.Second
	// lineLimit is how long a handshake may take: a controller to which all of a
	// fleet comes back has them stand in line, and who begins again goes to its end.
	lineLimit = 45 * time.Second
)

// ErrAway says that there is no link to the controller now.
var ErrAway = errors.New("the controller is away")

// Uplink keeps the link. It is safe for concurrent use.
type Uplink struct {
	dir     string
	me      Identity
	root    *identity.Root
	handler http.Handler
	log     *slog.Logger
	client  *http.Client

	hold func(context.Context) error // one link until it breaks

	mu       sync.Mutex
	spread   time.Duration // of the fleet's coming back; 0: not known
	cert     *tls.Certificate
	received time.Time
	link     *link.Link
	up       chan struct{} // closed while there is a link
}

// Open reads the identity in dir. The controller's requests go to handler.
func Open(dir string, handler http.Handler, log *slog.Logger) (*Uplink, error) {
	me, err := Joined(dir)
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(filepath.Join(dir, caFile))
	if err != nil {
		return nil, fmt.Errorf("read the fleet's CA: %w", err)
	}
	root, err := identity.ParseRoot(ca)
	if err != nil {
		return nil, err
	}
	u := &Uplink{dir: dir, me: me, root: root, handler: handler, log: log.With("component", "uplink"), up: make(chan struct{})}
	u.client, u.hold = &http.Client{Transport: u}, u.connect
	if u.cert, u.received, err = loadCertificate(filepath.Join(dir, certFile)); err != nil {
		return nil, err
	}
	return u, nil
}

// Identity tells which server this is.
func (u *Uplink) Identity() Identity { return u.me }

// HTTP asks the controller over the link, or fails with ErrAway at once. The
// host of the URL does not matter.
func (u *Uplink) HTTP() *http.Client { return u.client }

// Client speaks the controller's API over the link.
func (u *Uplink) Client() *api.Client { return &api.Client{Base: "http://controller", HTTP: u.client} }

// Up is closed while there is a link; ask again after a break.
func (u *Uplink) Up() <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.up
}

// CertExpires is when the agent's certificate ends.
func (u *Uplink) CertExpires() time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.cert.Leaf.NotAfter
}

// RoundTrip sends a request over the link there is now.
func (u *Uplink) RoundTrip(r *http.Request) (*http.Response, error) {
	u.mu.Lock()
	l := u.link
	u.mu.Unlock()
	if l == nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, ErrAway
	}
	return l.Client().Transport.RoundTrip(r)
}

// Run keeps the link and the certificates until ctx ends.
func (u *Uplink) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { u.keep(ctx); return nil })
	g.Go(func() error { u.renew(ctx); return nil })
	return g.Wait()
}

// ComeBackWithin tells over how long a fleet of this size spreads its coming
// back after a break.
func (u *Uplink) ComeBackWithin(spread time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.spread = max(spread, 0)
}

// retries are the first and the longest time to dial again in.
func (u *Uplink) retries() (first, last time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return max(firstRetry, u.spread), max(lastRetry, 2*u.spread)
}

// keep dials, serves and dials again.
func (u *Uplink) keep(ctx context.Context) {
	var retry time.Duration
	for ctx.Err() == nil {
		began := time.Now()
		err := u.hold(ctx)
		if ctx.Err() != nil {
			return
		}
		first, last := u.retries()
		if time.Since(began) > lastRetry {
			retry = first // it held: this is a new trouble
		}
		retry = min(max(retry, first), last)
		u.log.Warn("no link to the controller", "controller", u.me.Controller, "err", err)
		pause(ctx, rand.N(retry))
		retry *= 2
	}
}

// connect holds one link until it breaks.
func (u *Uplink) connect(ctx context.Context) error {
	to, err := url.Parse(u.me.Controller)
	if err != nil {
		return err
	}
	dialer := net.Dialer{Timeout: dialLimit}
	open, err := dialer.DialContext(ctx, "tcp", to.Host)
	if err != nil {
		return err
	}
	conn := tls.Client(open, identity.AgentConfig(u.root, func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		u.mu.Lock()
		defer u.mu.Unlock()
		return u.cert, nil
	}))
	waiting, cancel := context.WithTimeout(ctx, lineLimit)
	err = conn.HandshakeContext(waiting)
	cancel()
	if err != nil {
		_ = open.Close()
		return fmt.Errorf("handshake with the controller: %w", err)
	}
	l, err := link.New(conn, link.Dialled, u.handler, nil, u.log)
	if err != nil {
		return err
	}
	u.mu.Lock()
	u.link = l
	close(u.up)
	u.mu.Unlock()
	u.log.Info("link to the controller up", "controller", u.me.Controller)
	err = l.Serve(ctx)
	u.mu.Lock()
	u.link, u.up = nil, make(chan struct{})
	u.mu.Unlock()
	return err
}

// pause waits; it tells whether the whole time passed.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
