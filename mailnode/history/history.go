// Package history remembers the last sign-ins to each account: when, from where, by
// what, and whether they succeeded. auth adds to it and asks it where a user has
// been; app opens it over a table of the store, and control shows it.
//
// Attempts that are alike are one entry with a count, so that a client that comes every
// minute, or a botnet, does not wash the rest out. What is new is on the disk within
// seconds; that it happened again, within a quarter of an hour.
package history

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"mailfleet/inventory"
	"mailfleet/inventory/throttle"
)

const (
	// keepEach is how many entries are kept of successes, and of failures.
	keepEach = 25
	// knownFor is how long a place is known after a sign-in.
	knownFor = 30 * 24 * time.Hour
	// writeEvery is how long something new may wait for the disk.
	writeEvery = 5 * time.Second
	// againAfter is how old an entry on the disk may be when it has happened again.
	againAfter = 15 * time.Minute
	// cached is how many accounts' entries are held in memory.
	cached = 10_000
	// maxUnwritten bounds those that wait for a disk that takes nothing.
	maxUnwritten = 100_000
	// writeTimeout bounds one writing.
	writeTimeout = 30 * time.Second
)

// Table is where the entries are kept, by account.
type Table interface {
	// Get returns a value, nil when there is none.
	Get(ctx context.Context, key []byte) ([]byte, error)
	// Put writes values in one change.
	Put(ctx context.Context, values map[string][]byte) error
}

// History remembers sign-ins. It is safe for concurrent use.
type History struct {
	table Table
	log   *slog.Logger

	mu        sync.Mutex
	recent    *throttle.Recent[string, *record]
	unwritten map[string]*record
}

// record is what is remembered of an account, guarded by History.mu.
type record struct{ entries []entry }

type entry struct {
	inventory.MailSignIn
	written time.Time // Last as it is on the disk
}

// New returns a history over a table. Run must be running for it to be written.
func New(t Table, log *slog.Logger) *History {
	return &History{
		table: t, log: log.With("component", "history"),
		recent: throttle.NewRecent[string, *record](cached), unwritten: map[string]*record{},
	}
}

// Run writes what is new until ctx ends, and once more then.
func (h *History) Run(ctx context.Context) {
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			h.write(ctx)
		case <-ctx.Done():
			h.write(context.WithoutCancel(ctx))
			return
		}
	}
}

// Add implements auth.History.
func (h *History) Add(account string, s inventory.MailSignIn) {
	now := time.Now().UTC().Truncate(time.Second)
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.load(account)
	i := slices.IndexFunc(r.entries, func(e entry) bool { return alike(e.MailSignIn, s) })
	if i < 0 {
		s.First = now
		i = len(r.entries)
		r.entries = append(r.entries, entry{MailSignIn: s})
	}
	e := &r.entries[i]
	e.Last = now
	e.Count++
	if now.Sub(e.written) >= againAfter && len(h.unwritten) < maxUnwritten {
		h.unwritten[account] = r
	}
	r.trim()
}

func alike(a, b inventory.MailSignIn) bool {
	a.First, a.Last, a.Count = b.First, b.Last, b.Count
	return a == b
}

// trim puts the latest entries first and forgets those that are too many.
func (r *record) trim() {
	slices.SortStableFunc(r.entries, func(a, b entry) int { return cmp.Compare(b.Last.Unix(), a.Last.Unix()) })
	kept := map[bool]int{}
	r.entries = slices.DeleteFunc(r.entries, func(e entry) bool {
		kept[e.OK]++
		return kept[e.OK] > keepEach
	})
}

// Known implements auth.History.
func (h *History) Known(account, neighbourhood string) bool {
	since := time.Now().Add(-knownFor)
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.load(account).entries, func(e entry) bool {
		return e.OK && e.Last.After(since) && throttle.Neighbourhood(e.Address) == neighbourhood
	})
}

// List returns what is remembered of an account, the latest first.
func (h *History) List(account string) []inventory.MailSignIn {
	h.mu.Lock()
	defer h.mu.Unlock()
	entries := h.load(account).entries
	list := make([]inventory.MailSignIn, len(entries))
	for i, e := range entries {
		list[i] = e.MailSignIn
	}
	return list
}

// load returns an account's record, which is empty when it cannot be read. The caller
// holds h.mu.
func (h *History) load(account string) *record {
	if r := h.unwritten[account]; r != nil {
		return r
	}
	place := h.recent.At(account)
	if *place == nil {
		*place = h.read(account)
	}
	return *place
}

func (h *History) read(account string) *record {
	r := &record{}
	text, err := h.table.Get(context.Background(), []byte(account))
	if err != nil || text == nil {
		if err != nil {
			h.log.Error("sign-ins cannot be read", "account", account, "error", err)
		}
		return r
	}
	var list []inventory.MailSignIn
	if err := json.Unmarshal(text, &list); err != nil {
		h.log.Error("sign-ins are not readable", "account", account, "error", err)
		return r
	}
	for _, s := range list {
		r.entries = append(r.entries, entry{MailSignIn: s, written: s.Last})
	}
	return r
}

// write writes what is unwritten. What cannot be written waits for the next time.
func (h *History) write(ctx context.Context) {
	values, marks := h.encode()
	if len(values) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	err := h.table.Put(ctx, values)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.log.Error("sign-ins cannot be written", "accounts", len(values), "error", err)
		return
	}
	for account, last := range marks {
		r := h.unwritten[account]
		again := false
		for i := range r.entries {
			e := &r.entries[i]
			if !e.Last.After(last) {
				e.written = e.Last
			}
			again = again || e.Last.Sub(e.written) >= againAfter
		}
		if !again {
			delete(h.unwritten, account)
			*h.recent.At(account) = r
		}
	}
}

// encode returns what is unwritten, and of each account its latest entry's time.
func (h *History) encode() (values map[string][]byte, marks map[string]time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	values, marks = make(map[string][]byte, len(h.unwritten)), make(map[string]time.Time, len(h.unwritten))
	for account, r := range h.unwritten {
		list := make([]inventory.MailSignIn, len(r.entries))
		for i, e := range r.entries {
			list[i] = e.MailSignIn
			if e.Last.After(marks[account]) {
				marks[account] = e.Last
			}
		}
		text, err := json.Marshal(list)
		if err != nil { // it has nothing that cannot be
			h.log.Error("sign-ins cannot be encoded", "account", account, "error", err)
			continue
		}
		values[account] = text
	}
	return values, marks
}
