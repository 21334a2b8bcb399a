package dbstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"mailfleet/inventory"
)

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	newer := filepath.Join(dir, "newer.db")
	s := openAt(t, newer)
	if _, err := s.write.ExecContext(t.Context(), "INSERT INTO migrations (version) VALUES (1000)"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path, says string
		code       inventory.Code
	}{
		"no directory":   {filepath.Join(dir, "none", "x.db"), "cannot be opened", inventory.Unavailable},
		"a directory":    {dir, "cannot be opened", inventory.Unavailable},
		"not a database": {write("text.db", strings.Repeat("not a database ", 100)), "is not a database", inventory.Internal},
		"newer":          {newer, "written by a newer program: its tables are version 1000, this program knows up to 4", inventory.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(t.Context(), Options{Path: c.path})
			if err == nil {
				t.Fatal("opened", s.Close())
			}
			if !inventory.Is(err, c.code) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %q (%s): want %q (%s)", err, inventory.CodeOf(err), c.says, c.code)
			}
		})
	}
}

func TestOpenMakesAPrivateDurableFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c#d%20'.db")
	s := openAt(t, path)
	touch(t, s, nil, 1)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s%s has mode %v", path, suffix, info.Mode())
		}
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		var got string
		if err := s.write.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s, %v: want %s", pragma, got, err, want)
		}
	}
	if _, err := s.read.ExecContext(t.Context(), "DELETE FROM servers"); err == nil {
		t.Error("a reader's connection can write")
	}
}

// Every field that Where knows is looked up in an index that also gives the order.
func TestEveryFieldIsIndexed(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "plan.db"))
	plan(t, s, servers)
	plan(t, s, services)
	plan(t, s, joinTokens)
	plan(t, s, certificates)
	plan(t, s, domains)
	plan(t, s, accounts)
	plan(t, s, operations)
	plan(t, s, rules)
	plan(t, s, contacts)
	plan(t, s, alerts)
	plan(t, s, smses)
	plan(t, s, people)
	plan(t, s, sessions)
	plan(t, s, tokens)
	plan(t, s, audit)
	plan(t, s, settings)
}

func plan[R inventory.Record](t *testing.T, s *Store, table schema[R]) {
	t.Helper()
	names := []string{"id"}
	for _, f := range table.fields {
		names = append(names, f.name)
	}
	for _, name := range names {
		query := fmt.Sprintf(`SELECT doc FROM %s WHERE "%s" = 'x' AND id > 'x' ORDER BY id LIMIT 10`, table.kind, name)
		var id, parent, unused int
		var detail string
		rows := s.read.QueryRowContext(t.Context(), "EXPLAIN QUERY PLAN "+query)
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(detail, "SEARCH") {
			t.Errorf("%s by %s: %s", table.kind, name, detail)
		}
	}
}

func TestLockedByAnotherProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locked.db")
	s, other := openAt(t, path), openAt(t, path)
	if _, err := s.write.ExecContext(t.Context(), "PRAGMA busy_timeout = 1"); err != nil {
		t.Fatal(err)
	}
	err := other.Update(t.Context(), func(tx inventory.Tx) error {
		if err := tx.Servers().Create(&inventory.Server{Name: "other"}); err != nil {
			return err
		}
		err := s.Update(t.Context(), func(inventory.Tx) error { return nil })
		if !inventory.Is(err, inventory.Unavailable) || !strings.Contains(err.Error(), "locked by another program") {
			t.Errorf("error %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	touch(t, s, nil, 1)
}

// A statement that finds no room fails its Update, even one that pays no heed.
func TestFullInTheMiddle(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "full.db"))
	r := touch(t, s, nil, 1)
	if _, err := s.write.ExecContext(t.Context(), "PRAGMA max_page_count = 1"); err != nil { // no more than now
		t.Fatal(err)
	}
	was := *r
	err := s.Update(t.Context(), func(tx inventory.Tx) error {
		r.Region = strings.Repeat("x", 1<<20)
		if err := tx.Servers().Update(r); !inventory.Is(err, inventory.Unavailable) {
			t.Errorf("error %v", err)
		}
		if err := tx.Servers().Create(&inventory.Server{Name: "small"}); err == nil {
			t.Error("the transaction went on")
		}
		return nil
	})
	if !inventory.Is(err, inventory.Unavailable) || !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("error %v", err)
	}
	if r.Meta != was.Meta {
		t.Errorf("meta %+v, was %+v", r.Meta, was.Meta)
	}
	if _, err := s.write.ExecContext(t.Context(), "PRAGMA max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	touch(t, s, r, 1)
	wantSound(t, s)
}

// On a real full disk writes fail with a clear error, nothing acknowledged is
// lost, reading goes on, and when space returns so does everything.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		if errors.Is(err, unix.EPERM) {
			t.Skip("only root may mount a small disk")
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 5<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "fleet.db")
	s := openAt(t, path)

	const workers = 4
	var mu sync.Mutex
	var kept []*inventory.Alert
	fill := func(limit int) {
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for range limit {
					r := &inventory.Alert{RuleName: strings.Repeat("x", 4000)}
					err := s.Update(context.Background(), func(tx inventory.Tx) error { return tx.Alerts().Create(r) })
					if err == nil {
						mu.Lock()
						kept = append(kept, r)
						mu.Unlock()
						continue
					}
					if !inventory.Is(err, inventory.Unavailable) || !strings.Contains(err.Error(), "disk is full") {
						t.Errorf("error %v", err)
					}
					if r.Meta != (inventory.Meta{}) {
						t.Errorf("meta %+v of what was not kept", r.Meta)
					}
					return
				}
			})
		}
		wg.Wait()
	}
	check := func() {
		t.Helper()
		if err := s.View(t.Context(), func(tx inventory.Tx) error {
			n, err := tx.Alerts().Count(inventory.Query{})
			if n != len(kept) || tx.Index() != uint64(len(kept)) {
				t.Errorf("%d alerts, index %d: want %d", n, tx.Index(), len(kept))
			}
			for _, r := range kept {
				if _, err := tx.Alerts().Get(r.ID); err != nil {
					t.Error(err)
				}
			}
			return err
		}); err != nil {
			t.Error(err)
		}
		wantSound(t, s)
	}

	fill(10_000)
	if len(kept) == 0 || len(kept) == workers*10_000 {
		t.Fatalf("%d records before the disk was full", len(kept))
	}
	fill(10) // still full
	check()
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	before := len(kept)
	fill(10)
	if len(kept) != before+workers*10 {
		t.Errorf("%d more records after space returned, want %d", len(kept)-before, workers*10)
	}
	check()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path)
	check()
}

// wantSound checks the database file.
func wantSound(t *testing.T, s *Store) {
	t.Helper()
	var verdict string
	if err := s.read.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity_check: %s, %v", verdict, err)
	}
}
