package hook

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"mailfleet/mailnode/store"
)

// Hook tells targets of events. It is safe for concurrent use.
type Hook struct {
	log    *slog.Logger
	outbox *outbox
	client *http.Client

	mu      sync.Mutex
	set     Settings
	states  map[string]*state // of the targets
	changed chan struct{}     // has one when the settings are new
	woken   chan struct{}     // has one when something is to be written
}

// state is how it goes with one target. It is guarded by Hook.mu.
type state struct {
	Status
	wake chan struct{} // has one when there are new rows
}

// Status is how it goes with a target.
type Status struct {
	Target  string
	Waiting int       // events
	Sent    int64     // since the start, here and below
	Dropped int64     // too old, or too many
	Error   string    // of the last attempt; "" when it went well
	Next    time.Time // attempt; zero when none waits for its time
	Gone    bool      // it says that it wants no more: nothing is sent until it is set anew
}

// New returns a hook that keeps what waits in a store.
func New(s Settings, st *store.Store, log *slog.Logger) *Hook {
	h := &Hook{
		log: log.With("component", "hook"), outbox: newOutbox(st),
		states: map[string]*state{}, changed: make(chan struct{}, 1), woken: make(chan struct{}, 1),
	}
	h.client = newClient(h.reachable)
	h.Configure(s)
	return h
}

// Configure changes the settings. What waits for a target that is no more is dropped. A
// target that cannot be told as it is set is left out, which its status says: it is
// one domain's affair and stops nobody else's.
func (h *Hook) Configure(s Settings) {
	good, bad := s.sorted()
	s.Targets = good
	h.mu.Lock()
	defer h.mu.Unlock()
	h.set = s.withDefaults()
	states := map[string]*state{}
	for _, t := range good {
		old := h.states[t.ID]
		if old == nil {
			old = &state{Status: Status{Target: t.ID}, wake: make(chan struct{}, 1)}
		}
		old.Gone = false
		states[t.ID] = old
	}
	for id, err := range bad {
		h.log.Warn("a target is not told of events", "target", id, "error", err)
		if states[id] == nil {
			states[id] = &state{Status: Status{Target: id, Error: err.Error()}, wake: make(chan struct{}, 1)}
		}
	}
	h.states = states
	h.client.CloseIdleConnections() // their addresses may be out of bounds now
	signal(h.changed)
}

// reachable tells whether a target may have an address.
func (h *Hook) reachable(a netip.Addr) bool {
	a = a.Unmap()
	h.mu.Lock()
	defer h.mu.Unlock()
	return public(a) || slices.ContainsFunc(h.set.Networks, func(p netip.Prefix) bool { return p.Contains(a) })
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Status is how it goes with the targets.
func (h *Hook) Status() []Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []Status
	for _, id := range slices.Sorted(maps.Keys(h.states)) {
		list = append(list, h.states[id].Status)
	}
	return list
}

// Emit tells of an event. It never waits: the event is durable a moment later.
func (h *Hook) Emit(e Event) {
	targets := h.targets(e)
	if len(targets) == 0 {
		return
	}
	value, err := prepared(e)
	if err != nil {
		h.log.Warn("an event cannot be told", "kind", e.Kind, "error", err)
		return
	}
	for _, id := range h.outbox.put(targets, value, time.Now()) {
		h.note(id, func(s *state) { s.Dropped++ })
	}
	signal(h.woken)
}

// Add tells of an event within a change of the store: it is told when the change is
// made, and not otherwise.
func (h *Hook) Add(tx *store.Tx, e Event) error {
	targets := h.targets(e)
	if len(targets) == 0 {
		return nil
	}
	value, err := prepared(e)
	if err != nil {
		return err
	}
	for _, id := range targets {
		h.outbox.mu.Lock()
		key := h.outbox.key(id, time.Now())
		h.outbox.mu.Unlock()
		if err := tx.Set(h.outbox.table, key, value); err != nil {
			return err
		}
		h.note(id, func(s *state) { s.Waiting++; signal(s.wake) })
	}
	return nil
}

func prepared(e Event) ([]byte, error) {
	if e.ID == "" {
		e.ID = ulid.Make().String()
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	e.At = e.At.UTC()
	return encode(e)
}

func (h *Hook) targets(e Event) (ids []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.set.Targets {
		if t.gets(e) {
			ids = append(ids, t.ID)
		}
	}
	return ids
}

// note changes the state of a target, if there is one.
func (h *Hook) note(id string, f func(s *state)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.states[id]; s != nil {
		f(s)
	}
}

// writeEvery is how long an event waits at most to be written down.
const writeEvery = 100 * time.Millisecond

// Run sends until ctx ends. It writes down what is left.
func (h *Hook) Run(ctx context.Context) error {
	for {
		h.mu.Lock()
		set := h.set
		h.mu.Unlock()
		if err := h.begin(ctx, set); err != nil && ctx.Err() == nil {
			h.log.Warn("the events that wait cannot be counted", "error", err)
		}
		round, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		wg.Go(func() { h.writeAll(round, set) })
		for _, t := range set.Targets {
			wg.Go(func() { h.tell(round, set, t) })
		}
		select {
		case <-ctx.Done():
		case <-h.changed:
		}
		cancel()
		wg.Wait()
		if ctx.Err() != nil {
			_, err := h.outbox.write(context.WithoutCancel(ctx))
			h.client.CloseIdleConnections()
			return err
		}
	}
}

// begin counts what waits and drops what is of no target.
func (h *Hook) begin(ctx context.Context, set Settings) error {
	n, err := h.outbox.count(ctx)
	if err != nil {
		return err
	}
	for _, t := range set.Targets {
		h.note(t.ID, func(s *state) { s.Waiting = n[t.ID]; signal(s.wake) })
	}
	for id := range n {
		h.mu.Lock()
		known := h.states[id] != nil // though perhaps left out for now
		h.mu.Unlock()
		for !known {
			rows, err := h.outbox.read(ctx, id, 1000, maxBatch)
			if err != nil || len(rows) == 0 {
				break // it is tried again with the next settings
			}
			if err := h.outbox.remove(ctx, rows); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeAll writes events down as they come, and drops the oldest where there are too
// many.
func (h *Hook) writeAll(ctx context.Context, set Settings) {
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	signal(h.woken) // the round before may have ended in the middle
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.woken:
		}
		n, err := h.outbox.write(ctx)
		if err != nil && ctx.Err() == nil {
			h.log.Warn("events wait in memory", "error", err)
			signal(h.woken)
		}
		for id, n := range n {
			h.note(id, func(s *state) { s.Waiting += n; signal(s.wake) })
		}
		h.trim(ctx, set)
		select { // a pause, so that many are written at once
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// trim drops the oldest events of targets for which too many wait.
func (h *Hook) trim(ctx context.Context, set Settings) {
	for _, s := range h.Status() {
		over := s.Waiting - set.Entries
		if over <= 0 {
			continue
		}
		rows, err := h.outbox.read(ctx, s.Target, min(over, 5000), 64<<20)
		if err == nil {
			err = h.outbox.remove(ctx, rows)
		}
		if err != nil {
			if ctx.Err() == nil {
				h.log.Warn("events that are too many cannot be dropped", "target", s.Target, "error", err)
			}
			return
		}
		h.dropped(s.Target, len(rows), "too many wait")
		if over > len(rows) {
			signal(h.woken)
		}
	}
}

func (h *Hook) dropped(id string, n int, why string) {
	h.note(id, func(s *state) { s.Waiting = max(0, s.Waiting-n); s.Dropped += int64(n) })
	h.log.Warn("events were dropped", "target", id, "events", n, "reason", why)
}
