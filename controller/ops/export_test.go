package ops

import (
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

func (w *world) export() *inventory.Operation {
	w.t.Helper()
	op, err := w.ops.Create(w.t.Context(), alice, "", api.NewOperation{
		Kind: inventory.OpQueueExport, Targets: []api.NewTarget{{Server: "mail1"}, {Server: "mail2"}}, Params: api.NewParams{Queue: &inventory.QueueOrder{}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return op
}

func TestAnExportIsNoAgentsBusinessAndIsFetchedOnce(t *testing.T) {
	w := newWorld(t)
	op := w.export()
	w.update(func(tx inventory.Tx) error { return Deliver(tx, just(w.mail1), time.Now()) })
	if op = w.get(op.ID); op.State != inventory.OpQueued || len(ordersOf(op)) != 0 || len(Undelivered(op)) != 0 {
		t.Fatalf("an agent was told of %+v", op)
	}
	if _, err := w.ops.BeginExport(t.Context(), alice, op.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ops.BeginExport(t.Context(), alice, op.ID); !inventory.Is(err, inventory.Conflict) {
		t.Errorf("it began twice: %v", err)
	}
	for server, state := range map[inventory.ID]inventory.OperationState{w.mail1: inventory.OpSucceeded, w.mail2: inventory.OpRunning} {
		if going, err := w.ops.TellExport(t.Context(), op.ID, server, state, inventory.Say("so far")); !going || err != nil {
			t.Errorf("got %v, %v", going, err)
		}
	}
	if op, err := w.ops.Cancel(t.Context(), alice, op.ID); err != nil || op.State != inventory.OpCancelled || op.Steps[0].State != inventory.OpSucceeded {
		t.Errorf("got %+v, %v", op, err)
	}
	if going, err := w.ops.TellExport(t.Context(), op.ID, w.mail2, inventory.OpSucceeded, inventory.Say("all")); going || err != nil || w.get(op.ID).State != inventory.OpCancelled {
		t.Errorf("a cancelled export went on: %v, %v", going, err)
	}
	reload, err := w.ops.Create(t.Context(), alice, "", api.NewOperation{Kind: inventory.OpServiceReload, Targets: []api.NewTarget{{Server: "mail1", Service: "mailnode"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.ops.BeginExport(t.Context(), alice, reload.ID); !inventory.Is(err, inventory.Conflict) {
		t.Errorf("a reload was exported: %v", err)
	}
}

func TestAnExportNobodyFetchesOrHandsOutEnds(t *testing.T) {
	w := newWorld(t)
	waits, begun := w.export(), w.export()
	if _, err := w.ops.BeginExport(t.Context(), alice, begun.ID); err != nil {
		t.Fatal(err)
	}
	w.look(time.Now().Add(exportSilence / 2))
	if a, b := w.get(waits.ID).State, w.get(begun.ID).State; a != inventory.OpQueued || b != inventory.OpRunning {
		t.Errorf("too early: %s, %s", a, b)
	}
	w.look(time.Now().Add(exportSilence + time.Second))
	if got := w.get(begun.ID); got.State != inventory.OpFailed || got.Steps[1].Message != "the controller that handed it out has stopped" {
		t.Errorf("got %+v", got)
	}
	w.look(time.Now().Add(defaultExpiry + time.Minute))
	if got := w.get(waits.ID); got.State != inventory.OpExpired {
		t.Errorf("got %+v", got)
	}
	if _, err := w.ops.BeginExport(t.Context(), alice, waits.ID); !inventory.Is(err, inventory.Conflict) {
		t.Errorf("an expired export began: %v", err)
	}
}
