// Package rest is the controller's face to people and scripts: the HTTP API
// below /api/v1 with its OpenAPI description and documentation page, the
// InfluxDB-compatible write endpoint, and the console's files.
//
// It checks who asks and what they may do (package auth), turns requests into
// changes of the inventory with their audit entries, and asks the rest of the
// controller through the small interfaces below. Only app and e2e import it.
package rest

import (
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	agentapi "mailfleet/agent/api"
	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/controller/metrics"
	"mailfleet/controller/releases"
	"mailfleet/controller/seal"
	"mailfleet/inventory"
	"mailfleet/inventory/zone"
)

// Operations keeps what was asked of servers and services.
type Operations interface {
	Create(ctx context.Context, actor inventory.Actor, key string, req api.NewOperation) (*inventory.Operation, error)
	Cancel(ctx context.Context, actor inventory.Actor, id inventory.ID) (*inventory.Operation, error)
	Approve(ctx context.Context, actor inventory.Actor, id inventory.ID) (*inventory.Operation, error)
	Preview(ctx context.Context, actor inventory.Actor, req api.NewOperation) (api.Impact, error)

	// BeginExport makes an export the caller's to hand out.
	BeginExport(ctx context.Context, actor inventory.Actor, id inventory.ID) (*inventory.Operation, error)
	// TellExport keeps how far the export of a server is; going is false when it was cancelled.
	TellExport(ctx context.Context, id, server inventory.ID, state inventory.OperationState, message inventory.Sentence) (going bool, err error)
}

// Fleet enrols and changes servers and knows how they are. A version of 0 is
// not checked.
type Fleet interface {
	Add(ctx context.Context, actor inventory.Actor, req api.NewServer) (api.Enrolment, error)
	Invite(ctx context.Context, actor inventory.Actor, id inventory.ID) (api.Enrolment, error)
	Change(ctx context.Context, actor inventory.Actor, id inventory.ID, version uint64, req api.ServerChange) error
	Remove(ctx context.Context, actor inventory.Actor, id inventory.ID, version uint64) error
	AddService(ctx context.Context, actor inventory.Actor, req api.NewService) (*inventory.Service, error)
	RemoveService(ctx context.Context, actor inventory.Actor, id inventory.ID, version uint64) error
	Join(ctx context.Context, address string, req api.Join) (api.Joined, error)
	Live(id inventory.ID) (connected bool, lastSeen time.Time, witnesses []string)
	Log(ctx context.Context, id inventory.ID, service string, lines int) (agentapi.Log, error)
	FollowLog(ctx context.Context, id inventory.ID, service string, lines int) (*agentapi.LogStream, error)
	Crash(ctx context.Context, id inventory.ID, service string) (agentapi.Crash, error)
}

// Options is what a Server is made of. All are needed but Releases, Problems and Console.
type Options struct {
	Store      inventory.Store
	Samples    metrics.Store
	Write      http.Handler // serves /api/v2/write; asks auth.Gate.WriteIdentity who writes
	Auth       *auth.Gate
	Operations Operations
	Fleet      Fleet
	Powers     Powers
	Mailnodes  Mailnodes
	Seal       *seal.Key                   // of what domains keep secret
	DNS        zone.Resolver               // what the world sees
	Releases   *releases.Shelf             // files of builds; nil: none are taken
	Problems   func() []inventory.Sentence // what ails the controller itself, a sentence each
	Console    fs.FS                       // the built console; without index.html a page says how to build it
	Version    string                      // of the program
	Logger     *slog.Logger
}

// How fast one address may try to join: servers behind one address may start
// together, guessing is hopeless.
const (
	joinBurst = 60
	joinEvery = time.Second
)

// Server serves the API and the console.
type Server struct {
	Options
	engine  *gin.Engine
	api     huma.API
	feed    *feed
	joins   *auth.Limiter
	started time.Time
	tails   atomic.Int64    // logs that are followed now
	exports chan struct{}   // holds one for each export of queued mail that goes on
	gzipped sync.Map        // of the console's immutable files by name: []byte
	closing context.Context // ends blocking reads and streams
	close   context.CancelFunc
}

// New returns the Server and starts what follows the inventory for /events.
// Close stops it.
func New(o Options) (*Server, error) {
	if o.Problems == nil {
		o.Problems = func() []inventory.Sentence { return nil }
	}
	o.Logger = o.Logger.With("component", "rest")
	s := &Server{
		Options: o,
		joins:   auth.NewLimiter(joinBurst, joinEvery),
		started: time.Now().UTC(),
		exports: make(chan struct{}, maxExports),
	}
	s.route()
	if err := s.routeDocs(); err != nil {
		return nil, err
	}
	var index uint64
	err := s.Store.View(context.Background(), func(tx inventory.Tx) error { index = tx.Index(); return nil })
	if err != nil {
		return nil, err
	}
	s.closing, s.close = context.WithCancel(context.Background())
	s.feed = newFeed(s, index)
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.engine.ServeHTTP(w, r) }

// Close ends all streams and blocking reads and waits for what New started.
// The http.Server is shut down after it.
func (s *Server) Close() error {
	s.close()
	s.feed.wait()
	return nil
}

// Limits of a connection. There is none on reading or writing as a whole:
// every request sets its own deadlines.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
)

// Protect sets an http.Server's limits as this handler needs them.
func Protect(h *http.Server) {
	h.ReadHeaderTimeout = headerTimeout
	h.IdleTimeout = idleTimeout
	h.MaxHeaderBytes = maxHeader
}
