package ops

import (
	"slices"
	"time"

	"mailfleet/inventory"
)

// openWindow opens the maintenance window an operation is to have, at its first step.
func openWindow(tx inventory.Tx, op *inventory.Operation, now time.Time) error {
	if op.Window == "" {
		return nil
	}
	_, err := tx.Windows().Get(op.Window)
	if !inventory.Is(err, inventory.NotFound) {
		return err
	}
	w := &inventory.Window{
		Meta: inventory.Meta{ID: op.Window}, From: now, Operation: op.ID, Reason: op.Reason, Actor: op.Actor,
	}
	if w.Reason == "" {
		w.Reason = string(op.Kind)
	}
	for _, t := range op.Targets {
		w.Servers = append(w.Servers, t.Server)
	}
	slices.Sort(w.Servers)
	w.Servers = slices.Compact(w.Servers)
	return tx.Windows().Create(w)
}

// closeWindow closes an operation's window, if it is open.
func closeWindow(tx inventory.Tx, op *inventory.Operation, now time.Time) error {
	if op.Window == "" {
		return nil
	}
	w, err := tx.Windows().Get(op.Window)
	if inventory.Is(err, inventory.NotFound) {
		return nil // it never began
	}
	if err != nil || !w.Closed.IsZero() {
		return err
	}
	w.Closed = now
	return tx.Windows().Update(w)
}
