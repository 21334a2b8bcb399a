package embedded

import (
	"context"
	"fmt"
	"slices"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/tsdb"
	"golang.org/x/sys/unix"
)

// minRoom is the free space without which nothing is written: more than the
// largest batch takes in both logs and the chunk files. The engine panics when a
// chunk file cannot be written, with locks held and in goroutines of its own,
// so that must never be tried on a full disk.
const minRoom = 32 << 20

// blockFile is the size of a block's files, the last of which takes it all while
// it is written.
const blockFile = 16 << 20

// checkRoom returns an error unless the disk has room for extra bytes.
func (s *Store) checkRoom(extra int64) error {
	var disk unix.Statfs_t
	if err := unix.Statfs(s.dir, &disk); err != nil {
		return fmt.Errorf("ask for the free space of the disk: %w", err)
	}
	free, need := int64(disk.Bavail)*disk.Bsize, s.room+extra
	if free < need {
		return fmt.Errorf("its disk is full: %d MiB are free, %d MiB are needed", free>>20, need>>20)
	}
	return nil
}

// roomyCompactor compacts only what the disk has room to hold twice, so that a
// compaction never takes the room that writes count on.
type roomyCompactor struct {
	tsdb.Compactor
	life context.Context
	room func(extra int64) error
}

// permit is asked before each block: the engine makes many in a row, even empty
// ones, and would go on after the store's end.
func (c *roomyCompactor) permit(extra int64) error {
	if err := c.life.Err(); err != nil {
		return err
	}
	return c.room(extra + blockFile)
}

func (c *roomyCompactor) Write(dest string, b tsdb.BlockReader, mint, maxt int64, base *tsdb.BlockMeta) ([]ulid.ULID, error) {
	if err := c.permit(b.Size()); err != nil {
		return nil, err
	}
	return c.Compactor.Write(dest, b, mint, maxt, base)
}

func (c *roomyCompactor) Compact(dest string, dirs []string, open []*tsdb.Block) ([]ulid.ULID, error) {
	var size int64
	for _, block := range open {
		if slices.Contains(dirs, block.Dir()) {
			size += block.Size()
		}
	}
	if err := c.permit(size); err != nil {
		return nil, err
	}
	return c.Compactor.Compact(dest, dirs, open)
}
