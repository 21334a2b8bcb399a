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

	"mailfleet/inventory"
)

// maxManifest bounds what is read of a manifest.
const maxManifest = 16 << 20

// Restore lays the backup at path out as the controller's directory dir, which
// must be empty or not there. Everything is checked before dir comes to be; on
// an error it is as before.
func Restore(ctx context.Context, path, dir string, progress func(name string)) (r Result, err error) {
	if err := vacant(dir); err != nil {
		return r, err
	}
	in, err := os.Open(path)
	if err != nil {
		return r, inventory.Wrap(inventory.NotFound, err, "the backup %s cannot be read", path)
	}
	defer func() { _ = in.Close() }() // it was only read
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return r, err
	}
	temp, err := os.MkdirTemp(parent, ".restore-*")
	if err != nil {
		return r, inventory.Wrap(inventory.Invalid, err, "nothing can be written beside %s", dir)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	if r, err = unpack(ctx, in, temp, progress); err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	if err := os.Rename(temp, dir); err != nil {
		return r, err
	}
	return r, syncDir(parent)
}

// vacant refuses a directory that holds something.
func vacant(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return inventory.Wrap(inventory.Invalid, err, "%s cannot be looked into", dir)
	}
	if len(entries) > 0 {
		return inventory.Errorf(inventory.Conflict, "%s is not empty: a restore replaces nothing, move it away first", dir)
	}
	return nil
}

// damaged says that a backup cannot be trusted.
func damaged(err error, why string, args ...any) error {
	return inventory.Wrap(inventory.Invalid, err, "the backup is damaged: "+why, args...)
}

// unpack lays the files out in dir and checks them against the manifest.
func unpack(ctx context.Context, in io.Reader, dir string, progress func(string)) (r Result, err error) {
	zip, err := gzip.NewReader(in)
	if err != nil {
		return r, damaged(err, "it is not a gzip file")
	}
	root, err := os.OpenRoot(dir) // no name in the backup leads out of it
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	found := map[string]string{}
	told := false
	for t := tar.NewReader(zip); ; {
		header, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return r, damaged(err, "it breaks off")
		}
		if err := ctx.Err(); err != nil {
			return r, err
		}
		if header.Typeflag != tar.TypeReg {
			return r, damaged(nil, "%s is no file", header.Name)
		}
		if header.Name == manifest {
			told = true
			if r.Manifest, err = readManifest(t); err != nil {
				return r, err
			}
			continue
		}
		if found[header.Name], err = lay(root, header, t); err != nil {
			return r, err
		}
		r.Bytes += header.Size
		progress(header.Name)
	}
	if !told {
		return r, damaged(nil, "it has no manifest")
	}
	for name, sum := range r.Files {
		if found[name] != sum {
			return r, damaged(nil, "%s is not what was packed", name)
		}
	}
	if len(found) != len(r.Files) {
		return r, damaged(nil, "it holds files that its manifest does not name")
	}
	return r, nil
}

func readManifest(in io.Reader) (m Manifest, err error) {
	if err := json.NewDecoder(io.LimitReader(in, maxManifest)).Decode(&m); err != nil {
		return m, damaged(err, "its manifest cannot be read")
	}
	if m.Format > format {
		return m, inventory.Errorf(inventory.Invalid, "the backup was made by a newer program (%s): its form is %d, this program knows up to %d", m.Version, m.Format, format)
	}
	return m, nil
}

// lay writes one file and returns its digest.
func lay(root *os.Root, header *tar.Header, in io.Reader) (sum string, err error) {
	if dir := filepath.Dir(header.Name); dir != "." {
		if err := root.MkdirAll(dir, 0o700); err != nil {
			return "", damaged(err, "%q is not a name of ours", header.Name)
		}
	}
	f, err := root.OpenFile(header.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fs.FileMode(header.Mode)&0o700)
	if err != nil {
		return "", damaged(err, "%q is not a name of ours, or comes twice", header.Name)
	}
	digest := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, digest), in)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", damaged(err, "%s cannot be unpacked", header.Name)
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
