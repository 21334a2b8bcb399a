package fleet

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/controller/ops"
	"mailfleet/controller/seal"
	"mailfleet/inventory"
	"mailfleet/inventory/dbstore"
	"mailfleet/inventory/identity"
	"mailfleet/inventory/link"
)

var alice = inventory.Actor{Name: "operator:alice", Address: "127.0.0.1"}

// pool is a gossip whose living are set by the test.
type pool map[string]bool

func (p pool) Alive() map[string]bool { return p }

// world is a fleet on a real database.
type world struct {
	t     *testing.T
	store inventory.Store
	fleet *Fleet
	alive pool
	runs  bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	store, err := dbstore.Open(t.Context(), dbstore.Options{Path: filepath.Join(dir, "db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	ca, err := identity.OpenCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := seal.Open(filepath.Join(dir, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: store, alive: pool{}}
	write := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _ := ServerOf(r.Context())
		_, _ = io.WriteString(w, name)
	})
	if w.fleet, err = New(t.Context(), Options{
		Store: store, CA: ca, Seal: sealed, Write: write, Gossip: w.alive, Pool: api.Gossip{Key: "k", Port: 7946},
		URL: "https://controller:8443", Interval: time.Minute, Log: slog.New(slog.DiscardHandler),
	}); err != nil {
		t.Fatal(err)
	}
	return w
}

// run runs the fleet until the test's end.
func (w *world) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	w.runs = true
	go func() { done <- w.fleet.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

func (w *world) add(name string) inventory.ID {
	w.t.Helper()
	e, err := w.fleet.Add(w.t.Context(), alice, api.NewServer{Name: name, Address: "127.0.0.1"})
	if err != nil {
		w.t.Fatal(err)
	}
	if w.runs { // an agent that asks before would be told that there is no such server
		if err := w.fleet.board.wait(w.t.Context(), w.store.Wait(w.t.Context(), 0)); err != nil {
			w.t.Fatal(err)
		}
	}
	return e.Server.ID
}

// connect links an agent of the server and returns its client.
func (w *world) connect(id inventory.ID, name string) (*api.Client, *link.Link) {
	w.t.Helper()
	return w.connectTo(id, name, http.NotFoundHandler())
}

// connectTo is connect with an agent that answers.
func (w *world) connectTo(id inventory.ID, name string, agent http.Handler) (*api.Client, *link.Link) {
	w.t.Helper()
	ours, theirs := net.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		w.fleet.ServeLink(context.Background(), ours, identity.Peer{ID: string(id), Name: name})
	}()
	l, err := link.New(theirs, link.Dialled, agent, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = l.Serve(context.Background()) }()
	w.t.Cleanup(func() { l.Close(); <-done; <-served })
	return &api.Client{Base: "http://controller", HTTP: l.Client()}, l
}

func (w *world) view(fn func(inventory.Tx) error) {
	w.t.Helper()
	if err := w.store.View(context.Background(), fn); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) server(id inventory.ID) (s *inventory.Server) {
	w.t.Helper()
	w.view(func(tx inventory.Tx) (err error) { s, err = tx.Servers().Get(id); return err })
	return s
}

func (w *world) service(id inventory.ID) (s *inventory.Service) {
	w.t.Helper()
	w.view(func(tx inventory.Tx) (err error) {
		s, err = tx.Services().Find("server/name", string(id)+"/mailnode")
		return err
	})
	return s
}

func TestTheDesiredStateFollowsTheInventory(t *testing.T) {
	w := newWorld(t)
	w.run()
	id, other := w.add("mail1"), w.add("mail2")
	agent, _ := w.connect(id, "mail1")
	d, ok, err := agent.Desired(t.Context(), 0, time.Minute)
	if err != nil || !ok || d.Server.Name != "mail1" || len(d.Services) != 1 || d.Services[0].Ports["pop3"] != 110 {
		t.Fatalf("%+v %v %v", d, ok, err)
	}
	if _, ok, err := agent.Desired(t.Context(), d.Index, 10*time.Millisecond); ok || err != nil {
		t.Errorf("nothing changed, yet there is news: %v %v", ok, err)
	}
	change := func(what string, fn func(inventory.Tx) error, seen func(api.Desired) bool) {
		t.Helper()
		if err := w.store.Update(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
		for !seen(d) {
			next, ok, err := agent.Desired(t.Context(), d.Index, time.Minute)
			if err != nil || !ok {
				t.Fatalf("%s did not arrive: %v", what, err)
			}
			if next.Index <= d.Index {
				t.Fatalf("%s: the index went from %d to %d", what, d.Index, next.Index)
			}
			d = next
		}
	}
	account := &inventory.Account{Address: "a@example.test", Domain: "example.test", Server: id, State: inventory.AccountActive, Password: "hash"}
	change("a domain and an account", func(tx inventory.Tx) error {
		if err := tx.Domains().Create(&inventory.Domain{Name: "example.test"}); err != nil {
			return err
		}
		return tx.Accounts().Create(account)
	}, func(d api.Desired) bool {
		return len(d.Mail.Domains) == 1 && len(d.Mail.Accounts) == 1 && d.Mail.Accounts[0].Password == "hash"
	})
	change("a rule", func(tx inventory.Tx) error {
		if err := tx.Rules().Create(&inventory.Rule{Name: "off", Enabled: false}); err != nil {
			return err
		}
		if err := tx.Rules().Create(&inventory.Rule{Name: "elsewhere", Enabled: true, Servers: []string{"mail2"}}); err != nil {
			return err
		}
		return tx.Rules().Create(&inventory.Rule{Name: "all", Enabled: true})
	}, func(d api.Desired) bool { return len(d.Rules) == 1 && d.Rules[0].Name == "all" })
	its := func(d api.Desired) (a api.DesiredAccount) {
		if len(d.Mail.Accounts) == 1 {
			a = d.Mail.Accounts[0]
		}
		return a
	}
	tenantPlan := &inventory.Plan{Name: "wide", Limits: inventory.Limits{Quota: 100, MessageSize: 50}, Features: map[inventory.Feature]bool{inventory.FeatureIMAP: false}}
	tenant := &inventory.Tenant{Name: "acme", Kind: inventory.TenantEnterprise}
	change("a tenant and its plan", func(tx inventory.Tx) error {
		if err := tx.Plans().Create(tenantPlan); err != nil {
			return err
		}
		tenant.Plan = tenantPlan.ID
		if err := tx.Tenants().Create(tenant); err != nil {
			return err
		}
		domain, err := tx.Domains().Find("name", "example.test")
		if err != nil {
			return err
		}
		domain.Tenant = tenant.ID
		return tx.Domains().Update(domain)
	}, func(d api.Desired) bool {
		return its(d).Limits == inventory.Limits{Quota: 100, MessageSize: 50} && slices.Equal(its(d).Off, []inventory.Feature{inventory.FeatureIMAP})
	})
	change("limits of the domain", func(tx inventory.Tx) error {
		domain, err := tx.Domains().Find("name", "example.test")
		if err != nil {
			return err
		}
		domain.Limits.Quota = 70
		return tx.Domains().Update(domain)
	}, func(d api.Desired) bool { return its(d).Limits.Quota == 70 && its(d).Limits.MessageSize == 50 })
	change("another feature of the plan", func(tx inventory.Tx) error {
		tenantPlan.Features = map[inventory.Feature]bool{inventory.FeaturePOP3: false, inventory.FeatureSMS: false}
		return tx.Plans().Update(tenantPlan)
	}, func(d api.Desired) bool {
		return slices.Equal(its(d).Off, []inventory.Feature{inventory.FeaturePOP3, inventory.FeatureSMS})
	})
	change("limits of the account", func(tx inventory.Tx) error {
		account.Limits.Messages, account.Features = 9, map[inventory.Feature]bool{inventory.FeaturePOP3: true}
		return tx.Accounts().Update(account)
	}, func(d api.Desired) bool {
		return its(d).Limits == inventory.Limits{Quota: 70, Messages: 9, MessageSize: 50} && slices.Equal(its(d).Off, []inventory.Feature{inventory.FeatureSMS})
	})
	change("a tenant without a plan", func(tx inventory.Tx) error {
		tenant.Plan = ""
		return tx.Tenants().Update(tenant)
	}, func(d api.Desired) bool { return its(d).Limits.MessageSize == 0 && its(d).Off == nil })
	change("the account moved away", func(tx inventory.Tx) error {
		account.Server = other
		return tx.Accounts().Update(account)
	}, func(d api.Desired) bool { return len(d.Mail.Accounts) == 0 })
	change("the service removed", func(tx inventory.Tx) error { return tx.Services().Delete(w.service(id).ID) },
		func(d api.Desired) bool { return len(d.Services) == 0 })
}

func TestAnOrderIsMarkedDeliveredBeforeItLeaves(t *testing.T) {
	w := newWorld(t)
	w.run()
	id := w.add("mail1")
	agent, _ := w.connect(id, "mail1")
	op, err := ops.New(ops.Options{Store: w.store, Log: slog.New(slog.DiscardHandler)}).Create(t.Context(), alice, "", api.NewOperation{
		Kind: inventory.OpServiceStop, Targets: []api.NewTarget{{Server: "mail1", Service: "mailnode"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var d api.Desired
	for len(d.Orders) == 0 {
		var ok bool
		if d, ok, err = agent.Desired(t.Context(), d.Index, time.Minute); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	if d.Orders[0].ID != op.Steps[0].ID || d.Orders[0].Now.IsZero() || d.Services[0].Want != inventory.WantStopped {
		t.Errorf("the document with the order does not want what the order does: %+v", d)
	}
	w.view(func(tx inventory.Tx) error {
		got, err := tx.Operations().Get(op.ID)
		if got.Steps[0].State != inventory.OpDelivered {
			t.Errorf("the order is out and its step is %s", got.Steps[0].State)
		}
		return err
	})
	if err := agent.Report(t.Context(), api.Report{Time: time.Now(), Steps: []api.StepReport{{ID: d.Orders[0].ID, State: inventory.OpSucceeded}}}); err != nil {
		t.Fatal(err)
	}
	if err := w.fleet.board.wait(t.Context(), w.store.Wait(t.Context(), 0)); err != nil {
		t.Fatal(err)
	}
	if again, ok, err := agent.Desired(t.Context(), d.Index, 10*time.Millisecond); err != nil || ok {
		t.Errorf("the agent is told that the order it carried out is gone: %+v %v", again, err)
	}
	if d, ok, err := agent.Desired(t.Context(), 0, time.Minute); err != nil || !ok || len(d.Orders) != 0 {
		t.Errorf("an order that was carried out is still there: %+v %v %v", d.Orders, ok, err)
	}
}

func TestAReportIsStoredAndARepetitionCostsNothing(t *testing.T) {
	w := newWorld(t)
	id := w.add("mail1")
	agent, _ := w.connect(id, "mail1")
	report := api.Report{
		Time: time.Now().Add(3 * time.Hour), BootID: "b", Version: "v", Applied: 7,
		Services: []api.ServiceReport{{Name: "mailnode", ServiceStatus: inventory.ServiceStatus{State: inventory.ServiceRunning, PID: 42}}},
	}
	if err := agent.Report(t.Context(), report); err != nil {
		t.Fatal(err)
	}
	if s := w.server(id); s.BootID != "b" || s.Applied != 7 || s.ClockSkew < 3*3600-60 || s.ClockSkew > 3*3600+60 {
		t.Errorf("the server is %+v", s)
	}
	if s := w.service(id); s.State != inventory.ServiceRunning || s.PID != 42 {
		t.Errorf("the service is %+v", s)
	}
	index := w.store.Wait(t.Context(), 0)
	report.Time = time.Now().Add(3 * time.Hour)
	if err := agent.Report(t.Context(), report); err != nil {
		t.Fatal(err)
	}
	if now := w.store.Wait(t.Context(), 0); now != index {
		t.Errorf("telling the same again moved the index from %d to %d", index, now)
	}
	if name := w.whoWrites(agent); name != "mail1" {
		t.Errorf("samples are written as %q", name)
	}
}

func TestAnIndexThatBringsOnlyOrdersCostsNoWriteOfTheServer(t *testing.T) {
	w := newWorld(t)
	w.run()
	id := w.add("mail1")
	agent, _ := w.connect(id, "mail1")
	d, _, err := agent.Desired(t.Context(), 0, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	tell := func(steps ...api.StepReport) *inventory.Server {
		t.Helper()
		if err := agent.Report(t.Context(), api.Report{Time: time.Now(), Applied: d.Index, Steps: steps}); err != nil {
			t.Fatal(err)
		}
		return w.server(id)
	}
	settings := tell()
	if settings.Applied != d.Index {
		t.Errorf("it has applied %d, and %d is stored", d.Index, settings.Applied)
	}
	op, err := ops.New(ops.Options{Store: w.store, Log: slog.New(slog.DiscardHandler)}).Create(t.Context(), alice, "", api.NewOperation{
		Kind: inventory.OpServiceReload, Targets: []api.NewTarget{{Server: "mail1", Service: "mailnode"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if d, _, err = agent.Desired(t.Context(), d.Index, time.Minute); err != nil || len(d.Orders) != 1 {
		t.Fatalf("%+v %v", d.Orders, err)
	}
	if !d.Only || d.Gossip.Key != "" || d.Services != nil {
		t.Errorf("the settings came with the order: %+v", d)
	}
	if s := tell(api.StepReport{ID: op.Steps[0].ID, State: inventory.OpSucceeded}); s.Version != settings.Version {
		t.Errorf("the end of an order wrote the server: %+v", s)
	}
	w.view(func(tx inventory.Tx) error {
		got, err := tx.Operations().Get(op.ID)
		if got.State != inventory.OpSucceeded {
			t.Errorf("the operation is %s", got.State)
		}
		return err
	})
	if err := w.store.Update(t.Context(), func(tx inventory.Tx) error { return tx.Domains().Create(&inventory.Domain{Name: "example.test"}) }); err != nil {
		t.Fatal(err)
	}
	if d, _, err = agent.Desired(t.Context(), d.Index, time.Minute); err != nil || d.Only || len(d.Mail.Domains) != 1 {
		t.Fatalf("%+v %v", d, err)
	}
	if s := tell(); s.Applied != d.Index {
		t.Errorf("it has applied settings of index %d, and %d is stored", d.Index, s.Applied)
	}
}

func (w *world) whoWrites(agent *api.Client) string {
	w.t.Helper()
	res, err := agent.HTTP.Post("http://controller/api/v2/write", "text/plain", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, _ := io.ReadAll(res.Body)
	return string(b)
}

func TestANewLinkTakesThePlaceOfTheOld(t *testing.T) {
	w := newWorld(t)
	id := w.add("mail1")
	first, old := w.connect(id, "mail1")
	if err := first.Report(t.Context(), api.Report{Time: time.Now()}); err != nil { // it is known by now
		t.Fatal(err)
	}
	agent, _ := w.connect(id, "mail1")
	if err := agent.Report(t.Context(), api.Report{Time: time.Now()}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-old.Done():
	case <-time.After(time.Minute):
		t.Fatal("the old link is still open")
	}
	if connected, _, _ := w.fleet.Live(id); !connected {
		t.Error("the server is not connected")
	}
}

func TestAServerRemovedIsCutOffAndComesBackUnderItsID(t *testing.T) {
	w := newWorld(t)
	w.run()
	id := w.add("mail1")
	agent, l := w.connect(id, "mail1")
	if err := w.fleet.Remove(t.Context(), alice, id, 0); err != nil {
		t.Fatal(err)
	}
	select {
	case <-l.Done():
	case <-time.After(time.Minute):
		t.Fatal("the link is still open")
	}
	if err := agent.Report(t.Context(), api.Report{}); err == nil {
		t.Error("a removed server reported")
	}
	if again := w.add("mail1"); again != id {
		t.Errorf("it came back as %s, not %s", again, id)
	}
	if _, err := w.fleet.Add(t.Context(), alice, api.NewServer{Name: "mail1", Address: "127.0.0.1"}); !inventory.Is(err, inventory.Conflict) {
		t.Errorf("added twice: %v", err)
	}
}

func TestAServerWithAccountsStays(t *testing.T) {
	w := newWorld(t)
	id := w.add("mail1")
	if err := w.store.Update(t.Context(), func(tx inventory.Tx) error {
		return tx.Accounts().Create(&inventory.Account{Address: "a@b.test", Domain: "b.test", Server: id})
	}); err != nil {
		t.Fatal(err)
	}
	if err := w.fleet.Remove(t.Context(), alice, id, 0); !inventory.Is(err, inventory.Conflict) {
		t.Errorf("removed with an account on it: %v", err)
	}
}

func TestAFleetIsToldOverHowLongToComeBack(t *testing.T) {
	for n, want := range map[int]time.Duration{0: time.Second, 200: time.Second, 320: time.Second, 321: 2 * time.Second, 5000: 16 * time.Second, 20000: 64 * time.Second} {
		if got := spreadOf(n); time.Duration(got) != want {
			t.Errorf("%d agents: %v, want %s", n, got, want)
		}
	}
	w := newWorld(t)
	w.run()
	id := w.add("mail1")
	agent, _ := w.connect(id, "mail1")
	if d, ok, err := agent.Desired(t.Context(), 0, time.Minute); err != nil || !ok || d.Spread != inventory.Duration(time.Second) {
		t.Errorf("its desired state has %v: %v %v", d.Spread, ok, err)
	}
}
