package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mailfleet/controller/metrics"
	"mailfleet/controller/metrics/storetest"
)

// smallDisk mounts a file system of some MiB for the length of the test.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount the small disk to fill")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("cannot mount a small disk to fill: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes all free space of the disk, and returns what gives it back.
func fill(t *testing.T, disk string) (free func()) {
	t.Helper()
	path := filepath.Join(disk, "ballast")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for size := 1 << 20; size > 0; {
		if _, err := file.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if err := errors.Join(file.Close(), os.Remove(path)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFullDiskRefusesWritesUntilSpaceReturns(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "64m")
	store := openAt(t, filepath.Join(disk, "store"))
	base := time.Now().Add(-2 * time.Hour).Truncate(time.Second)
	for n := range 100 {
		storetest.MustWrite(t, store, numberedBatch(base, n)...)
	}
	for n := 100; n < 140; n += 10 {
		free := fill(t, disk)
		err := store.Write(t.Context(), numberedBatch(base, n))
		if !errors.Is(err, metrics.ErrUnavailable) || !strings.Contains(err.Error(), "disk is full") {
			t.Errorf("got %v, want ErrUnavailable that says the disk is full", err)
		}
		wantBatches(t, store, base, n)
		free()
		for i := range 10 {
			storetest.MustWrite(t, store, numberedBatch(base, n+i)...)
		}
	}
	closeStore(t, store)
	wantBatches(t, open(t, filepath.Join(disk, "store")), base, 140)
}

// The disk fills up in the middle of a write, now of one log, now of the other
// (the failure of which the engine keeps to itself).
func TestWriteThatMeetsAFullDiskLosesNothing(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "48m")
	store := openAt(t, filepath.Join(disk, "store"))
	store.room = 0
	base := time.Now().Add(-2 * time.Hour).Truncate(time.Second)
	n, silent, loud := 0, 0, 0
	for before := 20; before < 200; before += 20 {
		for range before {
			storetest.MustWrite(t, store, numberedBatch(base, n)...)
			n++
		}
		free := fill(t, disk)
		var err error
		for written := 0; err == nil && written < 1_000; written++ {
			if err = store.Write(t.Context(), numberedBatch(base, n)); err == nil {
				n++
			}
		}
		switch {
		case !errors.Is(err, metrics.ErrUnavailable):
			t.Fatalf("after %d writes: got %v, want ErrUnavailable", n, err)
		case errors.Is(err, syscall.ENOSPC):
			loud++
		default:
			silent++
		}
		free()
	}
	if silent == 0 || loud == 0 {
		t.Errorf("the engine kept %d errors to itself and returned %d, want some of both", silent, loud)
	}
	storetest.MustWrite(t, store, numberedBatch(base, n)...)
	wantBatches(t, store, base, n+1)
	closeStore(t, store)
	store = open(t, filepath.Join(disk, "store"))
	wantBatches(t, store, base, n+1)
}

func TestCompactionIsPutOffOnAFullDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "96m")
	store := openAt(t, filepath.Join(disk, "store"))
	base := time.Now().Add(-20 * time.Hour).Truncate(time.Second)
	for n := range 60 {
		batch := numberedBatch(base, n)
		for i := range batch {
			batch[i].Time = base.Add(600 * batch[i].Time.Sub(base))
		}
		storetest.MustWrite(t, store, batch...)
	}
	free := fill(t, disk)
	if err := store.chores(time.Now()); err == nil || !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("compaction: got %v, want an error that says the disk is full", err)
	}
	wantBatches(t, store, base, 60)
	free()
	if err := store.chores(time.Now()); err != nil {
		t.Error(err)
	}
	if len(store.db.Blocks()) == 0 {
		t.Error("nothing was compacted when space returned")
	}
	wantBatches(t, store, base, 60)
	closeStore(t, store)
	wantBatches(t, open(t, filepath.Join(disk, "store")), base, 60)
}

func TestStoreClosesAndOpensOnAFullDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "64m")
	dir := filepath.Join(disk, "store")
	store := openAt(t, dir)
	// Around the engine's block boundary, so that there is a chunk to flush.
	base := time.Now().Add(-2 * time.Hour).Truncate(2 * time.Hour).Add(-150 * time.Second)
	for n := range 300 {
		storetest.MustWrite(t, store, numberedBatch(base, n)...)
	}
	free := fill(t, disk)
	if err := store.Close(); err == nil {
		t.Error("the engine could flush its chunks to a full disk")
	}
	store = open(t, dir)
	if _, err := store.Range(t.Context(), storetest.All("a", "load_1")); !errors.Is(err, metrics.ErrUnavailable) {
		t.Errorf("range: got %v, want ErrUnavailable", err)
	}
	if err := store.Write(t.Context(), numberedBatch(base, 300)); !errors.Is(err, metrics.ErrUnavailable) {
		t.Errorf("write: got %v, want ErrUnavailable", err)
	}
	free()
	storetest.MustWrite(t, store, numberedBatch(base, 300)...)
	wantBatches(t, store, base, 301)
}
