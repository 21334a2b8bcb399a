package store

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
)

// formatVersion is the newest on-disk format this program knows.
const formatVersion = 2

// identityName is the file that says which database belongs in a store's
// directory. Without it a database whose files were lost would be taken for a
// new and empty one.
const identityName = "STORE"

// readIdentity returns the id of the store in dir, "" when there is none yet.
func readIdentity(files vfs.FS, dir string) (id string, err error) {
	f, err := files.Open(files.PathJoin(dir, identityName))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err := io.ReadAll(io.LimitReader(f, 256))
	if err != nil {
		return "", err
	}
	id = strings.TrimSpace(string(data))
	if uuid.Validate(id) != nil {
		return "", errors.New("it is torn: the file " + identityName + " holds no id")
	}
	return id, nil
}

// create makes the open, empty database a store: first in the database, then in
// the file that makes it final.
func (s *Store) create(files vfs.FS, dir string) error {
	s.id = uuid.NewString()
	if err := s.update(created, func(tx *Tx) error {
		return errors.Join(
			tx.b.Set(formatKey, binary.BigEndian.AppendUint32(nil, formatVersion), nil),
			tx.b.Set(idKey, []byte(s.id), nil),
		)
	}); err != nil {
		return err
	}
	return writeIdentity(files, dir, s.id)
}

// writeIdentity puts the file into dir so that after a crash it is there whole or not at all.
func writeIdentity(files vfs.FS, dir, id string) error {
	temp, final := files.PathJoin(dir, identityName+".new"), files.PathJoin(dir, identityName)
	f, err := files.Create(temp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, id+"\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := files.Rename(temp, final); err != nil {
		return err
	}
	return syncDir(files, dir)
}

func syncDir(files vfs.FS, dir string) error {
	d, err := files.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
