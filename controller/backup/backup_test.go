package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mailfleet/controller/metrics"
	"mailfleet/controller/metrics/embedded"
	"mailfleet/inventory"
	"mailfleet/inventory/dbstore"
	"mailfleet/inventory/identity"
)

// controller is the stores of a controller's directory.
type controller struct {
	t       *testing.T
	store   *dbstore.Store
	samples *embedded.Store
}

func open(t *testing.T, dir string) *controller {
	t.Helper()
	store, err := dbstore.Open(t.Context(), dbstore.Options{Path: filepath.Join(dir, database)})
	if err != nil {
		t.Fatal(err)
	}
	s, err := embedded.Open(embedded.Options{Dir: filepath.Join(dir, samples), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), store.Close()); err != nil {
			t.Error(err)
		}
	})
	return &controller{t, store, s}
}

// add makes server n and a sample that names it; both are acknowledged when it returns.
func (c *controller) add(ctx context.Context, n int) error {
	name := fmt.Sprintf("mail%d", n)
	err := c.store.Update(ctx, func(tx inventory.Tx) error {
		if err := tx.Servers().Create(&inventory.Server{Name: name, State: inventory.ServerUp}); err != nil {
			return err
		}
		return tx.Audit().Append(inventory.Actor{Name: "controller"}.Entry("server.create", inventory.Servers, name))
	})
	if err != nil {
		return err
	}
	return c.samples.Write(ctx, []metrics.Sample{{
		Metric: "n", Tags: map[string]string{"server": name}, Time: time.Now(), Value: float64(n),
	}})
}

// check fails unless everything up to n is there, with an audit log that holds.
func (c *controller) check(n int) {
	c.t.Helper()
	err := c.store.View(c.t.Context(), func(tx inventory.Tx) error {
		for i := range n {
			if _, err := tx.Servers().Find("name", fmt.Sprintf("mail%d", i)); err != nil {
				return err
			}
		}
		_, err := tx.Audit().Verify()
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	for i := range n {
		names, err := c.samples.Names(c.t.Context(), fmt.Sprintf("mail%d", i))
		if err != nil || len(names) != 1 {
			c.t.Fatalf("samples of mail%d: %v, %v", i, names, err)
		}
	}
}

func quiet(string) {}

func TestABackupOfABusyControllerHoldsAllThatWasAcknowledgedBefore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "controller")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ca, err := identity.OpenCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := open(t, dir)
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	var mu sync.Mutex
	done := 0
	ready := make(chan struct{})
	writers.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			if err := c.add(context.WithoutCancel(ctx), n); err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			done = n + 1
			mu.Unlock()
			if n == 20 {
				close(ready)
			}
		}
	})
	<-ready
	mu.Lock()
	before := done
	mu.Unlock()
	file := filepath.Join(t.TempDir(), "fleet.backup")
	made, err := Write(t.Context(), dir, file, quiet)
	stop()
	writers.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup is readable by others: %v, %v", info.Mode(), err)
	}
	if _, err := Write(t.Context(), dir, file, quiet); !inventory.Is(err, inventory.Conflict) {
		t.Errorf("a second backup into the same file: %v", err)
	}

	again := filepath.Join(t.TempDir(), "again")
	restored, err := Restore(t.Context(), file, again, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if restored.Bytes != made.Bytes || len(restored.Files) != len(made.Files) {
		t.Errorf("restored %d files with %d bytes, packed %d with %d", len(restored.Files), restored.Bytes, len(made.Files), made.Bytes)
	}
	open(t, again).check(before)
	same, err := identity.OpenCA(again)
	if err != nil || same.Fingerprint() != ca.Fingerprint() {
		t.Errorf("another certificate authority: %v", err)
	}
	if _, err := Restore(t.Context(), file, again, quiet); !inventory.Is(err, inventory.Conflict) {
		t.Errorf("a restore over a controller: %v", err)
	}
}

// packed is a small right backup, and the names in it.
func packed(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	store, err := dbstore.Open(t.Context(), dbstore.Options{Path: filepath.Join(dir, database)})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(store.Close(), os.WriteFile(filepath.Join(dir, "ca.key"), []byte("secret"), 0o600)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "backup")
	if _, err := Write(t.Context(), dir, file, quiet); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// rewrite passes a backup's files through change, which may rename them, change
// their text, or leave them out.
func rewrite(t *testing.T, backup []byte, change func(name string, text []byte) (string, []byte)) []byte {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(backup))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	rezip := gzip.NewWriter(&out)
	w := tar.NewWriter(rezip)
	for r := tar.NewReader(zip); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if header.Name, text = change(header.Name, text); header.Name == "" {
			continue
		}
		header.Size = int64(len(text))
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), rezip.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestADamagedBackupIsRefusedAndChangesNothing(t *testing.T) {
	good := packed(t)
	with := func(change func(string, []byte) (string, []byte)) []byte { return rewrite(t, good, change) }
	for name, c := range map[string]struct {
		backup []byte
		want   string
	}{
		"no gzip":     {[]byte("hello"), "not a gzip file"},
		"breaks off":  {good[:len(good)/2], "the backup is damaged"},
		"no manifest": {with(func(n string, b []byte) (string, []byte) { return strings.TrimSuffix(n, manifest), b }), "no manifest"},
		"changed": {with(func(n string, b []byte) (string, []byte) {
			if n == "ca.key" {
				b = []byte("other!")
			}
			return n, b
		}), "ca.key is not what was packed"},
		"left out": {with(func(n string, b []byte) (string, []byte) { return strings.TrimSuffix(n, "ca.key"), b }), "ca.key is not what was packed"},
		"leads out": {with(func(n string, b []byte) (string, []byte) {
			return strings.Replace(n, "ca.key", "../ca.key", 1), b
		}), "not a name of ours"},
		"stranger": {with(func(n string, b []byte) (string, []byte) {
			return n, bytes.Replace(b, []byte(`"ca.key"`), []byte(`"ca.kex"`), 1)
		}), "not what was packed"},
		"newer": {with(func(n string, b []byte) (string, []byte) {
			return n, bytes.Replace(b, []byte(`"format": 1`), []byte(`"format": 99`), 1)
		}), "made by a newer program"},
	} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			file := filepath.Join(t.TempDir(), "backup")
			if err := os.WriteFile(file, c.backup, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Restore(t.Context(), file, filepath.Join(parent, "controller"), quiet)
			if !inventory.Is(err, inventory.Invalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if left, err := os.ReadDir(parent); len(left) > 0 || err != nil {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestABackupOfNothingSaysSo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "backup")
	if _, err := Write(t.Context(), t.TempDir(), file, quiet); !inventory.Is(err, inventory.NotFound) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Error("a file is left behind")
	}
}
