package fleet

import (
	"context"
	"time"

	"mailfleet/inventory"
)

// openWindow finds a maintenance window that is open for a server; empty: none is.
func openWindow(tx inventory.Tx, server inventory.ID, now time.Time) (inventory.ID, error) {
	windows, _, err := tx.Windows().List(inventory.Query{})
	if err != nil {
		return "", err
	}
	for _, w := range windows {
		if w.Open(server, now) {
			return w.ID, nil
		}
	}
	return "", nil
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
			if a.Window == "" {
				continue
			}
			window, err := openWindow(tx, a.Server, now)
			if err != nil {
				return err
			}
			if window == "" {
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
			a.Window = ""
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
