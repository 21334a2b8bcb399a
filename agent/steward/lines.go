package steward

import (
	"sync"

	"mailfleet/controller/api"
)

// reach is what an order disturbs.
type reach struct {
	nothing bool   // it only looks
	target  string // another server, whose power it switches
	service string // one service; empty: the whole server
}

func reachOf(o api.Order, x Executor) reach {
	return reach{nothing: x.Beside, target: o.Target, service: o.Service}
}

// meets tells whether two orders would disturb each other.
func (r reach) meets(other reach) bool {
	switch {
	case r.nothing || other.nothing:
		return false
	case r.target != other.target:
		return false
	default:
		return r.service == "" || other.service == "" || r.service == other.service
	}
}

// lines are the orders in hand and those that wait for them.
type lines struct {
	mu sync.Mutex
	in []*place
}

type place struct {
	reach reach
	done  chan struct{}
}

// join puts an order in line: it may begin when all of before are closed, and
// calls done when it has ended.
func (l *lines) join(r reach) (before []<-chan struct{}, done func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.in {
		if p.reach.meets(r) {
			before = append(before, p.done)
		}
	}
	mine := &place{r, make(chan struct{})}
	l.in = append(l.in, mine)
	return before, func() { l.leave(mine) }
}

func (l *lines) leave(mine *place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, p := range l.in {
		if p == mine {
			l.in = append(l.in[:i:i], l.in[i+1:]...)
			break
		}
	}
	close(mine.done)
}
