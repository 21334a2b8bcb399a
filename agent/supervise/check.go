package supervise

import (
	"context"
	"sync"
	"time"

	"mailfleet/agent/supervise/health"
	"mailfleet/inventory"
)

// news is how a service that runs is found to be.
type news struct {
	program string             // version; "": not told
	problem inventory.Sentence // why it is unwell; none: it is well
}

// checker asks a running service how it is.
type checker struct {
	spec    Spec // what it was made from
	news    chan news
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// check has the service asked how it is while it runs, in the way its spec says now.
func (s *service) check(ctx context.Context) {
	spec := s.currentSpec()
	running := s.record.Status.State == inventory.ServiceRunning
	if s.checker != nil && (!running || !spec.sameHealth(s.checker.spec)) {
		s.stopChecker()
		if running && s.record.Status.Health != "" {
			s.record.Status.Tell(nil, &silent, nil)
			s.become(inventory.ServiceRunning, s.proc.pid)
		}
	}
	if s.checker == nil && running && spec.asked() {
		s.checker = startChecker(ctx, spec)
	}
}

func startChecker(ctx context.Context, spec Spec) *checker {
	ctx, cancel := context.WithCancel(ctx)
	c := &checker{spec: spec, news: make(chan news), cancel: cancel}
	c.running.Go(func() { c.run(ctx) })
	return c
}

// run asks again and again, and tells what is new.
func (c *checker) run(ctx context.Context) {
	p := inventory.Probe{}
	if c.spec.Probe != nil {
		p = *c.spec.Probe
	}
	interval, timeout := p.Times()
	limit := p.Fails
	if limit == 0 {
		limit = inventory.DefaultProbeFails
	}
	var told news
	failures := 0
	for {
		now := news{program: told.program}
		asking, cancel := context.WithTimeout(ctx, timeout)
		program, err := c.ask(asking, p)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			failures = 0
			now.program = program
		default:
			failures++
			if failures < limit {
				now.problem = told.problem
				break
			}
			now.problem = inventory.Say("%s", err)
		}
		if !now.problem.None() && !told.problem.None() {
			now.problem = told.problem // one reason is enough, they may differ each time
		}
		if now.program != told.program || now.problem.String() != told.problem.String() {
			select {
			case c.news <- now:
				told = now
			case <-ctx.Done():
				return
			}
		}
		if pause(ctx, interval) != nil {
			return
		}
	}
}

func (c *checker) ask(ctx context.Context, p inventory.Probe) (program string, err error) {
	if c.spec.Health != nil {
		if program, err = c.spec.Health(ctx); err != nil {
			return "", err
		}
	}
	if c.spec.Probe != nil {
		err = health.Ask(ctx, p)
	}
	return program, err
}

func (s *service) checked() <-chan news {
	if s.checker == nil {
		return nil
	}
	return s.checker.news
}

// stop ends the asking.
func (c *checker) stop() {
	c.cancel()
	c.running.Wait()
}

func (s *service) stopChecker() {
	if s.checker != nil {
		s.checker.stop()
		s.checker = nil
	}
}

// heard deals with what is new of the service's health.
func (s *service) heard(ctx context.Context, n news) {
	st := &s.record.Status
	if !n.problem.None() {
		s.log.Warn("the service is unwell", "why", n.problem.String())
	} else if st.Health != "" {
		s.log.Info("the service is well again")
	}
	st.Tell(nil, &n.problem, nil)
	st.Program = n.program
	s.become(st.State, st.PID)
	p := s.currentSpec().Probe
	if n.problem.None() || p == nil || !p.Restart {
		return
	}
	ran := time.Since(st.Since)
	s.stopChecker()
	if _, err := s.halt(ctx); err != nil {
		if ctx.Err() == nil {
			s.log.Error("a service that is unwell does not stop", "err", err)
		}
		return
	}
	s.failed(inventory.Say("restarted because it was unwell: %s", n.problem), ran)
}
