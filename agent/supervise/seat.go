package supervise

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"mailfleet/inventory"
)

// act is what an operator orders.
type act string

const (
	start   act = "start"
	stop    act = "stop"
	restart act = "restart"
	reload  act = "reload"
)

// order is an act somebody waits for.
type order struct {
	act  act
	done chan error // has room for the answer
}

var errClosed = inventory.Errorf(inventory.Unavailable, "the agent has let go of the service, which is left as it is")

// driver runs one service, a process of our own or a systemd unit.
type driver interface {
	seated() *seat
	run(ctx context.Context) // until the service is removed or ctx ends
	tail(ctx context.Context, lines int) ([]string, error)
	follow(ctx context.Context, lines int, emit func(Line) error) error
}

// seat is the part of a service that all drivers have: what is wanted of it,
// how it is, and the orders it is given.
type seat struct {
	name string
	dir  string // its own
	sup  *Supervisor
	log  *slog.Logger

	orders chan order
	wake   chan struct{} // what is wanted has changed
	done   chan struct{} // closed when run has returned

	mu      sync.Mutex
	spec    Spec
	want    inventory.Want
	removed bool
	status  inventory.ServiceStatus
	started string // hash of the spec its process was started from; "": not known
}

func (s *Supervisor) newSeat(spec Spec, dir string) *seat {
	return &seat{
		name: spec.Name, dir: dir, sup: s, log: s.log.With("service", spec.Name),
		orders: make(chan order), wake: make(chan struct{}, 1), done: make(chan struct{}),
		spec: spec, want: spec.Want,
	}
}

func (s *seat) seated() *seat { return s }

// update makes spec what is wanted.
func (s *seat) update(spec Spec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if spec.hash() != s.spec.hash() && s.status.PID != 0 {
		s.log.Info("the service has changed; it will be in force from its next start")
		s.sup.notify()
	}
	s.spec, s.want, s.removed = spec, spec.Want, false
	s.nudge()
}

// remove makes run stop the service and return.
func (s *seat) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed = true
	s.nudge()
}

func (s *seat) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *seat) isRemoved() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.removed
}

func (s *seat) currentStatus() inventory.ServiceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.status
	st.Pending = st.PID != 0 && s.started != "" && s.started != s.spec.hash()
	return st
}

func (s *seat) currentSpec() Spec {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spec
}

func (s *seat) wantsRunning() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.want == inventory.WantRunning && !s.removed
}

func (s *seat) setWant(w inventory.Want) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.want = w
}

// show makes st what others see.
func (s *seat) show(st inventory.ServiceStatus, started string) {
	s.mu.Lock()
	s.status, s.started = st, started
	s.mu.Unlock()
	s.sup.moved.fire()
	s.sup.notify()
}

// order has run carry out an act and returns its outcome.
func (s *seat) order(ctx context.Context, a act) error {
	o := order{a, make(chan error, 1)}
	select {
	case s.orders <- o:
	case <-s.done:
		return errClosed
	case <-ctx.Done():
		return inventory.Fail("%s of service %s was not begun: %v", a, s.name, ctx.Err())
	}
	select {
	case err := <-o.done: // run answers every order it took
		return err
	case <-ctx.Done():
		return inventory.Fail("%s of service %s goes on, but took too long to wait for: %v", a, s.name, ctx.Err())
	}
}

// waitsFor tells which services must be ready before this one starts and are not.
func (s *seat) waitsFor() string {
	var names []string
	for _, name := range s.currentSpec().After {
		if first := s.sup.find(name); first != nil && first.currentStatus().State != inventory.ServiceRunning {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// refusal is why an order to start the service cannot succeed.
func (s *seat) refusal() error {
	for _, name := range s.currentSpec().After {
		first := s.sup.find(name)
		switch {
		case first == nil:
		case !first.wantsRunning():
			return inventory.Errorf(inventory.Conflict, "service %s starts after %s, which is not wanted running: start that first", s.name, name)
		case first.currentStatus().State == inventory.ServiceCrashed:
			return inventory.Errorf(inventory.Conflict, "service %s starts after %s, which has crashed: start that first", s.name, name)
		}
	}
	return nil
}

// holdsUp tells whether a service that was started after this one is still to
// stop: the order of stopping is that of starting in reverse.
func (s *seat) holdsUp() bool {
	for _, other := range s.sup.seats() {
		if other != s && !other.wantsRunning() && slices.Contains(other.currentSpec().After, s.name) &&
			other.currentStatus().State != inventory.ServiceStopped {
			return true
		}
	}
	return false
}

// broadcast tells all who wait of a change.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

// next is closed at the next change.
func (b *broadcast) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *broadcast) fire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}
