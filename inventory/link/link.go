// Package link is the one connection an agent keeps to a controller: a yamux
// session over TLS whose streams carry HTTP/1.1 in both directions.
//
// The agent's and the controller's link rooms import it; it is the home of
// hashicorp/yamux.
package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
)

// Side tells which end of the connection we are.
type Side int

// The two ends.
const (
	Dialled  Side = iota // we opened it: an agent
	Accepted             // we took it: a controller
)

// drain is how long Serve waits for handlers of a broken link.
const drain = 10 * time.Second

// idleStreams are kept open for the next request; a waiting long poll holds one.
const idleStreams = 4

// maxHeader bounds a request's line and header: a question may name thousands of domains.
const maxHeader = 320 << 10

// writeTimeout is how long one write may wait for those before it.
const writeTimeout = 30 * time.Second

// errSilent says why a link was closed.
var errSilent = errors.New("the other end is not heard any more")

// Link is a live connection. It is safe for concurrent use.
type Link struct {
	session *yamux.Session
	streams *streams
	client  *http.Client
	server  *http.Server
	once    sync.Once

	watching sync.WaitGroup
	silent   atomic.Bool // the other end is, and so the link is closed
}

// New runs a session over conn, which it owns from then on. Requests of the
// other end go to handler once Serve runs; their context holds what base put
// there.
func New(conn net.Conn, side Side, handler http.Handler, base func(context.Context) context.Context, log *slog.Logger) (*Link, error) {
	cfg := yamux.DefaultConfig()
	cfg.EnableKeepAlive = false // the vigil does that
	cfg.ConnectionWriteTimeout = writeTimeout
	cfg.StreamOpenTimeout = 15 * time.Second
	cfg.LogOutput = io.Discard // every failure comes back as an error too
	open := yamux.Server
	if side == Dialled {
		open = yamux.Client
	}
	last, all := &heard{}, &streams{}
	last.now()
	session, err := open(&whole{Conn: conn, last: last, broken: all.end}, cfg)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("begin the link: %w", err)
	}
	l := &Link{session: session, streams: all}
	l.client = &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			c, err := session.Open()
			if err != nil {
				return nil, err
			}
			return all.add(c), nil
		},
		MaxIdleConnsPerHost: idleStreams,
		DisableCompression:  true,
	}}
	l.server = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 30 * time.Second,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	if base != nil {
		l.server.BaseContext = func(net.Listener) context.Context { return base(context.Background()) }
	}
	l.watching.Go(func() {
		ask := func() <-chan struct{} {
			answered := make(chan struct{})
			l.watching.Go(func() { _, _ = session.Ping(); close(answered) })
			return answered
		}
		if vigils[side].watch(subject{last: last, ask: ask, acked: ackedOf(conn), done: session.CloseChan()}) {
			l.silent.Store(true)
			l.Close()
		}
	})
	return l, nil
}

// Client asks the other end; the host of the URL does not matter.
func (l *Link) Client() *http.Client { return l.client }

// Done is closed when the link is broken or closed.
func (l *Link) Done() <-chan struct{} { return l.session.CloseChan() }

// Serve answers the other end until the link breaks, is closed or ctx ends.
// It returns when every handler has ended too.
func (l *Link) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, l.Close)
	defer stop()
	err := l.server.Serve(door{l.session, l.streams})
	l.Close()
	rest, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	l.watching.Wait()
	_ = l.server.Shutdown(rest) // their streams are broken: handlers end as their contexts do
	if l.silent.Load() && ctx.Err() == nil {
		return errSilent
	}
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, io.EOF) || ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// Close breaks the link.
func (l *Link) Close() {
	l.once.Do(func() {
		l.streams.end()
		_ = l.session.Close()
		l.client.CloseIdleConnections()
	})
}
