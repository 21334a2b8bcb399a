package storectl

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mailfleet/mailnode/store"
)

const (
	// manifestName is the file of a backup that lists the others. It is written last.
	manifestName = "BACKUP"
	partSuffix   = ".part"
	backupTime   = "20060102T150405Z"
)

// manifest is what a backup holds.
type manifest struct {
	Time  time.Time    `json:"time"`
	Stats store.Stats  `json:"stats"`
	Files []storedFile `json:"files"`
	known map[string]storedFile
}

// storedFile is a file of a backup.
type storedFile struct {
	Name     string    `json:"name"` // below the backup's directory
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	SHA256   string    `json:"sha256"`
}

// backup copies a store to a new directory below to. Files that the last backup there
// has are not copied again but linked, so that each backup is whole and costs what is
// new. One that was cut short goes on where it was.
func backup(ctx context.Context, src *source, to string, progress *meter) (dir string, err error) {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return "", err
	}
	last, lastDir, err := newest(to)
	if err != nil {
		return "", err
	}
	st, err := src.Stats(ctx)
	if err != nil {
		return "", err
	}
	m := manifest{Time: time.Now().UTC().Truncate(time.Second), Stats: st}
	dir = filepath.Join(to, m.Time.Format(backupTime))
	part := filepath.Join(to, "unfinished"+partSuffix)
	var names []string
	if err := filepath.WalkDir(src.path, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == "LOCK" || e.Name() == "ballast" {
			return err
		}
		rel, err := filepath.Rel(src.path, path)
		if rel == "STORE" || strings.HasPrefix(rel, "db"+string(filepath.Separator)) {
			names = append(names, rel)
		}
		return err
	}); err != nil {
		return "", err
	}
	if err := tidy(part, names); err != nil {
		return "", err
	}
	for i, name := range names {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		f, err := keep(filepath.Join(src.path, name), filepath.Join(part, name), name, filepath.Join(lastDir, name), last.known[name])
		if err != nil {
			return "", err
		}
		m.Files = append(m.Files, f)
		progress.show("files", uint64(i+1), uint64(len(names)))
	}
	data, err := json.MarshalIndent(m, "", "  ")
	if err := errors.Join(err, os.WriteFile(filepath.Join(part, manifestName), data, 0o600)); err != nil {
		return "", err
	}
	return dir, os.Rename(part, dir)
}

// tidy removes from an unfinished backup what the store no longer has.
func tidy(part string, names []string) error {
	err := filepath.WalkDir(part, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(part, path)
		if err == nil && !slices.Contains(names, rel) {
			err = os.Remove(path)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// keep puts a file of the store into a backup: linked to that of the last backup when it
// is the same, copied otherwise.
func keep(from, to, name, last string, known storedFile) (storedFile, error) {
	info, err := os.Stat(from)
	if err != nil {
		return storedFile{}, err
	}
	f := storedFile{Name: name, Size: info.Size(), Modified: info.ModTime().UTC()}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return f, err
	}
	if known.Name != "" && known.Size == f.Size && known.Modified.Equal(f.Modified) {
		f.SHA256 = known.SHA256
		if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
		if os.Link(last, to) == nil {
			return f, nil
		}
	}
	sum := sha256.New()
	if have, err := os.Stat(to); err == nil && have.Size() == f.Size && have.ModTime().Equal(info.ModTime()) {
		err := hashFile(to, sum) // of a backup that was cut short
		f.SHA256 = hex.EncodeToString(sum.Sum(nil))
		return f, err
	}
	err = copyFile(from, to, info.ModTime(), sum)
	f.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return f, err
}

func hashFile(path string, sum hash.Hash) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(sum, f)
	return errors.Join(err, f.Close())
}

// copyFile copies a file, durably, and adds its bytes to sum.
func copyFile(from, to string, modified time.Time, sum hash.Hash) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to+partSuffix, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.MultiWriter(out, sum), in)
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	return errors.Join(os.Chtimes(to+partSuffix, modified, modified), os.Rename(to+partSuffix, to))
}

// newest returns the last backup in a directory; an empty one when there is none.
func newest(to string) (m manifest, dir string, err error) {
	entries, err := os.ReadDir(to)
	if err != nil {
		return m, "", err
	}
	for _, e := range slices.Backward(entries) {
		if _, err := time.Parse(backupTime, e.Name()); err != nil {
			continue
		}
		dir = filepath.Join(to, e.Name())
		m, err = readManifest(dir)
		return m, dir, err
	}
	return m, "", nil
}

func readManifest(dir string) (m manifest, err error) {
	data, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("%s: %w", filepath.Join(dir, manifestName), err)
	}
	m.known = map[string]storedFile{}
	for _, f := range m.Files {
		if !filepath.IsLocal(f.Name) {
			return m, fmt.Errorf("the backup %s names a file %q outside it", dir, f.Name)
		}
		m.known[f.Name] = f
	}
	return m, nil
}

// restore makes a mailnode's store from a backup, or from the newest in a directory of
// backups. The files' hashes are checked. A store that is there is kept aside when
// replace is set, and is a reason to refuse otherwise.
func restore(ctx context.Context, from, dir string, replace bool, progress *meter) (m manifest, err error) {
	if _, err := os.Stat(filepath.Join(from, manifestName)); err == nil {
		m, err = readManifest(from)
		if err != nil {
			return m, err
		}
	} else if m, from, err = newest(from); err != nil {
		return m, err
	}
	if len(m.Files) == 0 {
		return m, errors.New("there is no backup")
	}
	if dial(ctx, dir) != nil {
		return m, errors.New("the mailnode is running: stop it first")
	}
	final := filepath.Join(dir, "store")
	if _, err := os.Stat(final); err == nil && !replace {
		return m, fmt.Errorf("there is a store in %s: with --replace it is kept aside", final)
	}
	part := final + ".restoring"
	for i, f := range m.Files {
		if err := ctx.Err(); err != nil {
			return m, err
		}
		if err := bringBack(filepath.Join(from, f.Name), filepath.Join(part, f.Name), f); err != nil {
			return m, err
		}
		progress.show("files", uint64(i+1), uint64(len(m.Files)))
	}
	s, err := store.Open(part, store.Options{})
	if err != nil {
		return m, err
	}
	if err := errors.Join(s.Advance(ctx), s.Close()); err != nil {
		return m, err
	}
	if replace {
		if err := os.Rename(final, final+".replaced-"+time.Now().UTC().Format(backupTime)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return m, err
		}
	}
	return m, os.Rename(part, final)
}

func bringBack(from, to string, f storedFile) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	sum := sha256.New()
	if err := copyFile(from, to, f.Modified, sum); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != f.SHA256 {
		return fmt.Errorf("the backup is damaged: %s is not what was copied", from)
	}
	return nil
}
