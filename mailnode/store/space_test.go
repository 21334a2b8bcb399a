package store

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// smallDisk is a file system that says how much room it has.
type smallDisk struct {
	vfs.FS
	free *atomic.Uint64
}

func (d smallDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: d.free.Load()}, nil
}

func TestTooLittleSpaceRefusesUntilThereIsMore(t *testing.T) {
	disk := smallDisk{vfs.NewMem(), new(atomic.Uint64)}
	disk.free.Store(1 << 30)
	s := open(t, "/s", Options{FS: disk, FreeBytes: 1 << 20})
	defer shut(t, s)
	deliver(t, s, "before", alice)

	disk.free.Store(1<<20 + 3)
	s.space.seen.Store(nil) // time passes
	if _, err := s.Deliver(t.Context(), Delivery{Accounts: []string{alice}, Body: strings.NewReader("x"), Size: 1}); !errors.Is(err, ErrFull) {
		t.Errorf("on a full disk: %v", err)
	}
	_, messages := snapshot(t, s, alice)
	if got := body(t, s, messages[0]); got != "before" {
		t.Errorf("read %q on a full disk", got)
	}
	if _, err := s.Expunge(t.Context(), Place{Account: alice, Mailbox: Inbox}, []uint32{1}); err != nil {
		t.Errorf("expunging on a full disk: %v", err)
	}

	disk.free.Store(1<<20 + 4)
	deliver(t, s, "x", alice)
}

// What is taken between two looks at the disk counts, so that much at once is never taken
// on the strength of an old one.
func TestSpaceIsLookedAtAgainWhenMuchIsTaken(t *testing.T) {
	disk := smallDisk{vfs.NewMem(), new(atomic.Uint64)}
	disk.free.Store(1 << 30)
	s := open(t, "/s", Options{FS: disk, FreeBytes: 1 << 20})
	defer shut(t, s)
	if err := s.Room(1); err != nil {
		t.Fatal(err)
	}
	disk.free.Store(0)
	taken := int64(0)
	for s.Room(1<<20) == nil {
		taken += roomFactor << 20
	}
	if taken > 1<<30 {
		t.Errorf("%d bytes were promised of %d", taken, 1<<30)
	}
}

// When others fill the disk in spite of the reserve, the ballast lets what was
// begun complete.
func TestBallastIsGivenUpOnAFullDisk(t *testing.T) {
	mem := vfs.NewMem()
	var full atomic.Bool
	disk := smallDisk{errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		_, err := mem.Stat("/s/" + ballastName)
		write := op.Kind == errorfs.OpFileWrite || op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData
		if full.Load() && write && err == nil && strings.HasSuffix(op.Path, ".log") {
			return syscall.ENOSPC
		}
		return nil
	})), new(atomic.Uint64)}
	disk.free.Store(1 << 30)
	s := open(t, "/s", Options{FS: disk, FreeBytes: 1 << 20})
	defer shut(t, s)
	if _, err := mem.Stat("/s/" + ballastName); err != nil {
		t.Fatalf("there is no ballast: %v", err)
	}

	disk.free.Store(1<<20 + 4)
	full.Store(true)
	deliver(t, s, "x", alice)
	if _, err := mem.Stat("/s/" + ballastName); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the ballast is still there: %v", err)
	}

	full.Store(false)
	disk.free.Store(1 << 30)
	deliver(t, s, "y", alice)
	if _, err := mem.Stat("/s/" + ballastName); err != nil {
		t.Errorf("the ballast did not come back: %v", err)
	}
}

// A disk that fails the write-ahead file ends the store: nothing is acknowledged
// any more, and what was acknowledged before is there afterwards.
func TestFailedDiskAcknowledgesNothing(t *testing.T) {
	mem := vfs.NewCrashableMem()
	var broken atomic.Bool
	disk := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && op.Kind == errorfs.OpFileWrite {
			return errorfs.ErrInjected
		}
		return nil
	}))
	s := open(t, "/s", Options{FS: disk})
	deliver(t, s, "kept", alice)
	broken.Store(true)
	for range 5 {
		_, err := s.Deliver(t.Context(), Delivery{Accounts: []string{alice}, Body: strings.NewReader("x"), Size: 1})
		if !errors.Is(err, ErrFailed) {
			t.Errorf("on a broken disk: %v", err)
		}
	}
	if _, _, err := s.Snapshot(t.Context(), Place{Account: alice, Mailbox: Inbox}); !errors.Is(err, ErrFailed) {
		t.Errorf("reading what no crash may take back: %v", err)
	}
	select {
	case <-s.Failed():
	default:
		t.Error("Failed is not closed")
	}
	shut(t, s)

	s = open(t, "/s", Options{FS: mem.CrashClone(vfs.CrashCloneCfg{})})
	defer shut(t, s)
	_, messages := snapshot(t, s, alice)
	if len(messages) != 1 || body(t, s, messages[0]) != "kept" {
		t.Errorf("after the failure there are %v", messages)
	}
}

// numbered makes texts of one length differ, lest they be kept once.
func numbered(text string, n int) string { return fmt.Sprintf("%08d", n) + text[8:] }

// The same on a disk that is really full. It needs root, for a file system of its own.
func TestFullFileSystemRefusesAndRecovers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=20m"); err != nil {
		t.Skipf("a tmpfs cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	s := open(t, dir+"/store", Options{FreeBytes: 6 << 20, memTable: 512 << 10})
	defer shut(t, s)
	random := make([]byte, 256<<10)
	if _, err := rand.NewChaCha8([32]byte{}).Read(random); err != nil {
		t.Fatal(err)
	}
	text := hex.EncodeToString(random)
	var err error
	count := 0
	for err == nil && count < 200 {
		_, err = s.Deliver(t.Context(), Delivery{Accounts: []string{alice}, Body: strings.NewReader(numbered(text, count)), Size: int64(len(text))})
		count++
	}
	if !errors.Is(err, ErrFull) || count < 5 {
		t.Fatalf("delivery %d ended in %v", count, err)
	}

	// Somebody else takes the rest; reading and expunging go on.
	filler, err := os.Create(dir + "/filler")
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = filler.Write(make([]byte, 1<<16))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	_, messages := snapshot(t, s, alice)
	for _, m := range messages {
		if body(t, s, m) != numbered(text, int(m.UID)-1) {
			t.Fatalf("message %d is not what was delivered", m.UID)
		}
	}
	if _, err := s.Expunge(t.Context(), Place{Account: alice, Mailbox: Inbox}, []uint32{1}); err != nil {
		t.Errorf("expunging on a full disk: %v", err)
	}

	if err := errors.Join(filler.Close(), os.Remove(filler.Name())); err != nil {
		t.Fatal(err)
	}
	var uids []uint32
	for _, m := range messages {
		uids = append(uids, m.UID)
	}
	if _, err := s.Expunge(t.Context(), Place{Account: alice, Mailbox: Inbox}, uids); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Compact(t.Context(), []byte("a"), []byte("c"), false); err != nil {
		t.Fatal(err)
	}
	// Pebble removes files it no longer needs in the background.
	tick, late := time.NewTicker(5*time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for s.Room(1000) != nil {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("with room again: %v", s.Room(1000))
		}
	}
	deliver(t, s, "again", alice)
}
