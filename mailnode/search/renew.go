package search

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"slices"
	"time"
)

const (
	// renewWork is how long it is made anew without a rest, and renewRest how many times
	// longer a rest is.
	renewWork = 20 * time.Millisecond
	renewRest = 3
	// noteEvery is after how many mailboxes it is noted how far it has come.
	noteEvery = 1000
)

// renewal is how far the index was made anew.
type renewal struct {
	texts uint32 // the textVersion it was made anew for
	done  bool
	next  []byte // key from which on it is to be looked at, nil for all
}

// renewalKey is before all others: an account's id is never empty.
var renewalKey = []byte("\x00renewed")

func (r *renewal) encode() []byte {
	b := binary.AppendUvarint([]byte{headVersion}, uint64(r.texts))
	if r.done {
		return append(b, 1)
	}
	return append(append(b, 0), r.next...)
}

// renewal reads how far the index was made anew for this version; one that cannot be read
// is as one that was never begun.
func (x *Index) renewal(ctx context.Context) (renewal, error) {
	none := renewal{texts: textVersion}
	b, err := x.rows.Get(ctx, renewalKey)
	if err != nil || len(b) == 0 || b[0] != headVersion {
		return none, err
	}
	d := decoder{b: b[1:]}
	r := renewal{texts: d.uint32()}
	state := d.take(1)
	if d.bad || r.texts != textVersion {
		return none, nil
	}
	r.done, r.next = state[0] == 1, d.b
	return r, nil
}

func (x *Index) note(ctx context.Context, r renewal) error {
	return x.rows.Write(ctx, []Row{{renewalKey, r.encode()}})
}

// renew makes anew all of the index whose texts were taken in another way. It goes on where
// it was interrupted.
func (x *Index) renew(ctx context.Context) {
	w := worker{begun: time.Now()}
	if err := x.renewAll(ctx, &w); err != nil && ctx.Err() == nil {
		x.log.Warn("the index of an older version is not made anew", "err", err)
	}
}

func (x *Index) renewAll(ctx context.Context, w *worker) error {
	r, err := x.renewal(ctx)
	if err != nil || r.done {
		return err
	}
	failed, passed := false, 0
	for p, err := range x.mailboxes(ctx, r.next) {
		if err != nil {
			return err
		}
		n, err := x.renewMailbox(ctx, p, w)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			failed = true
			x.log.Warn("the index of a mailbox is not made anew", "account", p.Account, "mailbox", p.Mailbox, "err", err)
		}
		if passed++; n > 0 || passed%noteEvery == 0 {
			r.next = after(mailboxKey(p))
			if err := x.note(ctx, r); err != nil {
				return err
			}
		}
		w.rest(ctx)
	}
	if failed { // those are tried again at the next start
		return x.note(ctx, renewal{texts: textVersion})
	}
	return x.note(ctx, renewal{texts: textVersion, done: true})
}

// renewMailbox makes the index of a mailbox anew, and tells in how many steps.
func (x *Index) renewMailbox(ctx context.Context, p Place, w *worker) (steps int, err error) {
	for {
		more, err := x.renewStep(ctx, p)
		if err != nil || !more {
			return steps, err
		}
		steps++
		w.rest(ctx)
	}
}

// renewStep makes up to newDocs messages of the first old segment of a mailbox anew, which
// then begins after them. more is false when there was none.
func (x *Index) renewStep(ctx context.Context, p Place) (more bool, err error) {
	defer x.hold(p)()
	h, err := x.head(ctx, p)
	if errors.Is(err, errDamaged) { // Update makes it anew
		x.Touch(p)
		return false, nil
	}
	i := slices.IndexFunc(h.segments, func(s segment) bool { return s.old() })
	if err != nil || i < 0 {
		return false, err
	}
	uids, err := x.source.UIDs(ctx, p)
	if err != nil {
		return false, err
	}
	old := h.segments[i]
	from, _ := slices.BinarySearch(uids, old.first)
	some := uids[from : from+between(uids, old.first, old.last)]
	if len(some) == 0 {
		return true, x.put(ctx, p, &h, rowsOf(p, old), slices.Delete(slices.Clone(h.segments), i, i+1))
	}
	now := some[:min(len(some), newDocs)]
	w, err := x.build(ctx, p, now)
	if err != nil {
		return false, err
	}
	made, rest := segment{first: old.first, last: old.last}, []segment(nil)
	if len(now) < len(some) {
		made.last = now[len(now)-1]
		old.first, old.docs = made.last+1, uint32(len(some)-len(now))
		rest = append(rest, old)
	}
	if err := x.replace(ctx, p, &h, i, 1, made, w, rest...); err != nil {
		return false, err
	}
	return true, x.join(ctx, p, &h, uids)
}

// mailboxes goes through those that have an index, from a key on.
func (x *Index) mailboxes(ctx context.Context, from []byte) iter.Seq2[Place, error] {
	return func(yield func(Place, error) bool) {
		if len(from) == 0 {
			from = []byte{1} // after renewalKey
		}
		for {
			p, found, err := x.mailboxFrom(ctx, from)
			if err != nil || !found {
				if err != nil {
					yield(Place{}, err)
				}
				return
			}
			if !yield(p, nil) {
				return
			}
			from = after(mailboxKey(p))
		}
	}
}

// mailboxFrom is the first mailbox that has rows from a key on.
func (x *Index) mailboxFrom(ctx context.Context, from []byte) (p Place, found bool, err error) {
	for row, err := range x.rows.Scan(ctx, from, []byte{0xff}) {
		if err != nil {
			return p, false, err
		}
		account, rest, ok := bytes.Cut(row.Key, []byte{0})
		if !ok || len(rest) < 4 {
			return p, false, errDamaged
		}
		return Place{string(account), binary.BigEndian.Uint32(rest)}, true, nil
	}
	return p, false, nil
}

// worker is what works in the background, and rests.
type worker struct{ begun time.Time }

// rest waits for some time when there was work for some time.
func (w *worker) rest(ctx context.Context) {
	worked := time.Since(w.begun)
	if worked < renewWork {
		return
	}
	timer := time.NewTimer(renewRest * worked)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	w.begun = time.Now()
}

// Totals is the size of an index of many mailboxes.
type Totals struct {
	Version   int   `json:"version"`   // how texts are taken now
	Mailboxes int64 `json:"mailboxes"` // that have an index
	Messages  int64 `json:"messages"`  // in it, expunged ones that are still in it included
	Bytes     int64 `json:"bytes"`     // of values
	Old       int64 `json:"old"`       // messages whose texts were taken in another way: a search reads them
}

// Totals counts.
func (x *Index) Totals(ctx context.Context) (t Totals, err error) {
	t = Totals{Version: textVersion}
	for p, err := range x.mailboxes(ctx, nil) {
		if err != nil {
			return t, err
		}
		h, err := x.head(ctx, p)
		if errors.Is(err, errDamaged) {
			continue // it is made anew when the mailbox is touched
		}
		if err != nil {
			return t, err
		}
		t.Mailboxes++
		for _, s := range h.segments {
			t.Messages += int64(s.docs)
			t.Bytes += int64(s.bytes)
			if s.old() {
				t.Old += int64(s.docs)
			}
		}
	}
	return t, nil
}
