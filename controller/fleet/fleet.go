// Package fleet is the controller's side of its servers: enrolment and
// certificates, the links agents keep, the desired state handed down them, what
// agents report, and the verdict on who is up.
//
// rest asks it through small interfaces; app wires it.
package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"mailfleet/controller/api"
	"mailfleet/controller/seal"
	"mailfleet/inventory"
	"mailfleet/inventory/identity"
	"mailfleet/inventory/release"
)

// Gossip is what fleet needs to know of the pool of members.
type Gossip interface {
	// Alive returns the names of the members that gossip finds alive.
	Alive() map[string]bool
}

// Releases are the builds that agents fetch.
type Releases interface {
	Keys() (release.Chain, error)
	Content(sum string) (*os.File, error)
}

// Options are what a Fleet is made of. All are needed but Gossip and Releases.
type Options struct {
	Store    inventory.Store
	CA       *identity.CA
	Seal     *seal.Key     // of passwords of management controllers and smart hosts, hooks' secrets, DKIM keys
	Write    http.Handler  // takes samples at /api/v2/write; asks ServerOf who writes
	Gossip   Gossip        // nil: links are the only witness
	Releases Releases      // nil: there are none
	Pool     api.Gossip    // how agents enter the pool; Port is set per server
	URL      string        // of this controller, for the line an operator pastes
	Interval time.Duration // between samples
	Together int           // servers of a region that are told of in one text; 0: DefaultTogether
	Log      *slog.Logger
}

// Fleet is every server as this controller knows it. It is safe for concurrent use.
type Fleet struct {
	opts  Options
	store inventory.Store
	log   *slog.Logger
	board *board
	mux   *http.ServeMux

	deliveries gather[inventory.ID]
	reports    gather[told]

	mu      sync.Mutex
	servers map[inventory.ID]*presence
	revoked map[string]bool // serials
	serving sync.WaitGroup
}

// New reads the fleet from the store. Run must run for anything to move.
func New(ctx context.Context, opts Options) (*Fleet, error) {
	f := &Fleet{
		opts: opts, store: opts.Store, log: opts.Log.With("component", "fleet"),
		servers: make(map[inventory.ID]*presence), revoked: make(map[string]bool),
	}
	f.board = newBoard(opts.Store, opts.Pool, opts.Seal, opts.Interval, f.log)
	f.mux = f.routes()
	f.deliveries = gather[inventory.ID]{store: f.store, do: deliverTo}
	f.reports = gather[told]{store: f.store, do: storeReports}
	if err := f.board.load(ctx); err != nil {
		return nil, fmt.Errorf("read the desired state: %w", err)
	}
	if err := f.loadRevoked(ctx); err != nil {
		return nil, fmt.Errorf("read the revoked certificates: %w", err)
	}
	return f, nil
}

// Run keeps desired states current and judges who is up, until ctx ends. Then
// it closes every link and waits for them.
func (f *Fleet) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { f.board.watch(ctx, f.log); return nil })
	g.Go(func() error { return f.judge(ctx) })
	err := g.Wait()
	f.mu.Lock()
	for _, p := range f.servers {
		if p.link != nil {
			p.link.Close()
		}
	}
	f.mu.Unlock()
	f.serving.Wait()
	return err
}

// presence is what is known now of one server, guarded by Fleet.mu.
type presence struct {
	link     linkCloser
	client   *http.Client
	seen     time.Time // last heard of
	lost     time.Time // since when there is no link; zero: there is one
	missing  map[string]bool
	reported [32]byte // digest of the last report that was stored
	skew     float64  // seconds, as stored with it
	applied  uint64   // index of the desired state, as stored with it
	health   health
}

// linkCloser is the part of a link that presence needs.
type linkCloser interface{ Close() }

// presence returns the server's, making it. Fleet.mu is held.
func (f *Fleet) presence(id inventory.ID) *presence {
	p := f.servers[id]
	if p == nil {
		p = &presence{lost: time.Now()}
		f.servers[id] = p
	}
	return p
}

// Live tells what is known of a server this moment.
func (f *Fleet) Live(id inventory.ID) (connected bool, seen time.Time, witnesses []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.servers[id]
	if p == nil {
		return false, time.Time{}, nil
	}
	return p.link != nil, p.seen, p.health.witnesses
}

// Linked tells whether a server's agent holds a link.
func (f *Fleet) Linked(id inventory.ID) bool {
	linked, _, _ := f.Live(id)
	return linked
}

// server finds a server that is still in the fleet, by id or name.
func server(tx inventory.Tx, idOrName string) (*inventory.Server, error) {
	s, err := tx.Servers().Get(inventory.ID(idOrName))
	if inventory.Is(err, inventory.NotFound) {
		s, err = tx.Servers().Find("name", idOrName)
	}
	if err != nil {
		if inventory.Is(err, inventory.NotFound) {
			return nil, inventory.Errorf(inventory.NotFound, "there is no server %q", idOrName)
		}
		return nil, err
	}
	if s.State == inventory.ServerRemoved {
		return nil, inventory.Errorf(inventory.NotFound, "server %s was removed from the fleet", s.Name)
	}
	return s, nil
}
