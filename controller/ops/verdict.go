package ops

import (
	"slices"
	"time"

	"mailfleet/inventory"
)

// How a step's target was before it.
const (
	wasDrained = "drained"
	wasRunning = "running"
	wasStopped = "stopped"
)

// none is when nothing is to be said.
var none inventory.Sentence

// bootTime is how long a machine may take to be back, or to be gone.
const bootTime = 15 * time.Minute

// verdicts are the steps that end, or get lost, by what is seen of the fleet
// and by time alone.
func verdicts(f *snapshot, op *inventory.Operation) (moves []move) {
	bad := make(map[inventory.Target]inventory.Sentence) // units of which a step went wrong
	for i := range op.Steps {
		s := &op.Steps[i]
		unit := unitOf(op, s)
		if s.State.Final() {
			if s.State != inventory.OpSucceeded && !(op.Kind == inventory.OpServerRemove && s.State == inventory.OpExpired) {
				bad[unit] = inventory.Say("%s before it %s", kindOf(op, s), s.State)
			}
			continue
		}
		if why := bad[unit]; !why.None() && !s.Undo && s.State == inventory.OpQueued {
			moves = append(moves, move{step: i, to: inventory.OpCancelled, text: why})
			continue
		}
		if s.Turn.IsZero() {
			continue
		}
		if to, text := f.proof(op, s); to != "" {
			moves = append(moves, move{step: i, to: to, text: text})
			continue
		}
		if to, text := f.verdict(op, s); to != s.State {
			moves = append(moves, move{step: i, to: to, text: text})
		}
	}
	return moves
}

// proof tells how a step ended, when the fleet shows it. Empty: it does not.
func (f *snapshot) proof(op *inventory.Operation, s *inventory.Step) (to inventory.OperationState, text inventory.Sentence) {
	server := f.servers[s.Target.Server]
	if server == nil || s.State == inventory.OpQueued {
		return "", none
	}
	if s.Index > 0 {
		switch {
		case server.Applied >= s.Index:
			return inventory.OpSucceeded, inventory.Say("its agent has applied it")
		case server.State == inventory.ServerRemoved:
			return inventory.OpFailed, inventory.Say("the server was removed from the fleet")
		}
		return "", none
	}
	switch kindOf(op, s) {
	case inventory.OpServerReboot, inventory.OpServerPowerCycle:
		if server.BootID != "" && server.BootID != s.BootID && server.State != inventory.ServerDown {
			return inventory.OpSucceeded, inventory.Say("it is back with another boot id")
		}
	case inventory.OpServerPowerOn:
		if server.State == inventory.ServerUp {
			return inventory.OpSucceeded, inventory.Say("its agent is back")
		}
	case inventory.OpServerShutdown:
		// One that has just come back may still be held for down.
		if server.State == inventory.ServerDown && (s.State != inventory.OpDelivered || server.Since.After(s.Turn)) {
			return inventory.OpSucceeded, inventory.Say("it is gone: neither its link nor gossip finds it")
		}
	case inventory.OpServerAdd:
		if server.State == inventory.ServerUp {
			return inventory.OpSucceeded, inventory.Say("its agent has joined and is up")
		}
	}
	return "", none
}

// acting is the server whose agent a step is for.
func acting(s *inventory.Step) inventory.ID {
	if s.Agent != "" {
		return s.Agent
	}
	return s.Target.Server
}

// switches tells whether a kind's target goes down, or comes up, by it.
func switches(k inventory.OperationKind) bool {
	switch k {
	case inventory.OpServerReboot, inventory.OpServerShutdown, inventory.OpServerPowerOn, inventory.OpServerPowerCycle:
		return true
	default:
		return false
	}
}

// verdict is what time alone makes of a step.
func (f *snapshot) verdict(op *inventory.Operation, s *inventory.Step) (to inventory.OperationState, text inventory.Sentence) {
	kind := kindOf(op, s)
	due := s.Turn.Add(life(op))
	switch s.State {
	case inventory.OpQueued:
		if f.now.After(due) && kind == inventory.OpQueueExport {
			return inventory.OpExpired, inventory.Say("nobody fetched it in time; nothing was handed out")
		}
		if f.now.After(due) {
			return inventory.OpExpired, inventory.Say("the agent of %s could not be reached in time; nothing was done", f.name(acting(s)))
		}
	case inventory.OpDelivered:
		if f.now.After(due.Add(silence)) {
			return inventory.OpUnknown, inventory.Say("the agent was handed this and has not told how it ended")
		}
		if !switches(kind) && kind != inventory.OpAgentUpgrade && f.gone(acting(s)) {
			return inventory.OpUnknown, inventory.Say("the server went down while this was in its hands")
		}
	case inventory.OpRunning:
		return f.overtime(op, s, kind, due)
	}
	return s.State, told(s)
}

// overtime is what time makes of a step that is being carried out.
func (f *snapshot) overtime(op *inventory.Operation, s *inventory.Step, kind inventory.OperationKind, due time.Time) (to inventory.OperationState, text inventory.Sentence) {
	began := s.Started
	if began.IsZero() {
		began = s.Turn
	}
	switch {
	case kind == inventory.OpQueueExport && f.now.After(op.Updated.Add(exportSilence)):
		return inventory.OpFailed, inventory.Say("the controller that handed it out has stopped")
	case kind == inventory.OpQueueExport: // who hands it out tells how it ends
	case s.Index > 0 && f.now.After(due):
		if s.Undo || kind == inventory.OpServiceUndrain && op.Kind != inventory.OpServiceUndrain {
			return inventory.OpSucceeded, inventory.Say("it holds when its agent is back, which has not applied it yet")
		}
		return inventory.OpExpired, inventory.Say("its agent did not apply it in time; it is as it was before")
	case kind == inventory.OpServerAdd && f.now.After(due):
		return inventory.OpExpired, inventory.Say("no agent joined in time; the server is kept: invite it again, or remove it")
	case switches(kind) && f.now.After(began.Add(bootTime)):
		return inventory.OpUnknown, map[inventory.OperationKind]inventory.Sentence{
			inventory.OpServerReboot:     inventory.Say("it was told to reboot and has not come back with another boot id"),
			inventory.OpServerPowerCycle: inventory.Say("its power was switched off and on and it has not come back with another boot id"),
			inventory.OpServerPowerOn:    inventory.Say("its power was switched on and its agent has not come back"),
			inventory.OpServerShutdown:   inventory.Say("it was told to shut down and is still seen"),
		}[kind]
	case kind == inventory.OpAgentUpgrade && !f.now.After(began.Add(bootTime)): // it goes away and comes back
	case !switches(kind) && s.Index == 0 && kind != inventory.OpServerAdd && f.gone(acting(s)):
		return inventory.OpUnknown, inventory.Say("the server went down while this was in its hands")
	}
	return s.State, told(s)
}

// gone tells whether a server is down, or no longer in the fleet.
func (f *snapshot) gone(id inventory.ID) bool {
	s := f.servers[id]
	return s == nil || s.State == inventory.ServerDown || s.State == inventory.ServerRemoved
}

// already tells that there is nothing to do for a step whose turn has come.
func (f *snapshot) already(op *inventory.Operation, s *inventory.Step) (done inventory.Sentence) {
	v := f.service(s.Target)
	switch kindOf(op, s) {
	case inventory.OpServerPowerOn:
		if f.up(s.Target.Server) && f.linked(s.Target.Server) {
			return inventory.Say("it was on already")
		}
	case inventory.OpServiceDrain:
		if v != nil && v.Drained {
			return inventory.Say("it was drained already")
		}
	case inventory.OpServiceUndrain:
		if v != nil && !v.Drained {
			return inventory.Say("it was not drained")
		}
		for i := range op.Steps { // opened by this operation?
			e := &op.Steps[i]
			if e.Target == s.Target && e.Kind == inventory.OpServiceDrain && e.Was == wasDrained {
				return inventory.Say("it stays drained, as it was before")
			}
		}
	}
	return done
}

// agentFor finds whose agent carries a step out: empty the target's own. An
// order on power goes to the agent that can reach the power.
func (f *snapshot) agentFor(op *inventory.Operation, s *inventory.Step) (agent inventory.ID, why inventory.Sentence) {
	kind := kindOf(op, s)
	if !switches(kind) {
		return "", none
	}
	target := s.Target.Server
	power := f.powers[target]
	driver := power != nil && power.Kind != inventory.PowerNone
	if kind == inventory.OpServerReboot || kind == inventory.OpServerShutdown {
		if f.linked(target) || !driver || power.Kind == inventory.PowerWake {
			return "", none
		}
	}
	if !driver {
		return "", inventory.Say("%s has no power driver", f.name(target))
	}
	if power.Via != "" {
		if !f.linked(power.Via) {
			return "", inventory.Say("the agent of %s, which switches its power, is away", f.name(power.Via))
		}
		return power.Via, none
	}
	var near, far []inventory.ID
	for _, other := range f.byName() {
		if other.ID == target || other.State != inventory.ServerUp || !f.linked(other.ID) {
			continue
		}
		if t := f.servers[target]; t != nil && other.Region == t.Region {
			near = append(near, other.ID)
		} else {
			far = append(far, other.ID)
		}
	}
	if all := slices.Concat(near, far); len(all) > 0 {
		return all[0], none
	}
	return "", inventory.Say("no other server is up whose agent could switch its power")
}
