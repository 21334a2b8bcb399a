package dbstore

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"

	"database/sql"

	"mailfleet/inventory"
)

// Copy writes the database at path, as it is at one moment, to the new file
// into. The store may be open and written to meanwhile, by another process too.
func Copy(ctx context.Context, path, into string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return inventory.Wrap(inventory.Invalid, err, "the database's path %q is not usable", path)
	}
	if _, err := os.Stat(path); err != nil {
		return inventory.Wrap(inventory.NotFound, err, "there is no database %s", path)
	}
	params := url.Values{"_busy_timeout": {"5000"}}
	dsn := (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: params.Encode()}).String()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return explain(err)
	}
	f, err := os.OpenFile(into, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // VACUUM takes an empty file
	if err != nil {
		return errors.Join(err, db.Close())
	}
	if err = f.Close(); err == nil {
		_, err = db.ExecContext(ctx, "VACUUM INTO ?", into)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return explain(err)
	}
	return nil
}
