// Package systemd starts, stops and watches systemd's units over D-Bus, and
// reads their journal. It is the supervisor's driver for services that are units.
//
// Only the agent's app imports it; it is the home of coreos/go-systemd.
package systemd

import (
	"context"
	"errors"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"

	"mailfleet/agent/supervise"
	"mailfleet/inventory"
)

// bootedMark is there when systemd runs the machine (sd_booted(3)).
const bootedMark = "/run/systemd/system"

// Booted reports whether systemd runs this machine.
func Booted() bool {
	_, err := os.Stat(bootedMark)
	return err == nil
}

// Units are the machine's units. It is safe for concurrent use.
type Units struct {
	address string // of the bus; empty: the system's
	journal string // the program that shows the journal

	mu  sync.Mutex
	bus *bus // nil: not connected
}

// New returns the units of this machine. Nothing is connected before it is
// needed, and it is connected again after a break.
func New() *Units { return &Units{journal: "journalctl"} }

// Close ends the connection.
func (u *Units) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.bus != nil {
		u.bus.conn.Close()
		u.bus.following.Wait()
		u.bus = nil
	}
	return nil
}

// bus is one connection.
type bus struct {
	conn      *dbus.Conn
	lost      <-chan struct{} // closed when it breaks
	following sync.WaitGroup

	mu       sync.Mutex
	watchers map[string]chan struct{} // by unit; closed and removed when it may have changed
}

// connected returns the connection, making it when there is none.
func (u *Units) connected() (*bus, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.bus != nil {
		select {
		case <-u.bus.lost:
			u.bus.conn.Close()
			u.bus.following.Wait()
			u.bus = nil
		default:
			return u.bus, nil
		}
	}
	b := &bus{watchers: make(map[string]chan struct{})}
	var err error
	b.conn, err = dbus.NewConnection(func() (*godbus.Conn, error) {
		auth := godbus.WithAuth(godbus.AuthExternal(strconv.Itoa(os.Getuid())))
		var c *godbus.Conn
		var err error
		if u.address == "" {
			c, err = godbus.ConnectSystemBus(auth)
		} else {
			c, err = godbus.Connect(u.address, auth)
		}
		if err == nil {
			b.lost = c.Context().Done() // of the second and last, which hears the signals
		}
		return c, err
	})
	if err != nil {
		return nil, inventory.Wrap(inventory.Unavailable, err, "systemd cannot be asked: %s", err)
	}
	changes, overflow := make(chan *dbus.PropertiesUpdate, 256), make(chan error, 1)
	b.conn.SetPropertiesSubscriber(changes, overflow)
	if err := b.conn.Subscribe(); err != nil {
		b.conn.Close()
		return nil, inventory.Wrap(inventory.Unavailable, err, "systemd does not tell of changes: %s", err)
	}
	b.following.Go(func() { b.follow(changes, overflow) })
	u.bus = b
	return b, nil
}

// follow tells those who watch of changes, until the connection breaks.
func (b *bus) follow(changes <-chan *dbus.PropertiesUpdate, overflow <-chan error) {
	for {
		select {
		case c := <-changes:
			b.fire(c.UnitName)
		case err := <-overflow: // some changes were lost: whose does not matter
			if err != nil {
				b.fire("")
			}
		case <-b.lost:
			b.fire("")
			return
		}
	}
}

// fire tells who watches a unit; of none: who watches any.
func (b *bus) fire(unit string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, ch := range b.watchers {
		if unit == "" || unit == name {
			close(ch)
			delete(b.watchers, name)
		}
	}
}

func (b *bus) watch(unit string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	ch := b.watchers[unit]
	if ch == nil {
		ch = make(chan struct{})
		b.watchers[unit] = ch
	}
	return ch
}

// Watch tells how a unit is; the channel is closed when that may have changed.
func (u *Units) Watch(ctx context.Context, unit string) (supervise.UnitState, <-chan struct{}, error) {
	b, err := u.connected()
	if err != nil {
		return supervise.UnitState{}, nil, err
	}
	changed := b.watch(unit) // before looking
	s, err := look(ctx, b.conn, unit)
	return s, changed, err
}

func look(ctx context.Context, conn *dbus.Conn, unit string) (supervise.UnitState, error) {
	general, err := conn.GetUnitPropertiesContext(ctx, unit)
	if err != nil {
		return supervise.UnitState{}, explain(unit, err)
	}
	if text(general, "LoadState") == "not-found" {
		return supervise.UnitState{}, inventory.Errorf(inventory.NotFound, "systemd knows no unit %s", unit)
	}
	// A unit that is no service (a socket, a timer) has no process.
	service, err := conn.GetUnitTypePropertiesContext(ctx, unit, "Service")
	if err != nil {
		service = nil
	}
	return stateOf(general, service), nil
}

// Start has systemd start a unit.
func (u *Units) Start(ctx context.Context, unit string) error {
	return u.job(ctx, unit, "start", (*dbus.Conn).StartUnitContext)
}

// Stop has systemd stop a unit.
func (u *Units) Stop(ctx context.Context, unit string) error {
	return u.job(ctx, unit, "stop", (*dbus.Conn).StopUnitContext)
}

// Reload has systemd reload a unit.
func (u *Units) Reload(ctx context.Context, unit string) error {
	return u.job(ctx, unit, "reload", (*dbus.Conn).ReloadUnitContext)
}

// job has systemd do something with a unit and returns when that is done.
func (u *Units) job(ctx context.Context, unit, verb string, act func(*dbus.Conn, context.Context, string, string, chan<- string) (int, error)) error {
	b, err := u.connected()
	if err != nil {
		return err
	}
	done := make(chan string, 1)
	if _, err := act(b.conn, ctx, unit, "replace", done); err != nil {
		return explain(unit, err)
	}
	select {
	case <-ctx.Done():
		return inventory.Fail("systemd did not %s unit %s in time: %v", verb, unit, ctx.Err())
	case <-b.lost:
		return inventory.Errorf(inventory.Unavailable, "systemd went away while it was to %s unit %s", verb, unit)
	case result := <-done:
		if result == "done" {
			return nil
		}
		why := inventory.Say("the job ended as %s", result)
		if s, err := look(ctx, b.conn, unit); err == nil && !s.Exit.None() {
			why = s.Exit
		}
		return inventory.Errorf(inventory.Unavailable, "systemd could not %s unit %s: %s", verb, unit, why)
	}
}

// explain says an error of the bus in one sentence.
func explain(unit string, err error) error {
	e, ok := errors.AsType[godbus.Error](err)
	if !ok {
		return inventory.Wrap(inventory.Unavailable, err, "systemd cannot be asked: %s", err)
	}
	switch e.Name {
	case "org.freedesktop.systemd1.NoSuchUnit", "org.freedesktop.systemd1.LoadFailed":
		return inventory.Wrap(inventory.NotFound, err, "systemd knows no unit %s", unit)
	case "org.freedesktop.systemd1.UnitMasked":
		return inventory.Wrap(inventory.Conflict, err, "unit %s is masked: systemctl unmask %s lets it be started", unit, unit)
	case "org.freedesktop.DBus.Error.AccessDenied", "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired":
		return inventory.Wrap(inventory.Forbidden, err, "systemd does not let this agent manage units: it must run as root")
	default:
		return inventory.Wrap(inventory.Unavailable, err, "systemd refused: %s", e.Error())
	}
}

// stateOf puts a unit's properties (org.freedesktop.systemd1(5)) in our words.
func stateOf(general, service map[string]any) supervise.UnitState {
	s := supervise.UnitState{State: inventory.ServiceUnknown, PID: int(number(service, "MainPID"))}
	switch text(general, "ActiveState") {
	case "active", "reloading", "refreshing":
		s.State = inventory.ServiceRunning
	case "activating":
		s.State = inventory.ServiceStarting
		if sub := text(general, "SubState"); sub == "auto-restart" || sub == "auto-restart-queued" {
			s.State = inventory.ServiceBackoff
		}
	case "deactivating":
		s.State = inventory.ServiceStopping
	case "inactive", "maintenance":
		s.State = inventory.ServiceStopped
	case "failed":
		s.State = inventory.ServiceCrashed
	}
	if at := number(general, "StateChangeTimestamp"); at > 0 {
		s.Since = time.UnixMicro(at)
	}
	s.Exit = exitOf(service)
	return s
}

// The codes of ExecMainCode (wait(2)).
const (
	exited = 1
	killed = 2
	dumped = 3
)

func exitOf(service map[string]any) inventory.Sentence {
	result := text(service, "Result")
	if result == "" || result == "success" {
		return inventory.Sentence{}
	}
	status := number(service, "ExecMainStatus")
	switch number(service, "ExecMainCode") {
	case exited:
		if result == "exit-code" {
			return inventory.Say("exit status %d", status)
		}
	case killed, dumped:
		if result == "signal" || result == "core-dump" {
			return inventory.Say("signal %d", status)
		}
	}
	return inventory.Word(result) // timeout, oom-kill, start-limit-hit…
}

func text(properties map[string]any, name string) string {
	s, _ := properties[name].(string)
	return s
}

// number reads an integer of whatever size.
func number(properties map[string]any, name string) int64 {
	switch n := properties[name].(type) {
	case uint32:
		return int64(n)
	case int32:
		return int64(n)
	case uint64:
		return int64(n)
	default:
		return 0
	}
}
