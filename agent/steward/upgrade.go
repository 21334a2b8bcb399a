package steward

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"mailfleet/agent/state"
	"mailfleet/agent/supervise"
	"mailfleet/agent/supervise/health"
	"mailfleet/controller/api"
	"mailfleet/inventory"
)

const (
	// upgradeLimit is how long an upgrade may take, most of it to fetch the build.
	upgradeLimit = 15 * time.Minute
	// DefaultGate is how long an upgraded service must be well to be believed.
	DefaultGate = 10 * time.Second
	// returnLimit is how long a service may take to be as it was before.
	returnLimit = 3 * time.Minute
	// lookPause lies between two looks at a service that must be well.
	lookPause = 100 * time.Millisecond
	// fetchAgain is the pause after a build that is wanted could not be had.
	fetchAgain = time.Minute
)

// choose makes a spec run what its service is to run. A build that is not here is
// put among the missing, and the service keeps to what it would run without it.
func (s *Steward) choose(spec *supervise.Spec, v api.DesiredService, missing map[inventory.ID]string) error {
	p := s.picks.of(v)
	if v.Kind == inventory.KindCommand {
		spec.Command = p.Command
	}
	if p.Release == "" {
		return nil
	}
	b, ok := s.Releases.Have(p.Release)
	if !ok {
		missing[p.Release] = programOf(v)
		return inventory.Fail("the release that %s is to run is not here yet", v.Name)
	}
	if len(spec.Command) == 0 {
		return nil // a unit has none, and Check says so
	}
	spec.Command = append([]string{b.Path}, spec.Command[1:]...)
	if v.User != "" {
		return s.Releases.Share()
	}
	return nil
}

// programOf is the program a service's releases are of.
func programOf(v api.DesiredService) string {
	if v.Kind == inventory.KindMailnode {
		return inventory.ProgramMailnode
	}
	return v.Name
}

// fetchWanted gets builds that services are to run and that are not here, as on a
// new disk.
func (s *Steward) fetchWanted(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wanting:
		}
		select {
		case <-ctx.Done():
			return
		case <-s.Link.Up():
		}
		s.mu.Lock()
		missing := s.missing
		s.mu.Unlock()
		failed := false
		for id, program := range missing {
			fetching, cancel := context.WithTimeout(ctx, upgradeLimit)
			_, err := s.Releases.Fetch(fetching, id, program, func(inventory.Sentence) {})
			cancel()
			if failed = failed || err != nil; err != nil && ctx.Err() == nil {
				s.log.Warn("a release that a service is to run is not here", "program", program, "release", id, "err", err)
			}
		}
		if failed {
			sleep(ctx, fetchAgain)
		}
		if ctx.Err() == nil && len(missing) > 0 {
			s.apply(ctx)
		}
	}
}

// Builds are those that may be run again, by their SHA-256: of services, and others.
func (s *Steward) Builds(others []string) map[string]bool {
	d, _ := s.Desired()
	ids := s.picks.releases()
	for _, v := range d.Services {
		ids = append(ids, v.Release)
	}
	keep := make(map[string]bool)
	for _, sum := range others {
		keep[sum] = true
	}
	for _, id := range ids {
		if b, ok := s.Releases.Have(id); ok {
			keep[b.SHA256] = true
		}
	}
	return keep
}

// desiredService finds a service in the document in force.
func (s *Steward) desiredService(name string) (api.DesiredService, error) {
	d, _ := s.Desired()
	i := slices.IndexFunc(d.Services, func(v api.DesiredService) bool { return v.Name == name })
	if i < 0 {
		return api.DesiredService{}, inventory.Errorf(inventory.NotFound, "there is no service %q on this server", name)
	}
	return d.Services[i], nil
}

// status is how a service is.
func (s *Steward) status(name string) inventory.ServiceStatus {
	for _, r := range s.Services.Status() {
		if r.Name == name {
			return r.ServiceStatus
		}
	}
	return inventory.ServiceStatus{}
}

// title names a pick in a sentence.
func (s *Steward) title(v api.DesiredService, p pick) inventory.Sentence {
	if p.Release != "" {
		if b, ok := s.Releases.Have(p.Release); ok {
			return inventory.Say("%s %s", b.Program, b.Number)
		}
		return inventory.Say("release %s", p.Release)
	}
	if v.Kind == inventory.KindMailnode {
		return inventory.Say("the mailnode installed beside the agent")
	}
	return inventory.Say("%s", strings.Join(p.Command, " "))
}

// upgradeService has a service run another build, or another command, and goes
// back when that does not do well. Everything is here and checked before the
// service is touched.
func (s *Steward) upgradeService(ctx context.Context, o api.Order, say func(inventory.Sentence)) (inventory.OperationState, inventory.Sentence) {
	v, err := s.desiredService(o.Service)
	if err != nil {
		return inventory.OpFailed, inventory.Say("%s", err)
	}
	from, to := s.picks.of(v), pick{Command: v.Command}
	version := ""
	switch {
	case v.Kind == inventory.KindUnit:
		return inventory.OpFailed, inventory.Say("a systemd unit is upgraded by the system that installed it")
	case o.Params.Release != "":
		b, err := s.Releases.Fetch(ctx, o.Params.Release, programOf(v), say)
		if err != nil {
			return inventory.OpFailed, inventory.Say("%s; nothing was changed", err)
		}
		to.Release, version = b.ID, b.Number
	case o.Params.Config != nil && len(o.Params.Config.Command) > 0 && v.Kind == inventory.KindCommand:
		to.Command = o.Params.Config.Command
	default:
		return inventory.OpFailed, inventory.Say("the order does not say what to run")
	}
	st := s.status(v.Name)
	if v.Want != inventory.WantRunning {
		if err := s.picks.keep(v, to); err != nil {
			return inventory.OpFailed, inventory.Say("%s; nothing was changed", err)
		}
		s.apply(ctx)
		return inventory.OpSucceeded, inventory.Say("it does not run; it will be %s from its next start", s.title(v, to))
	}
	if to.equal(from) && st.State == inventory.ServiceRunning && !st.Pending {
		return inventory.OpSucceeded, inventory.Say("it runs %s already", s.title(v, to))
	}
	say(inventory.Say("from %s to %s: it is stopped when it has finished what it holds", s.title(v, from), s.title(v, to)))
	s.picks.try(v.Name, to)
	s.apply(ctx)
	err = s.restartWell(ctx, v, version)
	if err == nil {
		err = s.picks.keep(v, to)
	}
	if err != nil {
		return s.goBack(ctx, v, inventory.Say("%s did not do well: %v", s.title(v, to), err), say)
	}
	s.apply(ctx)
	return inventory.OpSucceeded, inventory.Say("it runs %s and was well for %s", s.title(v, to), s.Gate)
}

// goBack has a service run again what it ran before an upgrade.
func (s *Steward) goBack(ctx context.Context, v api.DesiredService, why inventory.Sentence, say func(inventory.Sentence)) (inventory.OperationState, inventory.Sentence) {
	s.picks.drop(v.Name)
	s.apply(ctx)
	old := s.title(v, s.picks.of(v))
	say(inventory.Say("%s; going back to %s", why, old))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), returnLimit)
	defer cancel()
	if err := s.restartWell(ctx, v, ""); err != nil {
		return inventory.OpFailed, inventory.Say("%s does not do well any more either (%v), after %s", old, err, why)
	}
	return inventory.OpFailed, inventory.Say("returned to %s because %s", old, why)
}

// restartWell restarts a service and tells whether it does well: it stays up for
// a while without being started again, answers its probe, and says that it is the
// version (empty: any).
func (s *Steward) restartWell(ctx context.Context, v api.DesiredService, version string) error {
	if why := s.problemOf(v.Name); !why.None() {
		return inventory.Fail("%s", why)
	}
	began := time.Now()
	if err := s.Services.Restart(ctx, v.Name); err != nil {
		return s.withLastWords(err, v.Name, began)
	}
	first := s.status(v.Name)
	timer := time.NewTimer(s.Gate)
	defer timer.Stop()
	tick := time.NewTicker(lookPause)
	defer tick.Stop()
	for watching := true; watching; {
		st := s.status(v.Name)
		switch {
		case st.State != inventory.ServiceRunning || st.PID != first.PID:
			return s.withLastWords(inventory.Fail("it came up and did not stay: it is %s, %s", st.State, cmp.Or(st.Exit, st.Note)), v.Name, began)
		case st.Health != "":
			return inventory.Fail("it is unwell: %s", st.Health)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			watching = false
		case <-tick.C:
		}
	}
	if v.Probe != nil && !v.Drained {
		_, timeout := v.Probe.Times()
		asking, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		if err := health.Ask(asking, *v.Probe); err != nil {
			return inventory.Fail("it is unwell: %v", err)
		}
	}
	if st := s.status(v.Name); version != "" && v.Kind == inventory.KindMailnode && st.Program != version {
		return inventory.Fail("it says that it is version %q", st.Program)
	}
	return nil
}

// withLastWords adds to why a service ended what it said last.
func (s *Steward) withLastWords(why error, name string, since time.Time) error {
	c, err := s.Services.Crash(name)
	if err != nil || c.Time.Before(since) || len(c.Lines) == 0 {
		return why
	}
	return inventory.Fail("%v: %s", why, c.Lines[len(c.Lines)-1])
}

// resumeUpgrade ends an upgrade that an earlier agent was killed over: one that was
// made stands, every other is taken back.
func (s *Steward) resumeUpgrade(ctx context.Context, step state.Step, say func(inventory.Sentence)) (inventory.OperationState, inventory.Sentence) {
	v, err := s.desiredService(step.Order.Service)
	if err != nil {
		return inventory.OpFailed, inventory.Say("%s", err)
	}
	now := s.picks.of(v)
	if asked := step.Order.Params; asked.Release != "" && now.Release == asked.Release ||
		asked.Config != nil && slices.Equal(asked.Config.Command, now.Command) {
		return inventory.OpSucceeded, inventory.Say("it was set to run %s before the agent was ended", s.title(v, now))
	}
	st := s.status(v.Name)
	if v.Want != inventory.WantRunning || st.State == inventory.ServiceRunning && !st.Pending {
		return inventory.OpFailed, inventory.Say("the agent was ended in the middle of the upgrade; the service runs %s as before", s.title(v, now))
	}
	return s.goBack(ctx, v, inventory.Say("the agent was ended in the middle of the upgrade"), say)
}

// problemOf tells why a service is not as it is to be; empty: it is.
func (s *Steward) problemOf(name string) inventory.Sentence {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.problems[name]
}

// applyConfig puts a service's settings in force now: the document that brought
// the order was applied already, so what is left is to tell what was refused, and
// to restart a process that was started from other settings.
func (s *Steward) applyConfig(ctx context.Context, o api.Order, say func(inventory.Sentence)) (inventory.OperationState, inventory.Sentence) {
	v, err := s.desiredService(o.Service)
	if err != nil {
		return inventory.OpFailed, inventory.Say("%s", err)
	}
	s.apply(ctx) // what was refused for a passing reason has another try
	d, _ := s.Desired()
	if why := s.problemOf(v.Name); !why.None() {
		return inventory.OpFailed, inventory.Say("its settings of index %d are refused: %s", d.Index, why)
	}
	done := inventory.Say("its settings of index %d are in force", d.Index)
	if v.Want != inventory.WantRunning {
		return inventory.OpSucceeded, done
	}
	if st := s.status(v.Name); st.State == inventory.ServiceRunning && !st.Pending {
		return inventory.OpSucceeded, inventory.Say("%s without a restart", done)
	}
	say(inventory.Say("its process was started from other settings: it is restarted"))
	if err := s.Services.Restart(ctx, v.Name); err != nil {
		return inventory.OpFailed, inventory.Say("%s", err)
	}
	return inventory.OpSucceeded, inventory.Say("%s since it was restarted", done)
}
