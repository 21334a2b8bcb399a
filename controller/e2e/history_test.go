package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mailfleet/inventory"
)

// history is all that is known after a fleet was given operations while its
// programs were killed: what was asked, what the controller says became of it,
// what the agents' journals say, and what the servers and services went through.
type history struct {
	asked   map[string]inventory.ID // operation by idempotency key, as the controller answered
	kept    []inventory.Operation   // all the controller has that were asked so
	journal map[inventory.ID]entry  // by step
	servers map[string]*lived       // by name
}

// entry is what a journal says of a step.
type entry struct {
	begun int // how often it was taken
	state inventory.OperationState
}

// lived is what a server went through.
type lived struct {
	id       inventory.ID
	boots    int
	services map[string]*served
}

// served is what a service went through: its own processes wrote it down.
type served struct {
	starts, reloads int
	doubled         int // starts while the process before was alive
	running         int // processes now
	want            inventory.Want
	state           inventory.ServiceState
}

// tally counts operations of a kind on a target by how they ended.
type tally struct{ done, unknown int }

// judge finds everything that cannot be, or must not.
func (h *history) judge() (wrong []string) {
	say := func(format string, a ...any) { wrong = append(wrong, fmt.Sprintf(format, a...)) }
	h.judgeOperations(say)
	for name, s := range h.servers {
		reboots := h.tally(s.id, "", inventory.OpServerReboot, inventory.OpServerPowerCycle)
		between(say, name+": boots", s.boots, 1+reboots.done, reboots.unknown)
		for service, v := range s.services {
			what := service + " on " + name
			if v.doubled > 0 {
				say("%s was started %d times while it ran", what, v.doubled)
			}
			want := 0
			if v.want == inventory.WantRunning {
				want = 1
			}
			if v.running != want || (v.state == inventory.ServiceRunning) != (want == 1) {
				say("%s is wanted %s, is said to be %s, and has %d processes", what, v.want, v.state, v.running)
			}
			// The power may be cut before a process has written down that it was
			// begun or told to reload, or before a boot came to begin it.
			cuts := s.boots - 1
			reloads := h.tally(s.id, service, inventory.OpServiceReload)
			hidden := min(cuts+h.merged(s.id, service), reloads.done)
			between(say, what+": reloads", v.reloads, reloads.done-hidden, reloads.unknown+hidden)
			restarts := h.tally(s.id, service, inventory.OpServiceRestart)
			if h.tally(s.id, service, inventory.OpServiceStop, inventory.OpServiceStart) == (tally{}) {
				between(say, what+": starts", v.starts, s.boots+restarts.done-cuts, restarts.unknown+cuts)
				continue
			}
			// A start of what runs, and a boot of what is not wanted, start nothing.
			starts := h.tally(s.id, service, inventory.OpServiceStart)
			if most := s.boots + restarts.done + restarts.unknown + starts.done + starts.unknown; v.starts > most {
				say("%s was started %d times; %d were asked for", what, v.starts, most)
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

// between checks that something happened as often as it is said to have, or up
// to some more that may have happened.
func between(say func(string, ...any), what string, got, least, unknown int) {
	if got < least || got > least+unknown {
		say("%s: %d; the operations tell of %d and of %d that may be", what, got, least, unknown)
	}
}

// judgeOperations checks that none is lost or doubled, and what is said of each
// is what its agent says.
func (h *history) judgeOperations(say func(string, ...any)) {
	kept := make(map[inventory.ID]bool)
	for _, op := range h.kept {
		kept[op.ID] = true
		asked := false
		for _, id := range h.asked {
			asked = asked || id == op.ID
		}
		if !asked {
			say("operation %s (%s) was made and not answered for: it is doubled", op.ID, op.Kind)
		}
		if !op.State.Final() && op.State != inventory.OpUnknown {
			say("operation %s (%s) is still %s: %s", op.ID, op.Kind, op.State, op.Steps[0].Message)
		}
		for _, step := range op.Steps {
			h.judgeStep(say, op, step)
		}
	}
	for key, id := range h.asked {
		if !kept[id] {
			say("operation %s, asked with key %s, is lost", id, key)
		}
	}
}

func (h *history) judgeStep(say func(string, ...any), op inventory.Operation, step inventory.Step) {
	what := fmt.Sprintf("step %s (%s, %s)", step.ID, op.Kind, step.State)
	e, known := h.journal[step.ID]
	switch {
	case e.begun > 1:
		say("%s was begun %d times", what, e.begun)
	case !known && step.State != inventory.OpExpired && step.State != inventory.OpCancelled && op.Kind != inventory.OpServiceDrain && op.Kind != inventory.OpServiceUndrain:
		say("%s is in no journal", what)
	case known && e.state.Final() && op.Kind != inventory.OpServerReboot && op.Kind != inventory.OpServerPowerCycle && e.state != step.State:
		say("%s: its agent's journal says %s", what, e.state)
	case step.State == inventory.OpUnknown && op.Kind != inventory.OpServiceReload && op.Kind != inventory.OpServerPowerCycle && op.Kind != inventory.OpServerPreflight:
		say("%s: how it went could have been found out", what)
	}
}

// merged counts the reloads so soon after another that a process which waits for
// the processor may take both signals as one.
func (h *history) merged(server inventory.ID, service string) (n int) {
	var at []time.Time
	for _, op := range h.kept {
		for _, step := range op.Steps {
			if op.Kind == inventory.OpServiceReload && step.Target.Server == server && step.Target.Service == service && !step.Started.IsZero() {
				at = append(at, step.Started)
			}
		}
	}
	slices.SortFunc(at, time.Time.Compare)
	for i := 1; i < len(at); i++ {
		if at[i].Sub(at[i-1]) < time.Second {
			n++
		}
	}
	return n
}

// tally counts what there was of some kinds on a target.
func (h *history) tally(server inventory.ID, service string, kinds ...inventory.OperationKind) (t tally) {
	for _, op := range h.kept {
		for _, step := range op.Steps {
			if step.Target.Server != server || step.Target.Service != service || !slices.Contains(kinds, op.Kind) {
				continue
			}
			switch step.State {
			case inventory.OpSucceeded:
				t.done++
			case inventory.OpUnknown:
				t.unknown++
			}
		}
	}
	return t
}

// a history in which everything went well.
func goodHistory() *history {
	at := func(kind inventory.OperationKind, service string, state inventory.OperationState) inventory.Operation {
		id := inventory.NewID()
		return inventory.Operation{
			Meta: inventory.Meta{ID: id}, Kind: kind, State: state,
			Steps: []inventory.Step{{ID: id + "-1", Target: inventory.Target{Server: "s1", Service: service}, State: state}},
		}
	}
	h := &history{
		asked: map[string]inventory.ID{}, journal: map[inventory.ID]entry{},
		kept: []inventory.Operation{
			at(inventory.OpServiceRestart, "ledger", inventory.OpSucceeded),
			at(inventory.OpServiceRestart, "ledger", inventory.OpFailed),
			at(inventory.OpServerReboot, "", inventory.OpSucceeded),
			at(inventory.OpServiceReload, "ledger", inventory.OpUnknown),
			at(inventory.OpServiceReload, "ledger", inventory.OpSucceeded),
			at(inventory.OpServiceReload, "ledger", inventory.OpSucceeded),
			at(inventory.OpServiceDrain, "mailnode", inventory.OpSucceeded),
		},
		servers: map[string]*lived{"mail1": {id: "s1", boots: 2, services: map[string]*served{
			"ledger": {starts: 3, reloads: 1, running: 1, want: inventory.WantRunning, state: inventory.ServiceRunning},
		}}},
	}
	for i, op := range h.kept {
		h.asked[fmt.Sprint(i)] = op.ID
		if op.Kind != inventory.OpServiceDrain {
			h.journal[op.Steps[0].ID] = entry{begun: 1, state: op.State}
		}
	}
	return h
}

func TestTheHistoryCheckerFindsWhatIsWrong(t *testing.T) {
	if wrong := goodHistory().judge(); len(wrong) > 0 {
		t.Fatalf("of a good history: %q", wrong)
	}
	ledger := func(h *history) *served { return h.servers["mail1"].services["ledger"] }
	for want, spoil := range map[string]func(*history){
		"is lost":             func(h *history) { h.asked["lost"] = "gone" },
		"it is doubled":       func(h *history) { delete(h.asked, "0") },
		"is still running":    func(h *history) { h.kept[0].State = inventory.OpRunning },
		"was begun 2 times":   func(h *history) { h.journal[h.kept[0].Steps[0].ID] = entry{2, inventory.OpSucceeded} },
		"is in no journal":    func(h *history) { delete(h.journal, h.kept[0].Steps[0].ID) },
		"journal says failed": func(h *history) { h.journal[h.kept[0].Steps[0].ID] = entry{1, inventory.OpFailed} },
		"could have been found out": func(h *history) {
			h.kept[0].Steps[0].State = inventory.OpUnknown
			h.journal[h.kept[0].Steps[0].ID] = entry{1, inventory.OpUnknown}
		},
		"ledger on mail1: starts: 4":  func(h *history) { ledger(h).starts = 4 },
		"ledger on mail1: starts: 1":  func(h *history) { ledger(h).starts = 1 },
		"mail1: boots: 3":             func(h *history) { h.servers["mail1"].boots = 3 },
		"ledger on mail1: reloads: 4": func(h *history) { ledger(h).reloads = 4 },
		"ledger on mail1: reloads: 0": func(h *history) { ledger(h).reloads = 0 },
		"while it ran":                func(h *history) { ledger(h).doubled = 1 },
		"has 2 processes":             func(h *history) { ledger(h).running = 2 },
		"is said to be stopped":       func(h *history) { ledger(h).state = inventory.ServiceStopped },
	} {
		h := goodHistory()
		spoil(h)
		if wrong := strings.Join(h.judge(), "\n"); !strings.Contains(wrong, want) {
			t.Errorf("%q was not found, only %q", want, wrong)
		}
	}
}
