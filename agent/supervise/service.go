package supervise

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"mailfleet/inventory"
)

// service is one service that is a process of our own. Its run is the only one
// that acts on it.
type service struct {
	*seat
	mark   string // begins the variable its processes carry
	boot   string
	policy policy
	output *output

	// run's own
	proc    *process // nil: there is none
	record  record
	probe   *probe           // nil: it does not get ready just now
	checker *checker         // nil: it is not asked how it is
	retry   <-chan time.Time // nil: it does not wait for a restart
	held    <-chan struct{}  // closed when it may be its turn; nil: it waits for no other service
	budget  budget
	waiting []order // for the service to run
}

// newService makes the service of a spec and takes hold of its process, if an
// earlier agent left one.
func (s *Supervisor) newService(spec Spec) (*service, error) {
	dir := filepath.Join(s.dir, spec.Name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	svc := &service{
		seat:   s.newSeat(spec, dir),
		mark:   fmt.Sprintf("%s=%s:%s:", markVariable, s.id, spec.Name),
		boot:   s.boot,
		policy: s.policy,
		output: &output{path: filepath.Join(dir, "output.log"), size: s.policy.logSize, files: s.policy.logFiles},
	}
	svc.adopt(s.ctx)
	return svc, nil
}

// run keeps the service as it is wanted, until it is removed or ctx ends; then
// it lets go of the process and leaves it running.
func (s *service) run(ctx context.Context) {
	defer close(s.done)
	defer s.detach()
	for {
		s.settle(ctx)
		if s.record.Status.State == inventory.ServiceStopped && s.sup.retire(s) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case o := <-s.orders:
			s.obey(ctx, o)
		case <-s.gone():
			s.ended(ctx)
		case err := <-s.probed():
			s.answered(ctx, err)
		case h := <-s.checked():
			s.heard(ctx, h)
		case <-s.held:
		case <-s.retry:
			s.record.Status.Restarts++
			s.launch(ctx)
		}
	}
}

func (s *service) gone() <-chan struct{} {
	if s.proc == nil {
		return nil
	}
	return s.proc.gone
}

func (s *service) probed() <-chan error {
	if s.probe == nil {
		return nil
	}
	return s.probe.outcome
}

// settle begins what is needed to get from how the service is to how it is wanted.
func (s *service) settle(ctx context.Context) {
	held := s.held != nil
	s.held = nil
	state, wanted := s.record.Status.State, s.wantsRunning()
	switch {
	case wanted && held:
		s.launch(ctx)
	case wanted && state == inventory.ServiceStopped:
		s.begin(ctx)
	case !wanted && state != inventory.ServiceStopped && state != inventory.ServiceStopping:
		moved := s.sup.moved.next() // before looking
		if s.holdsUp() {
			s.held = moved
			return
		}
		if err := s.stop(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("the service does not stop", "err", err)
		}
	}
	s.check(ctx)
}

// obey carries out an order. A start is answered when the service is ready.
func (s *service) obey(ctx context.Context, o order) {
	switch o.act {
	case stop:
		s.setWant(inventory.WantStopped)
		o.done <- s.stop(ctx)
		return
	case reload:
		o.done <- s.reload()
		return
	}
	state := s.record.Status.State
	if o.act != restart && state == inventory.ServiceRunning {
		s.setWant(inventory.WantRunning)
		o.done <- nil
		return
	}
	if err := s.refusal(); err != nil {
		o.done <- err
		return
	}
	s.setWant(inventory.WantRunning)
	if o.act == restart || state == inventory.ServiceStopping {
		if err := s.stop(ctx); err != nil {
			o.done <- err
			return
		}
		state = inventory.ServiceStopped
	}
	s.waiting = append(s.waiting, o)
	if state != inventory.ServiceStarting {
		s.begin(ctx)
	}
}

// reload sends the service's process the signal to read its configuration again.
func (s *service) reload() error {
	if s.proc == nil || s.record.Status.State != inventory.ServiceRunning {
		return inventory.Errorf(inventory.Conflict, "service %s does not run", s.name)
	}
	s.proc.signal(signalOf(s.currentSpec().Reload, syscall.SIGHUP))
	return nil
}

// answer tells those who wait for the service to run how that went.
func (s *service) answer(err error) {
	for _, o := range s.waiting {
		o.done <- err
	}
	s.waiting = nil
}

// become makes state the service's state, first in its record, then for all to see.
func (s *service) become(state inventory.ServiceState, pid int) {
	st := &s.record.Status
	if st.State != state {
		st.Since = time.Now().UTC().Round(0)
	}
	st.State, st.PID = state, pid
	if state != inventory.ServiceRunning {
		st.Tell(nil, &silent, nil)
	}
	if pid == 0 {
		st.Program = ""
	}
	if err := s.record.write(s.recordPath()); err != nil {
		// Without it a next agent ends the process and starts another.
		s.log.Warn("the state of the service cannot be recorded", "err", err)
	}
	s.show(*st, s.record.Spec)
}

func (s *service) recordPath() string { return filepath.Join(s.dir, "record.json") }

// detach lets go of the process.
func (s *service) detach() {
	s.stopProbe()
	s.stopChecker()
	s.answer(errClosed)
	if s.proc != nil {
		s.proc.release()
		s.proc = nil
	}
}

func (s *service) stopProbe() {
	if s.probe != nil {
		s.probe.stop()
		s.probe = nil
	}
}

func (s *service) tail(_ context.Context, lines int) ([]string, error) { return s.output.tail(lines) }

func (s *service) follow(ctx context.Context, lines int, emit func(Line) error) error {
	return s.output.follow(ctx, lines, emit)
}
