package dbstore

import (
	"context"
	"sync"

	"mailfleet/inventory"
)

// anyKind stands for every kind in a notifier.
const anyKind inventory.Kind = ""

// notifier tells those who wait for a kind that it changed. The index is
// looked at and the waiter enrolled under one lock, so no change is missed.
type notifier struct {
	mu      sync.Mutex
	closed  bool
	newest  map[inventory.Kind]uint64
	waiting map[inventory.Kind]map[chan struct{}]bool
}

func newNotifier() *notifier {
	return &notifier{newest: map[inventory.Kind]uint64{}, waiting: map[inventory.Kind]map[chan struct{}]bool{}}
}

// publish notes the kinds' newest versions and wakes those who wait for them.
func (n *notifier) publish(changed map[inventory.Kind]uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for kind, version := range changed {
		n.newest[kind] = version
		n.wake(kind)
		if version > n.newest[anyKind] {
			n.newest[anyKind] = version
			n.wake(anyKind)
		}
	}
}

func (n *notifier) wake(kind inventory.Kind) {
	for ch := range n.waiting[kind] {
		select {
		case ch <- struct{}{}:
		default: // told already
		}
	}
}

// close makes every wait return, now and later.
func (n *notifier) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	for kind := range n.waiting {
		n.wake(kind)
	}
}

// wait blocks until one of kinds (none: any) is newer than after, ctx ends or
// the notifier is closed, and returns the kinds' newest version.
func (n *notifier) wait(ctx context.Context, after uint64, kinds []inventory.Kind) uint64 {
	if len(kinds) == 0 {
		kinds = []inventory.Kind{anyKind}
	}
	woken := make(chan struct{}, 1)
	defer n.leave(woken, kinds)
	for {
		newest, enough := n.join(woken, after, kinds)
		if enough || ctx.Err() != nil {
			return newest
		}
		select {
		case <-woken:
		case <-ctx.Done():
		}
	}
}

// join returns the kinds' newest version; unless that is enough for the waiter
// it is enrolled.
func (n *notifier) join(woken chan struct{}, after uint64, kinds []inventory.Kind) (newest uint64, enough bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, kind := range kinds {
		newest = max(newest, n.newest[kind])
	}
	if n.closed || newest > after {
		return newest, true
	}
	for _, kind := range kinds {
		if n.waiting[kind] == nil {
			n.waiting[kind] = map[chan struct{}]bool{}
		}
		n.waiting[kind][woken] = true
	}
	return newest, false
}

func (n *notifier) leave(woken chan struct{}, kinds []inventory.Kind) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, kind := range kinds {
		delete(n.waiting[kind], woken)
	}
}
