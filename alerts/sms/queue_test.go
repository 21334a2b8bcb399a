package sms

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"mailfleet/inventory"
)

// memory is a Queue in memory. fail, when set, is asked before everything.
type memory struct {
	mu       sync.Mutex
	messages map[inventory.ID]inventory.SMS
	severity map[inventory.ID]inventory.Severity
	index    uint64
	changed  chan struct{}
	fail     func(what string) error
}

func newMemory() *memory {
	return &memory{messages: make(map[inventory.ID]inventory.SMS), severity: make(map[inventory.ID]inventory.Severity), changed: make(chan struct{}), fail: func(string) error { return nil }}
}

// add queues a message and returns its id.
func (q *memory) add(s *inventory.SMS, severity inventory.Severity) inventory.ID {
	q.mu.Lock()
	defer q.mu.Unlock()
	s.ID, s.Created = inventory.NewID(), time.Now()
	q.messages[s.ID], q.severity[s.ID] = *s, severity
	q.notify()
	return s.ID
}

func (q *memory) notify() {
	q.index++
	close(q.changed)
	q.changed = make(chan struct{})
}

func (q *memory) get(id inventory.ID) inventory.SMS {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.messages[id]
}

func (q *memory) remove(id inventory.ID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.messages, id)
	q.notify()
}

func (q *memory) Queued(context.Context) ([]Entry, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.fail("Queued"); err != nil {
		return nil, err
	}
	var entries []Entry
	for _, s := range q.messages {
		if s.State == inventory.SMSQueued {
			entries = append(entries, Entry{SMS: &s, Severity: q.severity[s.ID]})
		}
	}
	return entries, nil
}

func (q *memory) Update(ctx context.Context, id inventory.ID, change func(*inventory.SMS) error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := cmp.Or(ctx.Err(), q.fail("Update")); err != nil {
		return err
	}
	s, ok := q.messages[id]
	if !ok {
		return inventory.Errorf(inventory.NotFound, "no such message")
	}
	rolledBack := s // a transaction may run again
	if err := change(&rolledBack); err != nil {
		return err
	}
	if err := change(&s); err != nil {
		return err
	}
	q.messages[id] = s
	q.notify()
	return nil
}

func (q *memory) Wait(ctx context.Context, after uint64) uint64 {
	for {
		q.mu.Lock()
		index, changed := q.index, q.changed
		q.mu.Unlock()
		if index > after {
			return index
		}
		select {
		case <-ctx.Done():
			return index
		case <-changed:
		}
	}
}

// gateway calls a function for each message.
type gateway func(ctx context.Context, m Message) error

func (gateway) Name() string { return "test" }

func (g gateway) Send(ctx context.Context, m Message) (Receipt, error) {
	return Receipt{Answer: "ok"}, g(ctx, m)
}

// running starts an outbox; stop ends it and waits.
func running(t *testing.T, q *memory, g gateway) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- NewOutbox(q, g, slog.New(slog.NewTextHandler(io.Discard, nil))).Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run returned %v", err)
		}
	}
}
