package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"
)

// What is read ahead is what Body reads, for messages of all lengths, with header lines of
// an account's own, in any order; what is long or gone is left to Body.
func TestAhead(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	defer shut(t, s)
	sizes := []int{1, 10_000, 10_000, 60_000, chunkSize, chunkSize + 1, 10_000, aheadSize - 20, aheadSize, aheadSize + 1, 5}
	for i, size := range sizes {
		body := bytes.Repeat([]byte{byte('a' + i)}, size)
		d := Delivery{Accounts: []string{alice}, Body: bytes.NewReader(body), Size: int64(size)}
		if i%3 == 1 {
			d.Prefix = fmt.Appendf(nil, "X-Number: %d\r\n", i)
		}
		if _, err := s.Deliver(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	_, messages := snapshot(t, s, alice)
	if _, err := s.Expunge(t.Context(), Place{alice, Inbox}, []uint32{messages[3].UID}); err != nil {
		t.Fatal(err)
	}
	a := s.Ahead()
	check := func(i int) {
		t.Helper()
		got := a.Body(messages[i:])
		if long := messages[i].Size > aheadSize; long || i == 3 {
			if got != nil {
				t.Errorf("message %d of %d bytes is read", i, messages[i].Size)
			}
			return
		}
		if want := text(t, s.Body(messages[i])); string(got) != want {
			t.Errorf("message %d is %.20q of %d bytes instead of %.20q of %d", i, got, len(got), want, len(want))
		}
	}
	for i := range messages {
		check(i)
	}
	for i := range messages {
		check(len(messages) - 1 - i)
	}
	if !a.Holds() {
		t.Error("it holds nothing")
	}
	a.Release()
	check(1)
	a.Release()
	if a.Holds() || a.Body(nil) != nil {
		t.Error("it holds something after it was released")
	}
	if (*Ahead)(nil).Body(messages) != nil {
		t.Error("one that is nil reads")
	}
}

// Bodies that are asked for in turn are read while the ones before are used, and who then
// asks for another, or for none, gets the right ones all the same.
func TestAheadReadsMeanwhile(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	defer shut(t, s)
	const count = 100
	fill(t, s, count, func(n int64) []byte { return benchText(n)[:9000+n] })
	_, messages := snapshot(t, s, alice)
	a := s.Ahead()
	a.slow = time.Hour
	check := func(i int) {
		t.Helper()
		if got := a.Body(messages[i:]); string(got) != string(benchText(int64(i))[:9000+i]) {
			t.Fatalf("message %d is %.40q", i, got)
		}
	}
	for i := range 3 {
		if check(i); a.next != nil {
			t.Error("although it does not take long others are read meanwhile")
		}
	}
	a.slow = 0
	if check(50); a.next != nil {
		t.Error("for one message others are read meanwhile")
	}
	for i := range count {
		if check(i); i == 1 && a.next == nil {
			t.Error("for messages in turn none are read meanwhile")
		}
	}
	if a.next != nil {
		t.Error("behind the last something is read")
	}
	for _, from := range []int{0, 50, 7, 90} { // to elsewhere, while others are read
		for i := range 5 {
			check(from + i)
		}
	}
	for i := range count {
		if check(i); i%10 == 5 {
			a.Release()
		}
	}
	check(1)
	check(2)
	if _, err := s.Expunge(t.Context(), Place{alice, Inbox}, []uint32{messages[60].UID}); err != nil {
		t.Fatal(err)
	}
	for i := range count {
		if i != 60 {
			check(i)
		} else if a.Body(messages[i:]) != nil {
			t.Error("a message that is gone is read")
		}
	}
	a.Release()
	if a.Holds() || a.next != nil || a.now.room != nil {
		t.Error("it holds something after it was released")
	}
}

// Bytes that are damaged are not read ahead.
func TestAheadKnowsDamage(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	defer shut(t, s)
	fill(t, s, 2, benchText)
	_, messages := snapshot(t, s, alice)
	key := chunkKey(messages[1].body, 0)
	chunk, err := s.get(key)
	if err != nil {
		t.Fatal(err)
	}
	chunk[100]++
	if err := s.db.Set(key, chunk, nil); err != nil {
		t.Fatal(err)
	}
	a := s.Ahead()
	defer a.Release()
	if a.Body(messages) == nil || a.Body(messages[1:]) != nil {
		t.Error("damaged bytes are taken for good")
	}
}

// A mailbox that messages are put in is found as Find finds it.
func TestTarget(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	defer shut(t, s)
	if _, err := s.Target(alice, "INBOX", 0); !errors.Is(err, ErrNoMailbox) {
		t.Errorf("before there is an account: %v", err)
	}
	fill(t, s, 1, benchText)
	if _, err := s.CreateMailbox(t.Context(), alice, "Work/2026", ""); err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		for _, name := range []string{"INBOX", "inbox", "Work", "Work/2026", "Work/2027", "Play", strings.Repeat("x", 5000)} {
			want, errWant := s.Find(t.Context(), alice, name)
			for likely := range MailboxID(6) {
				got, err := s.Target(alice, name, likely)
				if fmt.Sprint(got, err) != fmt.Sprint(want, errWant) {
					t.Errorf("%s %.20s, likely %d, is %v, %v instead of %v, %v", when, name, likely, got, err, want, errWant)
				}
			}
		}
	}
	check("at first")
	made, err := s.Find(t.Context(), alice, "Work/2026")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), Delivery{Places: []Place{{alice, made.ID}}, Body: strings.NewReader("x"), Size: 1, Keywords: []string{"k"}}); err != nil {
		t.Fatal(err)
	}
	check("with a message")
	if err := s.RenameMailbox(t.Context(), alice, "Work/2026", "Play"); err != nil {
		t.Fatal(err)
	}
	check("renamed")
	if err := s.DeleteMailbox(t.Context(), alice, "Play"); err != nil {
		t.Fatal(err)
	}
	check("deleted")
	if err := s.DeleteAccount(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	check("without an account")
}

// Digests are those that Messages reads, also of messages whose digest was not kept.
func TestDigests(t *testing.T) {
	s := open(t, t.TempDir(), Options{Digest: func(body *io.SectionReader) (Digest, error) {
		return Digest{Data: fmt.Appendf(nil, "digest of %d bytes %s", body.Size(), strings.Repeat("x", int(body.Size()%9000)))}, nil
	}})
	defer shut(t, s)
	fill(t, s, 600, func(n int64) []byte { return bytes.Repeat([]byte{'x'}, 1+int(n*n)%20_000) })
	p := Place{alice, Inbox}
	uids := uidsOf(view(t, s, p))
	if _, err := s.Expunge(t.Context(), p, uids[300:310]); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Delete(uidKey(p, 'd', uids[500]), nil); err != nil {
		t.Fatal(err)
	}
	digests := func(all iter.Seq2[Message, error]) (list []string) {
		for m, err := range all {
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, fmt.Sprintf("%d %s", m.UID, m.Digest))
		}
		return list
	}
	got, want := digests(s.Digests(t.Context(), p, uids)), digests(s.Messages(t.Context(), p, uids, true))
	if len(want) != 590 || !slices.Equal(got, want) {
		t.Errorf("%d digests instead of %d, or others", len(got), len(want))
	}
	if digests(s.Digests(t.Context(), p, nil)) != nil {
		t.Error("digests of no messages")
	}
}
