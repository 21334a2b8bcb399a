package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// stock puts n messages into alice's inbox and makes her a second mailbox.
func stock(t *testing.T, s *Store, n int) (inbox, second Place) {
	t.Helper()
	inbox = Place{alice, Inbox}
	made, err := s.CreateMailbox(t.Context(), alice, "second", "")
	if err != nil {
		t.Fatal(err)
	}
	list := make([]Delivery, n)
	for i := range list {
		list[i] = Delivery{Places: []Place{inbox}, Body: strings.NewReader("x\r\n"), Size: 3}
	}
	for part := range slices.Chunk(list, 5000) {
		if _, err := s.Append(t.Context(), part...); err != nil {
			t.Fatal(err)
		}
	}
	return inbox, Place{alice, made.ID}
}

// atStep opens a store in which f is called in each change of alice's account, with its
// number; what it returns is the room she has.
func atStep(t *testing.T, fs vfs.FS, f func(n int) int64) *Store {
	t.Helper()
	n := 0
	return open(t, "/s", Options{FS: fs, Quota: func(string) Quota {
		n++
		return Quota{Messages: f(n)}
	}})
}

func TestALongCopyLeavesNothingWhenItFails(t *testing.T) {
	const many = 2*transferStep + 500
	calls, limit := 0, 0
	s := atStep(t, vfs.NewMem(), func(n int) int64 {
		calls = n
		if limit > 0 && n > limit {
			return many + 1
		}
		return 1 << 40
	})
	defer shut(t, s)
	inbox, second := stock(t, s, many)
	deliver(t, s, "between", alice)
	uids := uidsOf(view(t, s, inbox))[:many]
	seen, err := s.Select(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	defer seen.Close()

	limit = calls // canCopy sees that it does not fit
	before := s.history.seq
	if _, err := s.Copy(t.Context(), inbox, uids, second); !errors.Is(err, ErrQuota) || s.history.seq != before {
		t.Fatalf("beyond the quota: %v, %d changes", err, s.history.seq-before)
	}
	limit = calls + 3 // it shrinks after canCopy, which asks twice, and the first step
	if _, err := s.Copy(t.Context(), inbox, uids, second); !errors.Is(err, ErrQuota) {
		t.Fatalf("with a quota that shrinks: %v", err)
	}
	if v := seen.View(); v.Len() != 0 || v.Mailbox.UIDNext <= transferStep {
		t.Errorf("%d messages are there, the next UID is %d", v.Len(), v.Mailbox.UIDNext)
	}
	limit = 0
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Copy(ctx, inbox, uids, second); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	went, err := s.Copy(t.Context(), inbox, uids, second)
	if err != nil || len(went.To) != many || !slices.Equal(went.From, uids) || !slices.Equal(went.To, uidsOf(seen.View())) {
		t.Fatalf("copied %d, there are %d, %v", len(went.To), seen.View().Len(), err)
	}
	if n := keys(t, s, "u"); n != 0 {
		t.Errorf("%d steps count as unfinished", n)
	}
	sound(t, s)
	sameReplayed(t, s)
}

func TestALongCopyIsTakenBackAfterACrash(t *testing.T) {
	const many = 2*transferStep + 500
	fs := vfs.NewCrashableMem()
	var crashed *vfs.MemFS
	calls, at := 0, 0
	s := atStep(t, fs, func(n int) int64 {
		if calls = n; n == at {
			crashed = fs.CrashClone(vfs.CrashCloneCfg{})
		}
		return 1 << 40
	})
	inbox, second := stock(t, s, many)
	uids := uidsOf(view(t, s, inbox))
	at = calls + 5 // in the change of the last step: canCopy asks twice
	if _, err := s.Copy(t.Context(), inbox, uids, second); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	if crashed == nil {
		t.Fatalf("the quota was asked for %d times", calls)
	}

	s = open(t, "/s", Options{FS: crashed})
	defer shut(t, s)
	s.tidying.Wait()
	b := view(t, s, second)
	if b.Len() != 0 || b.Mailbox.UIDNext != 2*transferStep+1 {
		t.Errorf("%d messages are there, the next UID is %d", b.Len(), b.Mailbox.UIDNext)
	}
	if n := keys(t, s, "u"); n != 0 {
		t.Errorf("%d steps count as unfinished", n)
	}
	sound(t, s)
}

// Whatever is long is made in steps, between which others have their turn.
func TestLongChangesKeepNobodyWaiting(t *testing.T) {
	s := openMem(t)
	const many = flagStep + 10
	inbox, second := stock(t, s, many)
	uids := uidsOf(view(t, s, inbox))
	steps := func(f func() error) uint64 {
		t.Helper()
		before := s.history.seq
		if err := f(); err != nil {
			t.Fatal(err)
		}
		return s.history.seq - before
	}
	if n := steps(func() error {
		r, err := s.StoreFlags(t.Context(), inbox, FlagChange{UIDs: uids, Op: AddFlags, Flags: Seen})
		if len(r.Changed) != many {
			t.Errorf("%d were flagged", len(r.Changed))
		}
		return err
	}); n != 2 {
		t.Errorf("flags took %d changes", n)
	}
	if n := steps(func() error {
		r, err := s.Move(t.Context(), inbox, uids[:2*transferStep+1], second)
		if len(r.To) != 2*transferStep+1 || len(r.From) != len(r.To) {
			t.Errorf("%d were moved to %d", len(r.From), len(r.To))
		}
		return err
	}); n != 3 {
		t.Errorf("a move took %d changes", n)
	}
	if n := steps(func() error {
		r, err := s.Expunge(t.Context(), inbox, uids)
		if len(r.UIDs) != many-2*transferStep-1 {
			t.Errorf("%d were expunged", len(r.UIDs))
		}
		return err
	}); n != uint64((many-2*transferStep)/expungeStep)+1 {
		t.Errorf("an expunge took %d changes", n)
	}
	if v := view(t, s, second); v.Len() != 2*transferStep+1 || v.Mailbox.Unseen != 0 {
		t.Errorf("%d are there, %d unseen", v.Len(), v.Mailbox.Unseen)
	}
	sound(t, s)
	sameReplayed(t, s)
}
