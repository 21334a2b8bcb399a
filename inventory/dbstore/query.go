package dbstore

import (
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"mailfleet/inventory"
)

// load reads a record, which must not be changed, and its row; NotFound.
func (t table[R]) load(id inventory.ID) (found row, r R, err error) {
	found, err = t.row("id", columnText(string(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return row{}, r, inventory.Errorf(inventory.NotFound, "there is no %s %q", t.kind.Noun(), id)
	}
	if err != nil {
		return row{}, r, err
	}
	r, err = t.shared(found)
	return found, r, err
}

// row reads the one row whose column has the value; sql.ErrNoRows.
func (t table[R]) row(column, value string) (found row, err error) {
	if err := t.ready(); err != nil {
		return row{}, err
	}
	err = t.rows(&found).Where("? = ?", bun.Ident(column), value).Scan(t.ctx)
	return found, t.fail(err)
}

// rows selects from the table into dest.
func (t table[R]) rows(dest any) *bun.SelectQuery {
	return t.db.NewSelect().Model(dest).ModelTableExpr("? AS r", bun.Ident(t.kind))
}

// query selects the rows q asks for, in no order and without limit.
func (t table[R]) query(dest any, q inventory.Query) (*bun.SelectQuery, error) {
	if err := t.ready(); err != nil {
		return nil, err
	}
	if q.Limit < 0 {
		return nil, inventory.FieldErrorf("limit", "limit %d must not be negative", q.Limit)
	}
	query := t.rows(dest)
	for name, values := range q.Where {
		texts := make([]string, len(values))
		for i, value := range values {
			texts[i] = columnText(value)
		}
		switch {
		case t.many != nil && t.many.name == name:
			query = query.Where("id IN (?)", t.db.NewSelect().TableExpr("?", t.linkTable()).
				Column("record").Where("value IN (?)", bun.List(texts)))
		case t.field(name) != nil || name == "id":
			query = query.Where("? IN (?)", bun.Ident(name), bun.List(texts))
		default:
			return nil, inventory.FieldErrorf(name, "%s cannot be selected by %q", t.kind, name)
		}
	}
	if q.Cursor != "" {
		after, err := parseCursor(q.Cursor)
		if err != nil {
			return nil, err
		}
		if q.Newest {
			query = query.Where("id < ?", after)
		} else {
			query = query.Where("id > ?", after)
		}
	}
	return query, nil
}

// field returns the field of that name, nil when there is none.
func (s schema[R]) field(name string) *field[R] {
	i := slices.IndexFunc(s.fields, func(f field[R]) bool { return f.name == name })
	if i < 0 {
		return nil
	}
	return &s.fields[i]
}

// show words a value of the field for a message.
func (f field[R]) show(value string) string {
	if f.index == secret {
		return "that " + f.name
	}
	return fmt.Sprintf("%s %q", f.name, value)
}

// cursorAfter makes the cursor of the page that begins after id.
func cursorAfter(id inventory.ID) string { return base64.RawURLEncoding.EncodeToString([]byte(id)) }

func parseCursor(cursor string) (inventory.ID, error) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		if id, err := inventory.ParseID(string(text)); err == nil {
			return id, nil
		}
	}
	return "", inventory.FieldErrorf("cursor", "the cursor is not one that a page has given")
}
