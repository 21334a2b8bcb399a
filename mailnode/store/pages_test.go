package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"
)

// pagedDigest is as long as a digest is, and tells what body it is of.
func pagedDigest(r *io.SectionReader) (Digest, error) {
	text, err := io.ReadAll(r)
	return Digest{Data: append(text, make([]byte, 500)...)}, err
}

// paged is a store with messages of alice's, of which message uid has the body "uid".
func paged(t *testing.T, count int) (*Store, Place) {
	s := open(t, t.TempDir(), Options{Digest: pagedDigest})
	fill(t, s, count, func(n int64) []byte { return fmt.Appendf(nil, "%d", n+1) })
	return s, Place{alice, Inbox}
}

// all takes all pages and returns the UIDs that were asked for and those of the messages.
func (r *DigestPages) all(t *testing.T) (asked, there []uint32) {
	t.Helper()
	for {
		page, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if page == nil {
			return asked, there
		}
		asked = append(asked, page.UIDs...)
		for _, m := range page.Messages {
			if want := fmt.Appendf(nil, "%d", m.UID); !slices.Equal(m.Digest, append(want, make([]byte, 500)...)) {
				t.Fatalf("message %d has the digest %q", m.UID, m.Digest[:10])
			}
			there = append(there, m.UID)
		}
	}
}

// Pages have the messages that are asked for, whatever is between them, has gone or was
// never kept.
func TestDigestPages(t *testing.T) {
	const count = 3000
	s, p := paged(t, count)
	defer shut(t, s)
	gone := []uint32{1, 70, 71, 500, count}
	if _, err := s.Expunge(t.Context(), p, gone); err != nil {
		t.Fatal(err)
	}
	lost := []uint32{2, 64, 65, 66, 2999}
	for _, uid := range lost {
		if err := s.db.Delete(uidKey(p, 'd', uid), nil); err != nil {
			t.Fatal(err)
		}
	}
	for name, keep := range map[string]func(uid uint32) bool{
		"all": func(uint32) bool { return true }, "every fifth": func(uid uint32) bool { return uid%5 == 0 },
		"the ends": func(uid uint32) bool { return uid < 100 || uid > count-100 }, "one": func(uid uint32) bool { return uid == 9 }, "none": func(uint32) bool { return false },
	} {
		var want []uint32
		for uid := range uint32(count + 10) {
			if uid > 0 && keep(uid) {
				want = append(want, uid)
			}
		}
		pages := s.DigestPages(t.Context(), p, slices.Values(want))
		asked, there := pages.all(t)
		pages.Close()
		if !slices.Equal(asked, want) {
			t.Errorf("%s: pages are of %d messages, want %d", name, len(asked), len(want))
		}
		want = slices.DeleteFunc(want, func(uid uint32) bool { return slices.Contains(gone, uid) || uid > count })
		if !slices.Equal(there, want) {
			t.Errorf("%s: %d messages are there, want %d", name, len(there), len(want))
		}
	}
	for _, uid := range lost { // they are kept from now on
		if found, err := s.read(uidKey(p, 'd', uid), func([]byte) error { return nil }); !found || err != nil {
			t.Errorf("digest %d is kept: %v, %v", uid, found, err)
		}
	}
}

// Who stops in the middle, or whose time is over, leaves nothing behind.
func TestDigestPagesMayEndEarly(t *testing.T) {
	s, p := paged(t, 2000)
	uids := func(yield func(uint32) bool) {
		for uid := uint32(1); yield(uid); uid = uid%2000 + 1 { // without end
		}
	}
	for taken := range 5 {
		pages := s.DigestPages(t.Context(), p, uids)
		for range taken {
			if page, err := pages.Next(); err != nil || len(page.Messages) == 0 {
				t.Fatalf("%+v, %v", page, err)
			}
		}
		pages.Close()
	}
	ctx, cancel := context.WithCancel(t.Context())
	pages := s.DigestPages(ctx, p, uids)
	cancel()
	var err error
	for range 10 { // some may have been read before
		if _, err = pages.Next(); err != nil {
			break
		}
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the end is %v", err)
	}
	if page, err := pages.Next(); page != nil || err != nil {
		t.Errorf("after it comes %v, %v", page, err)
	}
	pages.Close()
	shut(t, s) // which minds iterators that were not closed
}

// A page that is not taken keeps nothing of the database from being thrown away.
func TestDigestPagesOfAPeerThatDoesNotReadHoldNothing(t *testing.T) {
	const count = 2000
	s, p := paged(t, count)
	defer shut(t, s)
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	uids := make([]uint32, count)
	for i := range uids {
		uids[i] = uint32(i) + 1
	}
	pages := s.DigestPages(t.Context(), p, slices.Values(uids))
	defer pages.Close()
	if _, err := pages.Next(); err != nil {
		t.Fatal(err)
	}
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for begun := time.Now(); s.db.Metrics().TableIters > 0; <-again.C {
		if time.Since(begun) > time.Minute {
			t.Fatal("the database is held")
		}
	}
	first := pages.taken.UIDs[len(pages.taken.UIDs)-1]
	if _, there := pages.all(t); len(there) != count-int(first) || there[0] != first+1 {
		t.Errorf("after that %d messages come, from %d on", len(there), there[0])
	}
}
