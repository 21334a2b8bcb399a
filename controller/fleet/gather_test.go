package fleet

import (
	"runtime"
	"sync"
	"testing"

	"mailfleet/inventory"
)

func TestWhatIsAskedAtOnceIsDoneTogetherAndRefusedAlone(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	transactions, most := 0, 0
	first := make(chan struct{})
	g := gather[string]{store: w.store, do: func(tx inventory.Tx, names []string) error {
		mu.Lock()
		transactions++
		most = max(most, len(names))
		again := transactions > 1
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
	for waiting := 0; waiting < many-1; {
		g.mu.Lock()
		waiting = len(g.waiting)
		if g.busy && transactionsBegun(&mu, &transactions) {
			waiting++
		}
		g.mu.Unlock()
		runtime.Gosched()
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

func transactionsBegun(mu *sync.Mutex, n *int) bool {
	mu.Lock()
	defer mu.Unlock()
	return *n > 0
}
