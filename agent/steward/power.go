package steward

import (
	"context"
	"time"

	"mailfleet/agent/power"
	"mailfleet/agent/state"
	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// bootLimit is how long after it was told to reboot or to shut down a machine
// may still be seen running as before.
const bootLimit = 10 * time.Minute

// Power carries out orders on power: the machine's own, and, through their
// drivers, those of other servers.
type Power struct {
	Link    Link
	Machine power.Machine // the agent's own
	BootID  string
	Drivers power.Options
}

// Executors are those of the kinds on power.
func (p *Power) Executors() map[inventory.OperationKind]Executor {
	return map[inventory.OperationKind]Executor{
		inventory.OpServerReboot:     {Do: p.own(p.Machine.Reboot, power.Cycle, inventory.Say("the machine reboots")), Settle: p.settle},
		inventory.OpServerShutdown:   {Do: p.own(p.Machine.Shutdown, power.Off, inventory.Say("the machine shuts down")), Settle: p.settle},
		inventory.OpServerPowerOn:    {Do: p.other(power.On)},
		inventory.OpServerPowerCycle: {Do: p.other(power.Cycle)},
	}
}

// own acts on the agent's own machine; when the order is about another server,
// whose agent is away, its power driver does what comes nearest.
func (p *Power) own(act func(context.Context) error, instead power.Act, going inventory.Sentence) func(context.Context, api.Order, func(inventory.Sentence)) (inventory.OperationState, inventory.Sentence) {
	return func(ctx context.Context, o api.Order, say func(inventory.Sentence)) (inventory.OperationState, inventory.Sentence) {
		if o.Target != "" {
			return p.other(instead)(ctx, o, say)
		}
		say(inventory.Say("boot id %s until now", p.BootID))
		if err := act(ctx); err != nil {
			return inventory.OpFailed, inventory.Say("%s", err)
		}
		return inventory.OpRunning, going
	}
}

// settle tells from the boot id whether the machine went down since.
func (p *Power) settle(step state.Step) (inventory.OperationState, inventory.Sentence) {
	switch {
	case step.Order.Target != "":
		return inventory.OpUnknown, step.Report.Told()
	case step.Boot != "" && step.Boot != p.BootID:
		return inventory.OpSucceeded, inventory.Say("the machine is back with boot id %s", p.BootID)
	case time.Since(step.Report.Started) > bootLimit:
		return inventory.OpFailed, inventory.Say("%s after the order the machine still runs as before", bootLimit)
	default:
		return step.Report.State, step.Report.Told()
	}
}

// other switches another server's power. The password is asked for now and
// forgotten after.
func (p *Power) other(act power.Act) func(context.Context, api.Order, func(inventory.Sentence)) (inventory.OperationState, inventory.Sentence) {
	return func(ctx context.Context, o api.Order, say func(inventory.Sentence)) (inventory.OperationState, inventory.Sentence) {
		if o.Power == nil || o.Target == "" {
			return inventory.OpFailed, inventory.Say("the order does not say how the power is switched")
		}
		secret, err := p.Link.Client().OrderSecret(ctx, o.ID)
		if err != nil {
			return inventory.OpFailed, inventory.Say("the controller did not give the password of the power driver, nothing was done: %s", err)
		}
		d, err := power.New(*o.Power, o.Target, secret.Password, p.Drivers)
		if err != nil {
			return inventory.OpFailed, inventory.Say("%s", err)
		}
		say(inventory.Say("switching the power of %s (%s): %s", o.Target, o.Power.Kind, act))
		done, err := power.Do(ctx, d, act)
		if err != nil {
			return inventory.OpFailed, inventory.Say("%s", err)
		}
		return inventory.OpSucceeded, done
	}
}
