package store

import (
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	ballastName = "ballast"
	maxBallast  = 64 << 20
	// roomFactor is how much of the disk a message may need for a while: in the
	// write-ahead file, in a table, and in the compaction of that table.
	roomFactor = 4
	// lookEvery is for how long free space that was seen is relied on, as long as there
	// is twice what must stay free.
	lookEvery = 50 * time.Millisecond
)

// space keeps the store clear of a full disk, on which Pebble cannot go on. Below
// the reserve of free space nothing is taken in. Should others fill the disk all the
// same, a file kept for that purpose, the ballast, is given up, so that what
// was begun can be completed.
type space struct {
	fs      vfs.FS
	dir     string
	reserve atomic.Int64 // bytes that must stay free; 0: do not look
	seen    atomic.Pointer[sight]

	mu   sync.Mutex
	held bool // the ballast is there
}

// sight is how much space was free at a time, and how much may have been taken since.
type sight struct {
	at    time.Time
	free  int64
	taken atomic.Int64
}

func newSpace(files vfs.FS, dir string, reserve int64) *space {
	s := &space{fs: files, dir: dir}
	s.reserve.Store(reserve)
	return s
}

func (s *space) ballast() (path string, size int64) {
	return s.fs.PathJoin(s.dir, ballastName), min(maxBallast, s.reserve.Load()/4)
}

// room fails with ErrFull when a message of size bytes would cut into the reserve.
func (s *space) room(size int64) error {
	reserve := s.reserve.Load()
	if reserve == 0 {
		return nil
	}
	need := roomFactor * size
	if last := s.seen.Load(); last != nil && time.Since(last.at) < lookEvery && last.free-last.taken.Add(need) >= 2*reserve {
		return nil
	}
	usage, err := s.fs.GetDiskUsage(s.dir)
	if err != nil {
		return err
	}
	now := &sight{at: time.Now(), free: int64(usage.AvailBytes)}
	now.taken.Store(need)
	s.seen.Store(now)
	if now.free < reserve+need {
		return ErrFull
	}
	s.restore()
	return nil
}

// release gives the ballast up. Pebble's file system calls it when the disk is full.
func (s *space) release() {
	s.seen.Store(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	path, _ := s.ballast()
	if err := s.fs.Remove(path); err == nil || errors.Is(err, fs.ErrNotExist) {
		s.held = false
	}
}

// restore makes the ballast when it is not there and there is ample room for it.
// Without it the store works as well, only less safely: errors are not reported.
func (s *space) restore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	path, size := s.ballast()
	if s.held || size == 0 {
		return
	}
	usage, err := s.fs.GetDiskUsage(s.dir)
	if err != nil || int64(usage.AvailBytes) < s.reserve.Load()+size {
		return
	}
	f, err := s.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return
	}
	err = errors.Join(f.Preallocate(0, size), f.Sync(), f.Close())
	s.held = err == nil
}
