package dbstore

import (
	"path/filepath"
	"testing"

	"mailfleet/inventory"
	"mailfleet/inventory/dbstore/storetest"
)

func TestStore(t *testing.T) {
	dir := t.TempDir()
	storetest.Run(t, func(t *testing.T, name string) inventory.Store {
		// One name is one database within a test.
		return openAt(t, filepath.Join(dir, filepath.Base(t.Name())+"-"+name+".db"))
	})
}

// openAt opens the store in the file at path until the test ends.
func openAt(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func FuzzParseCursor(f *testing.F) {
	f.Add(cursorAfter(inventory.NewID()))
	f.Add("MDE3RjIyRTItNzlCMC03Q0MzLTk4QzQtREMwQzBDMDczOThG")
	f.Add("=\n")
	f.Fuzz(func(t *testing.T, cursor string) {
		id, err := parseCursor(cursor)
		if err != nil {
			if id != "" || !inventory.Is(err, inventory.Invalid) {
				t.Errorf("%q, %v", id, err)
			}
			return
		}
		if again, err := parseCursor(cursorAfter(id)); err != nil || again != id {
			t.Errorf("the cursor of %q is that of %q, %v", id, again, err)
		}
	})
}
