package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// syncLogs makes what was committed survive a power cut. The engine writes its
// logs before a commit returns but has the disk take them only when it begins
// another segment, and a writer that was told "stored" keeps no copy.
func (s *Store) syncLogs() error {
	for _, name := range []string{"wal", "wbl"} { // in order, and late samples
		dir := filepath.Join(s.dir, name)
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue // there were no late samples yet
		}
		if err != nil {
			return fmt.Errorf("read the log of the sample store: %w", err)
		}
		files := []string{dir}
		for i := len(entries) - 1; i >= 0 && len(files) < 3; i-- { // a commit may go over the end of a segment
			if !entries[i].IsDir() {
				files = append(files, filepath.Join(dir, entries[i].Name()))
			}
		}
		for _, file := range files {
			if err := syncFile(file); err != nil {
				return fmt.Errorf("the disk did not take the samples: %w", err)
			}
		}
	}
	return nil
}

func syncFile(name string) error {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a compaction has made it superfluous
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
