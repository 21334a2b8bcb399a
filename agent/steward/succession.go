package steward

import (
	"context"
	"errors"
	"fmt"
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
func (s *Succession) upgrade(ctx context.Context, o api.Order, say func(string)) (inventory.OperationState, string) {
	b, err := s.Releases.Fetch(ctx, o.Params.Release, inventory.ProgramAgent, say)
	if err != nil {
		return inventory.OpFailed, err.Error() + "; nothing was changed"
	}
	if b.Number == inventory.Version {
		return inventory.OpSucceeded, "the agent is " + b.Number + " already"
	}
	version, err := versionOf(ctx, b.Path)
	if err == nil && version != b.Number {
		err = fmt.Errorf("it says that it is version %q", version)
	}
	if err != nil {
		return inventory.OpFailed, fmt.Sprintf("the build signed as %s is not that: %v; nothing was changed", b.Number, err)
	}
	if err := s.Handover.Prepare(o.ID, handover.Program{Path: b.Path, Number: b.Number, SHA256: b.SHA256}, inventory.Version); err != nil {
		return inventory.OpFailed, err.Error() + "; nothing was changed"
	}
	say(fmt.Sprintf("from %s to %s: the new agent is on trial, services go on meanwhile", inventory.Version, b.Number))
	s.Leave()
	return inventory.OpRunning, b.Number + " is on trial"
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
			return "", fmt.Errorf("it does not say its version within %s", versionLimit)
		case err != nil:
			return "", fmt.Errorf("asked for its version it fails: %w", err)
		}
		fields := strings.Fields(string(out))
		if len(fields) == 0 {
			return "", errors.New("it does not say its version")
		}
		return fields[len(fields)-1], nil
	}
}

// settle tells how the handover went.
func (s *Succession) settle(step state.Step) (inventory.OperationState, string) {
	if v, ok := s.Handover.Verdict(step.Order.ID); ok {
		if v.Up {
			return inventory.OpSucceeded, v.Message
		}
		return inventory.OpFailed, v.Message
	}
	if s.Handover.Open(step.Order.ID) {
		return step.Report.State, step.Report.Message
	}
	return inventory.OpFailed, "the agent was ended before it was handed over; it is " + inventory.Version + " as before"
}
