package steward

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mailfleet/agent/releases"
	"mailfleet/agent/state"
	"mailfleet/agent/supervise"
	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// controller hands out a desired state and takes reports.
type controller struct {
	server *httptest.Server
	up     chan struct{}

	mu      sync.Mutex
	desired api.Desired
	changed chan struct{}
	reports chan api.Report
	mux     *http.ServeMux
}

func newController(t *testing.T) *controller {
	t.Helper()
	c := &controller{up: make(chan struct{}), changed: make(chan struct{}), reports: make(chan api.Report, 1000)}
	close(c.up)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /agent/v1/desired", func(w http.ResponseWriter, r *http.Request) {
		for {
			c.mu.Lock()
			d, changed := c.desired, c.changed
			c.mu.Unlock()
			if r.URL.Query().Get("index") != jsonOf(d.Index) {
				_ = json.NewEncoder(w).Encode(d)
				return
			}
			select {
			case <-changed:
			case <-r.Context().Done():
				return
			}
		}
	})
	mux.HandleFunc("POST /agent/v1/report", func(_ http.ResponseWriter, r *http.Request) {
		var report api.Report
		if err := json.NewDecoder(r.Body).Decode(&report); err != nil {
			t.Error(err)
		}
		c.reports <- report
	})
	c.mux = mux
	c.server = httptest.NewServer(mux)
	t.Cleanup(c.server.Close)
	return c
}

func jsonOf(v any) string { b, _ := json.Marshal(v); return string(b) }

func (c *controller) set(change func(*api.Desired)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.desired)
	c.desired.Index++
	close(c.changed)
	c.changed = make(chan struct{})
}

// await reads reports until one fits.
func (c *controller) await(t *testing.T, what string, fits func(api.Report) bool) api.Report {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		select {
		case r := <-c.reports:
			if fits(r) {
				return r
			}
		case <-limit:
			t.Fatalf("no report with %s", what)
		}
	}
}

func (c *controller) Client() *api.Client          { return &api.Client{Base: c.server.URL} }
func (c *controller) Up() <-chan struct{}          { return c.up }
func (c *controller) CertExpires() time.Time       { return time.Time{} }
func (c *controller) ComeBackWithin(time.Duration) {}
func (c *controller) MailCertificate(context.Context, string) (bool, error) {
	return false, nil
}

// agent runs a steward over dir until stop is called.
func agent(t *testing.T, dir string, c *controller) (stop func()) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	services, err := supervise.New(supervise.Options{Dir: dir, BootID: "boot", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	journal, err := state.OpenJournal(filepath.Join(dir, "journal"), log)
	if err != nil {
		t.Fatal(err)
	}
	shelf, err := releases.New(dir, c.Client(), log)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Dir: dir, Mailnode: "/nonexistent", Link: c, Services: services, Journal: journal, Releases: shelf, BootID: "boot", Gate: time.Second, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	return func() {
		cancel()
		<-done
		if err := services.Close(); err != nil {
			t.Error(err)
		}
		if err := journal.Close(); err != nil {
			t.Error(err)
		}
	}
}

// service appends a line to file at each start and runs on.
func service(file string) api.DesiredService {
	return api.DesiredService{
		Name: "job", Kind: inventory.KindCommand, Want: inventory.WantRunning,
		ServiceConfig: inventory.ServiceConfig{Command: []string{"/bin/sh", "-c", "echo started >> " + file + "; exec sleep 3600"}},
	}
}

func starts(t *testing.T, file string) int {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), "started")
}

func is(state inventory.ServiceState) func(api.Report) bool {
	return func(r api.Report) bool { return len(r.Services) == 1 && r.Services[0].State == state }
}

func order(kind inventory.OperationKind, valid time.Duration) api.Order {
	now := time.Now()
	return api.Order{ID: inventory.NewID(), Kind: kind, Service: "job", Now: now, Expires: now.Add(valid)}
}

func ended(o api.Order, state inventory.OperationState) func(api.Report) bool {
	return func(r api.Report) bool {
		for _, s := range r.Steps {
			if s.ID == o.ID && s.State == state {
				return true
			}
		}
		return false
	}
}

// quit stops the job for good and waits until it is gone.
func quit(t *testing.T, c *controller) {
	c.set(func(d *api.Desired) { d.Services, d.Orders = nil, nil })
	c.await(t, "no service", func(r api.Report) bool { return len(r.Services) == 0 })
}

func TestAnOrderIsCarriedOutOnceHoweverOftenItComes(t *testing.T) {
	dir, c := t.TempDir(), newController(t)
	file := filepath.Join(dir, "starts")
	stop := agent(t, dir, c)
	c.set(func(d *api.Desired) { d.Services = []api.DesiredService{service(file)} })
	c.await(t, "a running job", is(inventory.ServiceRunning))

	o := order(inventory.OpServiceRestart, time.Minute)
	c.set(func(d *api.Desired) { d.Orders = []api.Order{o} })
	c.await(t, "the order done", ended(o, inventory.OpSucceeded))
	c.set(func(d *api.Desired) { d.Interval++ }) // the order is still among them
	c.await(t, "the order told of again", ended(o, inventory.OpSucceeded))
	stop()
	stop = agent(t, dir, c) // and it comes to the next agent too
	c.await(t, "the order told of by the next agent", ended(o, inventory.OpSucceeded))
	if n := starts(t, file); n != 2 {
		t.Errorf("the job was started %d times, want 2", n)
	}
	quit(t, c)
	stop()
}

func TestAnOrderThatComesTooLateIsNotCarriedOut(t *testing.T) {
	dir, c := t.TempDir(), newController(t)
	file := filepath.Join(dir, "starts")
	stop := agent(t, dir, c)
	late := order(inventory.OpServiceRestart, -time.Second)
	c.set(func(d *api.Desired) {
		d.Services, d.Orders = []api.DesiredService{service(file)}, []api.Order{late}
	})
	c.await(t, "the order expired", ended(late, inventory.OpExpired))
	c.await(t, "a running job", is(inventory.ServiceRunning))
	if n := starts(t, file); n != 1 {
		t.Errorf("the job was started %d times, want 1", n)
	}
	unknown := order("service.dance", time.Minute)
	c.set(func(d *api.Desired) { d.Orders = []api.Order{unknown} })
	c.await(t, "an order nobody knows failed", ended(unknown, inventory.OpFailed))
	quit(t, c)
	stop()
}

func TestOrdersForOneServiceKeepTheirSequence(t *testing.T) {
	dir, c := t.TempDir(), newController(t)
	file := filepath.Join(dir, "starts")
	stop := agent(t, dir, c)
	first, second := order(inventory.OpServiceStop, time.Minute), order(inventory.OpServiceStart, time.Minute)
	c.set(func(d *api.Desired) { d.Services = []api.DesiredService{service(file)} })
	c.await(t, "a running job", is(inventory.ServiceRunning))
	c.set(func(d *api.Desired) { d.Orders = []api.Order{first, second} })
	r := c.await(t, "the second order done", ended(second, inventory.OpSucceeded))
	if r.Services[0].State != inventory.ServiceRunning {
		t.Errorf("after stop and start the job is %s", r.Services[0].State)
	}
	if n := starts(t, file); n != 2 {
		t.Errorf("the job was started %d times, want 2", n)
	}
	quit(t, c)
	stop()
}

func TestWithTheControllerAwayTheLastDesiredStateIsKept(t *testing.T) {
	dir, c := t.TempDir(), newController(t)
	file := filepath.Join(dir, "starts")
	stop := agent(t, dir, c)
	c.set(func(d *api.Desired) { d.Services = []api.DesiredService{service(file)} })
	c.await(t, "a running job", is(inventory.ServiceRunning))
	stop()

	c.up = make(chan struct{}) // from now on it is away
	stop = agent(t, dir, c)
	for len(c.reports) > 0 {
		<-c.reports
	}
	close(c.up) // back again: what runs was never touched
	c.await(t, "the same job", is(inventory.ServiceRunning))
	if n := starts(t, file); n != 1 {
		t.Errorf("the job was started %d times, want 1", n)
	}
	quit(t, c)
	stop()
}

func TestAnOrderIsNoNewsToWhatFollowsTheSettings(t *testing.T) {
	dir, c, log := t.TempDir(), newController(t), slog.New(slog.DiscardHandler)
	services, err := supervise.New(supervise.Options{Dir: dir, BootID: "boot", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = services.Close() })
	s, err := New(Options{Dir: dir, Link: c, Services: services, BootID: "boot", Trial: true, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	d := api.Desired{Index: 1, Interval: 1}
	for _, step := range []struct {
		what   string
		change func()
		news   bool
	}{
		{"the first", func() {}, true},
		{"an order", func() { d.Orders = []api.Order{order(inventory.OpServiceStart, time.Minute)} }, false},
		{"a setting", func() { d.Interval = 2 }, true},
		{"no order", func() { d.Orders = nil }, false},
		{"an order alone", func() {
			d = api.Desired{Index: d.Index, Only: true, Orders: []api.Order{order(inventory.OpServiceStart, time.Minute)}}
		}, false},
	} {
		_, changed := s.Desired()
		step.change()
		s.take(t.Context(), d)
		if got, _ := s.Desired(); got.Index != d.Index || len(got.Orders) != len(d.Orders) || d.Only && got.Interval != 2 {
			t.Errorf("%s: in force is %+v", step.what, got)
		}
		news := false
		select {
		case <-changed:
			news = true
		default:
		}
		if news != step.news {
			t.Errorf("%s is news: %t", step.what, news)
		}
		d.Index++
	}
}
