package fleet

import (
	"context"
	"time"

	"mailfleet/controller/ops"
	"mailfleet/inventory"
)

// openWindow finds a maintenance window that is open for a server; nil: none
// is. Those of operations are found by the operations that go on, so that all
// the windows of the past cost nothing.
func openWindow(tx inventory.Tx, server inventory.ID, now time.Time) (*inventory.Window, error) {
	planned, _, err := tx.Windows().List(inventory.Query{Where: map[string][]string{"operation": {""}}})
	if err != nil {
		return nil, err
	}
	for _, w := range planned {
		if w.Open(server, now) {
			return w, nil
		}
	}
	list, err := ops.Open(tx)
	if err != nil {
		return nil, err
	}
	for _, op := range list {
		if op.Window == "" {
			continue
		}
		w, err := tx.Windows().Get(op.Window)
		if inventory.Is(err, inventory.NotFound) {
			continue // it has not begun
		}
		if err != nil {
			return nil, err
		}
		if w.Open(server, now) {
			return w, nil
		}
	}
	return nil, nil
}

// mute notes that an alert fired in a maintenance window.
func mute(a *inventory.Alert, w *inventory.Window) {
	a.Window, a.MutedBy = w.ID, w.Reason
	if w.Actor != "" {
		a.MutedBy += " (" + w.Actor + ")"
	}
}

// speak tells of alerts that still fire after the maintenance windows that kept
// them quiet.
func (f *Fleet) speak(ctx context.Context, now time.Time) error {
	var due []inventory.ID
	find := func(tx inventory.Tx) error {
		due = due[:0]
		firing, _, err := tx.Alerts().List(inventory.Query{Where: map[string][]string{"state": {string(inventory.AlertFiring)}}})
		if err != nil {
			return err
		}
		for _, a := range firing {
			if !a.Muted() {
				continue
			}
			window, err := openWindow(tx, a.Server, now)
			if err != nil {
				return err
			}
			if window == nil {
				due = append(due, a.ID)
			}
		}
		return nil
	}
	if err := f.store.View(ctx, find); err != nil || len(due) == 0 {
		return err
	}
	return f.store.Update(ctx, func(tx inventory.Tx) error {
		if err := find(tx); err != nil {
			return err
		}
		for _, id := range due {
			a, err := tx.Alerts().Get(id)
			if err != nil {
				return err
			}
			a.Told = now.UTC()
			if err := tx.Alerts().Update(a); err != nil {
				return err
			}
			if err := tell(tx, a); err != nil {
				return err
			}
		}
		return nil
	})
}
