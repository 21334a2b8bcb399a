package ops

import (
	"context"
	"strings"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// open are the states in which an operation still concerns agents.
var open = []string{
	string(inventory.OpQueued), string(inventory.OpDelivered), string(inventory.OpRunning), string(inventory.OpUnknown),
}

// Open returns every operation that has not ended, oldest first.
func Open(tx inventory.Tx) ([]*inventory.Operation, error) {
	list, _, err := tx.Operations().List(inventory.Query{Where: map[string][]string{"state": open}})
	return list, err
}

func openFor(tx inventory.Tx, server inventory.ID) ([]*inventory.Operation, error) {
	list, _, err := tx.Operations().List(inventory.Query{Where: map[string][]string{"state": open, "server": {string(server)}}})
	return list, err
}

// Orders are an operation's steps that agents must be told of, by server. An
// unknown step is among them: its agent's journal resolves it.
func Orders(op *inventory.Operation) map[inventory.ID][]api.Order {
	out := make(map[inventory.ID][]api.Order)
	for _, s := range op.Steps {
		if s.State.Final() {
			continue
		}
		out[s.Target.Server] = append(out[s.Target.Server], api.Order{
			ID: s.ID, Operation: op.ID, Kind: op.Kind, Service: s.Target.Service, Expires: op.Expires,
		})
	}
	return out
}

// Deliver marks the server's queued steps as delivered, to be called before
// they are handed to its agent, and makes what they want of services the wanted
// state. From here on a silent step is unknown; before, it was certainly not done.
func Deliver(tx inventory.Tx, server inventory.ID, now time.Time) error {
	list, err := openFor(tx, server)
	if err != nil {
		return err
	}
	for _, op := range list {
		changed := false
		for i := range op.Steps {
			s := &op.Steps[i]
			if s.Target.Server != server || s.State != inventory.OpQueued || now.After(op.Expires) {
				continue
			}
			s.State, changed = inventory.OpDelivered, true
			if err := want(tx, op.Kind, s.Target); err != nil {
				return err
			}
		}
		if changed {
			if err := save(tx, op, now.UTC()); err != nil {
				return err
			}
		}
	}
	return nil
}

// want makes a step's aim the service's wanted state.
func want(tx inventory.Tx, kind inventory.OperationKind, t inventory.Target) error {
	service, err := tx.Services().Find("server/name", string(t.Server)+"/"+t.Service)
	if inventory.Is(err, inventory.NotFound) {
		return nil // removed since: the agent will say so
	}
	if err != nil {
		return err
	}
	service.Want = inventory.WantRunning
	if kind == inventory.OpServiceStop {
		service.Want = inventory.WantStopped
	}
	return tx.Services().Update(service)
}

// Apply takes what a server's agent tells of its steps. Steps only move
// forward; telling the same again changes nothing.
func Apply(tx inventory.Tx, server inventory.ID, reports []api.StepReport, now time.Time) error {
	if len(reports) == 0 {
		return nil
	}
	told := make(map[inventory.ID]api.StepReport, len(reports))
	for _, r := range reports {
		told[r.ID] = r
	}
	list, err := openFor(tx, server)
	if err != nil {
		return err
	}
	for _, op := range list {
		changed := false
		for i := range op.Steps {
			s := &op.Steps[i]
			r, ok := told[s.ID]
			if !ok || s.Target.Server != server || !forward(s.State, r.State) {
				continue
			}
			s.State, s.Message, s.Started, s.Ended = r.State, clip(r.Message), r.Started.UTC(), r.Ended.UTC()
			if s.State.Final() && r.Ended.IsZero() {
				s.Ended = now.UTC()
			}
			changed = true
		}
		if changed {
			if err := save(tx, op, now.UTC()); err != nil {
				return err
			}
		}
	}
	return nil
}

// forward tells whether an agent's word moves a step on. Nothing leaves a
// final state; what agents cannot say (queued, delivered, cancelled) is ignored.
func forward(from, to inventory.OperationState) bool {
	switch to {
	case inventory.OpSucceeded, inventory.OpFailed, inventory.OpExpired:
		return !from.Final()
	case inventory.OpRunning:
		return from == inventory.OpQueued || from == inventory.OpDelivered || from == inventory.OpUnknown
	case inventory.OpUnknown:
		return !from.Final() && from != inventory.OpUnknown
	default:
		return false
	}
}

// clip bounds what an agent can make the controller keep.
func clip(s string) string {
	const most = 1000
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// Run ends steps that nobody will tell of, until ctx ends.
func (o *Ops) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := o.sweep(ctx, time.Now()); err != nil && ctx.Err() == nil {
				o.log.Error("sweep operations", "err", err)
			}
		}
	}
}

func (o *Ops) sweep(ctx context.Context, now time.Time) error {
	due := false
	err := o.store.View(ctx, func(tx inventory.Tx) (err error) {
		due, err = o.overdue(tx, now, false)
		return err
	})
	if err != nil || !due {
		return err
	}
	return o.store.Update(ctx, func(tx inventory.Tx) error {
		_, err := o.overdue(tx, now, true)
		return err
	})
}

// overdue finds steps whose time is over and, asked to, ends them.
func (o *Ops) overdue(tx inventory.Tx, now time.Time, write bool) (found bool, err error) {
	list, err := Open(tx)
	if err != nil {
		return false, err
	}
	down := make(map[inventory.ID]bool)
	if len(list) > 0 {
		servers, _, err := tx.Servers().List(inventory.Query{Where: map[string][]string{
			"state": {string(inventory.ServerDown), string(inventory.ServerRemoved)},
		}})
		if err != nil {
			return false, err
		}
		for _, s := range servers {
			down[s.ID] = true
		}
	}
	for _, op := range list {
		changed := false
		for i := range op.Steps {
			s := &op.Steps[i]
			to, why := verdict(s, op.Expires, down[s.Target.Server], now)
			if to == s.State {
				continue
			}
			end(s, to, why, now.UTC())
			changed = true
		}
		found = found || changed
		if changed && write {
			if err := save(tx, op, now.UTC()); err != nil {
				return false, err
			}
		}
	}
	return found, nil
}

// verdict is what time alone makes of a step.
func verdict(s *inventory.Step, expires time.Time, down bool, now time.Time) (inventory.OperationState, string) {
	switch s.State {
	case inventory.OpQueued:
		if now.After(expires) {
			return inventory.OpExpired, "the server could not be reached in time; nothing was done"
		}
	case inventory.OpDelivered:
		if now.After(expires.Add(silence)) {
			return inventory.OpUnknown, "the agent was handed this and has not told how it ended"
		}
		fallthrough
	case inventory.OpRunning:
		if down {
			return inventory.OpUnknown, "the server went down while this was in its hands"
		}
	}
	return s.State, s.Message
}
