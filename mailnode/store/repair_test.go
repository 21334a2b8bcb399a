package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// random is a text that does not compress.
func random(seed uint64, size int) string {
	data := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = r.Read(data) // it never fails
	return string(data)
}

// flipIn flips a bit where a file of a store's database has the bytes what.
func flipIn(t *testing.T, dir, kind, what string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "db", kind))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if i := bytes.Index(data, []byte(what)); i >= 0 {
			data[i+len(what)/2] ^= 0x40
			if err := os.WriteFile(name, data, 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("it is in none of %v", names)
}

func problems(t *testing.T, s *Store) (list []string, v Verdict) {
	t.Helper()
	v, err := s.Verify(t.Context(), Check{Problem: func(p Problem) { list = append(list, p.String()) }})
	if err != nil {
		t.Fatal(err)
	}
	return list, v
}

// closeDamaged closes a store of which Pebble says again that it is damaged.
func closeDamaged(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil && !pebble.IsCorruptionError(err) && !strings.Contains(err.Error(), "checksum mismatch") {
		t.Error(err)
	}
}

// A flipped bit in a body, on the disk: verify names the message, repair removes it and
// nothing else, and what could be read of it is in lost+found.
func TestDamagedMessageIsNamedAndRemoved(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	var texts []string
	for i := range 6 {
		texts = append(texts, random(uint64(i), 3*chunkSize))
		deliver(t, s, texts[i], alice, bob)
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	flipIn(t, dir, "*.blob", texts[3][2*chunkSize+100:2*chunkSize+200])

	s = open(t, dir, Options{})
	list, v := problems(t, s)
	all := strings.Join(list, "\n")
	for _, account := range []string{alice, bob} {
		if !strings.Contains(all, fmt.Sprintf(`account %s, mailbox "INBOX", UID 4: its bytes from %d on cannot be read`, account, 2*chunkSize)) {
			t.Errorf("the message of %s is not named in:\n%s", account, all)
		}
	}
	if v.Unreadable != 2 || !v.Torn || v.Messages != 12 {
		t.Errorf("%+v in:\n%s", v, all)
	}
	closeDamaged(t, s)

	after, err := Repair(t.Context(), dir, Options{}, Check{Problem: func(Problem) {}})
	if err != nil || after.Problems != 0 || after.Messages != 10 {
		t.Fatalf("after the repair %+v, %v", after, err)
	}
	s = open(t, dir, Options{})
	defer shut(t, s)
	sound(t, s)
	m, messages := snapshot(t, s, alice)
	if m.UIDNext != 7 || len(messages) != 5 {
		t.Errorf("%+v with %d messages", m, len(messages))
	}
	for _, m := range messages {
		if body(t, s, m) != texts[m.UID-1] {
			t.Errorf("message %d is not what was delivered", m.UID)
		}
	}
	if _, complete, err := s.Vanished(t.Context(), Place{alice, Inbox}, 6); err != nil || complete {
		t.Errorf("clients are not told that messages went: %v", err)
	}
	lost, err := os.ReadFile(filepath.Join(dir, lostName, alice+"-1-4.eml"))
	if err != nil || string(lost) != texts[3][:2*chunkSize] {
		t.Errorf("%d bytes are in lost+found, %v", len(lost), err)
	}
	kept, err := filepath.Glob(filepath.Join(dir, "db.damaged-*"))
	if err != nil || len(kept) != 1 {
		t.Errorf("the damaged database is not kept: %v, %v", kept, err)
	}
	deliver(t, s, "after", alice)
}

// A flipped bit anywhere in a table of records takes no message away that can be read.
func TestDamagedRecordsAreRepaired(t *testing.T) {
	for _, percent := range []int{5, 35, 65} {
		t.Run(fmt.Sprint(percent), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := open(t, dir, Options{})
			for i := range 300 {
				text := fmt.Sprint("message ", i, random(uint64(i), 200))
				if _, err := s.Deliver(t.Context(), Delivery{Accounts: []string{alice}, Body: strings.NewReader(text), Size: int64(len(text))}); err != nil {
					t.Fatal(err)
				}
			}
			deliver(t, s, "bob's", bob)
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
			shut(t, s)
			name := largest(t, filepath.Join(dir, "db", "*.sst"))
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			data[len(data)*percent/100] ^= 1
			if err := os.WriteFile(name, data, 0o600); err != nil {
				t.Fatal(err)
			}

			after, err := Repair(t.Context(), dir, Options{}, Check{Problem: func(Problem) {}})
			if err != nil || after.Problems != 0 {
				t.Fatalf("after the repair %+v, %v", after, err)
			}
			s = open(t, dir, Options{})
			defer shut(t, s)
			sound(t, s)
			_, left := snapshot(t, s, alice)
			if len(left) < 50 {
				t.Errorf("%d of 300 messages are left", len(left))
			}
			t.Logf("%d of 300 messages are left", len(left))
			for _, m := range left {
				if !strings.HasPrefix(body(t, s, m), fmt.Sprint("message ", m.UID-1)) {
					t.Errorf("message %d is another", m.UID)
				}
			}
			deliver(t, s, "after", alice)
			sound(t, s)
		})
	}
}

// largest is the largest file that matches.
func largest(t *testing.T, pattern string) (name string) {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	var size int64
	for _, n := range names {
		info, err := os.Stat(n)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > size {
			name, size = n, info.Size()
		}
	}
	return name
}

// Counts and indexes that are wrong, in a database that can be read, are made anew.
func TestWrongCountsAreRepaired(t *testing.T) {
	for name, spoil := range map[string]func(s *Store, b *pebble.Batch) error{
		"mailbox counts": func(s *Store, b *pebble.Batch) error {
			m, err := readMailbox(s.db, Place{alice, Inbox})
			m.Messages, m.Unseen = 7, 9
			return errors.Join(err, b.Set(mailboxKey(alice, Inbox), m.encode(), nil))
		},
		"mailbox lost":  func(_ *Store, b *pebble.Batch) error { return b.Delete(mailboxKey(alice, Inbox), nil) },
		"account lost":  func(_ *Store, b *pebble.Batch) error { return b.Delete(tableKey(alice, 'a'), nil) },
		"parent lost":   func(_ *Store, b *pebble.Batch) error { return b.Delete(mailboxKey(alice, 2), nil) },
		"identity lost": func(_ *Store, b *pebble.Batch) error { return b.Delete(uidKey(Place{alice, Inbox}, 'i', 2), nil) },
		"flags lost":    func(_ *Store, b *pebble.Batch) error { return b.Delete(uidKey(Place{alice, Inbox}, 'm', 2), nil) },
		"record damaged": func(_ *Store, b *pebble.Batch) error {
			return b.Set(uidKey(Place{alice, Inbox}, 'i', 2), []byte{recordVersion, 1}, nil)
		},
		"threads lost": func(_ *Store, b *pebble.Batch) error {
			return b.DeleteRange(tableKey(alice, 'r'), after(tableKey(alice, 'r')), nil)
		},
		"ids lost": func(_ *Store, b *pebble.Batch) error {
			return b.DeleteRange(tableKey(alice, 'o'), after(tableKey(alice, 'o')), nil)
		},
		"rights lost": func(_ *Store, b *pebble.Batch) error { return b.DeleteRange([]byte{'g'}, []byte{'h'}, nil) },
		"body lost": func(s *Store, b *pebble.Batch) error {
			i, err := (&Tx{s: s}).identity(Place{alice, Inbox}, 2)
			return errors.Join(err, b.DeleteRange(bodyKey(i.body, 0), bodyKey(i.body, 0xff), nil))
		},
		"body uncounted": func(s *Store, b *pebble.Batch) error {
			i, err := (&Tx{s: s}).identity(Place{alice, Inbox}, 2)
			return errors.Join(err, b.Set(bodyKey(i.body, 'h'), holding{size: i.size, refs: 5}.encode(), nil))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, Options{Digest: digestOf})
			for i := range 3 {
				deliver(t, s, fmt.Sprint(i, " text"), alice, bob)
			}
			m, err := s.CreateMailbox(t.Context(), alice, "a/b", "")
			if err != nil {
				t.Fatal(err)
			}
			if err := s.SetGrant(t.Context(), Place{alice, m.ID}, Grant{bob, "lr"}); err != nil {
				t.Fatal(err)
			}
			b := s.db.NewBatch()
			if err := errors.Join(spoil(s, b), b.Commit(pebble.Sync), b.Close()); err != nil {
				t.Fatal(err)
			}
			if list, _ := problems(t, s); len(list) == 0 {
				t.Error("verify finds nothing")
			}
			shut(t, s)
			after, err := Repair(t.Context(), dir, Options{Digest: digestOf}, Check{Problem: func(Problem) {}})
			if err != nil || after.Problems != 0 {
				t.Fatalf("after the repair %+v, %v", after, err)
			}
			s = open(t, dir, Options{Digest: digestOf})
			defer shut(t, s)
			_, messages := snapshot(t, s, bob)
			if len(messages) < 2 {
				t.Errorf("bob has %d messages left", len(messages))
			}
			_, messages = snapshot(t, s, alice)
			var uids []uint32
			for _, m := range messages {
				uids = append(uids, m.UID)
			}
			if !slices.Contains(uids, 1) || !slices.Contains(uids, 3) {
				t.Errorf("alice has %v left", uids)
			}
			deliver(t, s, "after", alice)
			sound(t, s)
		})
	}
}
