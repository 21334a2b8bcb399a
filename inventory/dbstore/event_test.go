package dbstore

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"mailfleet/inventory"
)

func TestEventsAreKeptUpToACount(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "events.db"))
	s.keep = retention{count: 50, age: time.Hour, every: 10}
	r := touch(t, s, nil, 49)
	wantOldest(t, s, 1)
	touch(t, s, r, 200-49)
	wantOldest(t, s, 151) // pruned at 200
	touch(t, s, r, 9)
	wantOldest(t, s, 151)
	touch(t, s, r, 1)
	wantOldest(t, s, 161)
}

func TestEventsAreKeptForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openAt(t, filepath.Join(t.TempDir(), "events.db"))
		s.keep = retention{count: 1000, age: 7 * 24 * time.Hour, every: 10}
		r := touch(t, s, nil, 15)
		time.Sleep(4 * 24 * time.Hour)
		touch(t, s, r, 10)
		wantOldest(t, s, 1)
		time.Sleep(4 * 24 * time.Hour)
		touch(t, s, r, 5)
		wantOldest(t, s, 16)
		time.Sleep(30 * 24 * time.Hour)
		touch(t, s, r, 10)
		wantOldest(t, s, 31)
	})
}

// A transaction that writes more events than are kept keeps the newest.
func TestOneTransactionOverflowsTheEvents(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "events.db"))
	s.keep = retention{count: 20, age: time.Hour, every: 10}
	if err := s.Update(t.Context(), func(tx inventory.Tx) error {
		for range 1100 {
			if err := tx.Alerts().Create(&inventory.Alert{}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	wantOldest(t, s, 1081)
}

// touch changes r, or a new server, n times.
func touch(t *testing.T, s *Store, r *inventory.Server, n int) *inventory.Server {
	t.Helper()
	for range n {
		err := s.Update(t.Context(), func(tx inventory.Tx) error {
			if r == nil {
				r = &inventory.Server{Name: "a"}
				return tx.Servers().Create(r)
			}
			r.Applied++
			return tx.Servers().Update(r)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// wantOldest checks which event is the oldest, and that older ones are said to be lost.
func wantOldest(t *testing.T, s *Store, oldest uint64) {
	t.Helper()
	events, ok, err := s.Events(t.Context(), oldest-1, 1)
	if err != nil || !ok || len(events) != 1 || events[0].Index != oldest {
		t.Errorf("after %d: %v, ok %v, %v", oldest-1, events, ok, err)
	}
	if oldest == 1 {
		return
	}
	if _, ok, err := s.Events(t.Context(), oldest-2, 1); ok || err != nil {
		t.Errorf("after %d: ok %v, %v: want it lost", oldest-2, ok, err)
	}
}
