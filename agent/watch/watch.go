// Package watch is the agent's eye: it samples the server at the controller's
// interval for the record, and every 10 s for the alert rules, so that an alert
// waits for no sample. What it finds is kept on disk until the controller has it.
//
// Only the agent's app imports it.
package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"mailfleet/agent/collect"
	"mailfleet/agent/durable"
	"mailfleet/alerts"
	"mailfleet/controller/api"
	"mailfleet/inventory"
)

const (
	// checkEvery is how often rules are looked at.
	checkEvery = 10 * time.Second
	// defaultInterval is between samples until the controller has said.
	defaultInterval = 300 * time.Second
	// firstSample is how soon after the start the first sample is taken.
	firstSample = 500 * time.Millisecond
	// batch is how many changes of alerts are handed over at once.
	batch = 500
	// retry is the pause after a failed hand-over.
	retry = 2 * time.Second
	// handLimit ends a hand-over whose answer is lost.
	handLimit = 15 * time.Second
)

// Sink takes samples for the record.
type Sink interface {
	Add(at time.Time, samples []collect.Sample) error
}

// Link is what watch needs of the way to the controller.
type Link interface {
	Client() *api.Client
	Up() <-chan struct{}
}

// Options are what a Watch is made of.
type Options struct {
	Dir     string // of the agent
	Link    Link
	Sink    Sink
	Desired func() (api.Desired, <-chan struct{})
	Sources []collect.Source // beside the server's own figures
	Log     *slog.Logger
}

// maxUnsent is how many changes of alerts are kept for a controller that is
// away; beyond it the oldest go.
const maxUnsent = 10_000

// Watch samples and checks. Run it once.
type Watch struct {
	Options
	log *slog.Logger

	mu     sync.Mutex
	memory memory
	added  chan struct{} // closed and replaced when something is to be handed over
}

// memory is the file: the alerts under way and the changes of them that the
// controller has not taken. They are written as one, so that a crash neither
// loses a change nor begins an episode twice.
type memory struct {
	Rules  *alerts.Watch     `json:"rules"`
	Unsent []api.AlertReport `json:"unsent"`
}

// New returns a watch that knows the alerts that were under way.
func New(o Options) (*Watch, error) {
	w := &Watch{
		Options: o, log: o.Log.With("component", "watch"),
		memory: memory{Rules: new(alerts.Watch)}, added: make(chan struct{}),
	}
	text, err := os.ReadFile(w.stateFile())
	if errors.Is(err, os.ErrNotExist) {
		return w, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &w.memory)
	}
	if err != nil {
		return nil, fmt.Errorf("read the state of the alerts: %w", err)
	}
	return w, nil
}

func (w *Watch) stateFile() string { return filepath.Join(w.Dir, "alerts.json") }

// Run works until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { w.sample(ctx); return nil })
	g.Go(func() error { w.check(ctx); return nil })
	g.Go(func() error { w.handOver(ctx); return nil })
	return g.Wait()
}

// sample takes the record's samples, at whole multiples of the interval so that
// the fleet's points line up.
func (w *Watch) sample(ctx context.Context) {
	collector := collect.New(w.Sources...)
	next := time.Now().Add(firstSample)
	for {
		d, changed := w.Desired()
		interval := time.Duration(d.Interval)
		if interval <= 0 {
			interval = defaultInterval
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-changed: // perhaps the interval
			timer.Stop()
			if at := time.Now().Truncate(interval).Add(interval); at.Before(next) {
				next = at
			}
			continue
		case <-timer.C:
		}
		at := time.Now()
		samples, err := collector.Collect(ctx)
		if err != nil && ctx.Err() == nil {
			w.log.Warn("part of a sample is missing", "err", err)
		}
		if err := w.Sink.Add(at, samples); err != nil {
			w.log.Error("sample not kept", "err", err)
		}
		next = at.Truncate(interval).Add(interval)
	}
}

// check looks at the rules.
func (w *Watch) check(ctx context.Context) {
	collector := collect.New(w.Sources...)
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		_, changed := w.Desired()
		w.checkOnce(ctx, collector)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-changed: // perhaps a rule
		}
	}
}

func (w *Watch) checkOnce(ctx context.Context, collector *collect.Collector) {
	d, _ := w.Desired()
	metrics := make([]string, len(d.Rules))
	for i, r := range d.Rules {
		metrics[i] = r.Metric
	}
	samples, err := collector.CollectFor(ctx, metrics)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		w.log.Debug("part of the readings is missing", "err", err)
	}
	var readings []alerts.Reading
	for _, r := range collect.Readings(samples) {
		readings = append(readings, alerts.Reading{Metric: r.Metric, Tags: r.Tags, Value: r.Value})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	changes := w.memory.Rules.Evaluate(d.Rules, readings, time.Now())
	if len(changes) == 0 {
		return
	}
	for _, c := range changes {
		w.memory.Unsent = append(w.memory.Unsent, api.AlertReport(c))
	}
	w.memory.Unsent = w.memory.Unsent[max(0, len(w.memory.Unsent)-maxUnsent):]
	w.save()
	close(w.added)
	w.added = make(chan struct{})
}

// save writes the memory; w.mu is held. Should the disk refuse, what is in
// memory still goes to the controller.
func (w *Watch) save() {
	text, err := json.Marshal(w.memory)
	if err == nil {
		err = durable.WriteFile(w.stateFile(), text)
	}
	if err != nil {
		w.log.Error("alerts not kept on disk", "err", err)
	}
}

// unsent returns the oldest changes to hand over, and a channel closed when
// there are more.
func (w *Watch) unsent() ([]api.AlertReport, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.memory.Unsent[:min(batch, len(w.memory.Unsent))]), w.added
}

// sent forgets changes that were handed over.
func (w *Watch) sent(reports []api.AlertReport) {
	w.mu.Lock()
	defer w.mu.Unlock()
	done := make(map[key]bool, len(reports))
	for _, r := range reports {
		done[keyOf(r)] = true
	}
	w.memory.Unsent = slices.DeleteFunc(w.memory.Unsent, func(r api.AlertReport) bool { return done[keyOf(r)] })
	w.save()
}

// key tells one change from another.
type key struct {
	id    inventory.ID
	state inventory.AlertState
}

func keyOf(r api.AlertReport) key { return key{r.ID, r.State} }

// handOver gives changes to the controller, oldest first.
func (w *Watch) handOver(ctx context.Context) {
	for ctx.Err() == nil {
		reports, added := w.unsent()
		if len(reports) == 0 {
			select {
			case <-added:
			case <-ctx.Done():
			}
			continue
		}
		select {
		case <-w.Link.Up():
		case <-ctx.Done():
			return
		}
		asking, cancel := context.WithTimeout(ctx, handLimit)
		err := w.Link.Client().ReportAlerts(asking, reports)
		cancel()
		if p, ok := errors.AsType[*api.Problem](err); ok && p.Status == http.StatusUnprocessableEntity {
			w.log.Error("the controller refused changes of alerts for good", "err", err)
			err = nil
		}
		if err == nil {
			w.sent(reports)
			continue
		}
		w.log.Debug("changes of alerts not handed over", "err", err)
		select {
		case <-time.After(retry):
		case <-ctx.Done():
		}
	}
}
