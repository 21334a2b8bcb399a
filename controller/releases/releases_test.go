package releases

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"mailfleet/inventory"
	"mailfleet/inventory/release"
)

func open(t *testing.T) (*Shelf, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

func sumOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// files are the names on the shelf.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, folder))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestABuildIsKeptWholeOrNotAtAll(t *testing.T) {
	s, dir := open(t)
	const content = "a program"
	sum := sumOf(content)
	for name, c := range map[string]struct {
		from io.Reader
		size int64
		want string
	}{
		"truncated": {strings.NewReader(content[:4]), 9, "only 4 of the 9 octets"},
		"oversized": {strings.NewReader(content + "!"), 9, "more than the 9 octets"},
		"endless":   {io.MultiReader(strings.NewReader(content), zeros{}), 9, "more than the 9 octets"},
		"changed":   {strings.NewReader("a prognam"), 9, "its SHA-256 is another"},
		"broken":    {io.MultiReader(strings.NewReader(content[:5]), iotest.ErrReader(errors.New("reset"))), 9, "broke off after 5 of 9"},
	} {
		if _, err := s.Receive(c.from, c.size, sum); !inventory.Is(err, inventory.Invalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left := files(t, dir); len(left) != 0 {
		t.Fatalf("of what was refused there is left: %v", left)
	}
	a, err := s.Receive(strings.NewReader(content), 9, sum)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Keep(); err != nil {
		t.Fatal(err)
	}
	a.Drop()
	f, err := s.Content(sum)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil || string(got) != content {
		t.Errorf("it holds %q, %v", got, err)
	}
	if err := errors.Join(s.Remove(sum), s.Remove(sum)); err != nil {
		t.Error(err)
	}
	if _, err := s.Content(sum); !inventory.Is(err, inventory.NotFound) {
		t.Errorf("after it was removed: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestWhatNeverArrivedIsDroppedAtTheNextStart(t *testing.T) {
	s, dir := open(t)
	if _, err := s.Receive(strings.NewReader("x"), 1, sumOf("x")); err != nil {
		t.Fatal(err)
	}
	if len(files(t, dir)) != 1 {
		t.Fatal("it is not on the disk before it is kept")
	}
	if _, err := Open(dir); err != nil {
		t.Fatal(err)
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestOnlySomeAreReceivedAtOnce(t *testing.T) {
	s, _ := open(t)
	var writers []*io.PipeWriter
	ends := make(chan error, mostArriving)
	for range mostArriving {
		r, w := io.Pipe()
		writers = append(writers, w)
		go func() {
			_, err := s.Receive(r, 2, sumOf("xx"))
			ends <- err
		}()
		if _, err := w.Write([]byte("x")); err != nil { // it reads: it has its place
			t.Fatal(err)
		}
	}
	if _, err := s.Receive(strings.NewReader("x"), 1, sumOf("x")); !inventory.Is(err, inventory.TooMany) {
		t.Errorf("one more: %v", err)
	}
	for _, w := range writers {
		_ = w.Close()
	}
	for range mostArriving {
		if err := <-ends; !inventory.Is(err, inventory.Invalid) {
			t.Error(err)
		}
	}
}

func TestKeysAreReadAfresh(t *testing.T) {
	s, dir := open(t)
	if c, err := s.Keys(); len(c) != 0 || err != nil {
		t.Fatalf("without a file: %v, %v", c, err)
	}
	key, err := release.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	c, err := release.NewChain(key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.Text()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		text  []byte
		whole bool
	}{{text, true}, {bytes.Replace(text, []byte(`"serial": 1`), []byte(`"serial": 2`), 1), false}, {nil, false}} {
		if err := os.WriteFile(filepath.Join(dir, KeysFile), x.text, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Keys(); (err == nil) != x.whole || x.whole && got.Keys()[0] != release.Public(key) {
			t.Errorf("of %q: %v, %v", x.text, got, err)
		}
	}
}
