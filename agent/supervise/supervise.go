package supervise

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"mailfleet/agent/durable"
	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// lockPause lies between two attempts to get the directory's lock.
const lockPause = 10 * time.Millisecond

// Options says where a Supervisor keeps its things.
type Options struct {
	Dir    string // of records and output; one Supervisor at a time has it
	BootID string // of the machine: records of another boot are forgotten
	Units  Units  // runs systemd units; nil: there is no systemd
	Log    *slog.Logger
}

// Supervisor runs services. It is safe for concurrent use.
type Supervisor struct {
	dir     string // of the services' own directories
	id      string // that marks this Supervisor's processes
	boot    string
	policy  policy
	log     *slog.Logger
	lock    *os.File
	units   Units
	groups  cgroups
	changed chan struct{}
	moved   broadcast // fired when the state of a service has changed
	running sync.WaitGroup
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc

	mu       sync.Mutex
	services map[string]driver
	next     map[string]Spec // by name, to be run by another driver when the one there is gone
	resumed  bool            // services of an earlier agent that are not wanted were seen to
}

// New prepares a Supervisor; no process is looked at before Apply. It fails
// when another one has the directory.
func New(o Options) (*Supervisor, error) { return newSupervisor(o, defaultPolicy) }

func newSupervisor(o Options, p policy) (*Supervisor, error) {
	s := &Supervisor{
		dir:      filepath.Join(o.Dir, "services"),
		boot:     o.BootID,
		policy:   p,
		log:      o.Log,
		units:    o.Units,
		changed:  make(chan struct{}, 1),
		services: make(map[string]driver),
		next:     make(map[string]Spec),
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	var err error
	if s.lock, err = takeLock(filepath.Join(o.Dir, "lock"), p.lock); err != nil {
		return nil, err
	}
	if s.id, err = identity(filepath.Join(o.Dir, "id")); err != nil {
		_ = s.lock.Close()
		return nil, err
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		s.log.Warn("no cgroups are used", "err", err)
	}
	s.groups = findCgroups(mounts, s.id[:min(8, len(s.id))])
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.running.Go(s.rotateOutputs)
	return s, nil
}

// takeLock returns the file whose lock makes its holder the only one; closing
// it, or the death of its process, gives it up. It waits for a while: a process
// that an agent was just forking when it was killed has the lock until it is
// what it is to be. So with the lock comes the knowledge that there is none.
func takeLock(path string, wait time.Duration) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(wait); ; time.Sleep(lockPause) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(deadline) {
			_ = f.Close()
			return nil, inventory.Fail("another agent supervises services in %s: %v", filepath.Dir(path), err)
		}
	}
}

// identity returns the name in the file at path, making one up the first time.
func identity(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err == nil && len(b) > 0 {
		return strings.TrimSpace(string(b)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	id := rand.Text()
	return id, durable.WriteFile(path, []byte(id+"\n"))
}

// Refused says that one service cannot be as it is wanted, and stays as it is.
type Refused struct {
	Service string
	Err     error
}

func (r *Refused) Error() string { return r.Err.Error() }

// Said is why, in a sentence.
func (r *Refused) Said() inventory.Sentence { return inventory.Say("%s", r.Err) }

// Unwrap returns why.
func (r *Refused) Unwrap() error { return r.Err }

// Apply makes specs what is wanted, all of it: services that are not among them
// are stopped and forgotten, with their output. It does not wait for that. The
// error holds a Refused for each spec that cannot be; those services stay as they are.
func (s *Supervisor) Apply(specs []Spec) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return errClosed
	}
	var errs []error
	named := make(map[string]bool)
	circular := circular(specs)
	clear(s.next)
	for _, spec := range specs {
		err := spec.validate()
		switch {
		case err != nil:
		case named[spec.Name]:
			err = inventory.FieldErrorf("name", "there are two services %s", spec.Name)
		case circular[spec.Name] != nil:
			err = circular[spec.Name]
		default:
			err = s.apply(spec)
		}
		if err != nil {
			errs = append(errs, &Refused{spec.Name, err})
		}
		named[spec.Name] = true
	}
	for name, svc := range s.services {
		if !named[name] {
			svc.seated().remove()
		}
	}
	if !s.resumed {
		s.resumed = true
		errs = append(errs, s.removeStrangers(named))
	}
	return errors.Join(errs...)
}

// circular returns, by name, why services cannot be started that wait for
// each other.
func circular(specs []Spec) map[string]error {
	after := make(map[string][]string, len(specs))
	for _, spec := range specs {
		after[spec.Name] = spec.After
	}
	refused := make(map[string]error)
	for {
		cycle := inventory.Cycle(after)
		if cycle == nil {
			return refused
		}
		err := inventory.FieldErrorf("after", "services would wait for each other: %s", strings.Join(cycle, " after "))
		for _, name := range cycle {
			refused[name] = err
			delete(after, name)
		}
	}
}

func (s *Supervisor) apply(spec Spec) error {
	if svc := s.services[spec.Name]; svc != nil {
		if _, unit := svc.(*unit); unit != (spec.Unit != "") {
			s.next[spec.Name] = spec
			svc.seated().remove()
			return nil
		}
		svc.seated().update(spec)
		return nil
	}
	return s.add(spec)
}

func (s *Supervisor) add(spec Spec) error {
	if spec.Unit != "" {
		return s.addUnit(spec)
	}
	svc, err := s.newService(spec)
	if err != nil {
		return err
	}
	s.start(svc)
	return nil
}

func (s *Supervisor) start(svc driver) {
	s.services[svc.seated().name] = svc
	s.running.Go(func() { svc.run(s.ctx) })
}

// removeStrangers stops services an earlier agent left behind that are not
// wanted any more.
func (s *Supervisor) removeStrangers(named map[string]bool) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if named[e.Name()] || inventory.CheckName("name", e.Name()) != nil {
			continue
		}
		left := Spec{Name: e.Name(), Want: inventory.WantStopped}
		if left.Unit, err = unitOf(filepath.Join(s.dir, e.Name())); err == nil {
			err = s.add(left)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.services[e.Name()].seated().remove()
	}
	return errors.Join(errs...)
}

// retire forgets a service that has come to rest, unless it was wanted again
// meanwhile.
func (s *Supervisor) retire(svc driver) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	seat := svc.seated()
	if !seat.isRemoved() {
		return false
	}
	if err := os.RemoveAll(seat.dir); err != nil {
		s.log.Warn("files of a removed service are left", "service", seat.name, "err", err)
	}
	delete(s.services, seat.name)
	if spec, ok := s.next[seat.name]; ok && s.ctx.Err() == nil {
		delete(s.next, seat.name)
		if err := s.add(spec); err != nil {
			s.log.Error("the service is not supervised", "service", seat.name, "err", err)
		}
	}
	s.moved.fire()
	s.notify()
	return true
}

// find returns a service by its name; nil when there is none.
func (s *Supervisor) find(name string) *seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	if svc := s.services[name]; svc != nil {
		return svc.seated()
	}
	return nil
}

// seats returns all services.
func (s *Supervisor) seats() []*seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*seat, 0, len(s.services))
	for _, svc := range s.services {
		all = append(all, svc.seated())
	}
	return all
}

func (s *Supervisor) notify() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Changed has a value after the status of a service changed. It is for one receiver.
func (s *Supervisor) Changed() <-chan struct{} { return s.changed }

// Status returns how the services are, by name.
func (s *Supervisor) Status() []api.ServiceReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	reports := make([]api.ServiceReport, 0, len(s.services))
	for name, svc := range s.services {
		reports = append(reports, api.ServiceReport{Name: name, ServiceStatus: svc.seated().currentStatus()})
	}
	slices.SortFunc(reports, func(a, b api.ServiceReport) int { return strings.Compare(a.Name, b.Name) })
	return reports
}

// Start starts a service that does not run, and returns when it is ready. When
// the first attempt fails the error says how; the supervisor goes on trying.
func (s *Supervisor) Start(ctx context.Context, name string) error { return s.order(ctx, name, start) }

// Stop stops a service and returns when none of its processes is left.
func (s *Supervisor) Stop(ctx context.Context, name string) error { return s.order(ctx, name, stop) }

// Restart stops a service if it runs, then does what Start does.
func (s *Supervisor) Restart(ctx context.Context, name string) error {
	return s.order(ctx, name, restart)
}

// Reload has a running service read its configuration again. A signal is
// answered when it was sent: what the service makes of it only its log tells.
func (s *Supervisor) Reload(ctx context.Context, name string) error {
	svc, err := s.service(name)
	if err != nil {
		return err
	}
	reloader := svc.seated().currentSpec().Reloader
	if reloader == nil {
		return svc.seated().order(ctx, reload)
	}
	if svc.seated().currentStatus().State != inventory.ServiceRunning {
		return inventory.Errorf(inventory.Conflict, "service %s does not run", name)
	}
	return reloader(ctx)
}

// StopAll stops all services, those that started after others before these,
// and returns when none is left or ctx has ended.
func (s *Supervisor) StopAll(ctx context.Context) error {
	for _, svc := range s.seats() {
		svc.setWant(inventory.WantStopped)
		svc.nudge()
	}
	for {
		moved := s.moved.next()
		var left []string
		for _, svc := range s.seats() {
			if svc.currentStatus().State != inventory.ServiceStopped {
				left = append(left, svc.name)
			}
		}
		if len(left) == 0 {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return inventory.Fail("services did not stop in time: %s", strings.Join(left, ", "))
		}
	}
}

func (s *Supervisor) order(ctx context.Context, name string, a act) error {
	svc, err := s.service(name)
	if err != nil {
		return err
	}
	return svc.seated().order(ctx, a)
}

func (s *Supervisor) service(name string) (driver, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	svc := s.services[name]
	if svc == nil {
		return nil, inventory.Errorf(inventory.NotFound, "there is no service %q on this server", name)
	}
	return svc, nil
}

// Log returns the last lines of a service's output, oldest first.
func (s *Supervisor) Log(ctx context.Context, name string, lines int) ([]string, error) {
	svc, err := s.service(name)
	if err != nil {
		return nil, err
	}
	return svc.tail(ctx, lines)
}

// Follow gives emit the last lines of a service's output and then those it
// writes, until ctx or the service ends, or emit fails.
func (s *Supervisor) Follow(ctx context.Context, name string, lines int, emit func(Line) error) error {
	svc, err := s.service(name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() {
		select {
		case <-svc.seated().done:
			cancel()
		case <-ctx.Done():
		}
	})
	return svc.follow(ctx, lines, emit)
}

// rotateOutputs keeps the output files short.
func (s *Supervisor) rotateOutputs() {
	tick := time.NewTicker(s.policy.logCheck)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		s.mu.Lock()
		outputs := make([]*output, 0, len(s.services))
		for _, svc := range s.services {
			if p, ok := svc.(*service); ok {
				outputs = append(outputs, p.output)
			}
		}
		s.mu.Unlock()
		for _, o := range outputs {
			if err := o.rotate(); err != nil {
				s.log.Warn("output was not rotated as it should", "err", err)
			}
		}
	}
}

// Close lets go of the services, which run on, and waits for what the
// Supervisor itself is doing.
func (s *Supervisor) Close() error {
	s.mu.Lock() // no Apply starts a service from here on
	s.cancel()
	s.mu.Unlock()
	s.running.Wait()
	// Said aloud: a process that is being forked just now has the file open too.
	err := unix.Flock(int(s.lock.Fd()), unix.LOCK_UN)
	return errors.Join(err, s.lock.Close())
}
