package imapd

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"mailfleet/mailnode/store"
)

// built is a store in which the first user's inbox holds many messages: several tests want
// the same, so it is made once and copied.
type built struct {
	once  sync.Once
	dir   string
	whole bool
}

var largeInbox, mixedInbox built

// at gives a server a copy of the store.
func (b *built) at(t testing.TB, count int, body func(i int) string, change func(*config)) func(*config) {
	t.Helper()
	b.once.Do(func() {
		var err error
		if b.dir, err = os.MkdirTemp("", "imapd-built-"); err != nil {
			t.Fatal(err)
		}
		s, err := store.Open(b.dir, store.Options{Digest: digest})
		if err != nil {
			t.Fatal(err)
		}
		n := &fixture{store: s}
		n.fill(t, 1, count, body)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		b.whole = true
	})
	if !b.whole {
		t.Fatal("the store could not be made for another test")
	}
	dir := filepath.Join(t.TempDir(), "store")
	if err := os.CopyFS(dir, os.DirFS(b.dir)); err != nil {
		t.Fatal(err)
	}
	return func(c *config) {
		c.dir = dir
		if change != nil {
			change(c)
		}
	}
}

// withLarge is a server's configuration with a large inbox, and what else is changed in it.
func withLarge(t testing.TB, change func(*config)) func(*config) {
	return largeInbox.at(t, large, same, change)
}

// withMixed is one with messages of all kinds for clients.
func withMixed(t testing.TB) func(*config) {
	return mixedInbox.at(t, mixedCount(manyMixed), mixed, nil)
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, b := range []*built{&largeInbox, &mixedInbox} {
		if b.dir != "" {
			_ = os.RemoveAll(b.dir)
		}
	}
	os.Exit(code)
}
