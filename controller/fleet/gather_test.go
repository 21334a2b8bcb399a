package fleet

import (
	"context"
	"runtime"
	"sync"
	"testing"

	"mailfleet/inventory"
)

func TestWhatIsAskedAtOnceIsDoneTogetherAndRefusedAlone(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	begun, most := 0, 0 // how many the first transaction took, and any
	first := make(chan struct{})
	g := gather[string]{store: w.store, do: func(tx inventory.Tx, names []string) error {
		mu.Lock()
		again := begun > 0
		if !again {
			begun = len(names)
		}
		most = max(most, len(names))
		mu.Unlock()
		if !again {
			<-first // the rest gathers meanwhile
		}
		for _, name := range names {
			if name == "" {
				return inventory.Errorf(inventory.Invalid, "no name")
			}
			if err := tx.Domains().Create(&inventory.Domain{Name: name}); err != nil {
				return err
			}
		}
		return nil
	}}
	const many = 100
	var asking sync.WaitGroup
	errs := make([]error, many)
	for i := range many {
		asking.Go(func() {
			name := string(rune('a'+i%26)) + string(rune('a'+i/26)) + ".test"
			if i == 50 {
				name = ""
			}
			errs[i] = g.Do(t.Context(), name)
		})
	}
	for asked := 0; asked < many; runtime.Gosched() {
		mu.Lock()
		asked = begun
		mu.Unlock()
		if asked > 0 {
			g.mu.Lock()
			asked += len(g.waiting)
			g.mu.Unlock()
		}
	}
	close(first)
	asking.Wait()
	for i, err := range errs {
		if (err != nil) != (i == 50) {
			t.Errorf("%d: %v", i, err)
		}
	}
	w.view(func(tx inventory.Tx) error {
		n, err := tx.Domains().Count(inventory.Query{})
		if n != many-1 {
			t.Errorf("%d of %d were done", n, many-1)
		}
		return err
	})
	if most < many/2 {
		t.Errorf("at most %d were done together", most)
	}
}

func TestWhatNobodyWaitsForAnyMoreIsNotDone(t *testing.T) {
	w := newWorld(t)
	first := make(chan struct{})
	begun := make(chan struct{}, 10)
	g := gather[string]{store: w.store, do: func(tx inventory.Tx, names []string) error {
		begun <- struct{}{}
		<-first
		for _, name := range names {
			if err := tx.Domains().Create(&inventory.Domain{Name: name}); err != nil {
				return err
			}
		}
		return nil
	}}
	leaving, leave := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	ask := func(ctx context.Context, name string, fails bool) {
		asking.Go(func() {
			if err := g.Do(ctx, name); (err != nil) != fails {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	ask(t.Context(), "one.test", false)
	<-begun // the rest gathers meanwhile
	ask(leaving, "two.test", true)
	ask(t.Context(), "three.test", false)
	for waiting := 0; waiting < 2; runtime.Gosched() {
		g.mu.Lock()
		waiting = len(g.waiting)
		g.mu.Unlock()
	}
	leave()
	close(first)
	asking.Wait()
	w.view(func(tx inventory.Tx) error {
		n, err := tx.Domains().Count(inventory.Query{})
		if n != 2 {
			t.Errorf("%d were done instead of 2", n)
		}
		return err
	})
}
