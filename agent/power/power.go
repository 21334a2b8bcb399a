// Package power switches power: of other servers through their management
// controllers (IPMI, Redfish), a magic packet, a program of the site or the dev
// fleet's machines, and of the agent's own machine.
//
// Passwords are used and forgotten: they are in no error, log or command line.
// The agent's steward and app import it; it is the home of bougou/go-ipmi.
package power

import (
	"context"
	"crypto/x509"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// Driver switches one server's power. Every call ends within its context, with
// an error of one sentence when the driver cannot do what it was asked.
type Driver interface {
	// Status tells whether the server is under power.
	Status(ctx context.Context) (inventory.PowerState, error)
	On(ctx context.Context) error
	// Off takes the power at once, whatever the server is doing.
	Off(ctx context.Context) error
	// Cycle takes the power and gives it back.
	Cycle(ctx context.Context) error
}

// Act is what can be done to a server's power.
type Act string

// The acts.
const (
	On    Act = "on"
	Off   Act = "off"
	Cycle Act = "cycle"
)

// Said is the act in a sentence.
func (a Act) Said() inventory.Sentence { return inventory.Word(string(a)) }

// errUnsupported is wrapped by drivers that cannot do an act at all.
var errUnsupported = inventory.Fail("this kind of power driver cannot do that")

const (
	// callLimit is how long one question to a management controller may take,
	// its repetitions included.
	callLimit = 20 * time.Second
	// settleLimit is how long a server may take to be seen in the state it was
	// switched to.
	settleLimit = 30 * time.Second
	settlePoll  = time.Second
)

// Options are what drivers need of the agent that uses them.
type Options struct {
	Machines string         // directory of the dev fleet's machines; empty: this is no dev fleet
	Roots    *x509.CertPool // for redfish without a pin; nil: the system's
}

// New returns the driver for a server, by name, and a password.
func New(how api.OrderPower, server, password string, o Options) (Driver, error) {
	switch how.Kind {
	case inventory.PowerIPMI:
		return newIPMI(how, password)
	case inventory.PowerRedfish:
		return newRedfish(how, password, o.Roots)
	case inventory.PowerWake:
		return newWake(how, password)
	case inventory.PowerCommand:
		return newCommand(how, server, password)
	case inventory.PowerDev:
		return newDev(o.Machines, server)
	default:
		return nil, inventory.FieldErrorf("kind", "this agent knows no power driver %q: it may need an upgrade", how.Kind)
	}
}

// Status asks a driver, within callLimit.
func Status(ctx context.Context, d Driver) (inventory.PowerState, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	return d.Status(ctx)
}

// Do switches the power and waits until it is seen switched, where the driver
// can see. It tells what was done. Cycling a server that is off switches it on.
func Do(ctx context.Context, d Driver, act Act) (done inventory.Sentence, err error) {
	before, err := Status(ctx, d)
	if err != nil {
		return done, err
	}
	switch {
	case act == On && before == inventory.PowerOn:
		return inventory.Say("the power was on already"), nil
	case act == Off && before == inventory.PowerOff:
		return inventory.Say("the power was off already"), nil
	case act == Cycle && before == inventory.PowerOff:
		act = On
	}
	if err := once(ctx, d, act); err != nil {
		return done, err
	}
	switch {
	case act == Cycle:
		return inventory.Say("the power was cycled"), nil
	case before == inventory.PowerUnknown:
		return inventory.Say("told to switch %s; this driver cannot see whether it did", act), nil
	}
	if err := settle(ctx, d, inventory.PowerState(act)); err != nil {
		return done, err
	}
	return inventory.Say("the power is %s", act), nil
}

func once(ctx context.Context, d Driver, act Act) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	switch act {
	case On:
		return d.On(ctx)
	case Off:
		return d.Off(ctx)
	default:
		return d.Cycle(ctx)
	}
}

// settle waits until the power is seen in a state.
func settle(ctx context.Context, d Driver, want inventory.PowerState) error {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	for {
		now, err := Status(ctx, d)
		if err == nil && now == want {
			return nil
		}
		select {
		case <-ctx.Done():
			if err != nil {
				return err
			}
			return inventory.Fail("told to switch %s, the power was still %s after %s", want, now, settleLimit)
		case <-time.After(settlePoll):
		}
	}
}
