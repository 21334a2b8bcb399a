package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	alice = "0198c0de-0000-7000-8000-00000000000a"
	bob   = "0198c0de-0000-7000-8000-00000000000b"
)

func open(t testing.TB, dir string, opts Options) *Store {
	t.Helper()
	s, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openMem(t testing.TB) *Store {
	t.Helper()
	s := open(t, "/s", Options{FS: vfs.NewMem()})
	t.Cleanup(func() { shut(t, s) })
	return s
}

func shut(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func deliver(t testing.TB, s *Store, body string, accounts ...string) []Receipt {
	t.Helper()
	r, err := s.Deliver(t.Context(), Delivery{Accounts: accounts, Body: strings.NewReader(body), Size: int64(len(body))})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func snapshot(t testing.TB, s *Store, account string) (Mailbox, []Message) {
	t.Helper()
	box, messages, err := s.Snapshot(t.Context(), Place{Account: account, Mailbox: Inbox})
	if err != nil {
		t.Fatal(err)
	}
	return box, messages
}

func body(t testing.TB, s *Store, m Message) string {
	t.Helper()
	data, err := io.ReadAll(s.Body(m))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// keys counts the keys that begin with prefix.
func keys(t *testing.T, s *Store, prefix string) (n int) {
	t.Helper()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte(prefix), UpperBound: after([]byte(prefix))})
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDeliveredMessagesAreThereAfterReopening(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	bodies := []string{"one\r\n", "", strings.Repeat("x", chunkSize), strings.Repeat("y", 3*chunkSize+1)}
	for _, b := range bodies {
		deliver(t, s, b, alice)
	}
	before, list := snapshot(t, s, alice)
	shut(t, s)

	s = open(t, dir, Options{})
	defer shut(t, s)
	box, messages := snapshot(t, s, alice)
	if fmt.Sprint(box) != fmt.Sprint(before) || box.UIDNext != 5 || box.UIDValidity == 0 || box.HighestModSeq != 4 || box.Name != "INBOX" {
		t.Errorf("the mailbox was %+v and is %+v", before, box)
	}
	if fmt.Sprint(messages) != fmt.Sprint(list) {
		t.Errorf("the messages were %v and are %v", list, messages)
	}
	var total uint64
	for i, m := range messages {
		if m.UID != uint32(i+1) || m.ModSeq != uint64(i+1) || m.Size != int64(len(bodies[i])) || body(t, s, m) != bodies[i] {
			t.Errorf("message %d is %+v", i, m)
		}
		total += uint64(m.Size)
	}
	if box.Messages != 4 || box.Bytes != total {
		t.Errorf("the mailbox counts %d messages of %d bytes, want 4 of %d", box.Messages, box.Bytes, total)
	}
}

func TestOneDeliveryToSeveralAccountsKeepsOneBody(t *testing.T) {
	s := openMem(t)
	text := strings.Repeat("z", chunkSize+5)
	receipts := deliver(t, s, text, bob, alice, bob)
	if len(receipts) != 2 || receipts[0].ID == receipts[1].ID {
		t.Fatalf("receipts %v", receipts)
	}
	if n := keys(t, s, "b"); n != 2+1 {
		t.Errorf("%d keys for one body of two chunks", n)
	}
	_, messages := snapshot(t, s, alice)
	if _, err := s.Expunge(t.Context(), Place{Account: alice, Mailbox: Inbox}, []uint32{messages[0].UID}); err != nil {
		t.Fatal(err)
	}
	_, messages = snapshot(t, s, bob)
	if got := body(t, s, messages[0]); got != text {
		t.Error("expunging alice's copy spoilt bob's")
	}
	if _, err := s.Expunge(t.Context(), Place{Account: bob, Mailbox: Inbox}, []uint32{1}); err != nil {
		t.Fatal(err)
	}
	if n := keys(t, s, "b"); n != 0 {
		t.Errorf("%d keys of bodies are left after the last message went", n)
	}
}

func TestExpungedUIDsAreNotUsedAgain(t *testing.T) {
	s := openMem(t)
	for range 3 {
		deliver(t, s, "a", alice)
	}
	if _, err := s.Expunge(t.Context(), Place{Account: alice, Mailbox: Inbox}, []uint32{2, 3, 99}); err != nil {
		t.Fatal(err)
	}
	box, messages := snapshot(t, s, alice)
	if len(messages) != 1 || messages[0].UID != 1 || box.UIDNext != 4 || box.HighestModSeq != 4 || box.Bytes != 1 {
		t.Errorf("left %+v in %+v", messages, box)
	}
	if r := deliver(t, s, "b", alice); r[0].UID != 4 {
		t.Errorf("the next message got UID %d", r[0].UID)
	}
	if _, err := s.Expunge(t.Context(), Place{Account: alice, Mailbox: Inbox}, []uint32{2}); err != nil {
		t.Errorf("expunging what is gone: %v", err)
	}
	if _, err := s.Expunge(t.Context(), Place{Account: bob, Mailbox: Inbox}, []uint32{2}); err != nil {
		t.Errorf("expunging in an empty mailbox: %v", err)
	}
	if n := keys(t, s, "a"+bob); n != 0 {
		t.Errorf("an expunge that found nothing left %d keys", n)
	}
}

func TestReadingAnExpungedBodyFails(t *testing.T) {
	s := openMem(t)
	deliver(t, s, strings.Repeat("q", 2*chunkSize), alice)
	_, messages := snapshot(t, s, alice)
	r := s.Body(messages[0])
	if _, err := io.CopyN(io.Discard, r, 10); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Expunge(t.Context(), Place{Account: alice, Mailbox: Inbox}, []uint32{1}); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, r); !errors.Is(err, ErrDamaged) || n != chunkSize-10 {
		t.Errorf("read %d more bytes, then %v", n, err)
	}
}

func TestBadDeliveriesChangeNothing(t *testing.T) {
	s := openMem(t)
	for name, d := range map[string]Delivery{
		"nobody":         {Body: strings.NewReader("x"), Size: 1},
		"empty account":  {Accounts: []string{""}, Body: strings.NewReader("x"), Size: 1},
		"NUL in account": {Accounts: []string{"a\x00b"}, Body: strings.NewReader("x"), Size: 1},
		"short body":     {Accounts: []string{alice}, Body: strings.NewReader("x"), Size: 2},
		"broken body":    {Accounts: []string{alice}, Body: io.MultiReader(strings.NewReader("x"), brokenReader{}), Size: 2},
	} {
		if _, err := s.Deliver(t.Context(), d); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	box, messages := snapshot(t, s, alice)
	if box.UIDNext != 1 || len(messages) != 0 || keys(t, s, "b") != 0 || keys(t, s, "a") != 0 {
		t.Errorf("left behind %+v %v", box, messages)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("broken") }

func TestMailboxWithoutUIDsLeftRefuses(t *testing.T) {
	s := openMem(t)
	if err := s.CreateAccount(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	if err := s.update(repaired, func(tx *Tx) error {
		box, err := tx.box(Place{alice, Inbox})
		if err == nil {
			box.UIDNext, box.dirty = math.MaxUint32-1, true
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	deliver(t, s, "last", alice)
	_, err := s.Deliver(t.Context(), Delivery{Accounts: []string{alice}, Body: strings.NewReader("x"), Size: 1})
	if !errors.Is(err, ErrExhausted) {
		t.Errorf("got %v", err)
	}
}

func TestConcurrentDeliveriesGetDistinctUIDs(t *testing.T) {
	s := openMem(t)
	const writers, each = 16, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				deliver(t, s, fmt.Sprintf("%d/%d", w, i), alice)
				if i%5 == 4 {
					_, messages := snapshot(t, s, alice)
					if _, err := s.Expunge(t.Context(), Place{Account: alice, Mailbox: Inbox}, []uint32{messages[0].UID}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	box, messages := snapshot(t, s, alice)
	if box.UIDNext != writers*each+1 {
		t.Errorf("UIDNEXT is %d", box.UIDNext)
	}
	if n := keys(t, s, "b"); n != 2*len(messages) {
		t.Errorf("%d body keys for %d messages", n, len(messages))
	}
	seen := map[ObjectID]bool{}
	for _, m := range messages {
		seen[m.ID] = true
	}
	if len(seen) != len(messages) {
		t.Error("two messages have one id")
	}
}

func TestSecondOpeningIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	defer shut(t, s)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	out, err := cmd.CombinedOutput()
	if err == nil || string(out) != "store "+dir+": it is in use by another process\n" {
		t.Errorf("got %s, %v", out, err)
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, "/s", Options{FS: fs})
	if err := s.db.Set(formatKey, binary.BigEndian.AppendUint32(nil, formatVersion+1), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	_, err := Open("/s", Options{FS: fs})
	if err == nil || !strings.Contains(err.Error(), "has format 3 and this program knows formats up to 2") {
		t.Errorf("got %v", err)
	}
}

func TestTornStoreIsRefused(t *testing.T) {
	for name, tear := range map[string]func(t *testing.T, dir string){
		"database gone": func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "db")) },
		"manifest gone": func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "db", "MANIFEST-*")) },
		"marker gone":   func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "db", "marker.manifest*")) },
		"table gone":    func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "db", "*.sst")) },
		"identity gone": func(t *testing.T, dir string) { remove(t, filepath.Join(dir, identityName)) },
		"identity empty": func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, identityName), 0); err != nil {
				t.Fatal(err)
			}
		},
		"database of another store": func(t *testing.T, dir string) {
			other := t.TempDir()
			s := open(t, other, Options{})
			deliver(t, s, "other", bob)
			shut(t, s)
			remove(t, filepath.Join(dir, "db"))
			if err := os.Rename(filepath.Join(other, "db"), filepath.Join(dir, "db")); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, Options{})
			for range 3 {
				deliver(t, s, "hello", alice)
			}
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
			shut(t, s)
			tear(t, dir)
			s, err := Open(dir, Options{})
			if err == nil {
				shut(t, s)
				t.Fatal("a torn store was opened")
			}
			t.Log(err)
		})
	}
}

func remove(t *testing.T, pattern string) {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("nothing matches %s: %v", pattern, err)
	}
	for _, name := range names {
		if err := os.RemoveAll(name); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGapInTheLogIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, "/s", Options{FS: fs})
	for range 5 {
		deliver(t, s, "a", alice)
	}
	if err := s.db.DeleteRange(logKey(3), logKey(5), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	_, err := Open("/s", Options{FS: fs})
	if err == nil || !strings.Contains(err.Error(), "log entries 3 to 4 are missing") {
		t.Errorf("got %v", err)
	}
}

// A bit that flips in a table must not come out as part of a message.
func TestFlippedBitIsNoticed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	random := make([]byte, 40_000)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	deliver(t, s, string(random), alice)
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	shut(t, s)

	names, err := filepath.Glob(filepath.Join(dir, "db", "*.blob"))
	if err != nil || len(names) == 0 {
		t.Fatal("no blob file was written", err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if i := bytes.Index(data, random[20_000:20_100]); i >= 0 {
			data[i] ^= 1
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, dir, Options{})
	var got []byte
	_, messages, err := s.Snapshot(t.Context(), Place{Account: alice, Mailbox: Inbox})
	if err == nil {
		got, err = io.ReadAll(s.Body(messages[0]))
	}
	if !pebble.IsCorruptionError(err) {
		t.Errorf("%d bytes were served, equal: %t, error: %v", len(got), bytes.Equal(got, random), err)
	}
	if err := s.Close(); err != nil && !strings.Contains(err.Error(), "checksum mismatch") { // Pebble says it again
		t.Error(err)
	}
}

func TestOldLogEntriesAreDropped(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, "/s", Options{FS: fs})
	s.history.keep = 2 * logStride
	for range 500 {
		deliver(t, s, "a", alice)
	}
	if n := keys(t, s, "l"); n < 2*logStride || n > 3*logStride+logStride/4 {
		t.Errorf("%d log entries are kept", n)
	}
	shut(t, s)
	s = open(t, "/s", Options{FS: fs})
	defer shut(t, s)
	if s.history.seq != 501 {
		t.Errorf("the log ends at %d", s.history.seq)
	}
}

func TestCrashWhileCreatingIsCompleted(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, "/s", Options{FS: fs})
	shut(t, s)
	for range 2 {
		if err := fs.Remove("/s/" + identityName); err != nil {
			t.Fatal(err)
		}
		s = open(t, "/s", Options{FS: fs})
		shut(t, s)
	}
	s = open(t, "/s", Options{FS: fs})
	defer shut(t, s)
	deliver(t, s, "a", alice)
}
