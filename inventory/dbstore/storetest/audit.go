package storetest

import (
	"testing"

	"mailfleet/inventory"
)

// auditChain: entries are numbered and each is bound to the one before.
func auditChain(t *testing.T, open Open) {
	s := open(t, "audit")
	verify := func(want int) {
		t.Helper()
		view(t, s, func(tx inventory.Tx) error {
			n, err := tx.Audit().Verify()
			wantEqual(t, "entries", n, want)
			return err
		})
	}
	verify(0)
	one, two := filled[*inventory.AuditEntry](1), filled[*inventory.AuditEntry](2)
	hostile := &inventory.AuditEntry{Actor: "token:\xff\x00", Target: "\xc3\x28", Action: "signin.failed"}
	update(t, s, func(tx inventory.Tx) error { return tx.Audit().Append(one) })
	update(t, s, func(tx inventory.Tx) error {
		if err := tx.Audit().Append(two); err != nil {
			return err
		}
		if n, err := tx.Audit().Verify(); err != nil || n != 2 {
			t.Errorf("Verify inside: %d, %v", n, err)
		}
		return tx.Audit().Append(hostile)
	})
	verify(3)

	view(t, s, func(tx inventory.Tx) error {
		page, _, err := tx.Audit().List(inventory.Query{})
		wantEqual(t, "entries", page, []*inventory.AuditEntry{one, two, hostile})
		newest, next, err2 := tx.Audit().List(inventory.Query{Limit: 1, Newest: true})
		wantEqual(t, "newest entry", newest, []*inventory.AuditEntry{hostile})
		if err != nil || err2 != nil || next == "" {
			t.Errorf("List: next %q, %v, %v", next, err, err2)
		}
		for name, value := range map[string]string{
			"actor": two.Actor, "action": two.Action, "resource": two.Resource, "target": two.Target,
		} {
			found, _, err := tx.Audit().List(inventory.Query{Where: map[string][]string{name: {value}}})
			if err != nil {
				t.Error(err)
			}
			wantEqual(t, "entries by "+name, found, []*inventory.AuditEntry{two})
		}
		_, _, err = tx.Audit().List(inventory.Query{Where: map[string][]string{"reason": {"x"}}})
		wantCode(t, err, inventory.Invalid)
		return nil
	})
	previous := ""
	for i, e := range []*inventory.AuditEntry{one, two, hostile} {
		if e.Seq != uint64(i+1) || e.Previous != previous || len(e.Hash) != 64 {
			t.Errorf("entry %d: seq %d, previous %q, hash %q", i+1, e.Seq, e.Previous, e.Hash)
		}
		previous = e.Hash
	}
}

// auditRollback: what did not happen is not in the log.
func auditRollback(t *testing.T, open Open) {
	s := open(t, "auditrollback")
	for i := range 3 {
		update(t, s, func(tx inventory.Tx) error { return tx.Audit().Append(&inventory.AuditEntry{Actor: "controller"}) })
		e := &inventory.AuditEntry{Actor: "controller"}
		wantCode(t, s.Update(t.Context(), func(tx inventory.Tx) error {
			if err := tx.Audit().Append(e); err != nil || e.Seq != uint64(i+2) {
				t.Errorf("seq %d, %v", e.Seq, err)
			}
			return inventory.Errorf(inventory.Forbidden, "no")
		}), inventory.Forbidden)
	}
	view(t, s, func(tx inventory.Tx) error {
		n, err := tx.Audit().Verify()
		wantEqual(t, "entries", n, 3)
		return err
	})
}
