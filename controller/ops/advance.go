package ops

import (
	"context"
	"slices"
	"time"

	"mailfleet/inventory"
)

const (
	// lookEvery is how often operations that have not ended are looked at when
	// nothing happens.
	lookEvery = 500 * time.Millisecond
	// lookRest is the least pause between two looks.
	lookRest = 20 * time.Millisecond
	// mostMoves bounds how often one look asks what is next for an operation.
	mostMoves = 100
)

// Open returns every operation that has not ended, oldest first.
func Open(tx inventory.Tx) ([]*inventory.Operation, error) {
	list, _, err := tx.Operations().List(inventory.Query{Where: map[string][]string{"state": open}})
	return list, err
}

// open are the states in which an operation still concerns agents.
var open = []string{
	string(inventory.OpQueued), string(inventory.OpDelivered), string(inventory.OpRunning), string(inventory.OpUnknown),
}

// Run carries operations on, until ctx ends.
func (o *Ops) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		began := time.Now()
		index, busy, err := o.lookOnce(ctx, began.UTC())
		if err != nil && ctx.Err() == nil {
			o.log.Error("carry operations on", "err", err)
			index, busy = 0, true
		}
		pause(ctx, max(lookRest, 2*time.Since(began)))
		o.await(ctx, index, busy)
	}
	return nil
}

// await returns when something may have changed for an operation.
func (o *Ops) await(ctx context.Context, index uint64, busy bool) {
	kinds := []inventory.Kind{inventory.Operations}
	limit := time.Minute
	if busy {
		kinds, limit = append(kinds, inventory.Servers, inventory.Services), lookEvery
	}
	if index == 0 {
		pause(ctx, lookEvery)
		return
	}
	waiting, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	o.Store.Wait(waiting, index, kinds...)
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// lookOnce carries on all operations that can go on now. busy tells that some
// have not ended.
func (o *Ops) lookOnce(ctx context.Context, now time.Time) (index uint64, busy bool, err error) {
	due := false
	err = o.Store.View(ctx, func(tx inventory.Tx) error {
		due = false
		index = tx.Index()
		list, err := Open(tx)
		if err != nil || len(list) == 0 {
			return err
		}
		busy = true
		if !o.worthLook(list, now) {
			return nil
		}
		f, err := o.look(tx, list, false, now)
		if err != nil {
			return err
		}
		for _, op := range list {
			due = due || len(next(f, op, o.well(op, now))) > 0
		}
		return nil
	})
	o.forget(busy)
	if err != nil || !due {
		return index, busy, err
	}
	var removed []inventory.ID
	err = o.Store.Update(ctx, func(tx inventory.Tx) error {
		removed = nil
		list, err := Open(tx)
		if err != nil {
			return err
		}
		f, err := o.look(tx, list, false, now)
		if err != nil {
			return err
		}
		for _, op := range list {
			gone, err := o.advance(tx, f, op)
			if err != nil {
				return err
			}
			removed = append(removed, gone...)
		}
		return nil
	})
	if err != nil {
		return index, busy, err
	}
	return index, busy, o.gone(ctx, removed)
}

// worthLook tells whether anything can have moved operations on since the last
// look. While agents are at work only time can: they tell of their steps one by
// one, and the fleet need not be read for each.
func (o *Ops) worthLook(list []*inventory.Operation, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if since := now.Sub(o.looked); since >= 0 && since < lookEvery && !slices.ContainsFunc(list, movable) {
		return false
	}
	o.looked = now
	return true
}

// movable tells whether more than time can move an operation on: not when all its
// steps have ended, or are in agents' hands and the agents tell how they end.
func movable(op *inventory.Operation) bool {
	if op.Rolling != nil {
		return true
	}
	for i := range op.Steps {
		s := &op.Steps[i]
		if kind := kindOf(op, s); !s.State.Final() && (s.Turn.IsZero() || s.Index > 0 || ours(kind) || switches(kind)) {
			return true
		}
	}
	return false
}

// well returns what tells since when the batches before one are well.
func (o *Ops) well(op *inventory.Operation, now time.Time) func(int, bool) time.Duration {
	return func(batch int, isWell bool) time.Duration {
		o.mu.Lock()
		defer o.mu.Unlock()
		w := o.wells[op.ID]
		switch {
		case !isWell:
			o.wells[op.ID] = wellness{batch: batch}
			return 0
		case w.batch != batch || w.since.IsZero():
			w = wellness{batch, now}
			o.wells[op.ID] = w
		}
		return now.Sub(w.since)
	}
}

// forget drops what is remembered of operations when none is left.
func (o *Ops) forget(busy bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !busy {
		clear(o.wells)
	}
}

// advance makes the moves there are for an operation and saves it.
func (o *Ops) advance(tx inventory.Tx, f *snapshot, op *inventory.Operation) (removed []inventory.ID, err error) {
	changed := false
	for range mostMoves {
		moves := next(f, op, o.well(op, f.now))
		if len(moves) == 0 {
			break
		}
		changed = true
		for _, m := range moves {
			gone, err := o.make(tx, f, op, m)
			if err != nil {
				return nil, err
			}
			removed = append(removed, gone...)
		}
		delete(f.hands, op.ID)
	}
	if !changed {
		return nil, nil
	}
	return removed, save(tx, op, f.now)
}

// make makes one move.
func (o *Ops) make(tx inventory.Tx, f *snapshot, op *inventory.Operation, m move) (removed []inventory.ID, err error) {
	switch {
	case len(m.undo) > 0:
		for i := range m.undo {
			say(&m.undo[i], f.now, inventory.Say("undoes what the operation did before it stopped"))
		}
		op.Steps = append(op.Steps, m.undo...)
		return nil, nil
	case m.step < 0:
		op.Stopped, op.Said = m.text.String(), m.text.Beside()
		for i := range op.Steps {
			if s := &op.Steps[i]; s.State == inventory.OpQueued && !s.Undo {
				end(s, m.to, m.text, f.now)
			}
		}
		return nil, nil
	}
	s := &op.Steps[m.step]
	if m.turn {
		if err := openWindow(tx, op, f.now); err != nil {
			return nil, err
		}
		s.Turn, s.Agent = f.now, m.agent
		tell(s, none)
		if m.to == "" {
			return o.begin(tx, f, op, s)
		}
		s.Started = f.now
	}
	if m.to == "" {
		tell(s, m.text)
		return nil, nil
	}
	if m.to == inventory.OpExpired {
		if err := restore(tx, f, op, s); err != nil {
			return nil, err
		}
	}
	if !m.text.None() {
		say(s, f.now, m.text)
	}
	switch kind := kindOf(op, s); {
	case m.turn && kind == inventory.OpServiceDrain:
		s.Was = wasDrained
	case kind == inventory.OpServerShutdown && m.to == inventory.OpSucceeded:
		server := f.servers[s.Target.Server]
		server.Off = true // nobody need be told that it is down
		if err := tx.Servers().Update(server); err != nil {
			return nil, err
		}
	}
	end(s, m.to, m.text, f.now)
	return nil, nil
}

// begin begins a step whose turn has come: what the controller does itself is
// done here, what an agent does may be handed to it from now on.
func (o *Ops) begin(tx inventory.Tx, f *snapshot, op *inventory.Operation, s *inventory.Step) (removed []inventory.ID, err error) {
	switch kind := kindOf(op, s); kind {
	case inventory.OpServiceDrain, inventory.OpServiceUndrain:
		v := f.service(s.Target)
		if v == nil {
			end(s, inventory.OpFailed, inventory.Say("the service is not there any more"), f.now)
			return nil, nil
		}
		v.Drained = kind == inventory.OpServiceDrain
		return nil, hold(tx, f, s, v)
	case inventory.OpServerAdd:
		s.State, s.Started = inventory.OpRunning, f.now
		say(s, f.now, inventory.Say("waits for its agent to join"))
	case inventory.OpServerRemove:
		s.Started = f.now
		if o.Fleet == nil {
			end(s, inventory.OpFailed, inventory.Say("this controller cannot remove servers"), f.now)
			return nil, nil
		}
		err := o.Fleet.RemoveIn(tx, inventory.Actor{Name: op.Actor}, s.Target.Server)
		if code := inventory.CodeOf(err); err != nil && code != inventory.Conflict && code != inventory.NotFound {
			return nil, err
		}
		if err != nil {
			end(s, inventory.OpFailed, inventory.Say("%s", err), f.now)
			return nil, nil
		}
		end(s, inventory.OpSucceeded, inventory.Say("removed from the fleet, its certificates revoked"), f.now)
		return []inventory.ID{s.Target.Server}, nil
	case inventory.OpQueueExport:
		s.Message = "waits to be fetched"
	case inventory.OpServiceStop, inventory.OpServiceStart:
		s.Was = wasStopped
		if v := f.service(s.Target); v != nil && v.Want == inventory.WantRunning {
			s.Was = wasRunning
		}
	}
	if s.Agent != "" {
		say(s, f.now, inventory.Say("goes to the agent of %s", f.name(s.Agent)))
	}
	return nil, nil
}

// hold makes a service's setting the wanted one; the step ends when its agent
// has applied that.
func hold(tx inventory.Tx, f *snapshot, s *inventory.Step, v *inventory.Service) error {
	if err := tx.Services().Update(v); err != nil {
		return err
	}
	s.State, s.Started, s.Index = inventory.OpRunning, f.now, v.Version
	say(s, f.now, inventory.Say("wanted; its agent is to apply it"))
	return nil
}

// restore takes back what a step wanted that its agent did not apply in time.
func restore(tx inventory.Tx, f *snapshot, op *inventory.Operation, s *inventory.Step) error {
	kind := kindOf(op, s)
	if s.Index == 0 || kind != inventory.OpServiceDrain && kind != inventory.OpServiceUndrain {
		return nil
	}
	v := f.service(s.Target)
	if v == nil || v.Drained != (kind == inventory.OpServiceDrain) {
		return nil
	}
	v.Drained = !v.Drained
	return tx.Services().Update(v)
}
