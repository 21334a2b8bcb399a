package storetest

import (
	"reflect"
	"strings"
	"testing"

	"mailfleet/inventory"
)

// run tests one kind on an empty store.
func (k table[R]) run(t *testing.T, s inventory.Store) {
	one, two := filled[R](1), filled[R](2)
	t.Run("create", func(t *testing.T) { k.create(t, s, one, two) })
	t.Run("select", func(t *testing.T) { k.selects(t, s, one, two) })
	t.Run("update", func(t *testing.T) { k.update(t, s, one) })
	t.Run("unchanged", func(t *testing.T) { k.unchanged(t, s, one) })
	t.Run("stale", func(t *testing.T) { k.stale(t, s, one) })
	t.Run("unique", func(t *testing.T) { k.unique(t, s, one, two) })
	t.Run("delete", func(t *testing.T) { k.remove(t, s, one) })
}

// get reads a record that must be there.
func (k table[R]) get(t *testing.T, s inventory.Store, id inventory.ID) (r R) {
	t.Helper()
	view(t, s, func(tx inventory.Tx) (err error) {
		r, err = k.in(tx).Get(id)
		return err
	})
	return r
}

// create: every field of every record comes back, to each reader its own copy.
func (k table[R]) create(t *testing.T, s inventory.Store, records ...R) {
	for i, r := range records {
		update(t, s, func(tx inventory.Tx) error {
			if err := k.in(tx).Create(r); err != nil {
				return err
			}
			if tx.Index() != r.Base().Version {
				t.Errorf("index %d after creating version %d", tx.Index(), r.Base().Version)
			}
			return nil
		})
		m := *r.Base()
		if id, err := inventory.ParseID(string(m.ID)); err != nil || id.Time().IsZero() {
			t.Errorf("id %q is not a UUIDv7", m.ID)
		}
		if m.Version != uint64(i+1) || m.Created.IsZero() || !m.Created.Equal(m.Updated) {
			t.Errorf("meta %+v of record %d", m, i+1)
		}
		got := k.get(t, s, m.ID)
		wantEqual(t, "record", got, r)
		reflect.ValueOf(got).Elem().SetZero()
		wantEqual(t, "record after its copy was changed", k.get(t, s, m.ID), r)
	}
	events := allEvents(t, s, 0)
	if len(events) != 2 || events[1].Kind != k.name || events[1].Verb != inventory.Created || events[1].ID != records[1].Base().ID {
		t.Errorf("events %+v", events)
	}
}

// selects: each field selects, alone and together; others are invalid.
func (k table[R]) selects(t *testing.T, s inventory.Store, one, two R) {
	view(t, s, func(tx inventory.Tx) error {
		all, next, err := k.in(tx).List(inventory.Query{})
		if err != nil || next != "" {
			t.Errorf("List: next %q, %v", next, err)
		}
		wantEqual(t, "list", all, []R{one, two})
		if newest, _, err := k.in(tx).List(inventory.Query{Newest: true}); err != nil || len(newest) != 2 || newest[0].Base().ID != two.Base().ID {
			t.Errorf("newest first: %v, %v", newest, err)
		}

		fields := map[string]func(R) string{}
		for name, value := range k.where {
			fields[name] = value
			_, err := k.in(tx).Find(name, value(one))
			wantCode(t, err, inventory.Invalid)
		}
		for name, field := range k.find {
			fields[name] = field.value
			found, err := k.in(tx).Find(name, field.value(two))
			if err != nil {
				t.Errorf("Find %s: %v", name, err)
			}
			wantEqual(t, "found by "+name, found, two)
			_, err = k.in(tx).Find(name, "none such")
			wantCode(t, err, inventory.NotFound)
		}
		both := map[string][]string{}
		for name, value := range fields {
			both[name] = []string{value(two)}
			k.wantList(t, tx, inventory.Query{Where: map[string][]string{name: {value(one)}}}, one)
			k.wantList(t, tx, inventory.Query{Where: map[string][]string{name: {value(one), value(two), "other"}}}, one, two)
			k.wantList(t, tx, inventory.Query{Where: map[string][]string{name: {"other"}}})
			k.wantList(t, tx, inventory.Query{Where: map[string][]string{name: {}}})
		}
		k.wantList(t, tx, inventory.Query{Where: both}, two)

		_, _, err = k.in(tx).List(inventory.Query{Where: map[string][]string{"doc": {""}}})
		wantCode(t, err, inventory.Invalid)
		_, err = k.in(tx).Count(inventory.Query{Where: map[string][]string{"no_such_field": {""}}})
		wantCode(t, err, inventory.Invalid)
		_, err = k.in(tx).Find("id", string(one.Base().ID))
		wantCode(t, err, inventory.Invalid)
		return nil
	})
}

func (k table[R]) wantList(t *testing.T, tx inventory.Tx, q inventory.Query, want ...R) {
	t.Helper()
	got, _, err := k.in(tx).List(q)
	if err != nil || len(got) != len(want) {
		t.Errorf("List %q: %d records, %v: want %d", q.Where, len(got), err, len(want))
		return
	}
	for i := range want {
		wantEqual(t, "listed", got[i], want[i])
	}
	if n, err := k.in(tx).Count(q); err != nil || n != len(want) {
		t.Errorf("Count %q: %d, %v: want %d", q.Where, n, err, len(want))
	}
}

// update: every field can change; what was unique is free again.
func (k table[R]) update(t *testing.T, s inventory.Store, one R) {
	before, was := *one.Base(), filled[R](1)
	changed := filled[R](3)
	*changed.Base() = before
	changed.Base().Created = before.Created.AddDate(-1, 0, 0) // not the caller's to set
	update(t, s, func(tx inventory.Tx) error { return k.in(tx).Update(changed) })
	m := *changed.Base()
	if m.ID != before.ID || m.Version <= before.Version || !m.Created.Equal(before.Created) || m.Updated.Before(before.Updated) {
		t.Errorf("meta %+v after %+v", m, before)
	}
	wantEqual(t, "updated record", k.get(t, s, m.ID), changed)
	view(t, s, func(tx inventory.Tx) error {
		for name, field := range k.find {
			_, err := k.in(tx).Find(name, field.value(was))
			wantCode(t, err, inventory.NotFound)
			if _, err := k.in(tx).Find(name, field.value(changed)); err != nil {
				t.Errorf("Find by the new %s: %v", name, err)
			}
		}
		for name, value := range k.where {
			k.wantList(t, tx, inventory.Query{Where: map[string][]string{name: {value(changed)}}}, changed)
		}
		return nil
	})
	reflect.ValueOf(one).Elem().Set(reflect.ValueOf(changed).Elem())
}

// unchanged: an update that changes nothing costs nothing.
func (k table[R]) unchanged(t *testing.T, s inventory.Store, one R) {
	before := index(t, s)
	same := k.get(t, s, one.Base().ID)
	same.Base().Updated = same.Base().Updated.AddDate(1, 0, 0)
	update(t, s, func(tx inventory.Tx) error { return k.in(tx).Update(same) })
	wantEqual(t, "unchanged record", same, one)
	wantEqual(t, "index", index(t, s), before)
	wantEqual(t, "events", allEvents(t, s, before), []inventory.Event{})
}

// stale: only who has seen the newest version may replace it.
func (k table[R]) stale(t *testing.T, s inventory.Store, one R) {
	for _, version := range []uint64{0, one.Base().Version - 1, one.Base().Version + 1} {
		r := filled[R](4)
		*r.Base() = *one.Base()
		r.Base().Version = version
		before := *r.Base()
		err := s.Update(t.Context(), func(tx inventory.Tx) error { return k.in(tx).Update(r) })
		wantCode(t, err, inventory.Stale)
		wantEqual(t, "meta after a stale update", *r.Base(), before)
	}
	wantEqual(t, "record after stale updates", k.get(t, s, one.Base().ID), one)
	gone := filled[R](4)
	gone.Base().ID = inventory.NewID()
	wantCode(t, s.Update(t.Context(), func(tx inventory.Tx) error { return k.in(tx).Update(gone) }), inventory.NotFound)
}

// unique: each unique field alone is in the way of a create and of an update.
func (k table[R]) unique(t *testing.T, s inventory.Store, one, two R) {
	before := index(t, s)
	for name, field := range k.find {
		r := filled[R](5)
		field.take(r, one)
		err := s.Update(t.Context(), func(tx inventory.Tx) error { return k.in(tx).Create(r) })
		wantCode(t, err, inventory.Conflict)
		wantEqual(t, "meta after a conflict", *r.Base(), inventory.Meta{})
		if value := field.value(one); (name == "hash" || name == "idempotency" || name == "key") && strings.Contains(err.Error(), value) {
			t.Errorf("%q shows a secret", err)
		}

		r = k.get(t, s, two.Base().ID)
		field.take(r, one)
		err = s.Update(t.Context(), func(tx inventory.Tx) error { return k.in(tx).Update(r) })
		wantCode(t, err, inventory.Conflict)
		wantEqual(t, "meta after a conflict", *r.Base(), *two.Base())
	}
	r := filled[R](5)
	r.Base().ID = one.Base().ID
	wantCode(t, s.Update(t.Context(), func(tx inventory.Tx) error { return k.in(tx).Create(r) }), inventory.Conflict)
	r.Base().ID = "not-an-id"
	wantCode(t, s.Update(t.Context(), func(tx inventory.Tx) error { return k.in(tx).Create(r) }), inventory.Invalid)
	wantEqual(t, "index after conflicts", index(t, s), before)
}

// remove: what is deleted is gone, and its unique values are free.
func (k table[R]) remove(t *testing.T, s inventory.Store, one R) {
	id, before := one.Base().ID, index(t, s)
	update(t, s, func(tx inventory.Tx) error { return k.in(tx).Delete(id) })
	err := s.View(t.Context(), func(tx inventory.Tx) error {
		_, err := k.in(tx).Get(id)
		return err
	})
	wantCode(t, err, inventory.NotFound)
	wantCode(t, s.Update(t.Context(), func(tx inventory.Tx) error { return k.in(tx).Delete(id) }), inventory.NotFound)
	events := allEvents(t, s, before)
	if len(events) != 1 || events[0].Verb != inventory.Deleted || events[0].ID != id || events[0].Kind != k.name || events[0].Time.IsZero() {
		t.Errorf("events %+v", events)
	}
	update(t, s, func(tx inventory.Tx) error { return k.in(tx).Create(one) }) // with its old ID
	wantEqual(t, "record made again", k.get(t, s, id), one)
}
