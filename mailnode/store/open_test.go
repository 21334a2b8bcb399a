package store

import (
	"fmt"
	"testing"
)

// forget drops what is in memory of mailboxes that nobody has open.
func (s *Store) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, b := range s.boxes {
		if b.idle != nil {
			s.idle.Remove(b.idle)
			delete(s.boxes, p)
		}
	}
	s.idleItems = 0
}

// A large mailbox is open before it is read. Whoever opened it sees it as it was then, and
// after it as it is.
func TestALargeMailboxIsOpenBeforeItIsRead(t *testing.T) {
	const count = splitLoad + 10
	s := open(t, t.TempDir(), Options{})
	defer shut(t, s)
	fill(t, s, count, func(n int64) []byte { return fmt.Appendf(nil, "%d", n%50) })
	p := Place{alice, Inbox}
	for round := range 5 {
		want := count + round
		s.forget()
		o, err := s.Open(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if o.Mailbox.Messages != uint64(want) || o.Mailbox.UIDNext != uint32(want)+1 {
			t.Errorf("it is told to have %d messages, UIDNEXT %d", o.Mailbox.Messages, o.Mailbox.UIDNext)
		}
		deliver(t, s, "while it is read", alice)
		v, err := o.Wait(t.Context())
		if err != nil || v.Len() != want || !o.Ready() {
			t.Errorf("it had %d messages (%v), want %d", v.Len(), err, want)
		}
		if d := o.View().Since(v); len(d.Come) != 1 || len(d.Gone)+len(d.Changed) != 0 {
			t.Errorf("since then %+v", d)
		}
		o.Close()
	}
}

// One that is closed before it is read stays in memory for a while, as others do.
func TestALargeMailboxMayBeClosedBeforeItIsRead(t *testing.T) {
	const count = splitLoad + 10
	s := open(t, t.TempDir(), Options{})
	fill(t, s, count, func(n int64) []byte { return fmt.Appendf(nil, "%d", n%50) })
	o, err := s.Open(t.Context(), Place{alice, Inbox})
	if err != nil {
		t.Fatal(err)
	}
	o.Close()
	s.tidying.Wait()
	s.mu.Lock()
	if b := s.boxes[Place{alice, Inbox}]; b == nil || b.users != 0 || b.idle == nil || s.idleItems != count {
		t.Errorf("it is kept as %+v, with %d messages in memory", b, s.idleItems)
	}
	s.mu.Unlock()
	shut(t, s)
}
