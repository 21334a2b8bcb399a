package ops

import (
	"context"
	"time"

	"mailfleet/inventory"
)

const (
	// ExportBeat is how often whoever hands an export out tells how far it is, at least.
	ExportBeat = 15 * time.Second
	// exportSilence is how long after the last word it counts as given up.
	exportSilence = 4 * ExportBeat
)

// BeginExport makes an export the caller's to hand out. Conflict when it is not one that
// waits to be fetched: each is handed out once.
func (o *Ops) BeginExport(ctx context.Context, actor inventory.Actor, id inventory.ID) (op *inventory.Operation, err error) {
	err = o.change(ctx, actor, id, "queue.export", func(_ inventory.Tx, got *inventory.Operation, now time.Time) error {
		op = got
		switch {
		case op.Kind != inventory.OpQueueExport:
			return inventory.Errorf(inventory.Conflict, "operation %s is %s and hands nothing out", id, op.Kind)
		case op.Approval != nil && op.Approval.By == "":
			return inventory.Errorf(inventory.Conflict, "operation %s waits for the consent of a second person", id)
		case op.State != inventory.OpQueued:
			return inventory.Errorf(inventory.Conflict, "operation %s is %s: an export is fetched once; ask for another one", id, op.State)
		case now.After(op.Expires):
			return inventory.Errorf(inventory.Conflict, "operation %s was not fetched in time: ask for another one", id)
		}
		for i := range op.Steps {
			s := &op.Steps[i]
			if s.Turn.IsZero() {
				s.Turn = now
			}
			s.State, s.Started = inventory.OpRunning, now
			tell(s, inventory.Sentence{})
		}
		return nil
	})
	return op, err
}

// TellExport keeps how far the export of a server is, or how it ended; without a message
// that it goes on. going is false when it was cancelled meanwhile.
func (o *Ops) TellExport(ctx context.Context, id, server inventory.ID, state inventory.OperationState, message inventory.Sentence) (going bool, err error) {
	err = o.Store.Update(ctx, func(tx inventory.Tx) error {
		going = false
		op, err := tx.Operations().Get(id)
		if err != nil {
			return err
		}
		now := time.Now().UTC()
		for i := range op.Steps {
			if s := &op.Steps[i]; s.Target.Server == server && s.State == inventory.OpRunning {
				going = true
				said := message
				if said.None() {
					said = told(s)
				}
				end(s, state, bounded(said.String(), &said), now)
			}
		}
		if !going {
			return nil
		}
		return save(tx, op, now)
	})
	return going, err
}
