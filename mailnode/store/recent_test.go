package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ownThread gives every message a Message-ID of its own, its first line.
func ownThread(body *io.SectionReader) (Digest, error) {
	text, err := io.ReadAll(body)
	line, _, _ := bytes.Cut(text, []byte("\r\n"))
	return Digest{Thread: []string{string(line)}}, err
}

func unlike(n int) string { return fmt.Sprintf("message %d\r\n", n) }

func TestWhatIsThereIsNeverAbsent(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := open(t, "/s", Options{FS: fs, Digest: ownThread})
	s.absent.most = 16
	first := s.absent.young
	const count = 400
	for i := range count {
		deliver(t, s, unlike(i), alice)
		if i%37 == 0 {
			remembers(t, s)
		}
		if i%90 == 0 { // as time does
			s.absent.release()
		}
	}
	for deadline := time.Now().Add(time.Minute); ; {
		s.absent.mu.Lock()
		young, old := s.absent.young, s.absent.old
		s.absent.mu.Unlock()
		if young != first && old == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no sieve has gone")
		}
		deliver(t, s, unlike(count-1), alice)
	}
	remembers(t, s)
	missed := 0
	for i := range 1000 {
		if !s.absent.sure(sumKey(sha256.Sum256([]byte{byte(i), byte(i >> 8)}))) {
			missed++
		}
	}
	if missed > 50 {
		t.Errorf("of 1000 keys that are nowhere %d may be there", missed)
	}

	after := fs.CrashClone(vfs.CrashCloneCfg{})
	shut(t, s)
	s = open(t, "/s", Options{FS: after, Digest: ownThread})
	defer shut(t, s)
	remembers(t, s)
	for i := range count {
		if id, err := s.equalBody(sha256.Sum256([]byte(unlike(i))), int64(len(unlike(i)))); err != nil || id == (BodyID{}) {
			t.Fatalf("body %d is not found again: %v", i, err)
		}
	}
}

func TestAFailedChangeIsNotRemembered(t *testing.T) {
	s := open(t, t.TempDir(), Options{Digest: ownThread})
	defer shut(t, s)
	deliver(t, s, unlike(0), alice)
	no := errors.New("no")
	text := unlike(1)
	body, err := s.Stage(t.Context(), bytes.NewReader([]byte(text)), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	err = s.Update(t.Context(), body, func(tx *Tx) error {
		if _, err := tx.File(Delivery{Accounts: []string{alice, bob}, Keywords: []string{"word"}, Counts: []Count{{"a/b", 3}}}, body); err != nil {
			return err
		}
		return no
	})
	body.Close()
	if !errors.Is(err, no) {
		t.Fatal(err)
	}
	sound(t, s)
	receipts, err := s.Deliver(t.Context(), Delivery{Accounts: []string{alice}, Body: bytes.NewReader([]byte(text)), Size: int64(len(text)), Counts: []Count{{"a/b", 4}}})
	if err != nil || receipts[0].UID != 2 {
		t.Errorf("the next message has UID %d (%v), want 2", receipts[0].UID, err)
	}
	for c, err := range s.Counts(t.Context(), "a/", "") {
		if err != nil || c.N != 4 {
			t.Errorf("the counter is %d (%v), want 4", c.N, err)
		}
	}
	if a, err := s.Account(t.Context(), bob); err != nil || a.State != 0 {
		t.Errorf("an account was made by a change that failed: %+v, %v", a, err)
	}
	sound(t, s)
}

func TestADeletedAccountIsForgotten(t *testing.T) {
	s := open(t, t.TempDir(), Options{Digest: ownThread})
	defer shut(t, s)
	deliver(t, s, unlike(0), alice)
	deliver(t, s, unlike(1), alice)
	if err := s.DeleteAccount(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	sound(t, s)
	if r := deliver(t, s, unlike(0), alice); r[0].UID != 1 {
		t.Errorf("the first message of a new account has UID %d", r[0].UID)
	}
	sound(t, s)
}

func TestFewRecordsAreRemembered(t *testing.T) {
	m := map[int]int{}
	for i := range 3 * recentRecords {
		if keep(m, i, i); len(m) > recentRecords || m[i] != i {
			t.Fatalf("%d records are kept", len(m))
		}
	}
}
