package backup

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mailfleet/inventory"
	"mailfleet/inventory/dbstore"
)

// attempts is how often a list of sample files is gone through again because
// one of them was merged into another meanwhile.
const attempts = 5

// Write packs the controller's directory dir into the new file at path, which
// is whole or not there. The controller may run. progress is told of each file.
func Write(ctx context.Context, dir, path string, progress func(name string)) (r Result, err error) {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return r, inventory.Errorf(inventory.Conflict, "%s exists already: a backup replaces nothing", path)
	}
	if err != nil {
		return r, inventory.Wrap(inventory.Invalid, err, "the backup %s cannot be written", path)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(path)
		}
	}()
	temp, err := os.MkdirTemp(filepath.Dir(path), ".backup-*")
	if err != nil {
		return r, errors.Join(err, out.Close())
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()

	zip := gzip.NewWriter(out)
	w := &writer{
		ctx: ctx, dir: dir, tar: tar.NewWriter(zip), progress: progress,
		result: Result{Manifest: Manifest{Format: format, Version: inventory.Version, Made: time.Now().UTC(), Files: map[string]string{}}},
	}
	err = w.all(filepath.Join(temp, database))
	if err = errors.Join(err, w.tar.Close(), zip.Close()); err != nil {
		return r, errors.Join(err, out.Close())
	}
	return w.result, errors.Join(out.Sync(), out.Close())
}

type writer struct {
	ctx      context.Context
	dir      string
	tar      *tar.Writer
	progress func(string)
	result   Result
}

func (w *writer) all(copied string) error {
	if err := dbstore.Copy(w.ctx, filepath.Join(w.dir, database), copied); err != nil {
		return err
	}
	if err := w.file(copied, database); err != nil {
		return err
	}
	if err := w.rest(); err != nil {
		return err
	}
	// The log before the blocks: what moves from one to the other meanwhile is
	// then in both, never in neither.
	for _, part := range []func(string) bool{isLog, isBlock} {
		if err := w.samples(part); err != nil {
			return err
		}
	}
	text, err := json.MarshalIndent(w.result.Manifest, "", " ")
	if err != nil {
		return err
	}
	header := &tar.Header{Name: manifest, Mode: 0o600, Size: int64(len(text)), ModTime: w.result.Made}
	if err := w.tar.WriteHeader(header); err != nil {
		return err
	}
	_, err = w.tar.Write(text)
	return err
}

// rest packs all but database and samples: keys, certificates, releases.
func (w *writer) rest() error {
	names, err := list(w.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, database) || strings.HasPrefix(name, samples+"/") || passing(name) {
			continue
		}
		if err := w.file(filepath.Join(w.dir, name), name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// passing are files that mean nothing to another process.
func passing(name string) bool {
	return strings.HasSuffix(name, ".tmp") || strings.HasSuffix(name, ".lock") || filepath.Base(name) == "lock" || name == "members.snapshot"
}

func isLog(name string) bool {
	return strings.HasPrefix(name, "wal/") || strings.HasPrefix(name, "wbl/")
}

// isBlock tells the files of finished blocks, whose folders are named by ULIDs.
func isBlock(name string) bool {
	block, _, found := strings.Cut(name, "/")
	return found && len(block) == 26
}

// samples packs those files of the sample store. Files that vanish meanwhile
// were merged into others: then it looks again for what is new.
func (w *writer) samples(part func(string) bool) error {
	var missing error
	for range attempts {
		names, err := list(filepath.Join(w.dir, samples))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		missing = nil
		for _, name := range names {
			packed := samples + "/" + name
			if !part(name) || w.result.Files[packed] != "" {
				continue
			}
			err := w.file(filepath.Join(w.dir, samples, name), packed)
			if errors.Is(err, fs.ErrNotExist) {
				missing = err
				continue
			}
			if err != nil {
				return err
			}
		}
		if missing == nil {
			return nil
		}
	}
	return fmt.Errorf("the sample store changes faster than it can be copied: %w", missing)
}

// list returns the regular files below root, sorted.
func list(root string) (names []string, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) && path != root {
				return nil
			}
			return err
		}
		if !d.Type().IsRegular() {
			return nil
		}
		name, err := filepath.Rel(root, path)
		names = append(names, filepath.ToSlash(name))
		return err
	})
	slices.Sort(names)
	return names, err
}

// file packs the file at path as it is when it is opened: what is appended
// meanwhile is left out. Nothing is packed of one that is not there.
func (w *writer) file(path, name string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{Name: name, Mode: int64(info.Mode().Perm()), Size: info.Size(), ModTime: info.ModTime()}
	if err := w.tar.WriteHeader(header); err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w.tar, sum), io.LimitReader(f, info.Size()))
	if err != nil {
		return fmt.Errorf("pack %s: %w", name, err)
	}
	if n != info.Size() {
		return fmt.Errorf("pack %s: it shrank while it was read", name)
	}
	w.result.Files[name] = hex.EncodeToString(sum.Sum(nil))
	w.result.Bytes += n
	w.progress(name)
	return nil
}
