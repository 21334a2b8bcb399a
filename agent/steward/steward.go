// Package steward carries out a server's desired state: it follows the
// controller's document, keeps services and the mailnode's configuration as it
// says, executes its orders at most once each, and reports how the server is.
// While the controller is away it goes on from the last good copy on disk.
//
// Only the agent's app imports it.
package steward

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"mailfleet/agent/releases"
	"mailfleet/agent/state"
	"mailfleet/agent/supervise"
	"mailfleet/controller/api"
	"mailfleet/inventory"
)

const (
	// pollWait is how long one question for a newer document may wait.
	pollWait = 50 * time.Second
	// pollLimit ends a question whose answer is lost.
	pollLimit = pollWait + 15*time.Second
	// retryPoll is the pause after a failed question.
	retryPoll = time.Second
)

// Link is what the steward needs of the way to the controller.
type Link interface {
	Client() *api.Client
	Up() <-chan struct{} // closed while there is a link
	CertExpires() time.Time
	ComeBackWithin(spread time.Duration)
	// MailCertificate keeps file a valid certificate for mail listeners.
	MailCertificate(ctx context.Context, file string) (replaced bool, err error)
}

// Options are what a Steward is made of. All are needed but Missing, Executors and Trial.
type Options struct {
	Dir      string // of the agent
	Mailnode string // program
	Link     Link
	Services *supervise.Supervisor
	Journal  *state.Journal
	Releases *releases.Shelf // builds of programs
	BootID   string
	Missing  func() []string // servers that gossip finds dead
	// Executors carry out kinds of order that the Steward does not know by itself.
	Executors map[inventory.OperationKind]Executor
	Gate      time.Duration // how long an upgraded service must be well; 0: DefaultGate
	Trial     bool          // this agent is on trial: it carries no orders out
	Log       *slog.Logger
}

// Steward carries out the desired state. Run it once.
type Steward struct {
	Options
	log      *slog.Logger
	mailnode *mailnode
	changed  chan struct{} // a report is due soon
	idle     chan struct{} // a report is due: orders have ended and no other is in hand
	kinds    map[inventory.OperationKind]Executor
	orders   sync.WaitGroup
	inHand   atomic.Int32 // orders
	lines    lines
	picks    *picks
	wanting  chan struct{} // has a value when a build is wanted that is not here
	fresh    chan struct{} // closed when the first document of the controller's is in force
	once     sync.Once

	applying sync.Mutex // one at a time

	mu       sync.Mutex
	desired  api.Desired
	problem  inventory.Sentence
	problems map[string]inventory.Sentence // by service: why it is not as it is to be
	missing  map[inventory.ID]string       // builds that are wanted and not here, and of what program
	news     chan struct{}                 // closed and replaced when desired changes in more than orders
}

// New returns a steward that knows the last desired state on disk.
func New(o Options) (*Steward, error) {
	s := &Steward{
		Options: o, log: o.Log.With("component", "steward"), changed: make(chan struct{}, 1), idle: make(chan struct{}, 1),
		news: make(chan struct{}), fresh: make(chan struct{}), wanting: make(chan struct{}, 1),
	}
	s.Gate = cmp.Or(s.Gate, DefaultGate)
	s.kinds = s.executors()
	var err error
	if s.picks, err = openPicks(filepath.Join(o.Dir, "upgraded.json")); err != nil {
		return nil, err
	}
	if s.mailnode, err = newMailnode(o.Dir, o.Mailnode); err != nil {
		return nil, err
	}
	d, ok, err := state.LoadDesired(s.desiredFile())
	if err != nil {
		s.log.Error("the last desired state cannot be read; waiting for the controller's", "err", err)
	}
	if ok {
		s.desired = d
		s.Link.ComeBackWithin(time.Duration(d.Spread))
	}
	return s, nil
}

func (s *Steward) desiredFile() string { return filepath.Join(s.Dir, "desired.json") }

// Desired returns the desired state in force, and a channel closed at its next
// change in more than orders.
func (s *Steward) Desired() (api.Desired, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.desired, s.news
}

// Fresh is closed when the controller's desired state was read and is in force.
func (s *Steward) Fresh() <-chan struct{} { return s.fresh }

// Run works until ctx ends; orders in hand are finished first.
func (s *Steward) Run(ctx context.Context) error {
	s.apply(ctx)
	if !s.Trial {
		s.resume(ctx)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { s.fetchWanted(ctx); return nil })
	g.Go(func() error { s.follow(ctx); return nil })
	g.Go(func() error { s.report(ctx); return nil })
	g.Go(func() error { s.keepCertificate(ctx); return nil })
	err := g.Wait()
	s.orders.Wait()
	return err
}

// follow asks for newer documents and carries them out.
func (s *Steward) follow(ctx context.Context) {
	var after uint64 // 0 at first: orders come only from the controller's own mouth
	client := s.Link.Client()
	for ctx.Err() == nil {
		select {
		case <-s.Link.Up():
		case <-ctx.Done():
			return
		}
		asking, cancel := context.WithTimeout(ctx, pollLimit)
		d, ok, err := client.Desired(asking, after, pollWait)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				s.log.Debug("desired state not received", "err", err)
			}
			sleep(ctx, retryPoll)
			continue
		}
		if !ok {
			continue
		}
		after = d.Index
		s.take(ctx, d)
	}
}

// take makes a document the one in force. One that brings nothing but orders
// is neither kept on disk, where they are left out, nor applied again: they
// need not wait for that, nor the controller hear of it.
func (s *Steward) take(ctx context.Context, d api.Desired) {
	before, _ := s.Desired()
	if d.Only { // of what this agent was told before, which is in force
		index, orders := d.Index, d.Orders
		d = before
		d.Index, d.Orders = index, orders
	}
	settings := before.Index == 0 || !same(before, d)
	if settings {
		if err := state.SaveDesired(s.desiredFile(), d); err != nil {
			s.log.Error("desired state not kept on disk", "err", err)
		}
	}
	s.mu.Lock()
	s.desired = d
	if settings {
		close(s.news)
		s.news = make(chan struct{})
	}
	failing := !s.problem.None()
	s.mu.Unlock()
	s.Link.ComeBackWithin(time.Duration(d.Spread))
	if settings || failing {
		s.apply(ctx)
	}
	s.once.Do(func() { close(s.fresh) })
	if !s.Trial {
		s.execute(ctx, d.Orders)
	}
}

// same tells whether two documents say the same but for their orders.
func same(a, b api.Desired) bool {
	a.Index, a.Orders, b.Index, b.Orders = 0, nil, 0, nil
	return reflect.DeepEqual(a, b)
}

// apply makes services and the mailnode's configuration as the document in force says.
func (s *Steward) apply(ctx context.Context) {
	s.applying.Lock()
	defer s.applying.Unlock()
	d, _ := s.Desired()
	if d.Index == 0 {
		return // there is none yet
	}
	specs := make([]supervise.Spec, 0, len(d.Services))
	var errs []error
	missing := make(map[inventory.ID]string)
	for _, v := range d.Services {
		spec := specOf(v)
		if v.Kind == inventory.KindMailnode {
			if err := s.mailnode.configure(ctx, d, v); err != nil {
				errs = append(errs, &supervise.Refused{Service: v.Name, Err: err})
			}
			s.mailnode.specify(&spec)
		}
		if err := s.choose(&spec, v, missing); err != nil {
			errs = append(errs, &supervise.Refused{Service: v.Name, Err: err})
		}
		specs = append(specs, spec)
	}
	if err := s.Services.Apply(specs); err != nil {
		errs = append(errs, err)
	}
	var problem inventory.Sentence
	err := errors.Join(errs...)
	if err != nil {
		problem = joined(err)
		s.log.Error("the desired state cannot be carried out as it is", "index", d.Index, "err", err)
	}
	s.mu.Lock()
	news := s.problem.String() != problem.String()
	s.problem, s.problems, s.missing = problem, refusals(err), missing
	s.mu.Unlock()
	if len(missing) > 0 {
		select {
		case s.wanting <- struct{}{}:
		default:
		}
	}
	if news {
		s.reportSoon()
	}
	s.reportWithin(unhurried)
}

// joined says an error that may be of several, a line each.
func joined(err error) (all inventory.Sentence) {
	list, several := err.(interface{ Unwrap() []error }) //nolint:errorlint // the tree itself is walked
	if !several {
		return inventory.Say("%s", err)
	}
	for _, e := range list.Unwrap() {
		if all.None() {
			all = joined(e)
			continue
		}
		all = inventory.Say("%s\n%s", all, joined(e))
	}
	return all
}

// refusals are the reasons in an error of apply, by service.
func refusals(err error) map[string]inventory.Sentence {
	why := make(map[string]inventory.Sentence)
	var walk func(error)
	walk = func(err error) {
		switch e := err.(type) { //nolint:errorlint // the tree itself is walked
		case *supervise.Refused:
			why[e.Service] = e.Said()
		case interface{ Unwrap() []error }:
			for _, part := range e.Unwrap() {
				walk(part)
			}
		}
	}
	walk(err)
	return why
}

// specOf is how a service is run as its settings say.
func specOf(v api.DesiredService) supervise.Spec {
	spec := supervise.Spec{
		Name: v.Name, Want: v.Want, Unit: v.Unit, Command: v.Command, Env: v.Env, Dir: v.Dir, User: v.User, Limits: v.Limits,
		After: v.After, Stop: v.StopSignal, Reload: v.Reload, StopGrace: time.Duration(v.StopGrace), Probe: v.Probe,
	}
	if v.Drained { // one that takes nothing new may well look unwell
		spec.Probe = nil
	}
	return spec
}

// keepCertificate keeps the mail listeners' certificate valid.
func (s *Steward) keepCertificate(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-s.Link.Up():
		case <-ctx.Done():
			return
		}
		replaced, err := s.Link.MailCertificate(ctx, s.mailnode.certificate())
		if err != nil && ctx.Err() == nil {
			s.log.Warn("certificate for the mail listeners not issued, will try again", "err", err)
		}
		if replaced {
			s.mailnode.renewed()
			s.apply(ctx)
		}
		sleep(ctx, certificateCheck)
	}
}

const certificateCheck = time.Minute

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
