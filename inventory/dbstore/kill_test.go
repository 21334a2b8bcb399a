package dbstore

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"mailfleet/inventory"
)

// killedEnv tells the test binary to be the process that is killed: its value
// is the database's path.
const killedEnv = "DBSTORE_TEST_KILLED"

// A process that is killed with -9 while many write has lost nothing that it
// acknowledged, and the next one goes on where it was.
func TestKilled(t *testing.T) {
	if path := os.Getenv(killedEnv); path != "" {
		writeUntilKilled(path)
	}
	path := filepath.Join(t.TempDir(), "killed.db")
	acked := map[string]string{} // id → name
	for range 2 {
		for id, name := range killWriter(t, path) {
			acked[id] = name
		}
		s, err := Open(t.Context(), Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		wantAcked(t, s, acked)
		wantSound(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killWriter starts the writer, kills it after some acknowledgements and
// returns all that it gave.
func killWriter(t *testing.T, path string) map[string]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), killedEnv+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acked := map[string]string{}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n') // a line that the kill cut off is no acknowledgement
		if err != nil {
			break
		}
		id, name, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			t.Errorf("the writer says %q", line)
			break
		}
		acked[id] = name
		if len(acked) == 100 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the writer ended by itself")
	}
	if len(acked) < 100 {
		t.Fatalf("%d acknowledgements", len(acked))
	}
	return acked
}

// writeUntilKilled acknowledges every durable write with a line.
func writeUntilKilled(path string) {
	s, err := Open(context.Background(), Options{Path: path})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				r := &inventory.Domain{Name: string(inventory.NewID())}
				err := s.Update(context.Background(), func(tx inventory.Tx) error {
					if err := tx.Domains().Create(r); err != nil {
						return err
					}
					return tx.Audit().Append(&inventory.AuditEntry{Target: r.Name})
				})
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Printf("%s %s\n", r.ID, r.Name)
			}
		})
	}
	wg.Wait()
}

// wantAcked checks that all acknowledged records are there, each Update whole,
// and that versions, events and audit log have no gap.
func wantAcked(t *testing.T, s *Store, acked map[string]string) {
	t.Helper()
	if err := s.View(t.Context(), func(tx inventory.Tx) error {
		for id, name := range acked {
			r, err := tx.Domains().Get(inventory.ID(id))
			if err != nil {
				return err
			}
			if r.Name != name {
				t.Errorf("%s has name %q, want %q", id, r.Name, name)
			}
		}
		domains, err := tx.Domains().Count(inventory.Query{})
		if err != nil {
			return err
		}
		entries, err := tx.Audit().Verify()
		if err != nil {
			return err
		}
		if domains != entries || tx.Index() != uint64(domains+entries) {
			t.Errorf("%d domains, %d audit entries, index %d", domains, entries, tx.Index())
		}
		events, ok, err := s.Events(t.Context(), 0, 1_000_000)
		if err != nil || !ok || len(events) != domains+entries {
			t.Errorf("%d events, ok %v, %v: want %d", len(events), ok, err, domains+entries)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
