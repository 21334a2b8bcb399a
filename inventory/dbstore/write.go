package dbstore

import (
	"database/sql"
	"errors"
	"slices"

	"github.com/uptrace/bun"

	"mailfleet/inventory"
)

// writable tells whether the transaction takes another change.
func (t *tx) writable() error {
	if err := t.ready(); err != nil {
		return err
	}
	if !t.writes {
		return inventory.Errorf(inventory.Internal, "a View cannot change anything")
	}
	return nil
}

// put gives r its new Meta, writes it and records the change. When that fails,
// or is taken back later, r has its old Meta again.
func (t table[R]) put(r R, meta inventory.Meta, verb inventory.Verb, write func(row) error) error {
	before := *r.Base()
	*r.Base() = meta
	if t.seal != nil {
		t.seal(r)
	}
	now, err := encode(r)
	if err == nil {
		err = t.readable(now)
	}
	if err == nil {
		err = write(now)
	}
	if err != nil {
		*r.Base() = before
		return err
	}
	t.undos = append(t.undos, func() { *r.Base() = before })
	t.wrote(t.kind, verb, meta.ID)
	return nil
}

// readable makes sure that a row can be read back: one that cannot would spoil
// every list. As it was read back it is remembered.
func (t table[R]) readable(now row) error {
	r, err := decode[R](now)
	if err != nil {
		return inventory.Wrap(inventory.Invalid, err, "the record could not be read back")
	}
	if t.remembers {
		t.memory.remember(now, r)
	}
	return nil
}

// unchanged tells whether r is what the row holds, but for what Meta says; r
// then gets the row's Meta.
func unchanged[R inventory.Record](r R, meta inventory.Meta, was row) (bool, error) {
	before := *r.Base()
	*r.Base() = meta
	now, err := encode(r)
	if err != nil || now.Doc != was.Doc || now.Secret != was.Secret {
		*r.Base() = before
		return false, err
	}
	return true, nil
}

// newID checks an ID that the caller gives to a new record.
func (t table[R]) newID(id inventory.ID) error {
	if parsed, err := inventory.ParseID(string(id)); err != nil || parsed != id {
		return inventory.FieldErrorf("id", "%q is not an id in lower case", id)
	}
	_, err := t.row("id", string(id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return inventory.Errorf(inventory.Conflict, "there is a %s %q already", t.kind.Noun(), id)
}

// unique checks that no record but id has one of the unique values. Nobody
// else writes meanwhile, and an error of the database's own would end the
// transaction in PostgreSQL.
func (t table[R]) unique(cols map[string]any, id inventory.ID) error {
	for _, f := range t.fields {
		value, ok := cols[f.name].(string)
		if f.index == plain || !ok {
			continue
		}
		taken, err := t.rows((*row)(nil)).Where("? = ?", bun.Ident(f.name), value).Where("id <> ?", id).Exists(t.ctx)
		if err != nil {
			return t.fail(err)
		}
		if taken {
			e := inventory.Errorf(inventory.Conflict, "there is a %s with %s already", t.kind.Noun(), f.show(value))
			e.Field = f.name
			return e
		}
	}
	return nil
}

// linkRow is one value of a field that has many.
type linkRow struct {
	Record inventory.ID
	Value  string
}

func (s schema[R]) linkTable() bun.Ident { return bun.Ident(string(s.kind) + "_" + s.many.name) }

// links are the values of the field that has many, each once.
func (s schema[R]) links(r R) []string {
	if s.many == nil {
		return nil
	}
	values := s.many.values(r)
	for i, value := range values {
		values[i] = columnText(value)
	}
	slices.Sort(values)
	return slices.Compact(values)
}

// link replaces the links of a record. Delete needs none: they go with it.
func (t table[R]) link(id inventory.ID, before, now []string) error {
	if slices.Equal(before, now) {
		return nil
	}
	if len(before) > 0 {
		if _, err := t.db.NewDelete().Model((*linkRow)(nil)).ModelTableExpr("?", t.linkTable()).
			Where("record = ?", id).Exec(t.ctx); err != nil {
			return t.fail(err)
		}
	}
	if len(now) == 0 {
		return nil
	}
	rows := make([]linkRow, len(now))
	for i, value := range now {
		rows[i] = linkRow{id, value}
	}
	_, err := t.db.NewInsert().Model(&rows).ModelTableExpr("?", t.linkTable()).Exec(t.ctx)
	return t.fail(err)
}
