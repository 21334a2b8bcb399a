package storetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"mailfleet/inventory"
)

// reopened: what was acknowledged is there, and the counters go on.
func reopened(t *testing.T, open Open) {
	s := open(t, "reopened")
	a := newServer(t, s, "a")
	secret := &inventory.Setting{Name: "gossip key", Value: "s3cret"}
	update(t, s, func(tx inventory.Tx) error { return tx.Settings().Create(secret) })
	update(t, s, func(tx inventory.Tx) error { return tx.Audit().Append(&inventory.AuditEntry{Actor: "controller"}) })
	before := allEvents(t, s, 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open(t, "reopened")
	view(t, s, func(tx inventory.Tx) error {
		r, err := tx.Servers().Get(a.ID)
		wantEqual(t, "server", r, a)
		if err != nil {
			return err
		}
		found, err := tx.Settings().Find("name", secret.Name)
		wantEqual(t, "setting", found, secret)
		if err != nil {
			return err
		}
		n, err := tx.Audit().Verify()
		wantEqual(t, "audit entries", n, 1)
		return err
	})
	wantEqual(t, "events", allEvents(t, s, 0), before)
	wantEqual(t, "newest server", s.Wait(t.Context(), 0, inventory.Servers), uint64(1))
	wantEqual(t, "newest of all", s.Wait(t.Context(), 2), uint64(3))
	wantEqual(t, "next version", newServer(t, s, "b").Version, uint64(4))
}

// closed: after Close everything fails, and says why.
func closed(t *testing.T, open Open) {
	s := open(t, "closed")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	nothing := func(inventory.Tx) error { return nil }
	wantCode(t, s.Update(t.Context(), nothing), inventory.Unavailable)
	wantCode(t, s.View(t.Context(), nothing), inventory.Unavailable)
	if err := s.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
}

// closing: a Close in the middle of many Updates lets each succeed or fail, and
// keeps those that succeeded.
func closing(t *testing.T, open Open) {
	const workers = 8
	s := open(t, "closing")
	var wg sync.WaitGroup
	kept := make([][]*inventory.Domain, workers)
	started := make(chan struct{}, workers)
	for w := range workers {
		wg.Go(func() {
			for i := 0; ; i++ {
				r := &inventory.Domain{Name: fmt.Sprintf("d%d-%d.test", w, i)}
				if err := s.Update(t.Context(), func(tx inventory.Tx) error { return tx.Domains().Create(r) }); err != nil {
					wantCode(t, err, inventory.Unavailable)
					return
				}
				kept[w] = append(kept[w], r)
				if i == 3 {
					started <- struct{}{}
				}
			}
		})
	}
	for range workers {
		<-started
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()

	s = open(t, "closing")
	all := slices.Concat(kept...)
	wantEqual(t, "index", index(t, s), uint64(len(all)))
	view(t, s, func(tx inventory.Tx) error {
		for _, r := range all {
			found, err := tx.Domains().Get(r.ID)
			if err != nil {
				return err
			}
			wantEqual(t, "domain", found, r)
		}
		return nil
	})
}
