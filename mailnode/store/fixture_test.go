package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// sound fails the test when verify finds anything.
func sound(t testing.TB, s *Store) {
	t.Helper()
	_, err := s.Verify(t.Context(), Check{Problem: func(p Problem) { t.Errorf("verify: %s", p) }})
	if err != nil {
		t.Errorf("verify: %v", err)
	}
	remembers(t, s)
}

// remembers fails the test when what the store keeps in memory of records and keys is not
// what is in the database.
func remembers(t testing.TB, s *Store) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, h := range s.recent.accounts {
		if is, found, err := readHolder(s.db, id); err != nil || !found || is != h {
			t.Errorf("account %s is %+v (%v), remembered as %+v", id, is, err, h)
		}
	}
	for p, m := range s.recent.boxes {
		if is, err := readMailbox(s.db, p); err != nil || fmt.Sprint(is) != fmt.Sprint(m) {
			t.Errorf("mailbox %v is %+v (%v), remembered as %+v", p, is, err, m)
		}
	}
	for key, n := range s.recent.counts {
		if v, err := s.get(append([]byte{'c'}, key...)); err != nil || binary.BigEndian.Uint64(v) != uint64(n) {
			t.Errorf("counter %s is %x (%v), remembered as %d", key, v, err, n)
		}
	}
	denied := func(prefix []byte) {
		if err := scan(s.db, prefix, func(key, _ []byte) error {
			if key = slices.Concat(prefix, key); s.absent.sure(key) {
				t.Errorf("%q is said to be absent", key)
			}
			return nil
		}); err != nil && !pebble.IsCorruptionError(err) { // damage is for Verify to find
			t.Error(err)
		}
	}
	denied([]byte{'h'})
	if err := eachAccount(s.db, "", func(id string, _ holder) bool {
		denied(tableKey(id, 'r'))
		return true
	}); err != nil && !pebble.IsCorruptionError(err) {
		t.Error(err)
	}
}

// sameReplayed fails the test when the log, replayed on an empty database, does not
// give what the store has.
func sameReplayed(t testing.TB, s *Store) {
	t.Helper()
	copied, err := pebble.Open("/copy", &pebble.Options{FS: vfs.NewMem(), Logger: (*pebbleLogger)(s), FormatMajorVersion: pebble.FormatValueSeparation})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := copied.Close(); err != nil {
			t.Error(err)
		}
	}()
	if s.history.first != 1 {
		t.Fatalf("the log begins at %d", s.history.first)
	}
	err = scan(s.db, []byte{'l'}, func(key, value []byte) error {
		seq, _ := logSeq(append([]byte{'l'}, key...))
		return replay(copied, seq, value, func(key []byte) ([]byte, error) {
			v, err := s.get(key)
			if errors.Is(err, pebble.ErrNotFound) {
				return nil, nil
			}
			return v, err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	want, got := dump(t, s.db), dump(t, copied)
	if len(want) != len(got) {
		t.Errorf("the store has %d keys and the copy %d", len(want), len(got))
	}
	for i := range min(len(want), len(got)) {
		if !bytes.Equal(want[i].Key, got[i].Key) || !bytes.Equal(want[i].Value, got[i].Value) {
			t.Fatalf("key %d is %q = %x and in the copy %q = %x", i, want[i].Key, want[i].Value, got[i].Key, got[i].Value)
		}
	}
}

func dump(t testing.TB, db *pebble.DB) (rows []Row) {
	t.Helper()
	if err := scan(db, nil, func(key, value []byte) error {
		rows = append(rows, Row{slices.Clone(key), slices.Clone(value)})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return rows
}

// view opens a mailbox for a moment.
func view(t testing.TB, s *Store, p Place) *View {
	t.Helper()
	b, err := s.Select(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	return b.View()
}

func uidList(v *View) string { return fmt.Sprint(uidsOf(v)) }

func text(t testing.TB, r io.Reader) string {
	t.Helper()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
