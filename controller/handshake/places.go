package handshake

import (
	"net/netip"
	"slices"
	"sync"
)

// places are what handshakes are worked on in. Those who wait for one stand in a
// line by address; a place that is free goes to the first of each line in turn.
type places struct {
	mu    sync.Mutex
	spare int
	lines map[netip.Addr][]*waiter
	turns []netip.Addr // whose line has somebody, in the order of their turns
}

type waiter struct{ called chan struct{} }

func newPlaces(n int) *places { return &places{spare: n, lines: make(map[netip.Addr][]*waiter)} }

// take waits for a place; false: it was cut off before.
func (p *places) take(from netip.Addr, cut <-chan struct{}) bool {
	w := p.join(from)
	if w == nil {
		return true
	}
	select {
	case <-w.called:
		return true
	case <-cut:
	}
	if !p.quit(from, w) { // called meanwhile
		p.free()
	}
	return false
}

// join takes a place, or stands in line.
func (p *places) join(from netip.Addr) *waiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spare > 0 {
		p.spare--
		return nil
	}
	w := &waiter{make(chan struct{})}
	if len(p.lines[from]) == 0 {
		p.turns = append(p.turns, from)
	}
	p.lines[from] = append(p.lines[from], w)
	return w
}

// free gives a place to who is next.
func (p *places) free() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.turns) == 0 {
		p.spare++
		return
	}
	from := p.turns[0]
	p.turns = p.turns[1:]
	line := p.lines[from]
	close(line[0].called)
	if len(line) == 1 {
		delete(p.lines, from)
		return
	}
	p.lines[from] = line[1:]
	p.turns = append(p.turns, from)
}

// quit leaves the line; false: who stands in none was called.
func (p *places) quit(from netip.Addr, w *waiter) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := p.lines[from]
	i := slices.Index(line, w)
	if i < 0 {
		return false
	}
	if len(line) > 1 {
		p.lines[from] = slices.Delete(slices.Clone(line), i, i+1)
		return true
	}
	delete(p.lines, from)
	p.turns = slices.DeleteFunc(p.turns, func(a netip.Addr) bool { return a == from })
	return true
}
