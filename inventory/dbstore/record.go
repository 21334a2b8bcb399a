package dbstore

import (
	"encoding/json"
	"reflect"
	"strings"

	"github.com/uptrace/bun"

	"mailfleet/inventory"
)

// row is what every table has besides its indexed columns.
type row struct {
	bun.BaseModel `bun:"alias:r"`

	ID      inventory.ID
	Version uint64
	Doc     string // the record's JSON
	Secret  string // JSON of the fields its JSON leaves out, by Go name; empty when there are none
}

// encode makes the row of a record.
func encode[R inventory.Record](r R) (row, error) {
	doc, err := json.Marshal(r)
	if err != nil {
		return row{}, inventory.Wrap(inventory.Invalid, err, "the record cannot be kept")
	}
	out := row{ID: r.Base().ID, Version: r.Base().Version, Doc: string(doc)}
	if fields := hidden(r); len(fields) > 0 {
		secret, err := json.Marshal(fields)
		if err != nil {
			return row{}, inventory.Wrap(inventory.Invalid, err, "the record cannot be kept")
		}
		out.Secret = string(secret)
	}
	return out, nil
}

// decode makes a fresh record from its row.
func decode[R inventory.Record](from row) (R, error) {
	r := reflect.New(reflect.TypeFor[R]().Elem()).Interface().(R)
	if err := json.Unmarshal([]byte(from.Doc), r); err != nil {
		return r, damaged(from, err)
	}
	if from.Secret != "" {
		if err := fill(hidden(r), from.Secret); err != nil {
			return r, damaged(from, err)
		}
	}
	return r, nil
}

func damaged(from row, err error) error {
	return inventory.Wrap(inventory.Internal, err, "the database's record %s is damaged", from.ID)
}

// hidden returns pointers to the fields that r's JSON leaves out, by name.
func hidden(r any) map[string]any {
	fields := map[string]any{}
	v := reflect.ValueOf(r).Elem()
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.Tag.Get("json") == "-" {
			fields[f.Name] = v.Field(i).Addr().Interface()
		}
	}
	return fields
}

// fill sets what the pointers point to from a JSON object.
func fill(fields map[string]any, object string) error {
	var values map[string]json.RawMessage
	if err := json.Unmarshal([]byte(object), &values); err != nil {
		return err
	}
	for name, p := range fields {
		if value, ok := values[name]; ok {
			if err := json.Unmarshal(value, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// columnText is a value as its column holds it: no database takes a NUL.
var columnText = strings.NewReplacer(`\`, `\\`, "\x00", `\0`).Replace

// columns are the indexed columns of r and their values. An empty unique value
// is NULL, which no database holds to be a duplicate.
func (s schema[R]) columns(r R) map[string]any {
	cols := map[string]any{}
	for _, f := range s.fields {
		value := f.value(r)
		if value == "" && f.index != plain {
			cols[f.name] = nil
		} else {
			cols[f.name] = columnText(value)
		}
	}
	return cols
}
