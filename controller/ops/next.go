package ops

import (
	"slices"
	"time"

	"mailfleet/inventory"
)

// move is what happens next to one step of an operation, or to all of it.
type move struct {
	step  int                      // index; -1: the operation
	to    inventory.OperationState // the step ends so, or becomes unknown; empty: see the rest
	text  inventory.Sentence       // the step's message; of the operation: why it stops
	turn  bool                     // the step may begin
	agent inventory.ID             // with turn: whose agent acts; empty: the target's own
	undo  []inventory.Step         // steps to add
}

// next tells what happens next to an operation, given the fleet. It is asked
// again after its moves were made, until there are none. well tells for how
// long the operation's batches so far have been well.
func next(f *snapshot, op *inventory.Operation, well func(batch int, isWell bool) time.Duration) []move {
	if moves := verdicts(f, op); len(moves) > 0 {
		return moves
	}
	if op.Approval != nil && op.Approval.By == "" {
		if op.Stopped == "" && f.now.After(op.Approval.Expires) {
			return []move{{step: -1, to: inventory.OpExpired, text: inventory.Say("nobody approved it in time; nothing was done")}}
		}
		return nil
	}
	if op.Stopped != "" {
		if undo := undone(op); len(undo) > 0 {
			return []move{{step: -1, undo: undo}}
		}
	} else if why := failure(f, op); !why.None() {
		return []move{{step: -1, to: inventory.OpCancelled, text: why}}
	}
	return turns(f, op, well)
}

// failure tells why a rolling operation must stop.
func failure(f *snapshot, op *inventory.Operation) (why inventory.Sentence) {
	if op.Rolling == nil {
		return why
	}
	for i := range op.Steps {
		switch s := &op.Steps[i]; s.State {
		case inventory.OpFailed, inventory.OpExpired:
			return inventory.Say("%s of %s %s: %s", kindOf(op, s), f.title(s.Target), s.State, told(s))
		}
	}
	return why
}

// unfinished tells whether all steps of a rolling operation have ended and it
// must still undo some, or stop.
func unfinished(op *inventory.Operation) bool {
	if !op.State.Final() {
		return false
	}
	if op.Stopped != "" {
		return len(undone(op)) > 0
	}
	return op.State == inventory.OpFailed || op.State == inventory.OpExpired
}

// undone are the steps that undo what a stopped operation opened and did not
// close: what it drained is undrained, what it stopped before a failure is
// started again.
func undone(op *inventory.Operation) (undo []inventory.Step) {
	if op.Rolling == nil || !op.Rolling.Compensate {
		return nil
	}
	add := func(t inventory.Target, kind inventory.OperationKind) {
		for i := range op.Steps {
			s := &op.Steps[i]
			if s.Target == t && kindOf(op, s) == kind && (s.Undo || s.State == inventory.OpSucceeded || begun(s)) {
				return
			}
		}
		last := op.Steps[len(op.Steps)-1].Batch
		undo = append(undo, inventory.Step{ID: inventory.NewID(), Target: t, Kind: kind, Batch: last, Undo: true, State: inventory.OpQueued})
	}
	failed := slices.ContainsFunc(op.Steps, func(s inventory.Step) bool { return s.State == inventory.OpFailed || s.State == inventory.OpExpired })
	for i := range op.Steps {
		s := &op.Steps[i]
		if s.Undo {
			continue
		}
		switch done := s.State == inventory.OpSucceeded; {
		case s.Kind == inventory.OpServiceDrain && done && s.Was != wasDrained:
			add(s.Target, inventory.OpServiceUndrain)
		case op.Kind == inventory.OpServiceStop && s.Kind == "" && done && failed && s.Was == wasRunning:
			add(s.Target, inventory.OpServiceStart)
		}
	}
	return undo
}

// turns gives steps their turn, or says what they wait for.
func turns(f *snapshot, op *inventory.Operation, well func(int, bool) time.Duration) (moves []move) {
	batch, gate := gateOf(f, op, well)
	held := inHand(op)
	over := roomOf(f, op)
	for i := range op.Steps {
		s := &op.Steps[i]
		if s.State != inventory.OpQueued || !s.Turn.IsZero() || s.Batch > batch && !s.Undo {
			continue
		}
		unit := unitOf(op, s)
		why, since := before(f, op, i)
		if why.None() && !held[unit] && !s.Undo {
			if why = gate; why.None() {
				why = f.obstacle(op, unit, over)
			}
			since = opened(op, s.Batch)
		}
		if why.None() && s.Undo && !held[unit] {
			if other := f.holder(op, unit); other != nil {
				why = waitsFor(f, unit, other)
			}
		}
		if done := f.already(op, s); why.None() && !done.None() {
			moves = append(moves, move{step: i, turn: true, to: inventory.OpSucceeded, text: done})
			continue
		}
		agent := inventory.ID("")
		if why.None() {
			agent, why = f.agentFor(op, s)
		}
		if why.None() {
			moves = append(moves, move{step: i, turn: true, agent: agent})
			held[unit] = true
			over.take(unit)
			continue
		}
		if why.Template == notYet {
			continue
		}
		if f.now.After(since.Add(patience(op))) && !s.Undo {
			return append(moves, late(op, i, why))
		}
		if s.Message != why.String() {
			moves = append(moves, move{step: i, text: why})
		}
	}
	return moves
}

// late ends a step that waited too long for its turn, and with it a rolling operation.
func late(op *inventory.Operation, i int, why inventory.Sentence) move {
	text := inventory.Say("it did not get its turn in time: %s", why)
	if op.Rolling != nil {
		return move{step: -1, to: inventory.OpExpired, text: text}
	}
	return move{step: i, to: inventory.OpExpired, text: text}
}

// notYet is the reason not worth saying: the step before goes on.
const notYet = "the step before goes on"

// before tells why a step must wait for those before it on the same unit, and
// since when it is next.
func before(f *snapshot, op *inventory.Operation, i int) (why inventory.Sentence, since time.Time) {
	s := &op.Steps[i]
	unit := unitOf(op, s)
	since = opened(op, s.Batch)
	for j := range op.Steps[:i] {
		e := &op.Steps[j]
		if unitOf(op, e) != unit {
			continue
		}
		switch {
		case e.State.Final() && !e.Ended.IsZero() && e.Ended.After(since):
			since = e.Ended
		case s.Undo && e.State == inventory.OpUnknown:
		case e.State == inventory.OpUnknown:
			return f.lost(op, e), e.Turn.Add(life(op) + silence)
		case !e.State.Final():
			return inventory.Say(notYet), since
		}
	}
	if s.Kind == inventory.OpServiceUndrain && !s.Undo && op.Kind != inventory.OpServerShutdown {
		if v := f.service(s.Target); v == nil || v.Want != inventory.WantRunning {
			return why, since
		}
		return f.ailingButDrained(s.Target), since
	}
	return why, since
}

// ailingButDrained is ailing, with being drained no ailment.
func (f *snapshot) ailingButDrained(t inventory.Target) (why inventory.Sentence) {
	if why = f.down(t.Server); !why.None() {
		return why
	}
	for _, v := range f.services[t.Server] {
		if t.Service != "" && v.Name != t.Service || t.Service == "" && v.Want != inventory.WantRunning {
			continue
		}
		c := *v
		c.Drained = false
		if why = f.unwell(&c); !why.None() {
			return why
		}
	}
	return why
}

// gateOf is the batch whose turn it is, and what its first steps wait for.
func gateOf(f *snapshot, op *inventory.Operation, well func(int, bool) time.Duration) (batch int, why inventory.Sentence) {
	batch = -1
	for i := range op.Steps {
		s := &op.Steps[i]
		if s.Undo || s.State.Final() || s.State == inventory.OpUnknown {
			continue
		}
		batch = s.Batch
		break
	}
	if op.Rolling == nil || batch <= 0 || op.Stopped != "" {
		return batch, why
	}
	for i := range op.Steps {
		s := &op.Steps[i]
		if s.Batch >= batch {
			break
		}
		if s.State == inventory.OpUnknown {
			return batch, f.lost(op, s)
		}
		if s.Kind != "" {
			continue
		}
		if ail := f.after(op, s.Target); !ail.None() {
			well(batch, false)
			return batch, ail
		}
	}
	if need := time.Duration(op.Rolling.Health); well(batch, true) < need {
		return batch, inventory.Say("the batch before must be well for %s", need)
	}
	return batch, why
}

// lost says that a step's outcome is not known.
func (f *snapshot) lost(op *inventory.Operation, s *inventory.Step) inventory.Sentence {
	return inventory.Say("how %s of %s went is not known", kindOf(op, s), f.title(s.Target))
}

// after tells what is wrong with a target that an operation is done with.
func (f *snapshot) after(op *inventory.Operation, t inventory.Target) inventory.Sentence {
	switch op.Kind {
	case inventory.OpServerShutdown, inventory.OpServerRemove:
		return inventory.Sentence{}
	case inventory.OpServiceStop, inventory.OpServiceDrain, inventory.OpServerPreflight, inventory.OpServerTune:
		return f.down(t.Server)
	default:
		if v := f.service(t); v != nil && v.Want != inventory.WantRunning {
			return f.down(t.Server)
		}
		return f.ailingButDrained(t)
	}
}

// opened is since when a batch could have begun: since the end of those before.
func opened(op *inventory.Operation, batch int) time.Time {
	since := op.Created
	if op.Approval != nil && op.Approval.At.After(since) {
		since = op.Approval.At
	}
	for i := range op.Steps {
		if s := &op.Steps[i]; s.Batch < batch && s.Ended.After(since) {
			since = s.Ended
		}
	}
	return since
}

// life is how long a step may wait to be handed out once its turn has come.
func life(op *inventory.Operation) time.Duration { return op.Expires.Sub(op.Created) }

// patience is how long a step may wait for its turn.
func patience(op *inventory.Operation) time.Duration {
	p := life(op)
	if op.Rolling != nil {
		p += 2 * time.Duration(op.Rolling.Health)
	}
	return p
}
