package fleet

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"mailfleet/inventory"
)

const (
	// mostGathered bounds what one transaction of a gather does.
	mostGathered = 200
	// firstGathered is how long the first that asks waits for more.
	firstGathered = 2 * time.Millisecond
	// nextGathered is the least that those wait who came while one ran: there are
	// many then, and each transaction is followed by all who read what it changed.
	nextGathered = 20 * time.Millisecond
	// lastGathered bounds how long the next wait when one took long.
	lastGathered = 50 * time.Millisecond
)

// gather does the same for many that ask at once in few transactions: while
// one runs, and twice as long again, those that come wait for the next, together. A
// fleet that is told something, or comes back, all at once costs some
// transactions, not one each. What a transaction costs others, who read what
// it has changed, grows with it; so does the wait.
type gather[T any] struct {
	store inventory.Store
	do    func(inventory.Tx, []T) error

	mu      sync.Mutex
	waiting []*asked[T] // the first of them leads, or will
	busy    bool
	rest    time.Duration // until the next transaction
}

type asked[T any] struct {
	ctx  context.Context //nolint:containedctx // of who asks, who may have left by the time it is done
	what T
	done chan error
	lead chan struct{}
}

// Do returns when what was asked is durable, or refused.
func (g *gather[T]) Do(ctx context.Context, what T) error {
	mine := &asked[T]{ctx, what, make(chan error, 1), make(chan struct{}, 1)}
	g.mu.Lock()
	g.waiting = append(g.waiting, mine)
	if !g.busy {
		g.busy, g.rest = true, firstGathered
		mine.lead <- struct{}{}
	}
	g.mu.Unlock()
	select {
	case err := <-mine.done:
		return err
	case <-mine.lead:
	}
	<-time.After(g.rest) // the leader's alone
	g.mu.Lock()
	n := min(len(g.waiting), mostGathered)
	some := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	g.mu.Unlock()
	began := time.Now()
	g.run(context.WithoutCancel(ctx), some) // it is not its own alone
	g.mu.Lock()
	g.rest = min(max(2*time.Since(began), nextGathered), lastGathered)
	if g.busy = len(g.waiting) > 0; g.busy {
		g.waiting[0].lead <- struct{}{}
	}
	g.mu.Unlock()
	return <-mine.done
}

// run does it for some, and for each by itself when one of them spoils it. Who has
// left asks again: doing it for them too would keep the others waiting, and have
// more of them leave.
func (g *gather[T]) run(ctx context.Context, some []*asked[T]) {
	some = slices.DeleteFunc(some, func(a *asked[T]) bool {
		err := a.ctx.Err()
		if err != nil {
			a.done <- err
		}
		return err != nil
	})
	if len(some) == 0 {
		return
	}
	all := make([]T, len(some))
	for i, a := range some {
		all[i] = a.what
	}
	err := g.store.Update(ctx, func(tx inventory.Tx) error { return g.do(tx, all) })
	if err == nil || len(some) == 1 || !refused(err) {
		for _, a := range some {
			a.done <- err
		}
		return
	}
	for _, a := range some {
		a.done <- g.store.Update(ctx, func(tx inventory.Tx) error { return g.do(tx, []T{a.what}) })
	}
}

// refused tells whether an error is about what was asked, not about the database.
func refused(err error) bool {
	e, ok := errors.AsType[*inventory.Error](err)
	return ok && e.Code != inventory.Unavailable && e.Code != inventory.Internal
}
