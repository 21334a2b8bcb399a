package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"mailfleet/inventory"
)

var errOwn = errors.New("changed my mind")

// rollback: an Update that fails has done nothing, to the store or to the
// records that it was handed.
func rollback(t *testing.T, open Open) {
	s := open(t, "rollback")
	kept, doomed := newServer(t, s, "kept"), newServer(t, s, "doomed")
	before, was := index(t, s), *kept
	fresh, entry := &inventory.Server{Name: "fresh"}, &inventory.AuditEntry{Actor: "operator:a"}
	err := s.Update(t.Context(), func(tx inventory.Tx) error {
		kept.Region = "elsewhere"
		for _, err := range []error{
			tx.Servers().Update(kept),
			tx.Servers().Update(kept),
			tx.Servers().Create(fresh),
			tx.Servers().Delete(doomed.ID),
			tx.Audit().Append(entry),
		} {
			if err != nil {
				t.Error(err)
			}
		}
		if tx.Index() != before+4 { // the second update changed nothing
			t.Errorf("index %d inside, %d before", tx.Index(), before)
		}
		if n, err := tx.Servers().Count(inventory.Query{}); err != nil || n != 2 {
			t.Errorf("%d servers inside, %v", n, err)
		}
		return errOwn
	})
	if !errors.Is(err, errOwn) {
		t.Errorf("error %v: want fn's own", err)
	}
	wantEqual(t, "index", index(t, s), before)
	wantEqual(t, "events", len(allEvents(t, s, before)), 0)
	wantEqual(t, "meta of the updated record", kept.Meta, was.Meta)
	wantEqual(t, "meta of the created record", fresh.Meta, inventory.Meta{})
	wantEqual(t, "audit entry", entry, &inventory.AuditEntry{Actor: "operator:a"})
	view(t, s, func(tx inventory.Tx) error {
		page, _, err := tx.Servers().List(inventory.Query{})
		wantEqual(t, "servers", page, []*inventory.Server{&was, doomed})
		return err
	})
	// What was handed in can be handed in again.
	update(t, s, func(tx inventory.Tx) error {
		return errors.Join(tx.Servers().Update(kept), tx.Servers().Create(fresh), tx.Audit().Append(entry))
	})
	wantEqual(t, "index", index(t, s), before+3)
}

// panicking: a bug in one Update must not hang the others.
func panicking(t *testing.T, open Open) {
	s := open(t, "panicking")
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = s.Update(t.Context(), func(tx inventory.Tx) error {
			if err := tx.Servers().Create(&inventory.Server{Name: "a"}); err != nil {
				t.Error(err)
			}
			panic("a bug")
		})
	}()
	newServer(t, s, "a")
	wantEqual(t, "index", index(t, s), uint64(1))
}

// afterConflict: Conflict, NotFound and Stale are answers, not failures.
func afterConflict(t *testing.T, open Open) {
	s := open(t, "conflict")
	a := newServer(t, s, "a")
	update(t, s, func(tx inventory.Tx) error {
		wantCode(t, tx.Servers().Create(&inventory.Server{Name: "a"}), inventory.Conflict)
		wantCode(t, tx.Servers().Delete(inventory.NewID()), inventory.NotFound)
		wantCode(t, tx.Servers().Update(&inventory.Server{Meta: inventory.Meta{ID: a.ID}}), inventory.Stale)
		return tx.Servers().Create(&inventory.Server{Name: "b"})
	})
	wantEqual(t, "index", index(t, s), uint64(2))
}

// isolation: a View sees one moment, whatever is committed meanwhile.
func isolation(t *testing.T, open Open) {
	s := open(t, "isolation")
	a := newServer(t, s, "a")
	view(t, s, func(tx inventory.Tx) error {
		before := tx.Index()
		changed := *a
		changed.Region = "elsewhere"
		update(t, s, func(tx inventory.Tx) error { return tx.Servers().Update(&changed) })
		newServer(t, s, "b")

		wantEqual(t, "index", tx.Index(), before)
		r, err := tx.Servers().Get(a.ID)
		if err != nil {
			return err
		}
		wantEqual(t, "record", r, a)
		n, err := tx.Servers().Count(inventory.Query{})
		wantEqual(t, "count", n, 1)

		if err := tx.Servers().Create(&inventory.Server{Name: "c"}); err == nil {
			t.Error("a View could create")
		}
		if err := tx.Servers().Update(a); err == nil {
			t.Error("a View could update")
		}
		if err := tx.Servers().Delete(a.ID); err == nil {
			t.Error("a View could delete")
		}
		if err := tx.Audit().Append(&inventory.AuditEntry{}); err == nil {
			t.Error("a View could append")
		}
		return err
	})
	wantEqual(t, "index", index(t, s), uint64(3))
}

// over: a Tx that escaped is useless.
func over(t *testing.T, open Open) {
	s := open(t, "over")
	a := newServer(t, s, "a")
	use := func(tx inventory.Tx) {
		if _, err := tx.Servers().Get(a.ID); err == nil {
			t.Error("a transaction that is over could read")
		}
		if err := tx.Servers().Create(&inventory.Server{Name: "b"}); err == nil {
			t.Error("a transaction that is over could write")
		}
	}
	var escaped inventory.Tx
	update(t, s, func(tx inventory.Tx) error { escaped = tx; return nil })
	use(escaped)
	view(t, s, func(tx inventory.Tx) error { escaped = tx; return nil })
	use(escaped)
	wantEqual(t, "index", index(t, s), uint64(1))
}

// cancelled: nobody works for a caller who has left.
func cancelled(t *testing.T, open Open) {
	s := open(t, "cancelled")
	gone, leave := context.WithCancel(t.Context())
	err := s.Update(gone, func(tx inventory.Tx) error {
		if err := tx.Servers().Create(&inventory.Server{Name: "a"}); err != nil {
			t.Error(err)
		}
		leave()
		return tx.Servers().Create(&inventory.Server{Name: "b"})
	})
	wantCode(t, err, inventory.Unavailable)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v does not say that it was cancelled", err)
	}
	wantCode(t, s.Update(gone, func(inventory.Tx) error { return nil }), inventory.Unavailable)
	wantCode(t, s.View(gone, func(inventory.Tx) error { return nil }), inventory.Unavailable)
	leaving, leave := context.WithCancel(t.Context())
	wantCode(t, s.View(leaving, func(tx inventory.Tx) error {
		leave()
		wantEqual(t, "index nobody waits for", tx.Index(), uint64(0))
		return nil
	}), inventory.Unavailable)
	_, _, err = s.Events(gone, 0, 1)
	wantCode(t, err, inventory.Unavailable)
	wantEqual(t, "index", index(t, s), uint64(0))
}

// concurrent: read-modify-write in an Update loses nothing, and every version
// is given once.
func concurrent(t *testing.T, open Open) {
	const workers, rounds = 16, 8
	s := open(t, "concurrent")
	a := newServer(t, s, "a")
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[uint64]bool{}
	for range workers {
		wg.Go(func() {
			for range rounds {
				var r *inventory.Server
				err := s.Update(t.Context(), func(tx inventory.Tx) (err error) {
					if r, err = tx.Servers().Get(a.ID); err != nil {
						return err
					}
					r.Applied++
					return tx.Servers().Update(r)
				})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				seen[r.Version] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	view(t, s, func(tx inventory.Tx) error {
		r, err := tx.Servers().Get(a.ID)
		wantEqual(t, "counter", r.Applied, uint64(workers*rounds))
		wantEqual(t, "index", tx.Index(), uint64(workers*rounds+1))
		return err
	})
	wantEqual(t, "versions", len(seen), workers*rounds)
	wantEqual(t, "events", len(allEvents(t, s, 0)), workers*rounds+1)
}

// neighbours: of Updates that run at the same time those that fail or panic
// leave nothing, and those that succeed lose nothing.
func neighbours(t *testing.T, open Open) {
	const workers, rounds = 12, 10
	s := open(t, "neighbours")
	try := func(name string, end func() error) (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = errOwn
			}
		}()
		return s.Update(t.Context(), func(tx inventory.Tx) error {
			if err := tx.Servers().Create(&inventory.Server{Name: name}); err != nil {
				return err
			}
			return end()
		})
	}
	ends := []struct {
		end  func() error
		want error
	}{
		{func() error { return nil }, nil},
		{func() error { return errOwn }, errOwn},
		{func() error { panic("a bug") }, errOwn},
	}
	var wg sync.WaitGroup
	for w := range workers {
		e := ends[w%len(ends)]
		wg.Go(func() {
			for i := range rounds {
				if err := try(fmt.Sprintf("%d-%d", w, i), e.end); !errors.Is(err, e.want) {
					t.Errorf("worker %d: %v, want %v", w, err, e.want)
				}
			}
		})
	}
	wg.Wait()
	const kept = workers / 3 * rounds
	view(t, s, func(tx inventory.Tx) error {
		page, _, err := tx.Servers().List(inventory.Query{})
		wantEqual(t, "servers", len(page), kept)
		wantEqual(t, "index", tx.Index(), uint64(kept))
		return err
	})
	for i, e := range allEvents(t, s, 0) {
		wantEqual(t, "event's index", e.Index, uint64(i+1))
	}
}
