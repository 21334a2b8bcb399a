package preflight

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// uplink is a way to a controller in this process.
type uplink struct {
	up      chan struct{}
	handler http.HandlerFunc
}

func (u uplink) Up() <-chan struct{} { return u.up }
func (u uplink) Client() *api.Client {
	return &api.Client{Base: "http://controller", HTTP: &http.Client{Transport: u}}
}

func (u uplink) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	u.handler(w, r)
	return w.Result(), nil
}

func TestTheServerIsLookedAtAtJoinDailyAndWhenAsked(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var reports []api.PreflightReport // guarded by mu
		var refuse atomic.Bool
		link := uplink{make(chan struct{}), func(w http.ResponseWriter, r *http.Request) {
			var report api.PreflightReport
			if err := json.NewDecoder(r.Body).Decode(&report); err != nil || r.URL.Path != "/agent/v1/preflight" {
				t.Errorf("%s %v", r.URL.Path, err)
			}
			if refuse.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			reports = append(reports, report)
		}}
		machine, facts := good()
		begin := func() (i *Inspector, stop func()) {
			i = New(Options{
				Dir: dir, System: machine, Link: link, Log: slog.New(slog.DiscardHandler),
				Facts: func(context.Context) Facts { return facts },
			})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); _ = i.Run(ctx) }()
			return i, func() { cancel(); <-done }
		}
		after := func(d time.Duration, want int, what string) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if len(reports) != want {
				t.Fatalf("%s: %d reports, want %d", what, len(reports), want)
			}
		}
		_, stop := begin()
		after(time.Hour, 0, "without a link")
		close(link.up)
		after(0, 1, "with a link")
		after(20*time.Hour, 1, "within a day")
		stop()
		i, stop := begin()
		after(2*time.Hour, 1, "after a restart within a day")
		after(3*time.Hour, 2, "after a day")
		machine.fsync = time.Second
		checks := i.Look(t.Context())
		after(0, 3, "when asked")
		mu.Lock()
		asked := reports[2]
		mu.Unlock()
		if worst := (&inventory.Preflight{Checks: asked.Checks}).Worst(); worst != inventory.CheckFailed || len(checks) != len(Names) {
			t.Errorf("the worst is %s", worst)
		}
		refuse.Store(true)
		i.Look(t.Context())
		after(time.Minute, 3, "refused")
		refuse.Store(false)
		after(2*retryReport, 4, "no longer refused")
		stop()
	})
}
