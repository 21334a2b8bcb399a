package supervise

import (
	"cmp"
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"syscall"
	"time"

	"mailfleet/inventory"
)

const (
	// markVariable is the environment variable that marks processes of services.
	markVariable = "MAILFLEET_SERVICE"
	// leftoverGrace is how long processes that outlive their service have to end
	// before they are killed: they hold up its restart.
	leftoverGrace = 5 * time.Second
	// forkWait is how long a process may take to show its mark.
	forkWait = 250 * time.Millisecond
)

// begin starts the service on purpose: it has its whole budget again.
func (s *service) begin(ctx context.Context) {
	s.budget = budget{}
	s.record.Status.Restarts = 0
	s.launch(ctx)
}

// silent is what a status tells when there is nothing to tell.
var silent inventory.Sentence

// launch starts the service's process, when those it starts after are ready.
func (s *service) launch(ctx context.Context) {
	s.retry = nil
	if s.hold() {
		return
	}
	spec := s.currentSpec()
	s.record = record{Boot: s.boot, Nonce: rand.Text(), Spec: spec.hash(), Group: s.record.Group, Status: s.record.Status}
	s.record.Status.Tell(nil, nil, &silent)
	s.become(inventory.ServiceStarting, 0) // before the fork, see the package's documentation
	if err := end(ctx, s.members, signalOf(spec.Stop, syscall.SIGTERM), leftoverGrace); ctx.Err() != nil {
		return
	} else if err != nil {
		s.failed(inventory.Say("cannot start: an earlier process is in the way: %v", err), 0)
		return
	}
	if err := s.fork(spec); err != nil {
		s.failed(inventory.Say("cannot start: %v", err), 0)
		return
	}
	s.become(inventory.ServiceStarting, s.proc.pid)
	s.probe = startProbe(ctx, s.policy, spec.Ready)
}

// hold reports whether the service has to wait for others before it starts.
func (s *service) hold() bool {
	moved := s.sup.moved.next() // before looking
	names := s.waitsFor()
	if names == "" {
		return false
	}
	s.held = moved
	state := s.record.Status.State
	if state != inventory.ServiceBackoff {
		state, s.record.held = inventory.ServiceStarting, true
	}
	if note := inventory.Say("waits for %s", names); s.record.Status.Note != note.String() || s.record.Status.State != state {
		s.record.Status.Tell(nil, nil, &note)
		s.become(state, 0)
	}
	return true
}

// fork starts the process and takes hold of it.
func (s *service) fork(spec Spec) error {
	who, err := identify(spec.User)
	if err != nil {
		return err
	}
	out, err := s.output.open()
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	start := launching{command: spec.Command, env: s.environment(spec, who), dir: cmp.Or(spec.Dir, "/"), output: out, limits: spec.Limits, user: who}
	if who != nil { // so that it can open /dev/stdout again
		if err := out.Chown(who.UID, who.GID); err != nil {
			return inventory.Fail("give the output to user %s: %v", spec.User, err)
		}
	}
	group, note := s.group(spec.Limits)
	if group != nil {
		defer func() { _ = group.Close() }()
		start.group, s.record.Group = group, group.Name()
	}
	s.record.Status.Tell(nil, nil, &note)
	s.proc, err = start.fork()
	if err != nil {
		return err
	}
	s.record.Start = s.proc.start
	return nil
}

func (s *service) environment(spec Spec, who *user) []string {
	env := map[string]string{
		"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LANG": "C.UTF-8",
	}
	if who != nil {
		env["HOME"], env["USER"], env["LOGNAME"] = who.home, who.name, who.name
	}
	maps.Copy(env, spec.Env)
	delete(env, markVariable)
	list := []string{s.mark + s.record.Nonce}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// members returns the service's processes: those of its session, and those that
// left it but carry the mark, of this start or an earlier one.
func (s *service) members() []stat {
	all := processes()
	session := 0
	if s.proc != nil {
		session = s.proc.pid
		// Once the session is empty its number may be given to another.
		if slices.ContainsFunc(all, func(p stat) bool { return p.pid == session && p.start != s.proc.start }) {
			session = 0
		}
	}
	return slices.DeleteFunc(all, func(p stat) bool {
		return (session == 0 || p.session != session) && !marked(p.pid, s.mark)
	})
}

// answered deals with the outcome of asking whether the service is ready.
func (s *service) answered(ctx context.Context, err error) {
	s.stopProbe()
	if err == nil {
		s.become(inventory.ServiceRunning, s.proc.pid)
		s.answer(nil)
		return
	}
	if ctx.Err() != nil {
		return
	}
	if _, herr := s.halt(ctx); herr != nil {
		s.log.Error("a service that does not get ready does not stop either", "err", herr)
		return
	}
	s.failed(inventory.Say("%s", err), 0)
}

// ended deals with the end of the process that nobody asked for.
func (s *service) ended(ctx context.Context) {
	s.stopProbe()
	stopping := s.record.Status.State == inventory.ServiceStopping
	var ran time.Duration
	if s.record.Status.State == inventory.ServiceRunning {
		ran = time.Since(s.record.Status.Since)
	}
	if !stopping {
		s.become(inventory.ServiceBackoff, 0)
	}
	left := len(s.members()) > 0
	// Before it is reaped: until then no other session can have its number.
	if err := end(ctx, s.members, signalOf(s.currentSpec().Stop, syscall.SIGTERM), leftoverGrace); err != nil && ctx.Err() == nil {
		s.log.Warn("processes of the service are left", "err", err)
	}
	exit := s.outOfMemory(s.proc.reap())
	if left && exit.String() == "exit status 0" {
		exit = inventory.Say("%s; what it had started in the background was ended: have it stay in the foreground", exit)
	}
	s.proc = nil
	if stopping {
		s.stopped(exit)
		return
	}
	s.failed(exit, ran)
}

// failed decides how a service goes on that has ended after running for ran, or
// could not be started.
func (s *service) failed(exit inventory.Sentence, ran time.Duration) {
	s.record.Status.Tell(&exit, nil, nil)
	delay, ok := s.budget.spend(s.policy, time.Now(), ran)
	s.keepCrash(exit) // before it is told: who hears of it may look
	s.answer(inventory.Errorf(inventory.Unavailable, "service %s does not run: %s", s.name, exit))
	if !ok {
		s.log.Error("the service has crashed too often and waits for an operator", "exit", exit.String())
		s.become(inventory.ServiceCrashed, 0)
		return
	}
	s.log.Warn("the service has ended and will be restarted", "exit", exit.String(), "delay", delay)
	s.become(inventory.ServiceBackoff, 0)
	s.retry = time.After(delay)
}

// stop ends the service's processes, if there are any, and makes it stopped.
func (s *service) stop(ctx context.Context) error {
	exit, err := s.halt(ctx)
	if err != nil {
		return err
	}
	s.stopped(exit)
	return nil
}

func (s *service) stopped(exit inventory.Sentence) {
	s.retry, s.held = nil, nil
	s.dropGroup()
	s.record.Status.Tell(&exit, nil, &silent)
	s.become(inventory.ServiceStopped, 0)
	s.answer(inventory.Errorf(inventory.Conflict, "service %s was stopped", s.name))
}

// halt ends the service's processes and says how the first of them ended. After
// an error some are left: the service is stopping until they go.
func (s *service) halt(ctx context.Context) (exit inventory.Sentence, err error) {
	s.stopProbe()
	if s.proc != nil {
		s.become(inventory.ServiceStopping, s.proc.pid)
	}
	spec := s.currentSpec()
	err = end(ctx, s.members, signalOf(spec.Stop, syscall.SIGTERM), cmp.Or(spec.StopGrace, DefaultStopGrace))
	if err == nil && s.proc != nil {
		err = s.proc.waitGone(ctx, killWait)
	}
	switch {
	case ctx.Err() != nil:
		return exit, errClosed
	case err != nil:
		return exit, inventory.Fail("service %s does not stop: %v", s.name, err)
	case s.proc == nil:
		exit, _, _ = s.record.Status.Told()
		return exit, nil
	}
	exit = s.outOfMemory(s.proc.reap())
	s.proc = nil
	return exit, nil
}

// adopt takes up the service where an earlier agent left it.
func (s *service) adopt(ctx context.Context) {
	r, ok, err := readRecord(s.recordPath(), s.boot)
	if err != nil {
		s.log.Warn("what an earlier agent knew of the service is lost", "err", err)
	}
	if ok {
		s.record = r
		s.proc = s.find(ctx)
	} else if s.proc = s.findMarked(""); s.proc == nil { // its record may not have got to the disk
		s.become(inventory.ServiceStopped, 0)
		return
	} else {
		s.record = record{Boot: s.boot, Status: inventory.ServiceStatus{State: inventory.ServiceStarting}}
	}
	s.resume(ctx)
}

// resume goes on from the record and its process.
func (s *service) resume(ctx context.Context) {
	r := s.record
	state := r.Status.State
	switch {
	case s.proc != nil:
		s.adopted(ctx)
	case state == inventory.ServiceCrashed:
		s.become(state, 0)
	case state == inventory.ServiceStopping:
		s.stopped(inventory.Say("exit status unknown"))
	case state == inventory.ServiceBackoff:
		exit, _, _ := r.Status.Told()
		s.failed(exit, 0)
	default:
		s.failed(inventory.Say("exit status unknown"), time.Since(r.Status.Since))
	}
}

// adopted takes up a service whose process was found.
func (s *service) adopted(ctx context.Context) {
	s.log.Info("the service is supervised again", "pid", s.proc.pid)
	s.record.Start = s.proc.start
	if spec := s.currentSpec(); s.record.Spec != spec.hash() {
		s.log.Info("the service has changed; it will be in force from its next start")
	}
	if s.record.Status.State == inventory.ServiceStarting {
		s.become(inventory.ServiceStarting, s.proc.pid)
		s.probe = startProbe(ctx, s.policy, s.currentSpec().Ready)
		return
	}
	s.become(inventory.ServiceRunning, s.proc.pid)
}

// find takes hold of the process of the record, if it is still there.
func (s *service) find(ctx context.Context) *process {
	r := s.record
	if r.Status.PID != 0 {
		p, err := hold(r.Status.PID, r.Start)
		if err != nil {
			return nil
		}
		return p
	}
	if r.Status.State != inventory.ServiceStarting {
		return nil
	}
	// The agent died about the fork: there may be a process it did not get to
	// write down. It has begun to be the service, or this agent had not got the
	// lock, but its mark may take a moment to show.
	if p := s.findMarked(r.Nonce); p != nil || pause(ctx, forkWait) != nil {
		return p
	}
	return s.findMarked(r.Nonce)
}

// findMarked takes hold of the process that was started with a nonce: the first
// of those that lead a session.
func (s *service) findMarked(nonce string) *process {
	leaders := slices.DeleteFunc(processes(), func(p stat) bool {
		return p.pid != p.session || !marked(p.pid, s.mark+nonce)
	})
	slices.SortFunc(leaders, func(a, b stat) int { return cmp.Compare(a.start, b.start) })
	for _, l := range leaders {
		if p, err := hold(l.pid, l.start); err == nil {
			return p
		}
	}
	return nil
}
