package rest

import (
	"context"
	"slices"
	"time"

	"mailfleet/inventory"
)

// merge goes through what several servers have in one order, and holds no more of each
// than a page.
type merge[T any] struct {
	s       *Server
	servers []*inventory.Server
	time    time.Duration                                                                      // a server has to answer
	page    func(ctx context.Context, at *inventory.Server, after string) ([]T, string, error) // what a server has behind a key, and the key to go on from, "" at its end
	key     func(*T) string                                                                    // what the order is of
	add     func(*T, T)                                                                        // makes one of those of one key; nil: each stays

	parts  map[*inventory.Server]*part[T]
	silent []string // servers that did not answer: what they have is missing
}

// part is what one server has.
type part[T any] struct {
	have  []T
	least string // key of the first it has
	after string
	ended bool // have is the last
}

// pop takes the first.
func (m *merge[T]) pop(p *part[T]) T {
	one := p.have[0]
	p.have = p.have[1:]
	m.look(p)
	return one
}

func (m *merge[T]) look(p *part[T]) {
	if len(p.have) > 0 {
		p.least = m.key(&p.have[0])
	}
}

// from begins behind a key.
func (m *merge[T]) from(after string) {
	m.parts = make(map[*inventory.Server]*part[T])
	for _, at := range m.servers {
		m.parts[at] = &part[T]{after: after}
	}
}

// fill asks those servers for more of whom nothing is left.
func (m *merge[T]) fill(ctx context.Context) {
	var empty []*inventory.Server
	for _, at := range m.servers {
		if p := m.parts[at]; len(p.have) == 0 && !p.ended {
			empty = append(empty, at)
		}
	}
	if len(empty) == 0 {
		return
	}
	answers := askFor(ctx, m.s, m.time, empty, func(ctx context.Context, at *inventory.Server) (part[T], error) {
		have, next, err := m.page(ctx, at, m.parts[at].after)
		return part[T]{have: have, after: next, ended: next == ""}, err
	})
	for _, a := range answers.given {
		*m.parts[a.server] = a.answer
		m.look(m.parts[a.server])
	}
	for _, at := range empty {
		if slices.Contains(answers.silent, at.Name) {
			m.parts[at].ended = true
		}
	}
	m.silent = append(m.silent, answers.silent...)
}

// next is the next one; ok is false at the end.
func (m *merge[T]) next(ctx context.Context) (one T, ok bool) {
	m.fill(ctx)
	var first *part[T]
	var least string
	for _, at := range m.servers {
		if p := m.parts[at]; len(p.have) > 0 && (first == nil || p.least < least) {
			first, least = p, p.least
		}
	}
	if first == nil {
		return one, false
	}
	one = m.pop(first)
	for _, at := range m.servers {
		if p := m.parts[at]; m.add != nil && p != first && len(p.have) > 0 && p.least == least {
			m.add(&one, m.pop(p))
		}
	}
	return one, true
}

// take takes up to so many, and tells the key to go on from, "" at the end.
func (m *merge[T]) take(ctx context.Context, most int) (some []T, next string) {
	for len(some) < most {
		one, ok := m.next(ctx)
		if !ok {
			return some, ""
		}
		some = append(some, one)
	}
	m.fill(ctx)
	for _, p := range m.parts {
		if len(p.have) > 0 {
			return some, m.key(&some[most-1])
		}
	}
	return some, ""
}
