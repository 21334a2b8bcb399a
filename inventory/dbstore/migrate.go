package dbstore

import (
	"context"
	"embed"
	"io/fs"

	"github.com/uptrace/bun"

	"mailfleet/inventory"
)

// The n-th file brings the tables from version n-1 to n. A file that has been
// released never changes.
//
//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the tables up to date in one transaction and returns the
// versions they had and have. It refuses tables newer than it knows.
func migrate(ctx context.Context, db *bun.DB) (from, to int, err error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0, 0, err
	}
	err = db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS migrations (version BIGINT PRIMARY KEY)"); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(version), 0) FROM migrations").Scan(&from); err != nil {
			return err
		}
		if from > len(files) {
			return inventory.Errorf(inventory.Invalid,
				"the database was written by a newer program: its tables are version %d, this program knows up to %d", from, len(files))
		}
		for i, file := range files[from:] {
			stmts, err := migrations.ReadFile(file)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, string(stmts)); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO migrations (version) VALUES (?)", from+i+1); err != nil {
				return err
			}
		}
		return nil
	})
	return from, len(files), err
}
