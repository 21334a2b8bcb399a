package preflight

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"mailfleet/agent/durable"
	"mailfleet/controller/api"
	"mailfleet/inventory"
)

const (
	// every is how long what was found stands.
	every = 24 * time.Hour
	// firstLook is how long services have to start before the first look.
	firstLook = 10 * time.Second
	// lookLimit bounds one look.
	lookLimit = time.Minute
	// retryReport is the pause after a report that was not taken.
	retryReport = 10 * time.Second
)

// Link is what the Inspector needs of the way to the controller.
type Link interface {
	Client() *api.Client
	Up() <-chan struct{} // closed while there is a link
}

// Options are what an Inspector is made of.
type Options struct {
	Dir    string // of the agent
	System System
	Link   Link
	Facts  func(ctx context.Context) Facts
	Log    *slog.Logger
}

// Inspector looks at the server once it has joined, once a day and when it is
// asked to, and tells the controller.
type Inspector struct {
	Options
	news chan struct{} // something is to be reported
	mu   sync.Mutex    // one looks at a time
	last found
}

// found is what is kept of the last look.
type found struct {
	Checked time.Time         `json:"checked"`
	Checks  []inventory.Check `json:"checks"`
	Told    bool              `json:"told"` // the controller has it
}

// New returns an Inspector that knows what it last found.
func New(o Options) *Inspector {
	i := &Inspector{Options: o, news: make(chan struct{}, 1)}
	i.Log = o.Log.With("component", "preflight")
	b, err := os.ReadFile(i.file())
	if err == nil {
		err = json.Unmarshal(b, &i.last)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		i.Log.Warn("what was found last is lost; looking again", "err", err)
	}
	return i
}

func (i *Inspector) file() string { return filepath.Join(i.Dir, "preflight.json") }

// Run looks and reports until ctx ends.
func (i *Inspector) Run(ctx context.Context) error {
	wait := firstLook
	for {
		last, _ := i.current()
		if due := time.Until(last.Checked.Add(every)); !last.Checked.IsZero() && due > wait {
			wait = min(due, every) // a clock that was set back must not put it off for ever
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
			i.Look(ctx)
		case <-i.news:
		}
		timer.Stop()
		wait = i.report(ctx)
	}
}

func (i *Inspector) current() (last found, told bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.last, i.last.Told || i.last.Checked.IsZero()
}

// report tells the controller what it does not know yet. It returns when to
// look at the earliest.
func (i *Inspector) report(ctx context.Context) time.Duration {
	for {
		last, told := i.current()
		if told {
			return 0
		}
		select {
		case <-i.Link.Up():
		case <-ctx.Done():
			return 0
		}
		asking, cancel := context.WithTimeout(ctx, lookLimit)
		err := i.Link.Client().ReportPreflight(asking, api.PreflightReport{Checked: last.Checked, Checks: last.Checks})
		cancel()
		if err == nil {
			i.told(last)
			continue
		}
		if ctx.Err() == nil {
			i.Log.Debug("what was found was not taken", "err", err)
		}
		timer := time.NewTimer(retryReport)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return 0
		}
	}
}

func (i *Inspector) told(taken found) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.last.Checked.Equal(taken.Checked) {
		i.last.Told = true
		i.keep()
	}
}

// Look looks now. What it finds is reported by Run.
func (i *Inspector) Look(ctx context.Context) []inventory.Check {
	i.mu.Lock()
	defer i.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	checks := Look(ctx, i.System, i.Facts(ctx))
	i.last = found{Checked: time.Now().UTC().Round(0), Checks: checks}
	i.keep()
	select {
	case i.news <- struct{}{}:
	default:
	}
	return checks
}

func (i *Inspector) keep() {
	b, err := json.Marshal(i.last)
	if err == nil {
		err = durable.WriteFile(i.file(), b)
	}
	if err != nil {
		i.Log.Warn("what was found is not kept", "err", err)
	}
}
