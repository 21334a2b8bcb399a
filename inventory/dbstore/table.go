package dbstore

import (
	"database/sql"
	"errors"

	"github.com/uptrace/bun"

	"mailfleet/inventory"
)

// table is one kind's records inside a transaction. Each record it returns is
// the caller's own.
type table[R inventory.Record] struct {
	*tx
	schema[R]
}

func at[R inventory.Record](t *tx, s schema[R]) table[R] { return table[R]{t, s} }

// Get implements inventory.Table.
func (t table[R]) Get(id inventory.ID) (R, error) {
	_, r, err := t.load(id)
	if err != nil || !t.remembers {
		return r, err
	}
	return copied(r), nil
}

// Find implements inventory.Table.
func (t table[R]) Find(name, value string) (R, error) {
	var none R
	f := t.field(name)
	if f == nil || f.index == plain {
		return none, inventory.FieldErrorf(name, "%s cannot be found by %q", t.kind, name)
	}
	found, err := t.row(name, columnText(value))
	if errors.Is(err, sql.ErrNoRows) {
		return none, inventory.Errorf(inventory.NotFound, "there is no %s with %s", t.kind.Noun(), f.show(value))
	}
	if err != nil {
		return none, err
	}
	return t.own(found)
}

// List implements inventory.Table.
func (t table[R]) List(q inventory.Query) (page []R, next string, err error) {
	var found []row
	query, err := t.query(&found, q)
	if err != nil {
		return nil, "", err
	}
	if q.Newest {
		query = query.Order("id DESC")
	} else {
		query = query.Order("id")
	}
	if q.Limit > 0 {
		query = query.Limit(int64(q.Limit) + 1) // one more tells whether there is a next page
	}
	if err := query.Scan(t.ctx); err != nil {
		return nil, "", t.fail(err)
	}
	if q.Limit > 0 && len(found) > q.Limit {
		found = found[:q.Limit]
		next = cursorAfter(found[q.Limit-1].ID)
	}
	page = make([]R, len(found))
	for i, f := range found {
		if page[i], err = t.own(f); err != nil {
			return nil, "", err
		}
	}
	return page, next, nil
}

// Count implements inventory.Table.
func (t table[R]) Count(q inventory.Query) (n int, err error) {
	query, err := t.query((*row)(nil), q)
	if err != nil {
		return 0, err
	}
	err = query.ColumnExpr("count(*)").Scan(t.ctx, &n)
	return n, t.fail(err)
}

// Create implements inventory.Table. Created and Updated are the store's to
// give; an ID of the caller's own must be a UUID in lower case.
func (t table[R]) Create(r R) error {
	if err := t.writable(); err != nil {
		return err
	}
	meta := *r.Base()
	if meta.ID == "" {
		meta.ID = inventory.NewID()
	} else if err := t.newID(meta.ID); err != nil {
		return err
	}
	meta.Version, meta.Created, meta.Updated = t.index+1, t.now, t.now
	return t.put(r, meta, inventory.Created, func(now row) error {
		cols := t.columns(r)
		if err := t.unique(cols, meta.ID); err != nil {
			return err
		}
		cols["id"], cols["version"], cols["doc"], cols["secret"] = now.ID, now.Version, now.Doc, now.Secret
		if _, err := t.db.NewInsert().Model(&cols).TableExpr("?", bun.Ident(t.kind)).Exec(t.ctx); err != nil {
			return t.fail(err)
		}
		return t.link(meta.ID, nil, t.links(r))
	})
}

// Update implements inventory.Table. A record that is as it was is not
// written: its version stays and there is no event.
func (t table[R]) Update(r R) error {
	if err := t.writable(); err != nil {
		return err
	}
	was, old, err := t.load(r.Base().ID)
	if err != nil {
		return err
	}
	meta := *old.Base()
	if have := r.Base().Version; have != meta.Version {
		return inventory.Errorf(inventory.Stale, "the %s %q has changed: it is at version %d, not %d", t.kind.Noun(), meta.ID, meta.Version, have)
	}
	if same, err := unchanged(r, meta, was); err != nil || same {
		return err
	}
	meta.Version, meta.Updated = t.index+1, t.now
	return t.put(r, meta, inventory.Updated, func(now row) error {
		cols, before := t.columns(r), t.columns(old)
		for name, value := range before {
			if cols[name] == value {
				delete(cols, name)
			}
		}
		if err := t.unique(cols, meta.ID); err != nil {
			return err
		}
		cols["version"], cols["doc"], cols["secret"] = now.Version, now.Doc, now.Secret
		if _, err := t.db.NewUpdate().Model(&cols).TableExpr("?", bun.Ident(t.kind)).
			Where("id = ?", meta.ID).Exec(t.ctx); err != nil {
			return t.fail(err)
		}
		return t.link(meta.ID, t.links(old), t.links(r))
	})
}

// Delete implements inventory.Table.
func (t table[R]) Delete(id inventory.ID) error {
	if err := t.writable(); err != nil {
		return err
	}
	if _, _, err := t.load(id); err != nil {
		return err
	}
	if _, err := t.db.NewDelete().Model((*row)(nil)).ModelTableExpr("? AS r", bun.Ident(t.kind)).
		Where("id = ?", id).Exec(t.ctx); err != nil {
		return t.fail(err)
	}
	t.memory.forget(id)
	t.wrote(t.kind, inventory.Deleted, id)
	return nil
}
