package dbstore

import (
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"mailfleet/inventory"
)

const sqliteReaders = 8 // connections for Views

// openSQLite opens the database file at path, making it when there is none.
// Writes go through one connection; each reader sees a snapshot (WAL).
func openSQLite(path string) (read, write *bun.DB, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, nil, inventory.Wrap(inventory.Invalid, err, "the database's path %q is not usable", path)
	}
	// Only we may read it: it holds password hashes and keys. SQLite gives its
	// -wal and -shm files the same mode.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, inventory.Wrap(inventory.Unavailable, err, "the database %s cannot be opened", path)
	}
	if err := f.Close(); err != nil {
		return nil, nil, inventory.Wrap(inventory.Unavailable, err, "the database %s cannot be opened", path)
	}

	open := func(conns int, extra string) (*bun.DB, error) {
		params := url.Values{
			"_journal_mode": {"WAL"},
			"_synchronous":  {"FULL"}, // fsync at every commit: acknowledged is durable
			"_foreign_keys": {"on"},
			"_busy_timeout": {"5000"}, // ms; somebody else may have the file open
			"_dqs":          {"0"},
			"_defensive":    {"1"},
			"_error_rc":     {"1"},
			"_pragma":       {"journal_size_limit(16777216)"},
		}
		dsn := (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: params.Encode() + extra}).String()
		db, err := sql.Open("sqlite", dsn)
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(conns)
		db.SetMaxIdleConns(conns)
		return bun.NewDB(db, sqlitedialect.New()), nil
	}
	if write, err = open(1, "&_txlock=immediate"); err != nil {
		return nil, nil, err
	}
	if read, err = open(sqliteReaders, "&_query_only=1"); err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	return read, write, nil
}

// explainSQLite gives a driver's error a code and a sentence.
func explainSQLite(err error) *inventory.Error {
	serr, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return nil
	}
	switch serr.Code() & 0xff { // the low byte is the primary code
	case sqlite3.SQLITE_FULL:
		return inventory.Wrap(inventory.Unavailable, err, "the database's disk is full: nothing was changed, free some space and try again")
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL:
		return inventory.Wrap(inventory.Unavailable, err, "the database is locked by another program: nothing was changed")
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM:
		return inventory.Wrap(inventory.Unavailable, err, "the database's disk does not work: nothing was changed")
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return inventory.Wrap(inventory.Internal, err, "the database file is damaged or is not a database")
	default:
		return nil
	}
}
