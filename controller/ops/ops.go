// Package ops keeps operations: durable records of what was asked of servers
// and services, by whom and why, and of how each step ended.
//
// An operation is queued when it is written down, delivered when an agent is
// about to be handed it, and from then on its agent's journal is the truth: a
// step of which nothing is heard is unknown, never guessed at. What happens
// next is a pure function of the operations and the fleet (next.go): which
// steps have their turn, which wait and for what, which are proven done, what
// is undone after a failure. fleet, rest and app import it.
package ops

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

const (
	defaultExpiry = 5 * time.Minute
	maxExpiry     = 24 * time.Hour
	// joinExpiry is how long server.add waits for the server's agent.
	joinExpiry = time.Hour
	// approvalExpiry is how long an operation waits for a second person.
	approvalExpiry = 24 * time.Hour
	// silence is how long after its expiry a delivered step may stay untold of.
	silence = 30 * time.Second
)

// Fleet is what operations need of the fleet. The methods on a transaction
// have no effects but in it.
type Fleet interface {
	// AddIn makes a server that an agent may join as.
	AddIn(tx inventory.Tx, actor inventory.Actor, req api.NewServer) (*inventory.Server, error)
	// RemoveIn takes a server from the fleet; Conflict while accounts are at home on it.
	RemoveIn(tx inventory.Tx, actor inventory.Actor, id inventory.ID) error
	// Removed follows the transaction that removed servers.
	Removed(ctx context.Context, ids ...inventory.ID) error
	// Linked tells whether a server's agent holds a link to this controller.
	Linked(id inventory.ID) bool
}

// Replicas tells what only one server holds.
type Replicas interface {
	// Last counts the stores whose last replica in sync is on the server.
	Last(tx inventory.Tx, server inventory.ID) (int, error)
}

// Options are what an Ops is made of. Only Store and Log are needed.
type Options struct {
	Store    inventory.Store
	Log      *slog.Logger
	Fleet    Fleet                                                                                                            // nil: servers cannot be added or removed, and every agent counts as linked
	Replicas Replicas                                                                                                         // nil: there are none
	Own      func(*inventory.Server) bool                                                                                     // whether the controller runs on it; nil: on none
	Queued   func(ctx context.Context, servers []inventory.ID, f inventory.QueueFilter) map[inventory.ID]inventory.QueueTotal // what a filter picks, of the queues that are known; nil: none is
	Sessions func(ctx context.Context, servers []inventory.ID) map[inventory.ID]int                                           // mail connections open now, of those that are known; nil: none is
}

// Ops creates operations and carries them on.
type Ops struct {
	Options
	log *slog.Logger

	mu     sync.Mutex
	wells  map[inventory.ID]wellness // by operation
	looked time.Time                 // when all that is open was last looked at
}

// wellness is since when an operation's batches before one are well.
type wellness struct {
	batch int
	since time.Time // zero: they are not
}

// New returns the operations kept in the store. Run must run for them to go on.
func New(o Options) *Ops {
	return &Ops{Options: o, log: o.Log.With("component", "ops"), wells: make(map[inventory.ID]wellness)}
}

func (o *Ops) linked(id inventory.ID) bool { return o.Fleet == nil || o.Fleet.Linked(id) }

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
	var removed []inventory.ID
	err = o.Store.Update(ctx, func(tx inventory.Tx) error {
		removed = nil
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
		now := time.Now().UTC()
		d, err := o.draft(tx, actor, req, now, true)
		if err != nil {
			return err
		}
		if err := d.check(req); err != nil {
			return err
		}
		op = d.op
		op.Actor, op.IdempotencyKey, op.RequestHash = actor.Name, key, hash
		if err := tx.Operations().Create(op); err != nil {
			return err
		}
		entry := actor.Entry("operation.create", inventory.Operations, string(op.ID))
		entry.Reason, entry.After = op.Reason, string(asked)
		if err := tx.Audit().Append(entry); err != nil {
			return err
		}
		d.fleet.open = append(d.fleet.open, op)
		removed, err = o.advance(tx, d.fleet, op)
		return err
	})
	if err != nil {
		return nil, err
	}
	return op, o.gone(ctx, removed)
}

// Approve gives an operation the consent of a second person, who must not be
// the one who asked for it.
func (o *Ops) Approve(ctx context.Context, actor inventory.Actor, id inventory.ID) (op *inventory.Operation, err error) {
	err = o.change(ctx, actor, id, "operation.approve", func(tx inventory.Tx, got *inventory.Operation, now time.Time) error {
		op = got
		switch a := op.Approval; {
		case a == nil:
			return inventory.Errorf(inventory.Conflict, "operation %s needs no approval", id)
		case a.By != "":
			return inventory.Errorf(inventory.Conflict, "operation %s was approved by %s already", id, a.By)
		case op.State.Final() || now.After(a.Expires):
			return inventory.Errorf(inventory.Conflict, "operation %s can no longer be approved: it is %s", id, op.State)
		}
		one, err := person(tx, op.Actor)
		if err != nil {
			return err
		}
		other, err := person(tx, actor.Name)
		if err != nil {
			return err
		}
		if one == other {
			return inventory.Errorf(inventory.Forbidden, "who asked for an operation cannot approve it: a second person must")
		}
		op.Approval.By, op.Approval.At = actor.Name, now
		return nil
	})
	return op, err
}

// person is who is behind an actor: of a token whoever made it, when that was a person.
func person(tx inventory.Tx, actor string) (string, error) {
	name, ok := strings.CutPrefix(actor, "token:")
	if ok {
		tokens, _, err := tx.Tokens().List(inventory.Query{})
		if err != nil {
			return "", err
		}
		for _, t := range tokens {
			if t.Name == name && t.Actor != "" && t.Actor != "controller" && t.Actor != actor {
				return person(tx, t.Actor)
			}
		}
		return actor, nil
	}
	if _, name, ok = strings.Cut(actor, ":"); ok { // whatever role they had
		return name, nil
	}
	return actor, nil
}

// Cancel ends the steps of an operation that no agent has been handed yet, has a
// rolling one undrain what it drained, and ends an export even while it goes on. With
// nothing left to cancel it is a Conflict.
func (o *Ops) Cancel(ctx context.Context, actor inventory.Actor, id inventory.ID) (op *inventory.Operation, err error) {
	err = o.change(ctx, actor, id, "operation.cancel", func(_ inventory.Tx, got *inventory.Operation, now time.Time) error {
		op = got
		cancelled, by := 0, inventory.Say("cancelled by %s", actor.Name)
		for i := range op.Steps {
			if s := &op.Steps[i]; s.State == inventory.OpQueued && !s.Undo || s.State == inventory.OpRunning && kindOf(op, s) == inventory.OpQueueExport {
				end(s, inventory.OpCancelled, by, now)
				cancelled++
			}
		}
		if cancelled == 0 {
			return inventory.Errorf(inventory.Conflict, "operation %s is %s: nothing of it can be cancelled any more", id, op.State)
		}
		op.Stopped, op.Said = by.String(), by.Beside()
		return nil
	})
	return op, err
}

// change applies fn to an operation and carries it on.
func (o *Ops) change(ctx context.Context, actor inventory.Actor, id inventory.ID, action string, fn func(inventory.Tx, *inventory.Operation, time.Time) error) error {
	var removed []inventory.ID
	err := o.Store.Update(ctx, func(tx inventory.Tx) error {
		removed = nil
		op, err := tx.Operations().Get(id)
		if err != nil {
			return err
		}
		now := time.Now().UTC()
		if err := fn(tx, op, now); err != nil {
			return err
		}
		if err := save(tx, op, now); err != nil {
			return err
		}
		if err := tx.Audit().Append(actor.Entry(action, inventory.Operations, string(id))); err != nil {
			return err
		}
		removed, err = o.carryOn(tx, op, now)
		return err
	})
	if err != nil {
		return err
	}
	return o.gone(ctx, removed)
}

// gone follows the removal of servers.
func (o *Ops) gone(ctx context.Context, removed []inventory.ID) error {
	if len(removed) == 0 {
		return nil
	}
	return o.Fleet.Removed(ctx, removed...)
}

// carryOn advances one operation that may have ended.
func (o *Ops) carryOn(tx inventory.Tx, op *inventory.Operation, now time.Time) (removed []inventory.ID, err error) {
	if op.State.Final() {
		return nil, nil
	}
	list, err := Open(tx)
	if err != nil {
		return nil, err
	}
	for i, other := range list {
		if other.ID == op.ID {
			list[i] = op // the one the caller has
		}
	}
	f, err := o.look(tx, list, false, now)
	if err != nil {
		return nil, err
	}
	return o.advance(tx, f, op)
}

func end(s *inventory.Step, state inventory.OperationState, message inventory.Sentence, now time.Time) {
	tell(s, message)
	s.State = state
	if state.Final() {
		s.Ended = now
	}
}

// tell makes a message a step's.
func tell(s *inventory.Step, message inventory.Sentence) {
	s.Message, s.Said = message.String(), message.Beside()
}

// told is the message of a step.
func told(s *inventory.Step) inventory.Sentence { return inventory.Read(s.Message, s.Said) }

// say adds a line to a step's log.
func say(s *inventory.Step, now time.Time, text inventory.Sentence) {
	s.Log = append(s.Log, inventory.StepLine{Time: now, Text: text.String(), Said: text.Beside()})
	s.Log = s.Log[max(0, len(s.Log)-maxLines):]
}

// maxLines bounds a step's log; the oldest lines go first.
const maxLines = 200

// save keeps an operation whose steps have changed.
func save(tx inventory.Tx, op *inventory.Operation, now time.Time) error {
	op.State = inventory.Outcome(op.Steps)
	if op.Rolling != nil && (unfinished(op) || op.State == inventory.OpQueued && !op.Steps[0].Turn.IsZero()) {
		op.State = inventory.OpRunning // between two steps
	}
	if op.State.Final() && op.Ended.IsZero() {
		op.Ended = now
	}
	if op.State.Final() || op.State == inventory.OpUnknown {
		if err := closeWindow(tx, op, now); err != nil {
			return err
		}
	}
	return tx.Operations().Update(op)
}
