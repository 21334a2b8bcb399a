package guard

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"mailfleet/inventory/throttle"
	"mailfleet/mailnode/store"
)

// memo is a table that is written a moment later, many rows at once: what it holds
// is of use and nothing is lost with a second of it.
type memo struct {
	st    *store.Store
	table store.Table
	now   func() time.Time

	mu      sync.Mutex
	pending map[string][]byte // not written yet; nil: to be deleted
	cache   *throttle.Recent[string, []byte]
	rows    int // in the table and pending, about
}

const (
	writeEvery = time.Second
	sweepEvery = time.Hour
	maxPending = 50_000
	sweepBatch = 2_000
)

var errBusy = errors.New("guard: too much is waiting to be written")

func newMemo(st *store.Store, name string) *memo {
	return &memo{
		st: st, table: st.Table(name), now: time.Now, pending: map[string][]byte{},
		cache: throttle.NewRecent[string, []byte](remembered),
	}
}

// get returns the value of a key, nil when there is none. It is not to be changed.
func (m *memo) get(ctx context.Context, key []byte) ([]byte, error) {
	m.mu.Lock()
	v, ok := m.pending[string(key)]
	if !ok {
		if c := m.cache.Get(string(key)); c != nil {
			v, ok = *c, true
		}
	}
	m.mu.Unlock()
	if ok {
		return v, nil
	}
	return m.table.Get(ctx, key)
}

// set notes a value to be written; nil deletes the row.
func (m *memo) set(key, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.pending[string(key)]; !ok && len(m.pending) >= maxPending {
		return errBusy
	}
	m.pending[string(key)] = value
	*m.cache.At(string(key)) = value
	return nil
}

// write writes down what is pending.
func (m *memo) write(ctx context.Context) error {
	m.mu.Lock()
	batch := m.pending
	m.pending = map[string][]byte{}
	m.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	err := m.st.Update(ctx, nil, func(tx *store.Tx) error {
		for key, value := range batch {
			if value == nil {
				if err := tx.Delete(m.table, []byte(key)); err != nil {
					return err
				}
				continue
			}
			if err := tx.Set(m.table, []byte(key), value); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, value := range batch { // newer ones stay
		if _, ok := m.pending[key]; !ok && len(m.pending) < maxPending {
			m.pending[key] = value
		}
	}
	return err
}

// sweep deletes rows that are too old and counts the others.
func (m *memo) sweep(ctx context.Context, now time.Time, old func(now time.Time, key, value []byte) bool) error {
	kept := 0
	var dead [][]byte
	flush := func() error {
		for _, key := range dead {
			if err := m.set(key, nil); err != nil {
				return err
			}
		}
		dead = nil
		return m.write(ctx)
	}
	for row, err := range m.table.Scan(ctx, nil, nil) {
		if err != nil {
			return err
		}
		value, err := m.get(ctx, row.Key) // it may be newer by now
		if err != nil {
			return err
		}
		if value == nil {
			continue
		}
		if !old(now, row.Key, value) {
			kept++
			continue
		}
		dead = append(dead, append([]byte{}, row.Key...))
		if len(dead) >= sweepBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	m.mu.Lock()
	m.rows = kept
	m.mu.Unlock()
	return flush()
}

// added counts a new row and tells whether there is room for it.
func (m *memo) added(most int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows >= most {
		return false
	}
	m.rows++
	return true
}

// run writes and sweeps until ctx ends.
func (m *memo) run(ctx context.Context, log *slog.Logger, old func(now time.Time, key, value []byte) bool) error {
	write, sweep := time.NewTicker(writeEvery), time.NewTicker(sweepEvery)
	defer write.Stop()
	defer sweep.Stop()
	if err := m.sweep(ctx, m.now(), old); err != nil && ctx.Err() == nil {
		log.Warn("old rows could not be removed", "error", err)
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return m.write(context.WithoutCancel(ctx))
		case <-write.C:
			err = m.write(ctx)
		case <-sweep.C:
			err = m.sweep(ctx, m.now(), old)
		}
		if err != nil && ctx.Err() == nil {
			log.Warn("what is known of senders could not be written down, it is tried again", "error", err)
		}
	}
}
