package supervise

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
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

// DefaultStopGrace is how long a service has to stop before it is killed.
const DefaultStopGrace = 30 * time.Second

// lockPause lies between two attempts to get the directory's lock.
const lockPause = 10 * time.Millisecond

// Options says where a Supervisor keeps its things.
type Options struct {
	Dir    string // of records and output; one Supervisor at a time has it
	BootID string // of the machine: records of another boot are forgotten
	Log    *slog.Logger
}

// Spec is a service and its wanted state.
type Spec struct {
	Name    string
	Command []string          // program (a path, or a name looked for in the agent's PATH) and arguments
	Env     map[string]string // added to PATH and LANG, which is all it has otherwise
	Dir     string            // working directory; "": the root
	Want    inventory.Want

	// Ready returns nil once the service does its work; it is asked again and
	// again after a start, with a context it must heed. A service that does not
	// get ready in 30 s failed to start. nil: it is ready when it has lived for
	// half a second.
	Ready     func(context.Context) error
	StopGrace time.Duration // 0: DefaultStopGrace
}

func (s Spec) validate() error {
	if err := inventory.CheckName("name", s.Name); err != nil {
		return err
	}
	if len(s.Command) == 0 || s.Command[0] == "" {
		return inventory.FieldErrorf("command", "service %s has no command", s.Name)
	}
	if program := s.Command[0]; strings.Contains(program, "/") && !filepath.IsAbs(program) {
		return inventory.FieldErrorf("command", "the program %s of service %s must be an absolute path or a bare name", program, s.Name)
	}
	for _, word := range s.Command {
		if strings.ContainsRune(word, 0) {
			return inventory.FieldErrorf("command", "the command of service %s has a NUL byte", s.Name)
		}
	}
	for name, value := range s.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(value, 0) {
			return inventory.FieldErrorf("env", "service %s: %q cannot be an environment variable", s.Name, name)
		}
	}
	return nil
}

// Supervisor runs services. It is safe for concurrent use.
type Supervisor struct {
	dir     string // of the services' own directories
	id      string // that marks this Supervisor's processes
	boot    string
	policy  policy
	log     *slog.Logger
	lock    *os.File
	changed chan struct{}
	running sync.WaitGroup
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc

	mu       sync.Mutex
	services map[string]*service
	resumed  bool // services of an earlier agent that are not wanted were seen to
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
		changed:  make(chan struct{}, 1),
		services: make(map[string]*service),
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
			return nil, fmt.Errorf("another agent supervises services in %s: %w", filepath.Dir(path), err)
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

// Apply makes specs what is wanted, all of it: services that are not among them
// are stopped and forgotten, with their output. It does not wait for that. The
// error names the specs that cannot be; those services stay as they are.
func (s *Supervisor) Apply(specs []Spec) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return errClosed
	}
	var errs []error
	named := make(map[string]bool)
	for _, spec := range specs {
		if err := spec.validate(); err != nil {
			errs = append(errs, err)
		} else if named[spec.Name] {
			errs = append(errs, inventory.FieldErrorf("name", "there are two services %s", spec.Name))
		} else {
			errs = append(errs, s.apply(spec))
		}
		named[spec.Name] = true
	}
	for name, svc := range s.services {
		if !named[name] {
			svc.remove()
		}
	}
	if !s.resumed {
		s.resumed = true
		errs = append(errs, s.removeStrangers(named))
	}
	return errors.Join(errs...)
}

func (s *Supervisor) apply(spec Spec) error {
	if svc := s.services[spec.Name]; svc != nil {
		svc.update(spec)
		return nil
	}
	svc, err := s.newService(spec)
	if err != nil {
		return err
	}
	s.start(svc)
	return nil
}

func (s *Supervisor) start(svc *service) {
	s.services[svc.name] = svc
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
		svc, err := s.newService(Spec{Name: e.Name(), Want: inventory.WantStopped})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		svc.remove()
		s.start(svc)
	}
	return errors.Join(errs...)
}

// retire forgets a service that has come to rest, unless it was wanted again
// meanwhile.
func (s *Supervisor) retire(svc *service) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !svc.isRemoved() {
		return false
	}
	if err := os.RemoveAll(svc.dir); err != nil {
		s.log.Warn("files of a removed service are left", "service", svc.name, "err", err)
	}
	delete(s.services, svc.name)
	s.notify()
	return true
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
	for _, svc := range s.services {
		reports = append(reports, api.ServiceReport{Name: svc.name, ServiceStatus: svc.currentStatus()})
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

func (s *Supervisor) order(ctx context.Context, name string, a act) error {
	svc, err := s.service(name)
	if err != nil {
		return err
	}
	return svc.order(ctx, a)
}

func (s *Supervisor) service(name string) (*service, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	svc := s.services[name]
	if svc == nil {
		return nil, inventory.Errorf(inventory.NotFound, "there is no service %q on this server", name)
	}
	return svc, nil
}

// Log returns the last lines of a service's output, oldest first.
func (s *Supervisor) Log(name string, lines int) ([]string, error) {
	svc, err := s.service(name)
	if err != nil {
		return nil, err
	}
	return svc.output.tail(lines)
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
		outputs := make([]output, 0, len(s.services))
		for _, svc := range s.services {
			outputs = append(outputs, svc.output)
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
