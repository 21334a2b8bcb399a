package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/controller/metrics"
	"mailfleet/controller/metrics/embedded"
	"mailfleet/controller/ops"
	"mailfleet/controller/seal"
	"mailfleet/inventory"
	"mailfleet/inventory/dbstore"
)

// fixture is a Server over real stores, behind real TLS.
type fixture struct {
	t      *testing.T
	server *Server
	store  inventory.Store
	fleet  *fakeFleet
	mail   *mailnodes
	web    *httptest.Server
	client *api.Client // an operator's token
	log    *logBuffer
}

// logBuffer is a log that tests read.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// build makes a Server over real stores in a directory of the test.
func build(t *testing.T, console fs.FS) *fixture {
	t.Helper()
	f := &fixture{t: t, log: &logBuffer{}}
	logger := slog.New(slog.NewTextHandler(f.log, nil))
	store, err := dbstore.Open(t.Context(), dbstore.Options{Path: filepath.Join(t.TempDir(), "inventory.db")})
	f.ok(err)
	t.Cleanup(func() { f.ok(store.Close()) })
	f.store, f.fleet, f.mail = store, &fakeFleet{store: store}, &mailnodes{}
	samples, err := embedded.Open(embedded.Options{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	f.ok(err)
	t.Cleanup(func() { f.ok(samples.Close()) })
	gate := auth.New(store)
	sealed, err := seal.Open(filepath.Join(t.TempDir(), "seal.key"))
	f.ok(err)
	f.server, err = New(Options{
		Store: store, Samples: samples, Auth: gate, Fleet: f.fleet, Mailnodes: f.mail, Seal: sealed, DNS: noDNS, Console: console, Version: "test", Logger: logger,
		Operations: ops.New(ops.Options{Store: store, Queued: f.mail.queued, Log: logger}),
		Write: metrics.WriteHandler(metrics.WriteOptions{
			Store: samples, Server: gate.WriteIdentity, Logger: logger,
			OnWrite: func(server string, samples []metrics.Sample) {
				var readings []api.Reading
				for _, s := range samples {
					readings = append(readings, api.Reading{Server: server, Metric: s.Metric, Time: s.Time, Value: s.Value})
				}
				f.server.PublishSamples(server, readings)
			},
		}),
		Problems: func() []inventory.Sentence { return []inventory.Sentence{inventory.Say("the disk is nearly full")} },
	})
	f.ok(err)
	t.Cleanup(func() { f.ok(f.server.Close()) })
	return f
}

// start is build, served by TLS with HTTP/2, and asked by an operator.
func start(t *testing.T) *fixture {
	t.Helper()
	f := build(t, nil)
	f.web = httptest.NewUnstartedServer(f.server)
	Protect(f.web.Config)
	f.web.EnableHTTP2 = true
	f.web.StartTLS()
	t.Cleanup(f.web.Close)
	t.Cleanup(func() { f.ok(f.server.Close()) }) // before web.Close: it waits for streams
	f.client = f.as(inventory.RoleOperator, "*")
	return f
}

func (f *fixture) ok(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// as returns a client with a token of the role.
func (f *fixture) as(role inventory.Role, scopes ...string) *api.Client {
	f.t.Helper()
	token, err := f.server.Auth.CreateToken(f.t.Context(), inventory.Actor{Name: "controller"}, auth.Controller(), api.NewToken{
		Name: fmt.Sprintf("%s %v", role, scopes), Role: role, Scopes: scopes,
	})
	f.ok(err)
	return &api.Client{Base: f.web.URL, HTTP: f.web.Client(), Token: token.Secret}
}

func (f *fixture) update(fn func(inventory.Tx) error) {
	f.t.Helper()
	f.ok(f.store.Update(f.t.Context(), fn))
}

// upServer adds a server that is up.
func (f *fixture) upServer(name string) *inventory.Server {
	f.t.Helper()
	s := &inventory.Server{Name: name, State: inventory.ServerUp, Address: "192.0.2.1"}
	f.update(func(tx inventory.Tx) error {
		if err := tx.Servers().Create(s); err != nil {
			return err
		}
		return tx.Services().Create(&inventory.Service{Server: s.ID, Name: "mailnode", Kind: inventory.KindMailnode,
			Want: inventory.WantRunning, ServiceStatus: inventory.ServiceStatus{State: inventory.ServiceRunning}})
	})
	return s
}

// refused checks that err is a problem of the status and returns it.
func (f *fixture) refused(err error, status int) api.Problem {
	f.t.Helper()
	p, ok := err.(*api.Problem)
	if !ok || p.Status != status {
		f.t.Fatalf("got %v, want a problem with status %d", err, status)
	}
	if p.RequestID == "" || p.Title == "" || p.Detail == "" || p.Code == "" {
		f.t.Fatalf("the problem is not complete: %+v", p)
	}
	return *p
}

// ask sends a request as it is and returns its answer.
func (f *fixture) ask(method, path, body string, header ...string) (*http.Response, string) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.web.URL+path, strings.NewReader(body))
	f.ok(err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := f.web.Client().Do(req)
	f.ok(err)
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	f.ok(err)
	return res, string(b)
}

// problem sends a request as the operator and reads the problem it gets.
func (f *fixture) problem(method, path, body string, header ...string) api.Problem {
	f.t.Helper()
	res, text := f.ask(method, path, body, append([]string{"Authorization", "Bearer " + f.client.Token}, header...)...)
	var p api.Problem
	if err := json.Unmarshal([]byte(text), &p); err != nil || res.Header.Get("Content-Type") != "application/problem+json" {
		f.t.Fatalf("%s %s: %s %s %s", method, path, res.Status, res.Header.Get("Content-Type"), text)
	}
	if p.Status != res.StatusCode || p.RequestID != res.Header.Get("X-Request-Id") {
		f.t.Fatalf("the problem does not fit its answer: %+v", p)
	}
	return p
}

// audit returns the entries of an action, oldest first.
func (f *fixture) audit(action string) []*inventory.AuditEntry {
	f.t.Helper()
	var found []*inventory.AuditEntry
	f.ok(f.store.View(f.t.Context(), func(tx inventory.Tx) (err error) {
		found, _, err = tx.Audit().List(inventory.Query{Where: map[string][]string{"action": {action}}})
		return err
	}))
	return found
}

// every collects a list.
func every[T any](f *fixture, l api.List[T], filter map[string][]string) []T {
	f.t.Helper()
	var all []T
	for item, err := range l.All(f.t.Context(), f.client, filter) {
		f.ok(err)
		all = append(all, item)
	}
	return all
}

func TestAnAnswerSaysHowItIsToBeHandled(t *testing.T) {
	f := start(t)
	res, _ := f.ask(http.MethodGet, "/api/v1/status", "", "Authorization", "Bearer "+f.client.Token)
	for name, want := range map[string]string{
		"Strict-Transport-Security": "max-age=31536000",
		"X-Content-Type-Options":    "nosniff",
		"Referrer-Policy":           "no-referrer",
		"Cache-Control":             "no-store",
		"Content-Security-Policy":   "default-src 'none'; frame-ancestors 'none'",
		"Content-Type":              "application/json",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	again, _ := f.ask(http.MethodGet, "/api/v1/status", "", "Authorization", "Bearer "+f.client.Token)
	if a, b := res.Header.Get("X-Request-Id"), again.Header.Get("X-Request-Id"); a == "" || a == b {
		t.Errorf("request ids %q and %q", a, b)
	}
}

func TestWhatIsWrongWithARequestIsSaid(t *testing.T) {
	f := start(t)
	f.upServer("mail-1")
	const rule = `{"name":"cpu","metric":"cpu_user","comparison":">","value":90`
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		code               inventory.Code
		location           string
	}{
		"unknown field":      {"POST", "/rules", rule + `,"colour":"red"}`, 422, inventory.Invalid, "body.colour"},
		"unknown nested":     {"POST", "/operations", `{"kind":"service.stop","targets":[{"server":"mail-1","service":"mailnode","x":1}]}`, 422, inventory.Invalid, "body.targets[0].x"},
		"missing field":      {"POST", "/rules", `{"name":"cpu"}`, 422, inventory.Invalid, "body"},
		"wrong type":         {"POST", "/rules", `{"name":"cpu","metric":"cpu_user","comparison":">","value":"high"}`, 422, inventory.Invalid, "body.value"},
		"wrong value":        {"POST", "/rules", `{"name":"cpu","metric":"cpu","comparison":">","value":1}`, 422, inventory.Invalid, "body.metric"},
		"wrong duration":     {"POST", "/rules", rule + `,"for":"soon"}`, 422, inventory.Invalid, "body"},
		"wrong choice":       {"POST", "/rules", rule + `,"severity":"awful"}`, 422, inventory.Invalid, "body.severity"},
		"unknown server":     {"POST", "/rules", rule + `,"servers":["mail-9"]}`, 422, inventory.Invalid, "body.servers"},
		"unknown contact":    {"POST", "/rules", rule + `,"recipients":["` + string(inventory.NewID()) + `"]}`, 422, inventory.Invalid, "body.recipients[0]"},
		"unknown target":     {"POST", "/operations", `{"kind":"service.stop","targets":[{"server":"mail-9","service":"mailnode"}]}`, 422, inventory.Invalid, "body.targets[0].server"},
		"no JSON":            {"POST", "/rules", `{"name":`, 400, inventory.Invalid, "body"},
		"no body":            {"POST", "/rules", ``, 400, inventory.Invalid, ""},
		"too long":           {"POST", "/rules", `"` + strings.Repeat("x", maxBody) + `"`, 413, inventory.TooLarge, ""},
		"unknown parameter":  {"GET", "/rules?colour=red", ``, 422, inventory.Invalid, "query.colour"},
		"limit":              {"GET", "/rules?limit=1001", ``, 422, inventory.Invalid, "query.limit"},
		"order":              {"GET", "/rules?order=random", ``, 422, inventory.Invalid, "query.order"},
		"cursor":             {"GET", "/rules?cursor=x", ``, 422, inventory.Invalid, "query.cursor"},
		"wait":               {"GET", "/rules?index=1&wait=61s", ``, 422, inventory.Invalid, "query.wait"},
		"wait of no time":    {"GET", "/rules?index=1&wait=soon", ``, 422, inventory.Invalid, "query.wait"},
		"state":              {"GET", "/servers?state=asleep", ``, 422, inventory.Invalid, "query.state[0]"},
		"filter":             {"GET", "/alerts?server=mail-9", ``, 422, inventory.Invalid, "query.server"},
		"from":               {"GET", "/servers/mail-1/samples?from=yesterday", ``, 422, inventory.Invalid, "query.from"},
		"to before from":     {"GET", "/servers/mail-1/samples?from=-1h&to=-2h", ``, 422, inventory.Invalid, "query.from"},
		"far from":           {"GET", "/servers/mail-1/samples?from=9999-01-01T00:00:00Z", ``, 422, inventory.Invalid, "query.from"},
		"too many points":    {"GET", "/servers/mail-1/samples?metric=a_b&from=-7d&step=1s", ``, 422, inventory.Invalid, ""},
		"event id":           {"GET", "/events?index=x", ``, 422, inventory.Invalid, "query.index"},
		"no such server":     {"GET", "/servers/mail-9", ``, 404, inventory.NotFound, ""},
		"no such id":         {"GET", "/alerts/" + string(inventory.NewID()), ``, 404, inventory.NotFound, ""},
		"no id":              {"GET", "/alerts/7", ``, 404, inventory.NotFound, ""},
		"no such path":       {"GET", "/colours", ``, 404, inventory.NotFound, ""},
		"no such method":     {"PUT", "/servers", ``, 405, inventory.NotFound, ""},
		"domain of account":  {"POST", "/accounts", `{"address":"a@nowhere.test","password":"12345678"}`, 422, inventory.Invalid, "body.address"},
		"no address":         {"POST", "/accounts", `{"address":"a@b@c","password":"12345678"}`, 422, inventory.Invalid, "body.address"},
		"domain's name":      {"POST", "/domains", `{"name":"no spaces"}`, 422, inventory.Invalid, "body.name"},
		"unknown postmaster": {"POST", "/domains", `{"name":"a.test","postmaster":"who@a.test"}`, 422, inventory.Invalid, "body.postmaster"},
		"phone":              {"POST", "/contacts", `{"name":"Ann","phone":"soon"}`, 422, inventory.Invalid, "body.phone"},
		"phone of text":      {"POST", "/sms", `{"to":"me","text":"hi"}`, 422, inventory.Invalid, "body.to"},
		"scope":              {"POST", "/tokens", `{"name":"x","scopes":["everything"]}`, 422, inventory.Invalid, "body.scopes"},
	} {
		p := f.problem(c.method, "/api/v1"+c.path, c.body)
		if p.Status != c.status || p.Code != c.code {
			t.Errorf("%s: got %d %s (%s), want %d %s", name, p.Status, p.Code, p.Detail, c.status, c.code)
			continue
		}
		if p.Said == nil || p.Said.String() != p.Detail {
			t.Errorf("%s: %q is said in English only", name, p.Detail)
		}
		found := c.location == ""
		for _, e := range p.Errors {
			if e.Said == nil || e.Said.String() != e.Message {
				t.Errorf("%s: %q is said in English only", name, e.Message)
			}
			found = found || e.Location == c.location
		}
		if !found {
			t.Errorf("%s: the errors %+v do not name %s", name, p.Errors, c.location)
		}
	}
}

func TestRefusalsDoNotSendSecretsBack(t *testing.T) {
	f := start(t)
	_, text := f.ask(http.MethodPost, "/api/v1/session", `{"user":"alice","password":"hunter22","x":1}`)
	_, short := f.ask(http.MethodPost, "/api/v1/accounts", `{"address":"a@b.test","password":"hunter2"}`, "Authorization", "Bearer "+f.client.Token)
	if strings.Contains(text+short, "hunter2") {
		t.Errorf("a password came back: %s %s", text, short)
	}
}

func TestInternalErrorsAreLoggedAndNotShown(t *testing.T) {
	f := start(t)
	f.upServer("mail-1")
	f.fleet.fail(fmt.Errorf("dial unix /secret/path: broken pipe"), false)
	_, err := f.client.ServiceLog(t.Context(), "mail-1", "mailnode", 7)
	p := f.refused(err, http.StatusInternalServerError)
	if p.Detail != "internal error" || p.Code != inventory.Internal {
		t.Errorf("the client sees %+v", p)
	}
	if log := f.log.String(); !strings.Contains(log, "/secret/path") || !strings.Contains(log, p.RequestID) {
		t.Errorf("the log does not tell: %s", log)
	}
	f.fleet.fail(nil, true)
	_, err = f.client.ServiceLog(t.Context(), "mail-1", "mailnode", 7)
	p = f.refused(err, http.StatusInternalServerError)
	if log := f.log.String(); !strings.Contains(log, "the fleet fell over") || !strings.Contains(log, p.RequestID) {
		t.Errorf("the log does not tell of the panic: %s", log)
	}
	f.fleet.fail(inventory.Errorf(inventory.Unavailable, "the agent of mail-1 is away"), false)
	_, err = f.client.ServiceLog(t.Context(), "mail-1", "mailnode", 7)
	if p := f.refused(err, http.StatusServiceUnavailable); p.Detail != "the agent of mail-1 is away" {
		t.Errorf("the client sees %+v", p)
	}
}

func TestAReadBlocksUntilItsKindChanges(t *testing.T) {
	f := start(t)
	_, index, err := api.Rules.Wait(t.Context(), f.client, nil, 0, 0)
	f.ok(err)
	type answer struct {
		page  api.Page[inventory.Rule]
		index uint64
		err   error
	}
	got := make(chan answer, 1)
	go func() {
		page, next, err := api.Rules.Wait(t.Context(), f.client, nil, index, 30*time.Second)
		got <- answer{page, next, err}
	}()
	_, err = f.client.CreateContact(t.Context(), api.NewContact{Name: "Ann", Phone: "13800138000"}) // not what is waited for
	f.ok(err)
	rule, err := f.client.CreateRule(t.Context(), api.NewRule{Name: "cpu", Metric: "cpu_user", Comparison: ">", Value: 90})
	f.ok(err)
	a := <-got
	f.ok(a.err)
	if len(a.page.Items) != 1 || a.page.Items[0].ID != rule.ID || a.index < rule.Version {
		t.Errorf("got %+v", a)
	}
	// Nothing changes: the answer comes when the wait is over.
	page, next, err := api.Rules.Wait(t.Context(), f.client, nil, a.index, 50*time.Millisecond)
	f.ok(err)
	if len(page.Items) != 1 || next != a.index {
		t.Errorf("got %+v at %d", page, next)
	}
}

func TestCloseEndsBlockingReads(t *testing.T) {
	f := start(t)
	_, index, err := api.Rules.Wait(t.Context(), f.client, nil, 0, 0)
	f.ok(err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, _, err := api.Rules.Wait(t.Context(), f.client, nil, index, maxWait); err != nil {
			t.Error(err)
		}
	}()
	f.ok(f.server.Close())
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("the read goes on")
	}
}

func TestAListComesInPages(t *testing.T) {
	f := start(t)
	for i := range 7 {
		_, err := f.client.CreateContact(t.Context(), api.NewContact{Name: fmt.Sprint("c", i), Phone: fmt.Sprint("1380013800", i)})
		f.ok(err)
	}
	names := func(filter map[string][]string) (names []string) {
		for _, c := range every(f, api.Contacts, filter) {
			names = append(names, c.Name)
		}
		return names
	}
	want := []string{"c0", "c1", "c2", "c3", "c4", "c5", "c6"}
	if got := names(map[string][]string{"limit": {"3"}}); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	slices.Reverse(want)
	if got := names(map[string][]string{"limit": {"2"}, "order": {"newest"}}); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	res, text := f.ask(http.MethodGet, "/api/v1/alerts", "", "Authorization", "Bearer "+f.client.Token)
	if strings.TrimSpace(text) != `{"items":[],"next":""}` || res.Header.Get("X-Index") == "" {
		t.Errorf("an empty list is %s", text)
	}
}

func TestTheClientStopsWalkingWhenToldTo(t *testing.T) {
	f := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range api.Contacts.All(ctx, f.client, nil) {
		if err == nil {
			t.Fatal("a cancelled walk goes on")
		}
	}
}
