// Package releases keeps the files of programs' builds on the controller, each
// under the SHA-256 of what it holds, and the chain of the keys whose builds are
// taken. What a build says of itself is in the inventory; who may be trusted and
// why is in package inventory/release.
//
// The keys are in the file release.keys of the controller's directory. It is read
// afresh each time and nothing here writes it: who is trusted is decided by those
// who have a shell on the controller, not by those who have a token for its API.
//
// rest, fleet and app import it.
package releases

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"mailfleet/inventory"
	"mailfleet/inventory/release"
)

// KeysFile holds the chain of trusted keys, in the controller's directory.
const KeysFile = "release.keys"

// folder holds the builds, in the controller's directory.
const folder = "releases"

// partSuffix ends the names of files that are not whole yet.
const partSuffix = ".tmp"

// mostArriving is how many builds may be received at once.
const mostArriving = 4

// Shelf keeps builds. It is safe for concurrent use.
type Shelf struct {
	dir  string // the controller's
	room chan struct{}

	// Turn is held while a build and what the inventory says of it change
	// together, so that neither is there without the other.
	Turn sync.Mutex
}

// Open opens the shelf in the controller's directory. What an earlier controller
// did not finish receiving is dropped.
func Open(dir string) (*Shelf, error) {
	s := &Shelf{dir: dir, room: make(chan struct{}, mostArriving)}
	if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of releases: %w", err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, folder))
	if err != nil {
		return nil, fmt.Errorf("read the directory of releases: %w", err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), partSuffix) {
			if err := os.Remove(filepath.Join(dir, folder, e.Name())); err != nil {
				return nil, fmt.Errorf("drop a release that never arrived: %w", err)
			}
		}
	}
	return s, nil
}

// Keys are the keys that are trusted; none when there is no file of them.
func (s *Shelf) Keys() (release.Chain, error) {
	text, err := os.ReadFile(filepath.Join(s.dir, KeysFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the release keys: %w", err)
	}
	c, err := release.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(s.dir, KeysFile), err)
	}
	return c, nil
}

func (s *Shelf) path(sum string) string { return filepath.Join(s.dir, folder, sum) }

// Arrival is a build that was received whole and is not on the shelf yet.
type Arrival struct {
	s    *Shelf
	part string
	sum  string
}

// Receive reads a build to its disk: exactly size octets with that SHA-256, or it
// is refused and nothing is kept. Keep or Drop must follow.
func (s *Shelf) Receive(from io.Reader, size int64, sum string) (a *Arrival, err error) {
	select {
	case s.room <- struct{}{}:
		defer func() { <-s.room }()
	default:
		return nil, inventory.Errorf(inventory.TooMany, "%d releases are being received already: wait for one", mostArriving)
	}
	part, err := os.CreateTemp(filepath.Join(s.dir, folder), "*"+partSuffix)
	if err != nil {
		return nil, fmt.Errorf("receive a release: %w", err)
	}
	defer func() {
		if cerr := part.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("receive a release: %w", cerr)
		}
		if err != nil {
			_ = os.Remove(part.Name())
		}
	}()
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(part, hash), io.LimitReader(from, size+1))
	switch {
	case err != nil && n < size:
		return nil, inventory.Wrap(inventory.Invalid, err, "the release broke off after %d of %d octets; nothing was kept", n, size)
	case n < size:
		return nil, inventory.Errorf(inventory.Invalid, "the release has only %d of the %d octets that were signed; nothing was kept", n, size)
	case n > size:
		return nil, inventory.Errorf(inventory.Invalid, "the release has more than the %d octets that were signed; nothing was kept", size)
	case hex.EncodeToString(hash.Sum(nil)) != sum:
		return nil, inventory.Errorf(inventory.Invalid, "what arrived is not what was signed: its SHA-256 is another; nothing was kept")
	}
	if err := part.Sync(); err != nil {
		return nil, fmt.Errorf("receive a release: %w", err)
	}
	return &Arrival{s: s, part: part.Name(), sum: sum}, nil
}

// Keep puts it on the shelf. After it has returned nil it is there for good.
func (a *Arrival) Keep() error {
	if err := os.Rename(a.part, a.s.path(a.sum)); err != nil {
		return fmt.Errorf("keep a release: %w", err)
	}
	return a.s.sync()
}

// Drop forgets it, unless it was kept.
func (a *Arrival) Drop() { _ = os.Remove(a.part) }

func (s *Shelf) sync() error {
	d, err := os.Open(filepath.Join(s.dir, folder))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Content opens a build. The caller closes it.
func (s *Shelf) Content(sum string) (*os.File, error) {
	f, err := os.Open(s.path(sum))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, inventory.Errorf(inventory.NotFound, "the file of this release is not on the controller: publish it again")
	}
	return f, err
}

// Remove takes a build from the shelf.
func (s *Shelf) Remove(sum string) error {
	if err := os.Remove(s.path(sum)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a release: %w", err)
	}
	return s.sync()
}
