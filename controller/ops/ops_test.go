package ops

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
	"mailfleet/inventory/dbstore"
)

var alice = inventory.Actor{Name: "operator:alice", Address: "127.0.0.1"}

// world is a store with two servers that have a mailnode each.
type world struct {
	t     *testing.T
	store inventory.Store
	ops   *Ops
	mail1 inventory.ID
	mail2 inventory.ID
}

func newWorld(t *testing.T) *world {
	t.Helper()
	store, err := dbstore.Open(t.Context(), dbstore.Options{Path: filepath.Join(t.TempDir(), "db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	w := &world{t: t, store: store, ops: New(Options{Store: store, Log: slog.New(slog.DiscardHandler)})}
	w.update(func(tx inventory.Tx) error {
		for name, id := range map[string]*inventory.ID{"mail1": &w.mail1, "mail2": &w.mail2} {
			s := &inventory.Server{Name: name, State: inventory.ServerUp, Address: "127.0.0.1"}
			if err := tx.Servers().Create(s); err != nil {
				return err
			}
			*id = s.ID
			if err := tx.Services().Create(&inventory.Service{Server: s.ID, Name: "mailnode", Kind: inventory.KindMailnode, Want: inventory.WantRunning}); err != nil {
				return err
			}
		}
		return nil
	})
	return w
}

func (w *world) update(fn func(inventory.Tx) error) {
	w.t.Helper()
	if err := w.store.Update(context.Background(), fn); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) get(id inventory.ID) (op *inventory.Operation) {
	w.t.Helper()
	if err := w.store.View(context.Background(), func(tx inventory.Tx) (err error) { op, err = tx.Operations().Get(id); return err }); err != nil {
		w.t.Fatal(err)
	}
	return op
}

func (w *world) want(server inventory.ID) (want inventory.Want) {
	w.t.Helper()
	w.update(func(tx inventory.Tx) error {
		s, err := tx.Services().Find("server/name", string(server)+"/mailnode")
		want = s.Want
		return err
	})
	return want
}

// look carries operations on at a moment.
func (w *world) look(now time.Time) {
	w.t.Helper()
	if _, _, err := w.ops.lookOnce(context.Background(), now.UTC()); err != nil {
		w.t.Fatal(err)
	}
}

func just(server inventory.ID) map[inventory.ID]bool { return map[inventory.ID]bool{server: true} }

func reports(server inventory.ID, r ...api.StepReport) map[inventory.ID]Told {
	return map[inventory.ID]Told{server: {Steps: r}}
}

func ordersOf(op *inventory.Operation) map[inventory.ID][]api.Order {
	return Orders(op, func(id inventory.ID) string { return string(id) }, func(inventory.ID) *inventory.Power { return nil })
}

func request(kind inventory.OperationKind, servers ...string) api.NewOperation {
	req := api.NewOperation{Kind: kind, Reason: "because"}
	for _, s := range servers {
		req.Targets = append(req.Targets, api.NewTarget{Server: s, Service: "mailnode"})
	}
	return req
}

func (w *world) create(req api.NewOperation) *inventory.Operation {
	w.t.Helper()
	op, err := w.ops.Create(w.t.Context(), alice, "", req)
	if err != nil {
		w.t.Fatal(err)
	}
	return op
}

func TestWrongRequestsAreRefusedByField(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		req   api.NewOperation
		field string
	}{
		{api.NewOperation{Kind: "service.fly", Targets: request("", "mail1").Targets}, "kind"},
		{api.NewOperation{Kind: inventory.OpServiceStop}, "targets"},
		{request(inventory.OpServiceStop, "mail9"), "targets[0].server"},
		{api.NewOperation{Kind: inventory.OpServiceStop, Targets: []api.NewTarget{{Server: "mail1", Service: "x"}}}, "targets[0].service"},
		{api.NewOperation{Kind: inventory.OpServiceStop, Targets: []api.NewTarget{{Server: "mail1"}}}, "targets[0].service"},
		{request(inventory.OpServiceStop, "mail1", string(w.mail1)), "targets[1]"},
		{api.NewOperation{Kind: inventory.OpServiceStop, Targets: request("", "mail1").Targets, Expires: inventory.Duration(48 * time.Hour)}, "expires"},
	} {
		_, err := w.ops.Create(t.Context(), alice, "", c.req)
		e, ok := err.(*inventory.Error)
		if !ok || e.Code != inventory.Invalid || e.Field != c.field {
			t.Errorf("%+v: %v, want a complaint about %s", c.req, err, c.field)
		}
	}
}

func TestAKeyMakesOneOperationPerActor(t *testing.T) {
	w := newWorld(t)
	first, err := w.ops.Create(t.Context(), alice, "k", request(inventory.OpServiceStop, "mail1"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.ops.Create(t.Context(), alice, "k", request(inventory.OpServiceStop, "mail1"))
	if err != nil || again.ID != first.ID {
		t.Errorf("the same again: %v %v", again, err)
	}
	if _, err := w.ops.Create(t.Context(), alice, "k", request(inventory.OpServiceStop, "mail2")); !inventory.Is(err, inventory.Conflict) {
		t.Errorf("another request with the key: %v", err)
	}
	bob := inventory.Actor{Name: "operator:bob"}
	if other, err := w.ops.Create(t.Context(), bob, "k", request(inventory.OpServiceStop, "mail2")); err != nil || other.ID == first.ID {
		t.Errorf("the key of somebody else: %v", err)
	}
}

func TestAStepMovesForwardOnlyAndWantFollowsDelivery(t *testing.T) {
	w := newWorld(t)
	op := w.create(request(inventory.OpServiceStop, "mail1", "mail2"))
	if w.want(w.mail1) != inventory.WantRunning {
		t.Error("the wanted state changed before anybody was told")
	}
	now := time.Now()
	w.update(func(tx inventory.Tx) error { return Deliver(tx, just(w.mail1), now) })
	got := w.get(op.ID)
	if got.Steps[0].State != inventory.OpDelivered || got.Steps[1].State != inventory.OpQueued || got.State != inventory.OpDelivered {
		t.Errorf("after delivery to mail1: %+v", got)
	}
	if w.want(w.mail1) != inventory.WantStopped || w.want(w.mail2) != inventory.WantRunning {
		t.Error("delivery makes the step's aim what is wanted, of its own service only")
	}
	tell := func(server inventory.ID, step int, state inventory.OperationState) inventory.OperationState {
		w.update(func(tx inventory.Tx) error {
			return Apply(tx, reports(server, api.StepReport{ID: op.Steps[step].ID, State: state, Started: now}), now)
		})
		return w.get(op.ID).Steps[step].State
	}
	for _, c := range []struct {
		server      inventory.ID
		step        int
		state, want inventory.OperationState
	}{
		{w.mail1, 0, inventory.OpRunning, inventory.OpRunning},
		{w.mail2, 0, inventory.OpFailed, inventory.OpRunning}, // not its step
		{w.mail1, 0, inventory.OpUnknown, inventory.OpUnknown},
		{w.mail1, 0, inventory.OpQueued, inventory.OpUnknown},
		{w.mail1, 0, inventory.OpSucceeded, inventory.OpSucceeded},
		{w.mail1, 0, inventory.OpFailed, inventory.OpSucceeded}, // nothing leaves a final state
	} {
		if got := tell(c.server, c.step, c.state); got != c.want {
			t.Errorf("told %s the step is %s, want %s", c.state, got, c.want)
		}
	}
	if got := w.get(op.ID); got.State != inventory.OpQueued || !got.Ended.IsZero() {
		t.Errorf("one step is open, yet the operation is %s", got.State)
	}
}

func TestTimeMakesStepsExpiredOrUnknownNeverDone(t *testing.T) {
	w := newWorld(t)
	op := w.create(request(inventory.OpServiceStop, "mail1", "mail2"))
	w.update(func(tx inventory.Tx) error { return Deliver(tx, just(w.mail1), time.Now()) })
	w.look(op.Expires.Add(time.Second))
	got := w.get(op.ID)
	if got.Steps[0].State != inventory.OpDelivered || got.Steps[1].State != inventory.OpExpired {
		t.Errorf("just after the expiry: %s, %s", got.Steps[0].State, got.Steps[1].State)
	}
	w.look(op.Expires.Add(silence + time.Second))
	if got := w.get(op.ID); got.Steps[0].State != inventory.OpUnknown || got.State != inventory.OpUnknown {
		t.Errorf("long after: step %s, operation %s", got.Steps[0].State, got.State)
	}
	if orders := ordersOf(w.get(op.ID)); len(orders[w.mail1]) != 1 || len(orders[w.mail2]) != 0 {
		t.Errorf("an unknown step must go on being asked about, an expired one not: %v", orders)
	}
	w.update(func(tx inventory.Tx) error {
		return Apply(tx, reports(w.mail1, api.StepReport{ID: op.Steps[0].ID, State: inventory.OpSucceeded}), time.Now())
	})
	if got := w.get(op.ID); got.Steps[0].State != inventory.OpSucceeded || got.State != inventory.OpExpired || got.Ended.IsZero() {
		t.Errorf("after the agent told: step %s, operation %s", got.Steps[0].State, got.State)
	}
}

func TestWhatADownServerHadInHandIsUnknown(t *testing.T) {
	w := newWorld(t)
	op := w.create(request(inventory.OpServiceRestart, "mail1"))
	w.update(func(tx inventory.Tx) error {
		if err := Deliver(tx, just(w.mail1), time.Now()); err != nil {
			return err
		}
		s, err := tx.Servers().Get(w.mail1)
		if err != nil {
			return err
		}
		s.State = inventory.ServerDown
		return tx.Servers().Update(s)
	})
	w.look(time.Now())
	if got := w.get(op.ID); got.State != inventory.OpUnknown {
		t.Errorf("the operation is %s", got.State)
	}
}

func TestWhileAgentsAreAtWorkTheFleetIsLookedAtNowAndThen(t *testing.T) {
	w := newWorld(t)
	op := w.create(request(inventory.OpServiceRestart, "mail1"))
	now := time.Now()
	w.update(func(tx inventory.Tx) error { return Deliver(tx, just(w.mail1), now) })
	w.look(now)
	w.update(func(tx inventory.Tx) error {
		s, err := tx.Servers().Get(w.mail1)
		if err != nil {
			return err
		}
		s.State = inventory.ServerDown
		return tx.Servers().Update(s)
	})
	for _, c := range []struct {
		after time.Duration
		want  inventory.OperationState
	}{{lookEvery - 1, inventory.OpDelivered}, {lookEvery, inventory.OpUnknown}} {
		if w.look(now.Add(c.after)); w.get(op.ID).State != c.want {
			t.Errorf("%s after a look the operation is %s, want %s", c.after, w.get(op.ID).State, c.want)
		}
	}
}

func TestOnlyWhatWasNotDeliveredCanBeCancelled(t *testing.T) {
	w := newWorld(t)
	op := w.create(request(inventory.OpServiceStop, "mail1", "mail2"))
	w.update(func(tx inventory.Tx) error { return Deliver(tx, just(w.mail1), time.Now()) })
	got, err := w.ops.Cancel(t.Context(), alice, op.ID)
	if err != nil || got.Steps[0].State != inventory.OpDelivered || got.Steps[1].State != inventory.OpCancelled {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := w.ops.Cancel(t.Context(), alice, op.ID); !inventory.Is(err, inventory.Conflict) {
		t.Errorf("cancelled twice: %v", err)
	}
	w.update(func(tx inventory.Tx) error { return Deliver(tx, just(w.mail2), time.Now()) })
	if w.want(w.mail2) != inventory.WantRunning {
		t.Error("a cancelled step changed what is wanted")
	}
}
