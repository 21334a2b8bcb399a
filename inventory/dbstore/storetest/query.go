package storetest

import (
	"fmt"
	"math"
	"testing"
	"time"

	"mailfleet/inventory"
)

// optionalUnique: an empty value is no value, so it is never a duplicate.
func optionalUnique(t *testing.T, open Open) {
	s := open(t, "optional")
	update(t, s, func(tx inventory.Tx) error {
		for range 2 {
			if err := tx.SMS().Create(&inventory.SMS{To: "123"}); err != nil {
				return err
			}
			if err := tx.Operations().Create(&inventory.Operation{Actor: "operator:a"}); err != nil {
				return err
			}
			if err := tx.Services().Create(&inventory.Service{Server: inventory.NewID(), Name: "mailnode"}); err != nil {
				return err
			}
		}
		_, err := tx.SMS().Find("key", "")
		wantCode(t, err, inventory.NotFound)
		_, err = tx.Operations().Find("idempotency", "operator:a\x00")
		wantCode(t, err, inventory.NotFound)
		return nil
	})
}

// operationServers: an operation has many servers, which change with it.
func operationServers(t *testing.T, open Open) {
	s := open(t, "operations")
	op := &inventory.Operation{Targets: []inventory.Target{
		{Server: "a", Service: "x"}, {Server: "a", Service: "y"}, {Server: "b"},
	}}
	other := &inventory.Operation{Targets: []inventory.Target{{Server: "b"}}}
	count := func(servers ...string) (n int) {
		view(t, s, func(tx inventory.Tx) (err error) {
			n, err = tx.Operations().Count(inventory.Query{Where: map[string][]string{"server": servers}})
			return err
		})
		return n
	}
	update(t, s, func(tx inventory.Tx) error {
		if err := tx.Operations().Create(op); err != nil {
			return err
		}
		return tx.Operations().Create(other)
	})
	wantEqual(t, "operations on a", count("a"), 1)
	wantEqual(t, "operations on b", count("b"), 2)
	wantEqual(t, "operations on a or b", count("a", "b"), 2)

	op.Targets = op.Targets[2:]
	op.Targets[0].Server = "c"
	update(t, s, func(tx inventory.Tx) error { return tx.Operations().Update(op) })
	wantEqual(t, "operations on a", count("a"), 0)
	wantEqual(t, "operations on b", count("b"), 1)
	wantEqual(t, "operations on c", count("c"), 1)

	update(t, s, func(tx inventory.Tx) error { return tx.Operations().Delete(op.ID) })
	wantEqual(t, "operations on c", count("c"), 0)
	op.Targets = nil
	update(t, s, func(tx inventory.Tx) error { return tx.Operations().Create(op) })
	wantEqual(t, "operations on c", count("c"), 0)
}

// hostileText: quotes, NULs and wildcards are only text, and distinct.
func hostileText(t *testing.T, open Open) {
	s := open(t, "hostile")
	texts := []string{"a", "A", "a'", `a"`, "a\x00", `a\0`, `a\`, "a%", "a_", "?", "a;--", " a", "a ", "天", "天\u200b"}
	update(t, s, func(tx inventory.Tx) error {
		for _, text := range texts {
			if err := tx.Servers().Create(&inventory.Server{Name: text, Region: text}); err != nil {
				return fmt.Errorf("%q: %w", text, err)
			}
		}
		return nil
	})
	view(t, s, func(tx inventory.Tx) error {
		for _, text := range texts {
			r, err := tx.Servers().Find("name", text)
			if err != nil || r.Name != text {
				t.Errorf("Find %q: %+v, %v", text, r, err)
			}
			page, _, err := tx.Servers().List(inventory.Query{Where: map[string][]string{"region": {text}}})
			if err != nil || len(page) != 1 || page[0].Region != text {
				t.Errorf("List %q: %d, %v", text, len(page), err)
			}
			page, _, err = tx.Servers().List(inventory.Query{Where: map[string][]string{"id": {text, string(r.ID), "?"}}})
			if err != nil || len(page) != 1 || page[0].ID != r.ID {
				t.Errorf("List by id %s: %d, %v", r.ID, len(page), err)
			}
		}
		_, err := tx.Servers().Get("\x00'?")
		wantCode(t, err, inventory.NotFound)
		return nil
	})
}

// unreadable: one record that JSON cannot carry must not spoil every list.
func unreadable(t *testing.T, open Open) {
	s := open(t, "unreadable")
	for _, r := range []*inventory.Rule{
		{Name: "nan", Value: math.NaN()},
		{Name: "negative", For: inventory.Duration(-time.Second)},
	} {
		err := s.Update(t.Context(), func(tx inventory.Tx) error { return tx.Rules().Create(r) })
		wantCode(t, err, inventory.Invalid)
		wantEqual(t, "meta", r.Meta, inventory.Meta{})
	}
	wantEqual(t, "index", index(t, s), uint64(0))
}

// paging: a page goes on after the last record of the one before, whatever
// happened meanwhile.
func paging(t *testing.T, open Open) {
	s := open(t, "paging")
	var made []inventory.ID
	create := func(n int) {
		update(t, s, func(tx inventory.Tx) error {
			for range n {
				r := &inventory.Domain{Name: fmt.Sprintf("d%d.test", len(made))}
				if err := tx.Domains().Create(r); err != nil {
					return err
				}
				made = append(made, r.ID)
			}
			return nil
		})
	}
	create(25)
	read := func(q inventory.Query, between func(page int)) (ids []inventory.ID) {
		for page := 1; ; page++ {
			var found []*inventory.Domain
			view(t, s, func(tx inventory.Tx) (err error) {
				found, q.Cursor, err = tx.Domains().List(q)
				return err
			})
			for _, r := range found {
				ids = append(ids, r.ID)
			}
			if q.Cursor == "" {
				return ids
			}
			wantEqual(t, "page's length", len(found), q.Limit)
			between(page)
		}
	}

	oldest := read(inventory.Query{Limit: 10}, func(page int) {
		create(5)
		if page == 1 { // the page's last record goes away
			update(t, s, func(tx inventory.Tx) error { return tx.Domains().Delete(made[9]) })
		}
	})
	wantEqual(t, "oldest first", oldest, made)

	left := append(append([]inventory.ID{}, made[:9]...), made[10:]...)
	newest := read(inventory.Query{Limit: 17, Newest: true}, func(int) { create(1) })
	if len(newest) != len(left) {
		t.Fatalf("newest first: %d records, want %d", len(newest), len(left))
	}
	for i, id := range newest {
		wantEqual(t, "newest first", id, left[len(left)-1-i])
	}

	exact := read(inventory.Query{Limit: len(made) - 1}, func(int) { t.Error("an exact page has a next one") })
	wantEqual(t, "exact page", len(exact), len(made)-1)
}

// badQueries: what no page can answer is the caller's fault.
func badQueries(t *testing.T, open Open) {
	s := open(t, "queries")
	newServer(t, s, "a")
	view(t, s, func(tx inventory.Tx) error {
		for _, q := range []inventory.Query{
			{Cursor: "x"},
			{Cursor: "!!!"},
			{Cursor: "bm90IGFuIGlk"},
			{Limit: -1},
		} {
			_, _, err := tx.Servers().List(q)
			wantCode(t, err, inventory.Invalid)
		}
		page, next, err := tx.Servers().List(inventory.Query{Limit: math.MaxInt - 1})
		if err != nil || len(page) != 1 || next != "" {
			t.Errorf("a huge limit: %d, %q, %v", len(page), next, err)
		}
		return nil
	})
	_, _, err := s.Events(t.Context(), 0, 0)
	wantCode(t, err, inventory.Invalid)
}
