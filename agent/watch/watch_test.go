package watch

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"mailfleet/agent/collect"
	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// controller takes alert reports and can be away.
type controller struct {
	server *httptest.Server
	up     chan struct{}

	mu     sync.Mutex
	status int
	taken  []api.AlertReport
	news   chan struct{} // gets a value for each request taken
}

func newController(t *testing.T) *controller {
	t.Helper()
	c := &controller{up: make(chan struct{}), status: http.StatusNoContent, news: make(chan struct{}, 100)}
	c.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var list []api.AlertReport
		if err := json.NewDecoder(r.Body).Decode(&list); err != nil || r.URL.Path != "/agent/v1/alerts" {
			t.Errorf("%s: %v", r.URL, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.status == http.StatusNoContent {
			c.taken = append(c.taken, list...)
		}
		w.WriteHeader(c.status)
		c.news <- struct{}{}
	}))
	t.Cleanup(c.server.Close)
	return c
}

func (c *controller) Client() *api.Client { return &api.Client{Base: c.server.URL} }
func (c *controller) Up() <-chan struct{} { return c.up }

func (c *controller) await(t *testing.T) {
	t.Helper()
	select {
	case <-c.news:
	case <-time.After(time.Minute):
		t.Fatal("nothing was handed over")
	}
}

func (c *controller) states() (out []inventory.AlertState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.taken {
		out = append(out, r.State)
	}
	return out
}

// sink drops samples and tells that they came.
type sink struct{ came chan []collect.Sample }

func (s sink) Add(_ time.Time, samples []collect.Sample) error {
	select {
	case s.came <- samples:
	default:
	}
	return nil
}

// desired is a desired state the test changes.
type desired struct {
	mu   sync.Mutex
	d    api.Desired
	news chan struct{}
}

func (d *desired) get() (api.Desired, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.d, d.news
}

func (d *desired) set(n api.Desired) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.d = n
	close(d.news)
	d.news = make(chan struct{})
}

func always() []inventory.Rule {
	return []inventory.Rule{{
		Meta: inventory.Meta{ID: inventory.NewID()}, Name: "always", Metric: "mem_used_percent", Comparison: inventory.Above,
		Value: 0.0001, Clear: 0.0001, Severity: inventory.Critical, Enabled: true,
	}}
}

// run runs a watch until stop is called.
func run(t *testing.T, dir string, c *controller, d *desired, s sink) (stop func()) {
	t.Helper()
	w, err := New(Options{Dir: dir, Link: c, Sink: s, Desired: d.get, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = w.Run(ctx) }()
	return func() { cancel(); <-done }
}

func TestAlertsReachTheControllerOnceAcrossAbsenceAndRestart(t *testing.T) {
	dir, c := t.TempDir(), newController(t)
	d := &desired{news: make(chan struct{})}
	s := sink{make(chan []collect.Sample, 1)}
	d.d.Rules = always()

	stop := run(t, dir, c, d, s) // the controller is away
	select {
	case <-s.came: // a first sample is taken after the first check
	case <-time.After(time.Minute):
		t.Fatal("no sample was taken")
	}
	stop()
	if got := c.states(); len(got) != 0 {
		t.Fatalf("with the controller away it got %v", got)
	}

	c.mu.Lock()
	c.status = http.StatusServiceUnavailable
	c.mu.Unlock()
	close(c.up)
	stop = run(t, dir, c, d, s) // another agent; the controller refuses at first
	c.await(t)
	c.mu.Lock()
	c.status = http.StatusNoContent
	c.mu.Unlock()
	c.await(t)
	if got := c.states(); len(got) != 1 || got[0] != inventory.AlertFiring {
		t.Fatalf("the controller got %v", got)
	}
	d.set(api.Desired{}) // the rule is deleted
	c.await(t)
	stop()
	got := c.states()
	if len(got) != 2 || got[1] != inventory.AlertResolved || c.taken[0].ID != c.taken[1].ID {
		t.Errorf("in the end the controller has %+v", c.taken)
	}

	stop = run(t, dir, c, d, s)
	select {
	case <-c.news:
		t.Errorf("a third agent handed something over again: %+v", c.taken)
	case <-s.came:
	}
	stop()
}

func TestSamplesHoldTheServersFigures(t *testing.T) {
	c := newController(t)
	s := sink{make(chan []collect.Sample, 1)}
	stop := run(t, t.TempDir(), c, &desired{news: make(chan struct{})}, s)
	defer stop()
	select {
	case samples := <-s.came:
		seen := make(map[string]bool)
		for _, v := range samples {
			seen[v.Measurement] = true
		}
		for _, want := range []string{"load", "cpu", "mem", "swap", "disk", "net"} {
			if !seen[want] {
				t.Errorf("there is no %s among the samples", want)
			}
		}
	case <-time.After(time.Minute):
		t.Fatal("no sample")
	}
}
