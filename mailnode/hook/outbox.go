package hook

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"mailfleet/mailnode/store"
)

// outbox holds the events that wait, a row for each event and target: the key is the
// target's id, a NUL, the time in nanoseconds and a number, so that the rows of a
// target stand in order; the value is the event's JSON.
type outbox struct {
	st    *store.Store
	table store.Table

	mu      sync.Mutex
	last    int64 // time of the last key made
	pending []row // not written yet
}

type row struct{ key, value []byte }

// maxPending bounds what is in memory until the next write.
const maxPending = 20_000

func newOutbox(st *store.Store) *outbox { return &outbox{st: st, table: st.Table("hooks")} }

func prefix(target string) []byte { return append([]byte(target), 0) }

// after is the first key behind all of a target.
func after(target string) []byte { return append([]byte(target), 1) }

// key makes a key behind all others.
func (o *outbox) key(target string, now time.Time) []byte {
	o.last = max(o.last+1, now.UnixNano())
	return binary.BigEndian.AppendUint64(prefix(target), uint64(o.last))
}

// when is the time in a key; ok is false when it is none.
func when(key []byte) (t time.Time, ok bool) {
	if len(key) < 9 || key[len(key)-9] != 0 {
		return t, false
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(key[len(key)-8:]))), true
}

func targetOf(key []byte) string {
	target, _, _ := strings.Cut(string(key), "\x00")
	return target
}

func encode(e Event) ([]byte, error) {
	for _, s := range []*string{&e.From, &e.To, &e.MessageID, &e.Reply, &e.Reason, &e.Message, &e.Account, &e.Peer, &e.Domain, &e.ID} {
		if len(*s) > 1000 {
			*s = strings.ToValidUTF8((*s)[:1000], "")
		}
	}
	b, err := json.Marshal(e)
	if err == nil && len(b) > maxEvent {
		err = errors.New("the event is too large")
	}
	return b, err
}

// put notes rows to be written, and returns the targets whose oldest ones had to go.
func (o *outbox) put(targets []string, value []byte, now time.Time) (dropped []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, t := range targets {
		if len(o.pending) >= maxPending {
			dropped = append(dropped, targetOf(o.pending[0].key))
			o.pending = o.pending[1:]
		}
		o.pending = append(o.pending, row{o.key(t, now), value})
	}
	return dropped
}

// write writes down what is pending and returns how many rows each target got.
func (o *outbox) write(ctx context.Context) (map[string]int, error) {
	o.mu.Lock()
	batch := o.pending
	o.pending = nil
	o.mu.Unlock()
	if len(batch) == 0 {
		return nil, nil
	}
	n := map[string]int{}
	err := o.st.Update(ctx, nil, func(tx *store.Tx) error {
		for _, r := range batch {
			if err := tx.Set(o.table, r.key, r.value); err != nil {
				return err
			}
			n[targetOf(r.key)]++
		}
		return nil
	})
	if err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.pending = append(batch, o.pending...)
		return nil, fmt.Errorf("events could not be written down: %w", err)
	}
	return n, nil
}

// read returns the oldest rows of a target.
func (o *outbox) read(ctx context.Context, target string, most, size int) (rows []row, err error) {
	for r, err := range o.table.Scan(ctx, prefix(target), after(target)) {
		if err != nil {
			return nil, err
		}
		if size -= len(r.Value); len(rows) == most || size < 0 && len(rows) > 0 {
			break
		}
		rows = append(rows, row{append([]byte{}, r.Key...), append([]byte{}, r.Value...)})
	}
	return rows, nil
}

// remove deletes rows.
func (o *outbox) remove(ctx context.Context, rows []row) error {
	if len(rows) == 0 {
		return nil
	}
	return o.st.Update(ctx, nil, func(tx *store.Tx) error {
		for _, r := range rows {
			if err := tx.Delete(o.table, r.key); err != nil {
				return err
			}
		}
		return nil
	})
}

// count counts the rows of each target.
func (o *outbox) count(ctx context.Context) (map[string]int, error) {
	n := map[string]int{}
	for r, err := range o.table.Scan(ctx, nil, nil) {
		if err != nil {
			return nil, err
		}
		n[targetOf(r.Key)]++
	}
	return n, nil
}
