// Package ops keeps operations: durable records of what was asked of servers
// and services, by whom and why, and of how each step ended.
//
// An operation is queued when it is written down, delivered when an agent is
// about to be handed it, and from then on its agent's journal is the truth: a
// step of which nothing is heard is unknown, never guessed at. fleet, rest and
// app import it.
package ops

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

const (
	defaultExpiry = 5 * time.Minute
	maxExpiry     = 24 * time.Hour
	// silence is how long after its expiry a delivered step may stay untold of.
	silence = 30 * time.Second
	// sweepEvery is how often expiry and silence are looked at.
	sweepEvery = time.Second
)

// Ops creates operations and ends those nobody will tell of.
type Ops struct {
	store inventory.Store
	log   *slog.Logger
}

// New returns the operations kept in store. Run must run for steps to expire.
func New(store inventory.Store, log *slog.Logger) *Ops {
	return &Ops{store: store, log: log.With("component", "ops")}
}

// Create writes an operation down. The same key by the same actor gives the
// operation it made before; with another request it is a Conflict. An empty key
// always makes a new one.
func (o *Ops) Create(ctx context.Context, actor inventory.Actor, key string, req api.NewOperation) (op *inventory.Operation, err error) {
	asked, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	sum := sha256.Sum256(asked)
	hash := hex.EncodeToString(sum[:])
	err = o.store.Update(ctx, func(tx inventory.Tx) error {
		if key != "" {
			before, err := tx.Operations().Find("idempotency", actor.Name+"\x00"+key)
			switch {
			case err == nil && before.RequestHash != hash:
				return inventory.Errorf(inventory.Conflict, "Idempotency-Key %q was used for another operation (%s)", key, before.ID)
			case err == nil:
				op = before
				return nil
			case !inventory.Is(err, inventory.NotFound):
				return err
			}
		}
		made, err := plan(tx, req, time.Now())
		if err != nil {
			return err
		}
		made.Actor, made.IdempotencyKey, made.RequestHash = actor.Name, key, hash
		if err := tx.Operations().Create(made); err != nil {
			return err
		}
		op = made
		entry := actor.Entry("operation.create", inventory.Operations, string(made.ID))
		entry.Reason, entry.After = made.Reason, string(asked)
		return tx.Audit().Append(entry)
	})
	if err != nil {
		return nil, err
	}
	return op, nil
}

// plan checks a request against the fleet and makes its steps.
func plan(tx inventory.Tx, req api.NewOperation, now time.Time) (*inventory.Operation, error) {
	switch req.Kind {
	case inventory.OpServiceStart, inventory.OpServiceStop, inventory.OpServiceRestart:
	default:
		return nil, inventory.FieldErrorf("kind", "there is no operation %q", req.Kind)
	}
	expiry := time.Duration(req.Expires)
	if expiry == 0 {
		expiry = defaultExpiry
	}
	if expiry > maxExpiry {
		return nil, inventory.FieldErrorf("expires", "an operation can wait for at most %s", maxExpiry)
	}
	if len(req.Targets) == 0 {
		return nil, inventory.FieldErrorf("targets", "an operation needs at least one target")
	}
	op := &inventory.Operation{
		Kind: req.Kind, State: inventory.OpQueued, Reason: req.Reason, Expires: now.Add(expiry).UTC(),
	}
	seen := make(map[inventory.Target]bool, len(req.Targets))
	for i, t := range req.Targets {
		target, err := resolve(tx, fmt.Sprintf("targets[%d]", i), t)
		if err != nil {
			return nil, err
		}
		if seen[target] {
			return nil, inventory.FieldErrorf(fmt.Sprintf("targets[%d]", i), "%s on %s is named twice", t.Service, t.Server)
		}
		seen[target] = true
		op.Targets = append(op.Targets, target)
		op.Steps = append(op.Steps, inventory.Step{ID: inventory.NewID(), Target: target, State: inventory.OpQueued})
	}
	return op, nil
}

// resolve turns names into a target that exists.
func resolve(tx inventory.Tx, field string, t api.NewTarget) (inventory.Target, error) {
	s, err := tx.Servers().Get(inventory.ID(t.Server))
	if inventory.Is(err, inventory.NotFound) {
		s, err = tx.Servers().Find("name", t.Server)
	}
	if inventory.Is(err, inventory.NotFound) || err == nil && s.State == inventory.ServerRemoved {
		return inventory.Target{}, inventory.FieldErrorf(field+".server", "there is no server %q", t.Server)
	}
	if err != nil {
		return inventory.Target{}, err
	}
	if t.Service == "" {
		return inventory.Target{}, inventory.FieldErrorf(field+".service", "name the service")
	}
	if _, err := tx.Services().Find("server/name", string(s.ID)+"/"+t.Service); err != nil {
		if inventory.Is(err, inventory.NotFound) {
			return inventory.Target{}, inventory.FieldErrorf(field+".service", "%s has no service %q", s.Name, t.Service)
		}
		return inventory.Target{}, err
	}
	return inventory.Target{Server: s.ID, Service: t.Service}, nil
}

// Cancel ends the steps of an operation that no agent has been handed yet. With
// none left to cancel it is a Conflict.
func (o *Ops) Cancel(ctx context.Context, actor inventory.Actor, id inventory.ID) (op *inventory.Operation, err error) {
	err = o.store.Update(ctx, func(tx inventory.Tx) error {
		if op, err = tx.Operations().Get(id); err != nil {
			return err
		}
		cancelled := 0
		now := time.Now().UTC()
		for i := range op.Steps {
			if s := &op.Steps[i]; s.State == inventory.OpQueued {
				end(s, inventory.OpCancelled, "cancelled by "+actor.Name, now)
				cancelled++
			}
		}
		if cancelled == 0 {
			return inventory.Errorf(inventory.Conflict, "operation %s is %s: nothing of it can be cancelled any more", id, op.State)
		}
		if err := save(tx, op, now); err != nil {
			return err
		}
		return tx.Audit().Append(actor.Entry("operation.cancel", inventory.Operations, string(id)))
	})
	return op, err
}

func end(s *inventory.Step, state inventory.OperationState, message string, now time.Time) {
	s.State, s.Message = state, message
	if state.Final() {
		s.Ended = now
	}
}

func save(tx inventory.Tx, op *inventory.Operation, now time.Time) error {
	op.State = inventory.Outcome(op.Steps)
	if op.State.Final() && op.Ended.IsZero() {
		op.Ended = now
	}
	return tx.Operations().Update(op)
}
