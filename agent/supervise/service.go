package supervise

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"mailfleet/inventory"
)

// act is what an operator orders.
type act string

const (
	start   act = "start"
	stop    act = "stop"
	restart act = "restart"
)

// order is an act somebody waits for.
type order struct {
	act  act
	done chan error // has room for the answer
}

var errClosed = inventory.Errorf(inventory.Unavailable, "the agent has let go of the service, which is left as it is")

// service is one service. Its run is the only one that acts on it.
type service struct {
	name   string
	dir    string // its own
	mark   string // begins the variable its processes carry
	boot   string
	policy policy
	output output
	log    *slog.Logger
	notify func()
	retire func(*service) bool

	orders chan order
	wake   chan struct{} // what is wanted has changed
	done   chan struct{} // closed when run has returned

	mu      sync.Mutex // guards what others look at and change
	spec    Spec
	want    inventory.Want
	removed bool
	status  inventory.ServiceStatus

	// run's own
	proc    *process // nil: there is none
	record  record
	probe   *probe           // nil: it does not get ready just now
	retry   <-chan time.Time // nil: it does not wait for a restart
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
		name:   spec.Name,
		dir:    dir,
		mark:   fmt.Sprintf("%s=%s:%s:", markVariable, s.id, spec.Name),
		boot:   s.boot,
		policy: s.policy,
		output: output{filepath.Join(dir, "output.log"), s.policy.logSize, s.policy.logFiles},
		log:    s.log.With("service", spec.Name),
		notify: s.notify,
		retire: s.retire,
		orders: make(chan order),
		wake:   make(chan struct{}, 1),
		done:   make(chan struct{}),
		spec:   spec,
		want:   spec.Want,
	}
	svc.adopt(s.ctx)
	return svc, nil
}

// update makes spec what is wanted.
func (s *service) update(spec Spec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if spec.hash() != s.spec.hash() && s.status.PID != 0 {
		s.log.Info("the service has changed; it will be in force from its next start")
	}
	s.spec, s.want, s.removed = spec, spec.Want, false
	s.nudge()
}

// remove makes run stop the service and return.
func (s *service) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed = true
	s.nudge()
}

func (s *service) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *service) isRemoved() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.removed
}

func (s *service) currentStatus() inventory.ServiceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

func (s *service) currentSpec() Spec {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spec
}

func (s *service) wantsRunning() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.want == inventory.WantRunning && !s.removed
}

func (s *service) setWant(w inventory.Want) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.want = w
}

// order has run carry out an act and returns its outcome.
func (s *service) order(ctx context.Context, a act) error {
	o := order{a, make(chan error, 1)}
	select {
	case s.orders <- o:
	case <-s.done:
		return errClosed
	case <-ctx.Done():
		return fmt.Errorf("%s of service %s was not begun: %w", a, s.name, ctx.Err())
	}
	select {
	case err := <-o.done: // run answers every order it took
		return err
	case <-ctx.Done():
		return fmt.Errorf("%s of service %s goes on, but took too long to wait for: %w", a, s.name, ctx.Err())
	}
}

// run keeps the service as it is wanted, until it is removed or ctx ends; then
// it lets go of the process and leaves it running.
func (s *service) run(ctx context.Context) {
	defer close(s.done)
	defer s.detach()
	for {
		s.settle(ctx)
		if s.record.Status.State == inventory.ServiceStopped && s.retire(s) {
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
	state, wanted := s.record.Status.State, s.wantsRunning()
	switch {
	case wanted && state == inventory.ServiceStopped:
		s.begin(ctx)
	case !wanted && state != inventory.ServiceStopped && state != inventory.ServiceStopping:
		if err := s.stop(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("the service does not stop", "err", err)
		}
	}
}

// obey carries out an order. A start is answered when the service is ready.
func (s *service) obey(ctx context.Context, o order) {
	if o.act == stop {
		s.setWant(inventory.WantStopped)
		o.done <- s.stop(ctx)
		return
	}
	s.setWant(inventory.WantRunning)
	state := s.record.Status.State
	if o.act == restart || state == inventory.ServiceStopping {
		if err := s.stop(ctx); err != nil {
			o.done <- err
			return
		}
		state = inventory.ServiceStopped
	}
	if state == inventory.ServiceRunning {
		o.done <- nil
		return
	}
	s.waiting = append(s.waiting, o)
	if state != inventory.ServiceStarting {
		s.begin(ctx)
	}
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
	if err := s.record.write(s.recordPath()); err != nil {
		// Without it a next agent ends the process and starts another.
		s.log.Warn("the state of the service cannot be recorded", "err", err)
	}
	s.mu.Lock()
	s.status = *st
	s.mu.Unlock()
	s.notify()
}

func (s *service) recordPath() string { return filepath.Join(s.dir, "record.json") }

// detach lets go of the process.
func (s *service) detach() {
	s.stopProbe()
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
