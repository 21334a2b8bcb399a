// Package durable keeps things on the agent's disk so that a power cut or a
// kill at any moment loses nothing that was claimed to be stored: whole files
// replaced at once (WriteFile), append-only files of records (Log) and bounded
// first-in-first-out queues over several such files (Queue).
//
// Only packages of the agent import it.
package durable

import (
	"fmt"
	"os"
	"path/filepath"
)

// WriteFile replaces the file at path, readable by its owner only. Once it has
// returned nil the new content survives a power cut; after an error the file
// has either the old content or the new, whole. One path has one writer at a time.
func WriteFile(path string, data []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		_ = os.Remove(tmp)
		return fmt.Errorf("replace %s: %w", path, err)
	}
	return Place(tmp, path)
}

// Place makes the file at tmp, in the same file system and synced already, the
// one at path. Once it has returned nil that survives a power cut.
func Place(tmp, path string) error {
	if err := os.Rename(tmp, path); err != nil {
		_ = os.Remove(tmp)
		return fmt.Errorf("replace %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in a directory durable: a file that was created or
// renamed there is found again after a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}
