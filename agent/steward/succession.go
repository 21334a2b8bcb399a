package steward

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"mailfleet/agent/handover"
	"mailfleet/agent/releases"
	"mailfleet/agent/state"
	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// versionLimit is how long a build may take to say its version.
const versionLimit = 10 * time.Second

// Succession carries out the order to run another build of the agent.
type Succession struct {
	Releases *releases.Shelf
	Handover *handover.Handover
	Leave    func() // makes the agent let go of everything, so that it can be handed over
}

// Executors is that of the kind.
func (s *Succession) Executors() map[inventory.OperationKind]Executor {
	return map[inventory.OperationKind]Executor{
		inventory.OpAgentUpgrade: {Do: s.upgrade, Settle: s.settle, Limit: upgradeLimit},
	}
}

// upgrade gets the build, asks it for its version and begins the handover.
func (s *Succession) upgrade(ctx context.Context, o api.Order, say func(inventory.Sentence)) (inventory.OperationState, inventory.Sentence) {
	b, err := s.Releases.Fetch(ctx, o.Params.Release, inventory.ProgramAgent, say)
	if err != nil {
		return inventory.OpFailed, inventory.Say("%s; nothing was changed", err)
	}
	if b.Number == inventory.Version {
		return inventory.OpSucceeded, inventory.Say("the agent is %s already", b.Number)
	}
	version, err := versionOf(ctx, b.Path)
	if err == nil && version != b.Number {
		err = inventory.Fail("it says that it is version %q", version)
	}
	if err != nil {
		return inventory.OpFailed, inventory.Say("the build signed as %s is not that: %v; nothing was changed", b.Number, err)
	}
	if err := s.Handover.Prepare(o.ID, handover.Program{Path: b.Path, Number: b.Number, SHA256: b.SHA256}, inventory.Version); err != nil {
		return inventory.OpFailed, inventory.Say("%s; nothing was changed", err)
	}
	say(inventory.Say("from %s to %s: the new agent is on trial, services go on meanwhile", inventory.Version, b.Number))
	s.Leave()
	return inventory.OpRunning, inventory.Say("%s is on trial", b.Number)
}

// versionOf has a build say its version, as cobra does.
func versionOf(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionLimit)
	defer cancel()
	for {
		out, err := exec.CommandContext(ctx, path, "--version").Output()
		switch {
		case errors.Is(err, syscall.ETXTBSY): // a process that was being forked still holds it as it was written
			sleep(ctx, lookPause)
			continue
		case ctx.Err() != nil:
			return "", inventory.Fail("it does not say its version within %s", versionLimit)
		case err != nil:
			return "", inventory.Fail("asked for its version it fails: %v", err)
		}
		fields := strings.Fields(string(out))
		if len(fields) == 0 {
			return "", inventory.Fail("it does not say its version")
		}
		return fields[len(fields)-1], nil
	}
}

// settle tells how the handover went.
func (s *Succession) settle(step state.Step) (inventory.OperationState, inventory.Sentence) {
	if v, ok := s.Handover.Verdict(step.Order.ID); ok {
		if v.Up {
			return inventory.OpSucceeded, v.Told()
		}
		return inventory.OpFailed, v.Told()
	}
	if s.Handover.Open(step.Order.ID) {
		return step.Report.State, step.Report.Told()
	}
	return inventory.OpFailed, inventory.Say("the agent was ended before it was handed over; it is %s as before", inventory.Version)
}
