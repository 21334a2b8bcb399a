// Package app wires the agent: Options, New, Run. Nothing below imports it;
// main and the fleet's end-to-end tests do.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"mailfleet/agent/collect"
	"mailfleet/agent/handover"
	"mailfleet/agent/power"
	"mailfleet/agent/preflight"
	"mailfleet/agent/push"
	"mailfleet/agent/releases"
	"mailfleet/agent/state"
	"mailfleet/agent/steward"
	"mailfleet/agent/supervise"
	"mailfleet/agent/supervise/systemd"
	"mailfleet/agent/uplink"
	"mailfleet/agent/watch"
	"mailfleet/inventory"
	"mailfleet/inventory/members"
)

// bootIDLimit is how long the machine may take to tell its boot id.
const bootIDLimit = 5 * time.Second

// stopLimit is how long services may take when the agent stops them.
const stopLimit = 40 * time.Second

// standsAfter is how long an agent that cannot reach its controller must have run
// to be one that stands.
const standsAfter = time.Minute

// Options say which agent to run.
type Options struct {
	Dir          string        // of its identity and all it keeps
	Mailnode     string        // the mailnode program
	StopServices bool          // stop the services before ending, as in a container
	Machines     string        // directory of the dev fleet's machines; empty: this is no dev fleet
	UpgradeGate  time.Duration // how long an upgraded service must be well to be believed
	Handover     *handover.Handover
	Log          *slog.Logger
}

// App is an agent, ready to run.
type App struct {
	opts     Options
	log      *slog.Logger
	link     *uplink.Uplink
	services *supervise.Supervisor
	releases *releases.Shelf
	steward  *steward.Steward
	watch    *watch.Watch
	inspect  *preflight.Inspector
	sender   *push.Sender
	pool     *members.Pool
	stops    []func() error  // run last in, first out
	leave    func()          // ends Run, for another build to go on
	over     <-chan struct{} // closed by leave
	leaving  atomic.Bool     // another build goes on
}

// New opens what the agent keeps and adopts the services that run already. On
// an error everything opened is closed again.
func New(opts Options) (*App, error) {
	a := &App{opts: opts, log: opts.Log}
	var over context.Context
	over, a.leave = context.WithCancel(context.Background())
	a.over = over.Done()
	if err := a.setup(); err != nil {
		return nil, errors.Join(err, a.stop())
	}
	return a, nil
}

func (a *App) onStop(name string, fn func() error) {
	a.stops = append(a.stops, func() error {
		if err := fn(); err != nil {
			return fmt.Errorf("stop %s: %w", name, err)
		}
		return nil
	})
}

func (a *App) stop() error {
	var errs []error
	for i := len(a.stops) - 1; i >= 0; i-- {
		errs = append(errs, a.stops[i]())
	}
	a.stops = nil
	return errors.Join(errs...)
}

func (a *App) setup() (err error) {
	if a.link, err = uplink.Open(a.opts.Dir, a.routes(), a.log); err != nil {
		return err
	}
	a.log = a.log.With("server", a.link.Identity().Name)
	machine, err := power.Own(a.opts.Machines, a.link.Identity().Name)
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(context.Background(), bootIDLimit)
	defer cancel()
	boot, err := machine.BootID(asking)
	if err != nil {
		return err
	}
	// First of all that keeps files: it refuses a directory that another agent has.
	if a.services, err = supervise.New(supervise.Options{Dir: a.opts.Dir, BootID: boot, Units: a.units(), Log: a.log}); err != nil {
		return fmt.Errorf("supervise services: %w", err)
	}
	a.onStop("supervision", a.services.Close)
	journal, err := state.OpenJournal(filepath.Join(a.opts.Dir, "journal"), a.log)
	if err != nil {
		return err
	}
	a.onStop("journal", journal.Close)
	if a.releases, err = releases.New(a.opts.Dir, a.link.Client(), a.log); err != nil {
		return err
	}
	if err := a.joinPool(); err != nil {
		return err
	}
	a.prepareInspection()
	if a.steward, err = steward.New(steward.Options{
		Dir: a.opts.Dir, Mailnode: a.opts.Mailnode, Link: a.link, Services: a.services, Journal: journal, Releases: a.releases,
		Gate: a.opts.UpgradeGate, Trial: a.opts.Handover.OnTrial(), BootID: boot, Missing: a.missing, Executors: a.executors(machine, boot), Log: a.log,
	}); err != nil {
		return err
	}
	if !a.opts.Handover.OnTrial() {
		if err := a.releases.Prune(a.steward.Builds(a.opts.Handover.Runs())); err != nil {
			a.log.Warn("releases that nothing needs are left", "err", err)
		}
	}
	if a.sender, err = push.New(push.Options{
		Dir: filepath.Join(a.opts.Dir, "samples"), Server: a.link.Identity().Name, HTTP: a.link.HTTP(), Log: a.log,
	}); err != nil {
		return fmt.Errorf("open the spool of samples: %w", err)
	}
	a.onStop("spool of samples", a.sender.Close)
	a.watch, err = watch.New(watch.Options{
		Dir: a.opts.Dir, Link: a.link, Sink: a.sender, Desired: a.steward.Desired,
		Sources: []collect.Source{a.steward.Counters()}, Log: a.log,
	})
	return err
}

// units are systemd's, when it runs this machine.
func (a *App) units() supervise.Units {
	if !systemd.Booted() {
		return nil
	}
	u := systemd.New()
	a.onStop("systemd", u.Close)
	return u
}

// executors carry out the orders that are not about services.
func (a *App) executors(machine power.Machine, boot string) map[inventory.OperationKind]steward.Executor {
	all := (&steward.Power{Link: a.link, Machine: machine, BootID: boot, Drivers: a.drivers()}).Executors()
	maps.Copy(all, a.inspections())
	maps.Copy(all, (&steward.Succession{Releases: a.releases, Handover: a.opts.Handover, Leave: a.leave}).Executors())
	return all
}

func (a *App) joinPool() error {
	me := a.link.Identity()
	address, err := netip.ParseAddr(me.Address)
	if err != nil {
		return fmt.Errorf("address of this server: %w", err)
	}
	a.pool, err = members.Start(members.Config{
		Name: me.Name, ID: string(me.ID), Role: members.RoleAgent,
		Bind: netip.AddrPortFrom(address, uint16(me.Gossip.Port)), Key: me.Gossip.Key, Join: me.Gossip.Peers,
		Snapshot: filepath.Join(a.opts.Dir, "members.snapshot"), Logger: a.log,
	})
	if err != nil {
		return fmt.Errorf("join the pool of members at %s: %w", net.JoinHostPort(me.Address, strconv.Itoa(me.Gossip.Port)), err)
	}
	a.onStop("members", func() error {
		if a.leaving.Load() { // the next build is the same member, and soon
			return a.pool.Close()
		}
		return errors.Join(a.pool.Leave(), a.pool.Close())
	})
	return nil
}

// missing are the servers that this one's gossip finds dead.
func (a *App) missing() []string { return a.pool.Failed(members.RoleAgent) }

// Run runs the agent until ctx ends, or until another build is to go on (see
// package handover). Services go on, unless it is to stop them.
func (a *App) Run(ctx context.Context) error {
	working, cancel := context.WithCancel(ctx)
	defer cancel()
	g, working := errgroup.WithContext(working)
	for _, part := range []func(context.Context) error{
		a.link.Run, a.steward.Run, a.watch.Run, a.sender.Run, a.inspect.Run, a.stand,
	} {
		g.Go(func() error { return part(working) })
	}
	g.Go(func() error {
		select {
		case <-a.over:
			cancel()
		case <-working.Done():
		}
		return nil
	})
	a.log.Info("agent running", "controller", a.link.Identity().Controller, "version", inventory.Version, "on_trial", a.opts.Handover.OnTrial())
	err := g.Wait()
	a.leaving.Store(err == nil && ctx.Err() == nil)
	if a.opts.StopServices && !a.leaving.Load() {
		err = errors.Join(err, a.stopServices(context.WithoutCancel(ctx)))
	}
	return errors.Join(err, a.stop())
}

// stand says when the agent stands; one that is on trial has then done its part.
func (a *App) stand(ctx context.Context) error {
	var late <-chan time.Time
	if !a.opts.Handover.OnTrial() {
		timer := time.NewTimer(standsAfter)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-ctx.Done():
		return nil
	case <-late:
	case <-a.steward.Fresh():
	}
	if err := a.opts.Handover.Stand(); err != nil {
		if a.opts.Handover.OnTrial() {
			return fmt.Errorf("say that this agent stands: %w", err)
		}
		a.log.Warn("that this agent stands is not written down", "err", err)
	}
	if a.opts.Handover.OnTrial() {
		a.leave()
	}
	return nil
}

// stopServices stops all services, in the reverse of their start order.
func (a *App) stopServices(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	return a.services.StopAll(ctx)
}
