package supervise

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"mailfleet/agent/durable"
	"mailfleet/inventory"
)

// UnitState is how systemd finds a unit.
type UnitState struct {
	State inventory.ServiceState
	PID   int // of its main process; 0: there is none
	Since time.Time
	Exit  inventory.Sentence // how it last ended; none: it has not, or well
}

// Units runs systemd units (package systemd). What it does not know of a unit
// is an error of code NotFound; when there is no systemd to ask, Unavailable.
type Units interface {
	// Watch returns how the unit is, and a channel that is closed when that may
	// have changed.
	Watch(ctx context.Context, unit string) (UnitState, <-chan struct{}, error)
	// Start, Stop and Reload return when systemd has done it.
	Start(ctx context.Context, unit string) error
	Stop(ctx context.Context, unit string) error
	Reload(ctx context.Context, unit string) error
	// Log returns the last lines of the unit's journal, oldest first.
	Log(ctx context.Context, unit string, lines int) ([]string, error)
	// Follow gives emit the last lines and then those that come.
	Follow(ctx context.Context, unit string, lines int, emit func(string) error) error
}

var errNoUnits = inventory.Errorf(inventory.Unavailable, "there is no systemd on this server, so units cannot be supervised")

const (
	unitLimit = 5 * time.Minute  // for systemd to start or stop a unit
	unitRetry = 5 * time.Second  // before systemd is asked again after a failure
	unitLook  = 30 * time.Second // at most between two looks at a unit
)

// unit is one service that is a systemd unit. systemd restarts it as its unit
// file says; the agent starts and stops it and tells how it is.
type unit struct {
	*seat
	units Units

	// run's own
	now     inventory.ServiceStatus
	waiting []order // for it to run
	asked   *checker
	refused time.Time // when it was last started in vain
}

// addUnit begins to supervise a unit. Supervisor.mu is held.
func (s *Supervisor) addUnit(spec Spec) error {
	if s.units == nil {
		return errNoUnits
	}
	dir := filepath.Join(s.dir, spec.Name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(dir, unitFile), []byte(spec.Unit)); err != nil {
		return err
	}
	u := &unit{seat: s.newSeat(spec, dir), units: s.units}
	u.now.State = inventory.ServiceUnknown
	u.show(u.now, "")
	s.start(u)
	return nil
}

// unitFile has the name of the unit, for an agent that finds it unwanted.
const unitFile = "unit"

// unitOf returns the unit of a service an earlier agent supervised.
func unitOf(dir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, unitFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(b), err
}

func (u *unit) run(ctx context.Context) {
	defer close(u.done)
	defer func() { u.answer(errClosed); u.stopAsking() }()
	for {
		moved := u.sup.moved.next() // before looking
		changed := u.look(ctx)
		again := u.settle(ctx)
		if u.now.State == inventory.ServiceStopped && u.sup.retire(u) {
			return
		}
		timer := time.NewTimer(again)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-u.wake:
		case <-moved:
		case <-changed:
		case <-timer.C:
		case n := <-u.news():
			u.heard(ctx, n)
		case o := <-u.orders:
			u.obey(ctx, o)
		}
		timer.Stop()
	}
}

// look finds out how the unit is.
func (u *unit) look(ctx context.Context) <-chan struct{} {
	spec := u.currentSpec()
	state, changed, err := u.units.Watch(ctx, spec.Unit)
	if ctx.Err() != nil {
		return nil
	}
	st := u.now
	if err != nil {
		why := inventory.Say("%s", err)
		st.State, st.PID = inventory.ServiceUnknown, 0
		st.Tell(nil, nil, &why)
		if inventory.Is(err, inventory.NotFound) && u.isRemoved() {
			st.State = inventory.ServiceStopped // nothing is left to stop
		}
	} else {
		st.State, st.PID, st.Since = state.State, state.PID, state.Since.UTC()
		st.Tell(&state.Exit, nil, &silent)
	}
	if st.State == inventory.ServiceCrashed && u.now.State != inventory.ServiceCrashed && u.now.State != inventory.ServiceUnknown {
		lines, err := u.units.Log(ctx, spec.Unit, crashLines)
		if err != nil {
			u.log.Warn("the journal of the unit cannot be read", "err", err)
		}
		u.keepCrashOf(state.Exit, st.Restarts, lines)
	}
	if st.State != inventory.ServiceRunning {
		st.Tell(nil, &silent, nil)
	}
	u.become(st)
	return changed
}

func (u *unit) become(st inventory.ServiceStatus) {
	if st.Same(u.now) {
		return
	}
	u.now = st
	u.show(st, "")
}

// settle brings the unit to how it is wanted. It returns when to look again at
// the latest.
func (u *unit) settle(ctx context.Context) time.Duration {
	u.ask(ctx)
	switch u.now.State {
	case inventory.ServiceRunning:
		u.answer(nil)
	case inventory.ServiceCrashed:
		exit, _, _ := u.now.Told()
		if exit.None() {
			exit = inventory.Say("it failed")
		}
		u.answer(inventory.Errorf(inventory.Unavailable, "service %s does not run: %s", u.name, exit))
	}
	wanted := u.wantsRunning()
	switch u.now.State {
	case inventory.ServiceStopped:
		if !wanted {
			return unitLook
		}
		if names := u.waitsFor(); names != "" {
			st := u.now
			note := inventory.Say("waits for %s", names)
			st.Tell(nil, nil, &note)
			u.become(st)
			return unitLook
		}
		if rest := unitRetry - time.Since(u.refused); rest > 0 {
			return rest
		}
		if err := u.begin(ctx); err != nil && ctx.Err() == nil {
			u.log.Error("the unit does not start", "err", err)
		}
		return 0
	case inventory.ServiceUnknown:
		return unitRetry
	case inventory.ServiceStopping, inventory.ServiceCrashed:
		if wanted || u.now.State == inventory.ServiceStopping {
			return unitLook
		}
	default:
		if wanted || u.holdsUp() {
			return unitLook
		}
	}
	if rest := unitRetry - time.Since(u.refused); rest > 0 {
		return rest
	}
	if err := u.end(ctx); err != nil && ctx.Err() == nil {
		u.log.Error("the unit does not stop", "err", err)
	}
	return 0
}

// begin starts the unit.
func (u *unit) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, unitLimit)
	defer cancel()
	if err := u.units.Start(ctx, u.currentSpec().Unit); err != nil {
		u.refused = time.Now()
		err = inventory.Wrap(inventory.Unavailable, err, "service %s does not start", u.name)
		u.answer(err)
		return err
	}
	u.refused = time.Time{}
	return nil
}

// end stops the unit.
func (u *unit) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, unitLimit)
	defer cancel()
	err := u.units.Stop(ctx, u.currentSpec().Unit)
	if err != nil && !inventory.Is(err, inventory.NotFound) {
		u.refused = time.Now()
		return inventory.Fail("service %s does not stop: %v", u.name, err)
	}
	u.answer(inventory.Errorf(inventory.Conflict, "service %s was stopped", u.name))
	return nil
}

// obey carries out an order; a start is answered when the unit runs.
func (u *unit) obey(ctx context.Context, o order) {
	u.look(ctx)
	switch o.act {
	case stop:
		u.setWant(inventory.WantStopped)
		o.done <- u.end(ctx)
		return
	case reload:
		if u.now.State != inventory.ServiceRunning {
			o.done <- inventory.Errorf(inventory.Conflict, "service %s does not run", u.name)
			return
		}
		o.done <- u.units.Reload(ctx, u.currentSpec().Unit)
		return
	}
	if o.act == start && u.now.State == inventory.ServiceRunning {
		u.setWant(inventory.WantRunning)
		o.done <- nil
		return
	}
	if err := u.refusal(); err != nil {
		o.done <- err
		return
	}
	u.setWant(inventory.WantRunning)
	if o.act == restart && u.now.State != inventory.ServiceStopped {
		if err := u.end(ctx); err != nil {
			o.done <- err
			return
		}
	}
	u.waiting = append(u.waiting, o)
	if u.waitsFor() == "" {
		if u.begin(ctx) == nil {
			u.look(ctx)
		}
	}
}

func (u *unit) answer(err error) {
	for _, o := range u.waiting {
		o.done <- err
	}
	u.waiting = nil
}

// ask has the unit asked how it is while it runs.
func (u *unit) ask(ctx context.Context) {
	spec := u.currentSpec()
	running := u.now.State == inventory.ServiceRunning
	if u.asked != nil && (!running || !spec.sameHealth(u.asked.spec)) {
		u.stopAsking()
		st := u.now
		st.Tell(nil, &silent, nil)
		u.become(st)
	}
	if u.asked == nil && running && spec.asked() {
		u.asked = startChecker(ctx, spec)
	}
}

func (u *unit) news() <-chan news {
	if u.asked == nil {
		return nil
	}
	return u.asked.news
}

func (u *unit) stopAsking() {
	if u.asked != nil {
		u.asked.stop()
		u.asked = nil
	}
}

// heard deals with what is new of the unit's health.
func (u *unit) heard(ctx context.Context, n news) {
	st := u.now
	st.Tell(nil, &n.problem, nil)
	u.become(st)
	p := u.currentSpec().Probe
	if n.problem.None() || p == nil || !p.Restart {
		return
	}
	u.log.Warn("the unit is restarted because it is unwell", "why", n.problem.String())
	u.stopAsking()
	if err := u.end(ctx); err != nil {
		u.log.Error("a unit that is unwell does not stop", "err", err)
		return
	}
	st = u.now
	st.Restarts++
	u.become(st)
	if err := u.begin(ctx); err != nil {
		u.log.Error("the unit does not start", "err", err)
	}
}

func (u *unit) tail(ctx context.Context, lines int) ([]string, error) {
	return u.units.Log(ctx, u.currentSpec().Unit, lines)
}

func (u *unit) follow(ctx context.Context, lines int, emit func(Line) error) error {
	return u.units.Follow(ctx, u.currentSpec().Unit, lines, func(text string) error { return emit(Line{Text: text}) })
}
