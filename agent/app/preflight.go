package app

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"mailfleet/agent/preflight"
	"mailfleet/agent/state"
	"mailfleet/agent/steward"
	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// prepareInspection makes what looks whether the server is fit for its work.
func (a *App) prepareInspection() {
	a.inspect = preflight.New(preflight.Options{
		Dir: a.opts.Dir, System: preflight.Machine{}, Link: a.link, Facts: a.facts, Log: a.log,
	})
}

// facts are what this agent knows of its server.
func (a *App) facts(ctx context.Context) preflight.Facts {
	me := a.link.Identity()
	f := preflight.Facts{Dir: a.opts.Dir, Name: me.Name, Address: me.Address, Agent: os.Getpid(), Ports: map[int]string{}}
	for _, s := range a.services.Status() {
		if s.PID != 0 {
			f.Services = append(f.Services, preflight.Process{Service: s.Name, PID: s.PID})
		}
	}
	d, _ := a.steward.Desired()
	for _, s := range d.Services {
		if s.Unit != "" {
			f.Units = append(f.Units, s.Unit)
		}
		for _, port := range s.Ports {
			if port != 0 {
				f.Ports[port] = s.Name
			}
		}
	}
	f.Offset, f.OffsetBy = preflight.Offset(ctx, a.link.Client().Clock)
	return f
}

// inspections carry out the orders about the server's fitness.
func (a *App) inspections() map[inventory.OperationKind]steward.Executor {
	return map[inventory.OperationKind]steward.Executor{
		inventory.OpServerPreflight: {Do: a.preflight, Limit: 2 * time.Minute, Beside: true},
		inventory.OpServerTune:      {Do: a.tune, Settle: a.settleTune, Limit: 3 * time.Minute},
	}
}

func (a *App) preflight(ctx context.Context, _ api.Order, say func(inventory.Sentence)) (inventory.OperationState, inventory.Sentence) {
	checks := a.inspect.Look(ctx)
	for _, c := range checks {
		if c.State == inventory.CheckWarning || c.State == inventory.CheckFailed {
			say(inventory.Say("%s: %s: found %s, wanted %s", c.State, c.Name, c.Found, c.Wanted))
		}
	}
	return inventory.OpSucceeded, preflight.Summary(checks)
}

// tune applies the fixes an operator named.
func (a *App) tune(ctx context.Context, o api.Order, say func(inventory.Sentence)) (inventory.OperationState, inventory.Sentence) {
	t := preflight.Tuner{Limit: raise}
	changes, err := t.Tune(ctx, a.facts(ctx), o.Params.Fixes)
	for _, c := range changes {
		say(c.Said())
	}
	if err != nil {
		return inventory.OpFailed, inventory.Say("%s", err)
	}
	a.inspect.Look(ctx)
	if len(changes) == 0 {
		return inventory.OpSucceeded, inventory.Say("nothing had to be changed")
	}
	return inventory.OpSucceeded, inventory.Say("%d changes were made", len(changes))
}

// settleTune finds out whether fixes were made that an earlier agent was at.
func (a *App) settleTune(step state.Step) (inventory.OperationState, inventory.Sentence) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var left []string
	for _, c := range a.inspect.Look(ctx) {
		if c.State == inventory.CheckOK {
			continue
		}
		for _, name := range step.Order.Params.Fixes {
			if name == c.Name {
				left = append(left, name)
			}
		}
	}
	if len(left) > 0 {
		return inventory.OpFailed, inventory.Say("after the agent was back these were still to be mended: %s", strings.Join(left, ", "))
	}
	return inventory.OpSucceeded, inventory.Say("found mended after the agent was back")
}

// raise raises a limit of this agent, which services inherit from their next start.
func raise(name string, value int64) error {
	resource, ok := map[string]int{"open_files": unix.RLIMIT_NOFILE, "stack": unix.RLIMIT_STACK, "processes": unix.RLIMIT_NPROC}[name]
	if !ok {
		return fmt.Errorf("there is no limit %q", name)
	}
	limit := unix.Rlimit{Cur: uint64(value), Max: uint64(value)}
	var now unix.Rlimit
	if err := unix.Getrlimit(resource, &now); err != nil {
		return err
	}
	limit.Max = max(limit.Max, now.Max)
	return unix.Setrlimit(resource, &limit)
}
