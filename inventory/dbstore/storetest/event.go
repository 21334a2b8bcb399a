package storetest

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"mailfleet/inventory"
)

// waiting: 5,000 who wait for one kind sleep through changes to others.
func waiting(t *testing.T, open Open) {
	synctest.Test(t, func(t *testing.T) {
		const waiters = 5000
		s := open(t, "waiting")
		a := newServer(t, s, "a")
		begin := index(t, s)
		got := make(chan uint64, waiters)
		for i := range waiters {
			go func() {
				kinds := []inventory.Kind{inventory.Alerts}
				if i%2 == 0 {
					kinds = append(kinds, inventory.Rules)
				}
				got <- s.Wait(t.Context(), begin, kinds...)
			}()
		}
		anything := make(chan uint64, 1)
		go func() { anything <- s.Wait(t.Context(), begin) }()
		synctest.Wait()

		newServer(t, s, "b")
		_ = s.Update(t.Context(), func(tx inventory.Tx) error { // never happens
			if err := tx.Alerts().Create(&inventory.Alert{}); err != nil {
				t.Error(err)
			}
			return errOwn
		})
		update(t, s, func(tx inventory.Tx) error { return tx.Servers().Update(a) }) // changes nothing
		synctest.Wait()
		wantEqual(t, "waiters for alerts that woke", len(got), 0)
		wantEqual(t, "index of anything", <-anything, begin+1)

		update(t, s, func(tx inventory.Tx) error { return tx.Alerts().Create(&inventory.Alert{}) })
		for range waiters {
			wantEqual(t, "index of alerts", <-got, begin+2)
		}

		wantEqual(t, "newest server, at once", s.Wait(t.Context(), 0, inventory.Servers), begin+1)
		wantEqual(t, "newest of two, at once", s.Wait(t.Context(), 0, inventory.Servers, inventory.Alerts), begin+2)
		wantEqual(t, "newest of all, at once", s.Wait(t.Context(), 0), begin+2)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// waitEnds: at its context's end, and at the store's, a Wait returns what it has.
func waitEnds(t *testing.T, open Open) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, "ends")
		newServer(t, s, "a")
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		wantEqual(t, "index at the end", s.Wait(ctx, 1, inventory.Servers), uint64(1))
		wantEqual(t, "index of what never changed", s.Wait(ctx, 0, inventory.Rules), uint64(0))
		wantEqual(t, "time waited", time.Since(began), time.Minute)

		got := make(chan uint64)
		go func() { got <- s.Wait(t.Context(), 7) }()
		synctest.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		wantEqual(t, "index at the close", <-got, uint64(1))
		wantEqual(t, "index after the close", s.Wait(t.Context(), 7), uint64(1))
	})
}

// waitRace: who always waits from the index it got sees the last change,
// however the two interleave, and can then read it.
func waitRace(t *testing.T, open Open) {
	const changes = 100
	s := open(t, "race")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	go func() {
		for i := range changes {
			if err := s.Update(ctx, func(tx inventory.Tx) error {
				return tx.Domains().Create(&inventory.Domain{Name: fmt.Sprintf("d%d.test", i)})
			}); err != nil {
				t.Error(err)
				cancel()
			}
		}
	}()
	for after := uint64(0); after < changes; {
		now := s.Wait(ctx, after, inventory.Domains)
		if now <= after {
			t.Fatalf("at %d the next change was missed", after)
		}
		if n := index(t, s); n < now {
			t.Fatalf("woken for %d, the store shows %d", now, n)
		}
		after = now
	}
}

// events: who resumes from any index gets all that came after.
func events(t *testing.T, open Open) {
	s := open(t, "events")
	a := newServer(t, s, "a")
	entry := &inventory.AuditEntry{Actor: "controller"}
	update(t, s, func(tx inventory.Tx) error {
		a.Region = "r"
		if err := tx.Servers().Update(a); err != nil {
			return err
		}
		if err := tx.Servers().Delete(a.ID); err != nil {
			return err
		}
		return tx.Audit().Append(entry)
	})
	want := []inventory.Event{
		{Index: 1, Kind: inventory.Servers, Verb: inventory.Created, ID: a.ID},
		{Index: 2, Kind: inventory.Servers, Verb: inventory.Updated, ID: a.ID},
		{Index: 3, Kind: inventory.Servers, Verb: inventory.Deleted, ID: a.ID},
		{Index: 4, Kind: inventory.Audit, Verb: inventory.Created, ID: entry.ID},
	}
	for after := range uint64(len(want) + 1) {
		got := allEvents(t, s, after)
		for i := range got {
			if age := time.Since(got[i].Time); age < 0 || age > time.Hour {
				t.Errorf("event of %v", got[i].Time)
			}
			got[i].Time = time.Time{}
		}
		wantEqual(t, "events", got, want[after:])
	}
	page, ok, err := s.Events(t.Context(), 1, 2)
	if err != nil || !ok || len(page) != 2 || page[0].Index != 2 {
		t.Errorf("page %+v, ok %v, %v", page, ok, err)
	}
	if _, ok, err := s.Events(t.Context(), 5, 1); ok || err != nil {
		t.Errorf("an index of another history: ok %v, %v", ok, err)
	}
}
