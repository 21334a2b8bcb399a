package store

import (
	"fmt"
	"slices"
	"testing"
	"time"
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

// filledLarge is a store with a large mailbox, which nobody has in memory and which is not
// read by itself.
func filledLarge(t *testing.T, count int) (*Store, Place) {
	s := open(t, t.TempDir(), Options{})
	fill(t, s, count, func(n int64) []byte { return fmt.Appendf(nil, "%d", n%50) })
	s.forget()
	s.lull = time.Hour
	return s, Place{alice, Inbox}
}

// Of a large mailbox that nobody has read the last messages can be had as they were when
// it was opened, whatever happens to them meanwhile.
func TestTheEndOfALargeMailboxIsThereBeforeItIsRead(t *testing.T) {
	const count = splitLoad + 10
	s, p := filledLarge(t, count)
	defer shut(t, s)
	o, err := s.Open(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	deliver(t, s, "one more", alice)
	if _, err := s.Expunge(t.Context(), p, []uint32{7, count - 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.StoreFlags(t.Context(), p, FlagChange{UIDs: []uint32{count}, Op: AddFlags, Flags: Flagged}); err != nil {
		t.Fatal(err)
	}
	tail, first, err := o.Tail(t.Context())
	if err != nil || first != count-viewChunk || tail.Len() != count || o.Ready() {
		t.Fatalf("messages from %d to %d are there, %v; read: %v", first, tail.Len(), err, o.Ready())
	}
	whole, err := o.Wait(t.Context())
	if err != nil || whole.Len() != count {
		t.Fatalf("it has %d messages, %v", whole.Len(), err)
	}
	for i := first; i < count; i++ {
		if *tail.At(i) != *whole.At(i) {
			t.Fatalf("message %d was %+v and is %+v", i, *tail.At(i), *whole.At(i))
		}
		if n, found := tail.Search(whole.At(i).UID); n != i || !found {
			t.Fatalf("message %d is found at %d", i, n)
		}
	}
	if n, found := tail.Search(count + 1); n != count || found {
		t.Errorf("what came later is found at %d", n)
	}
	if d := o.View().Since(whole); !slices.Equal(d.Gone, []uint32{7, count - 1}) || !slices.Equal(d.Come, []uint32{count + 1}) || !slices.Equal(d.Changed, []uint32{count}) {
		t.Errorf("since then %+v", d)
	}
	if v, first, err := o.Tail(t.Context()); err != nil || first != 0 || v != whole {
		t.Errorf("after it was read the end is the whole: from %d, %v", first, err)
	}
}

// One that nobody asks for is read all the same, by itself or for the next who opens it.
func TestALargeMailboxIsReadAfterAWhile(t *testing.T) {
	s, p := filledLarge(t, splitLoad)
	defer shut(t, s)
	for _, lull := range []time.Duration{time.Millisecond, time.Hour} {
		s.forget()
		s.lull = lull
		o, err := s.Open(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if lull == time.Hour {
			again, err := s.Select(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			again.Close()
		}
		select {
		case <-o.box.ready:
		case <-time.After(time.Minute):
			t.Error("it is not read")
		}
		o.Close()
	}
}

// One that is closed before anybody asked for it leaves nothing, also when it was removed
// meanwhile.
func TestALargeMailboxNobodyAskedForIsNotRead(t *testing.T) {
	s, p := filledLarge(t, splitLoad)
	made, err := s.CreateMailbox(t.Context(), alice, "Old", "")
	if err != nil {
		t.Fatal(err)
	}
	old := Place{alice, made.ID}
	uids := make([]uint32, splitLoad)
	for i := range uids {
		uids[i] = uint32(i) + 1
	}
	if _, err := s.Copy(t.Context(), p, uids, old); err != nil {
		t.Fatal(err)
	}
	s.forget()
	for _, p := range []Place{p, old} {
		o, err := s.Open(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if _, first, err := o.Tail(t.Context()); err != nil || first == 0 {
			t.Errorf("its end begins at %d, %v", first, err)
		}
		if p == old {
			if err := s.DeleteMailbox(t.Context(), alice, "Old"); err != nil {
				t.Fatal(err)
			}
		}
		o.Close()
		if len(s.boxes) != 0 || s.idleItems != 0 {
			t.Errorf("%d mailboxes are in memory, %d messages", len(s.boxes), s.idleItems)
		}
	}
	shut(t, s) // which minds snapshots that were not closed
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
	s.begin(o.box)
	o.Close()
	s.tidying.Wait()
	s.mu.Lock()
	if b := s.boxes[Place{alice, Inbox}]; b == nil || b.users != 0 || b.idle == nil || s.idleItems != count {
		t.Errorf("it is kept as %+v, with %d messages in memory", b, s.idleItems)
	}
	s.mu.Unlock()
	shut(t, s)
}

// What becomes of the last messages of a large mailbox that is not read is known, and so is
// what was removed from all of it.
func TestWhatBecomesOfTheEndOfALargeMailbox(t *testing.T) {
	const count = splitLoad + 10
	s, p := filledLarge(t, count)
	defer shut(t, s)
	o, err := s.Open(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	tail, first, err := o.Tail(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if now, err := o.Now(t.Context(), tail); err != nil || now != tail {
		t.Errorf("nothing happened, and it is another: %v", err)
	}
	since := o.Mailbox.HighestModSeq
	gone := [][]uint32{{7}, {100, 101, count - 1}, {3, tail.At(first).UID}}
	for _, uids := range gone {
		if _, err := s.Expunge(t.Context(), p, uids); err != nil {
			t.Fatal(err)
		}
	}
	deliver(t, s, "one more", alice)
	deliver(t, s, "and one that goes", alice)
	if _, err := s.Expunge(t.Context(), p, []uint32{count + 2}); err != nil {
		t.Fatal(err)
	}
	result, err := s.StoreFlags(t.Context(), p, FlagChange{UIDs: []uint32{count}, Op: AddFlags, Flags: Flagged, Keywords: []string{"work"}})
	if err != nil {
		t.Fatal(err)
	}
	now, err := o.Now(t.Context(), tail)
	if err != nil || o.Ready() {
		t.Fatalf("it is read: %t, %v", o.Ready(), err)
	}
	m, err := s.Status(t.Context(), p)
	if err != nil || fmt.Sprint(now.Mailbox) != fmt.Sprint(m) {
		t.Errorf("the mailbox is told as %+v and is %+v, %v", now.Mailbox, m, err)
	}
	for uid := tail.At(first).UID; uid <= count+2; uid++ {
		i, found := now.Search(uid)
		there := uid != tail.At(first).UID && uid != count-1 && uid != count+2
		if found != there || found && now.At(i).UID != uid {
			t.Fatalf("message %d is found: %t", uid, found)
		}
		if uid == count && *now.At(i) != result.Changed[0] {
			t.Errorf("the message that changed is %+v, not %+v", *now.At(i), result.Changed[0])
		}
	}
	uids, complete, err := s.Vanished(t.Context(), p, since)
	if want := []uint32{3, 7, 100, 101, tail.At(first).UID, count - 1, count + 2}; err != nil || !complete || !slices.Equal(uids, want) {
		t.Errorf("%v vanished, complete %t, %v; want %v", uids, complete, err, want)
	}
	if uids, complete, err := s.Vanished(t.Context(), p, m.HighestModSeq); err != nil || !complete || len(uids) > 0 {
		t.Errorf("%v vanished after all, complete %t, %v", uids, complete, err)
	}
	whole, err := o.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := o.View().Since(whole); !slices.Equal(d.Gone, uids[:len(uids)-1]) || !slices.Equal(d.Come, []uint32{count + 1}) || !slices.Equal(d.Changed, []uint32{count}) {
		t.Errorf("since it was opened %+v", d)
	}
	if now, err := o.Now(t.Context(), tail); err != nil || now != o.View() {
		t.Errorf("after it was read it is not the whole, %v", err)
	}
	if err := s.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m, err = s.Status(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	for modseq, want := range map[uint64]bool{since: false, m.Floor - 1: false, m.Floor: true} {
		if _, complete, err := s.Vanished(t.Context(), p, modseq); err != nil || complete != want {
			t.Errorf("since %d of a floor of %d what vanished is complete: %t, %v", modseq, m.Floor, complete, err)
		}
	}
}
