package rest

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

// Limits of the feed.
const (
	feedBatch   = 500  // changes read at once
	readerQueue = 256  // items a reader may lag behind before it is dropped
	maxReaders  = 1000 // at a time
)

// feed follows the inventory's changes once and hands them to every reader of
// /events.
type feed struct {
	s    *Server
	done chan struct{} // closed when follow has returned

	mu      sync.Mutex
	index   uint64 // all changes up to this were handed out
	readers map[*reader]bool
}

// reader is one stream.
type reader struct {
	principal auth.Principal
	reach     *auth.Reach   // what lies in its scope; guarded by the feed's mu
	news      chan item     // closed when the reader lags too far behind
	recheck   chan struct{} // holds one when somebody's session or token is gone
}

// item is one event of the stream.
type item struct {
	event string
	id    uint64            // to resume from; 0: none
	kind  inventory.Kind    // the right to read it is needed
	thing any               // that changed; nil: there is none any more, or it is no record
	scope []inventory.Scope // where it lay, when it is gone
	data  []byte            // JSON
}

// newFeed starts to follow the changes after index.
func newFeed(s *Server, index uint64) *feed {
	f := &feed{s: s, done: make(chan struct{}), index: index, readers: map[*reader]bool{}}
	go func() {
		defer close(f.done)
		f.follow(s.closing, index)
	}()
	return f
}

func (f *feed) wait() { <-f.done }

// follow hands out the changes after index until ctx ends.
func (f *feed) follow(ctx context.Context, index uint64) {
	for {
		f.s.Store.Wait(ctx, index)
		if ctx.Err() != nil {
			return
		}
		next, err := f.relay(ctx, index)
		if err == nil {
			index = next
			continue
		}
		if ctx.Err() == nil {
			f.s.Logger.Error("follow the inventory's changes", "err", err)
		}
		select { // the database is ailing: do not spin
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// relay hands out a batch of the changes after index and returns the last one's.
func (f *feed) relay(ctx context.Context, index uint64) (uint64, error) {
	events, ok, err := f.s.Store.Events(ctx, index, feedBatch)
	if err != nil {
		return index, err
	}
	if !ok {
		index = f.s.Store.Wait(ctx, 0)
		f.send(index, resetItem(index))
		return index, nil
	}
	if len(events) == 0 {
		return index, nil
	}
	last := events[len(events)-1].Index
	if f.skip(last) {
		return last, nil
	}
	items, err := f.s.items(ctx, events)
	if err != nil {
		return index, err
	}
	if err := f.rescope(ctx, events); err != nil {
		return index, err
	}
	for _, e := range events {
		if who := e.Kind == inventory.Sessions || e.Kind == inventory.Tokens || e.Kind == inventory.People; who && e.Verb == inventory.Deleted {
			f.recheck()
		}
	}
	f.send(last, items...)
	return last, nil
}

// skip passes over the changes up to index when nobody reads.
func (f *feed) skip(index uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.readers) > 0 {
		return false
	}
	f.index = max(f.index, index)
	return true
}

func (f *feed) recheck() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for r := range f.readers {
		select {
		case r.recheck <- struct{}{}:
		default: // told already
		}
	}
}

// send queues items, which are all there is up to index, for every reader that
// may read them. It drops readers whose queue is full: they come back and resume.
func (f *feed) send(index uint64, items ...item) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.index = max(f.index, index)
	for _, it := range items {
		for r := range f.readers {
			if !r.sees(it) {
				continue
			}
			select {
			case r.news <- it:
			default:
				close(r.news)
				delete(f.readers, r)
			}
		}
	}
}

func (r *reader) sees(it item) bool {
	switch {
	case it.kind == "":
		return true
	case auth.Allow(r.principal, it.kind, auth.Read) != nil:
		return false
	case it.thing != nil:
		return r.reach.Sees(it.thing)
	default:
		return r.reach.Touches(it.scope)
	}
}

// sees is the reader's, for others than the feed.
func (f *feed) sees(r *reader, it item) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return r.sees(it)
}

// rescope works out afresh what lies in the readers' scopes when events can
// have changed that.
func (f *feed) rescope(ctx context.Context, events []inventory.Event) error {
	if !slices.ContainsFunc(events, func(e inventory.Event) bool { return e.Kind == inventory.Tenants || e.Kind == inventory.Domains }) {
		return nil
	}
	return f.s.Store.View(ctx, func(tx inventory.Tx) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		for r := range f.readers {
			reach, err := auth.ReachOf(tx, r.principal)
			if err != nil {
				return err
			}
			r.reach = reach
		}
		return nil
	})
}

// join adds a reader. It gets all changes after index.
func (f *feed) join(ctx context.Context, p auth.Principal) (r *reader, index uint64, err error) {
	r = &reader{principal: p, news: make(chan item, readerQueue), recheck: make(chan struct{}, 1)}
	var seen uint64
	err = f.s.Store.View(ctx, func(tx inventory.Tx) error {
		seen = tx.Index()
		r.reach, err = auth.ReachOf(tx, p)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	if index, err = f.enter(r); err != nil || index <= seen {
		return r, index, err
	}
	// What changed since may have changed the scope, before rescope knew the reader.
	if err := f.rescope(ctx, []inventory.Event{{Kind: inventory.Tenants}}); err != nil {
		f.leave(r)
		return nil, 0, err
	}
	return r, index, nil
}

func (f *feed) enter(r *reader) (index uint64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.readers) >= maxReaders {
		return 0, inventory.Errorf(inventory.Unavailable, "too many event streams are open")
	}
	f.readers[r] = true
	return f.index, nil
}

func (f *feed) leave(r *reader) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.readers, r)
}

// position is the index a reader with nothing queued can resume from.
func (f *feed) position(r *reader) (index uint64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.index, len(r.news) == 0
}

// PublishSamples tells the readers of /events of readings just taken on a server.
func (s *Server) PublishSamples(server string, readings []api.Reading) {
	if len(readings) == 0 || s.feed.skip(0) {
		return
	}
	data, err := json.Marshal(api.FreshSamples{Server: server, Readings: readings})
	if err != nil {
		s.Logger.Error("encode samples", "server", server, "err", err)
		return
	}
	s.feed.send(0, item{event: "samples", kind: auth.Samples, data: data})
}
