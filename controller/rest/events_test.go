package rest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

// listener reads a stream in the background.
type listener struct {
	f      *fixture
	events chan api.StreamEvent
	ended  chan error
}

// listen opens a stream and waits until it is open: changes made from now on
// are in it.
func (f *fixture) listen(c *api.Client, after uint64) *listener {
	f.t.Helper()
	before := f.readers()
	l := &listener{f: f, events: make(chan api.StreamEvent, 1000), ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(f.t.Context())
	f.t.Cleanup(cancel)
	go func() {
		for e, err := range c.Events(ctx, after) {
			if err != nil {
				l.ended <- err
				return
			}
			l.events <- e
		}
	}()
	for deadline := time.Now().Add(time.Minute); f.readers() == before; {
		select {
		case err := <-l.ended:
			f.t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
		if time.Now().After(deadline) {
			f.t.Fatal("the stream does not open")
		}
	}
	return l
}

func (f *fixture) readers() int {
	f.server.feed.mu.Lock()
	defer f.server.feed.mu.Unlock()
	return len(f.server.feed.readers)
}

// next waits for an event that wanted wants.
func (l *listener) next(wanted func(api.StreamEvent) bool) api.StreamEvent {
	l.f.t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case e := <-l.events:
			if wanted(e) {
				return e
			}
		case err := <-l.ended:
			l.f.t.Fatalf("the stream ended: %v", err)
		case <-deadline:
			l.f.t.Fatal("the event does not come")
		}
	}
}

func (l *listener) end() error {
	l.f.t.Helper()
	select {
	case err := <-l.ended:
		return err
	case <-time.After(time.Minute):
		l.f.t.Fatal("the stream does not end")
		return nil
	}
}

func about(kind inventory.Kind, id inventory.ID) func(api.StreamEvent) bool {
	return func(e api.StreamEvent) bool { return e.Change != nil && e.Change.Kind == kind && e.Change.ID == id }
}

func TestChangesAreStreamedAsGETShowsThem(t *testing.T) {
	f := start(t)
	l := f.listen(f.client, 0)
	server := f.upServer("mail-1")
	e := l.next(about(inventory.Servers, server.ID))
	var shown api.Server
	f.ok(json.Unmarshal(e.Change.Resource, &shown))
	if e.Change.Verb != inventory.Created || e.ID != e.Change.Index || e.Change.Index != server.Version ||
		shown.Name != "mail-1" || !shown.Connected || len(shown.Services) != 1 {
		t.Errorf("got %+v %s", e.Change, e.Change.Resource)
	}
	rule, err := f.client.CreateRule(t.Context(), api.NewRule{Name: "cpu", Metric: "cpu_user", Comparison: ">", Value: 90})
	f.ok(err)
	e = l.next(about(inventory.Rules, rule.ID))
	var same inventory.Rule
	f.ok(json.Unmarshal(e.Change.Resource, &same))
	if same.Name != "cpu" || same.Version != rule.Version {
		t.Errorf("got %s", e.Change.Resource)
	}
	e = l.next(func(e api.StreamEvent) bool { return e.Change != nil && e.Change.Kind == inventory.Audit })
	if !strings.Contains(string(e.Change.Resource), `"action":"rule.create"`) {
		t.Errorf("got %s", e.Change.Resource)
	}
	f.ok(f.client.DeleteRule(t.Context(), "cpu", 0))
	e = l.next(about(inventory.Rules, rule.ID))
	if e.Change.Verb != inventory.Deleted || e.Change.Resource != nil {
		t.Errorf("got %+v", e.Change)
	}
}

func TestAStreamResumesWhereItBroke(t *testing.T) {
	f := start(t)
	first := f.upServer("mail-1")
	second := f.upServer("mail-2") // both before anybody listens
	l := f.listen(f.client, first.Version)
	seen := map[uint64]bool{}
	l.next(func(e api.StreamEvent) bool {
		if e.Change == nil || e.Change.Index <= first.Version || seen[e.Change.Index] {
			t.Errorf("got %+v", e.Change)
		}
		seen[e.Change.Index] = true
		return about(inventory.Servers, second.ID)(e)
	})
	third := f.upServer("mail-3") // and what comes after
	l.next(about(inventory.Servers, third.ID))
}

func TestAStreamThatCannotResumeSaysSo(t *testing.T) {
	f := start(t)
	f.upServer("mail-1")
	l := f.listen(f.client, 1<<40) // of another history
	e := l.next(func(api.StreamEvent) bool { return true })
	if e.Change != nil || e.Samples != nil || e.ID == 0 || e.ID >= 1<<40 {
		t.Errorf("got %+v", e)
	}
	server := f.upServer("mail-2")
	l.next(about(inventory.Servers, server.ID))
}

func TestFreshSamplesAreStreamed(t *testing.T) {
	f := start(t)
	f.upServer("mail-1")
	l := f.listen(f.as(inventory.RoleViewer, "*"), 0)
	f.write("cpu,server=mail-1 user=12.5")
	e := l.next(func(e api.StreamEvent) bool { return e.Samples != nil })
	if e.Samples.Server != "mail-1" || len(e.Samples.Readings) != 1 || e.Samples.Readings[0].Metric != "cpu_user" || e.Samples.Readings[0].Value != 12.5 {
		t.Errorf("got %+v", e.Samples)
	}
}

func TestAReaderHearsOnlyWhatItMayRead(t *testing.T) {
	f := start(t)
	l := f.listen(f.as(inventory.RoleOperator, "events:read", "rules:read"), 0)
	f.upServer("mail-1")
	f.write("cpu,server=mail-1 user=12.5")
	rule, err := f.client.CreateRule(t.Context(), api.NewRule{Name: "cpu", Metric: "cpu_user", Comparison: ">", Value: 90})
	f.ok(err)
	l.next(func(e api.StreamEvent) bool {
		if e.Change == nil || e.Change.Kind != inventory.Rules {
			t.Errorf("heard of %+v", e)
		}
		return about(inventory.Rules, rule.ID)(e)
	})
}

func TestAStreamEndsWithTheTokenThatOpenedIt(t *testing.T) {
	f := start(t)
	reader := f.as(inventory.RoleViewer, "*")
	l := f.listen(reader, 0)
	other := f.listen(f.client, 0)
	f.ok(f.client.DeleteToken(t.Context(), "viewer [*]", 0))
	if err := l.end(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("it ended with %v", err)
	}
	server := f.upServer("mail-1")
	other.next(about(inventory.Servers, server.ID))
	for _, err := range reader.Events(t.Context(), 0) {
		f.refused(err, http.StatusUnauthorized)
	}
}

func TestAStreamEndsWithTheSessionThatOpenedIt(t *testing.T) {
	f := start(t)
	b := f.signIn(inventory.RoleViewer)
	browser := &api.Client{Base: f.web.URL, HTTP: &http.Client{Transport: withCookie{f.web.Client().Transport, b.cookie}}}
	l := f.listen(browser, 0)
	b.status(http.StatusNoContent, "DELETE", "/session", "", csrfHeader, b.session.CSRF)
	if err := l.end(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("it ended with %v", err)
	}
}

// withCookie is a browser's transport.
type withCookie struct {
	http.RoundTripper
	cookie *http.Cookie
}

func (w withCookie) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.AddCookie(&http.Cookie{Name: w.cookie.Name, Value: w.cookie.Value})
	return w.RoundTripper.RoundTrip(r)
}

func TestCloseEndsStreams(t *testing.T) {
	f := start(t)
	l := f.listen(f.client, 0)
	f.ok(f.server.Close())
	if err := l.end(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("it ended with %v", err)
	}
}

func TestASlowReaderIsDroppedAndOthersAreNot(t *testing.T) {
	f := build(t, nil)
	operator := auth.Principal{Role: inventory.RoleOperator}
	slow, _, err := f.server.feed.join(t.Context(), operator)
	f.ok(err)
	quick, _, err := f.server.feed.join(t.Context(), operator)
	f.ok(err)
	for i := range readerQueue + 10 {
		f.server.PublishSamples("mail-1", []api.Reading{{Metric: "cpu_user", Value: float64(i)}})
		if _, ok := <-quick.news; !ok {
			t.Fatal("the quick reader was dropped")
		}
	}
	n := 0
	for range slow.news {
		n++
	}
	if n != readerQueue || f.readers() != 1 {
		t.Errorf("the slow reader got %d items; %d readers are left", n, f.readers())
	}
}

// recorder is a ResponseWriter that can be read while it is written.
type recorder struct {
	*httptest.ResponseRecorder
	mu sync.Mutex
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ResponseRecorder.Write(p)
}

func (r *recorder) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Body.String()
}

func TestAQuietStreamBeatsAndEndsWhenItsTokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := build(t, nil)
		token, err := f.server.Auth.CreateToken(t.Context(), inventory.Actor{Name: "controller"}, auth.Controller(), api.NewToken{
			Name: "short", Role: inventory.RoleOperator, Scopes: []string{"events:read"}, Expires: api.Expiry{For: time.Minute},
		})
		f.ok(err)
		synctest.Wait()
		w := &recorder{ResponseRecorder: httptest.NewRecorder()}
		req := httptest.NewRequest(http.MethodGet, "/api/v1/events", nil)
		req.Header.Set("Authorization", "Bearer "+token.Secret)
		done := make(chan time.Time, 1)
		begin := time.Now()
		go func() {
			f.server.ServeHTTP(w, req)
			done <- time.Now()
		}()
		synctest.Wait()
		if !strings.HasPrefix(w.text(), "retry: 2000\n\nid: ") {
			t.Errorf("it begins with %q", w.text())
		}
		server := f.upServer("mail-1") // the reader may not see it
		time.Sleep(heartbeat)
		synctest.Wait()
		if got := w.text(); !strings.Contains(got, ": beat\nid: ") || strings.Contains(got, string(server.ID)) {
			t.Errorf("after a heartbeat: %q", got)
		}
		_, after, _ := strings.Cut(w.text(), ": beat\nid: ")
		if resume, err := strconv.ParseUint(strings.TrimSpace(after), 10, 64); err != nil || resume < server.Version {
			t.Errorf("it would resume from %d, before the change %d: %v", resume, server.Version, err)
		}
		if ended := <-done; ended.Sub(begin) != time.Minute {
			t.Errorf("it ended after %s", ended.Sub(begin))
		}
	})
}
