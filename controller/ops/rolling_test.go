package ops

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// roller is a fleet of servers with a service web, whose agents do at once
// what they are told.
type roller struct {
	*world
	now   time.Time
	ids   map[string]inventory.ID
	fails map[string]bool // by server: its next order fails
	away  map[string]bool // by server: its agent neither takes nor tells anything
	did   []string        // what agents were handed, in order: "mail1 service.restart"
}

func newRoller(t *testing.T, servers ...string) *roller {
	w := newWorld(t)
	r := &roller{world: w, now: time.Now().UTC(), ids: map[string]inventory.ID{}, fails: map[string]bool{}, away: map[string]bool{}}
	w.update(func(tx inventory.Tx) error {
		for _, name := range servers {
			s := &inventory.Server{Name: name, State: inventory.ServerUp, Address: "127.0.0.1", Region: "r" + name[len(name)-1:], BootID: "b1"}
			if err := tx.Servers().Create(s); err != nil {
				return err
			}
			r.ids[name] = s.ID
			if err := tx.Services().Create(&inventory.Service{
				Server: s.ID, Name: "web", Kind: inventory.KindCommand, Want: inventory.WantRunning,
				ServiceStatus: inventory.ServiceStatus{State: inventory.ServiceRunning},
			}); err != nil {
				return err
			}
		}
		return nil
	})
	return r
}

func (r *roller) server(name string, change func(*inventory.Server)) {
	r.t.Helper()
	r.update(func(tx inventory.Tx) error {
		s, err := tx.Servers().Get(r.ids[name])
		if err != nil {
			return err
		}
		change(s)
		return tx.Servers().Update(s)
	})
}

func (r *roller) service(name string, change func(*inventory.Service)) {
	r.t.Helper()
	r.update(func(tx inventory.Tx) error {
		v, err := tx.Services().Find("server/name", string(r.ids[name])+"/web")
		if err != nil {
			return err
		}
		change(v)
		return tx.Services().Update(v)
	})
}

// pass lets every agent apply the desired state, take its orders, do and tell
// them, and then lets a second go by.
func (r *roller) pass() {
	r.t.Helper()
	r.look(r.now)
	for name, id := range r.ids {
		if r.away[name] {
			continue
		}
		r.server(name, func(s *inventory.Server) { s.Applied = 1 << 40 })
		var told []api.StepReport
		r.update(func(tx inventory.Tx) error {
			if err := Deliver(tx, just(id), r.now); err != nil {
				return err
			}
			list, err := Open(tx)
			for _, op := range list {
				for _, o := range ordersOf(op)[id] {
					told = append(told, r.act(name, o))
				}
			}
			return err
		})
		r.update(func(tx inventory.Tx) error { return Apply(tx, reports(id, told...), r.now) })
	}
	r.now = r.now.Add(time.Second)
}

func (r *roller) act(name string, o api.Order) api.StepReport {
	told := api.StepReport{ID: o.ID, State: inventory.OpSucceeded, Started: r.now, Ended: r.now}
	r.did = append(r.did, name+" "+string(o.Kind))
	if r.fails[name] {
		delete(r.fails, name)
		told.State, told.Message = inventory.OpFailed, "exit status 1"
	}
	return told
}

// run passes until the operation has ended.
func (r *roller) run(op *inventory.Operation) *inventory.Operation {
	r.t.Helper()
	for range 1000 {
		if got := r.get(op.ID); got.State.Final() {
			return got
		}
		r.pass()
	}
	r.t.Fatalf("it does not end: %+v", r.get(op.ID))
	return nil
}

func roll(kind inventory.OperationKind, how api.NewRolling) api.NewOperation {
	return api.NewOperation{Kind: kind, Selector: "service=web", Rolling: &how, Override: []string{}}
}

// history is an operation's steps as "mail1 service.drain succeeded", undoing ones with a !.
func (r *roller) history(op *inventory.Operation) string {
	name := map[inventory.ID]string{}
	for n, id := range r.ids {
		name[id] = n
	}
	var out []string
	for i := range op.Steps {
		s := &op.Steps[i]
		text := fmt.Sprintf("%s %s %s", name[s.Target.Server], strings.TrimPrefix(string(kindOf(op, s)), "service."), s.State)
		if s.Undo {
			text += "!"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func TestARollingOperationGoesBatchByBatchAndWatchesEach(t *testing.T) {
	r := newRoller(t, "web1", "web2", "web3")
	op := r.create(roll(inventory.OpServiceRestart, api.NewRolling{Health: inventory.Duration(3 * time.Second)}))
	began := r.now
	got := r.run(op)
	if got.State != inventory.OpSucceeded || strings.Join(r.did, ",") != "web1 service.restart,web2 service.restart,web3 service.restart" {
		t.Fatalf("%s; agents did %v", r.history(got), r.did)
	}
	if took := r.now.Sub(began); took < 6*time.Second {
		t.Errorf("two healths of 3 s took %s", took)
	}
	if want := "web1 drain succeeded, web1 restart succeeded, web1 undrain succeeded, web2"; !strings.HasPrefix(r.history(got), want) {
		t.Errorf("%s", r.history(got))
	}
	r.service("web1", func(v *inventory.Service) {
		if v.Drained {
			t.Error("web1 is still drained")
		}
	})
	r.update(func(tx inventory.Tx) error {
		w, err := tx.Windows().Get(got.Window)
		if err == nil && (w.Closed.IsZero() || len(w.Servers) != 3 || w.Operation != op.ID) {
			t.Errorf("its maintenance window is %+v", w)
		}
		return err
	})
}

func TestARollingOperationStopsAtTheFirstFailureAndUndoesWhatItOpened(t *testing.T) {
	r := newRoller(t, "web1", "web2", "web3")
	r.fails["web2"] = true
	got := r.run(r.create(roll(inventory.OpServiceRestart, api.NewRolling{Health: 1})))
	want := "web1 drain succeeded, web1 restart succeeded, web1 undrain succeeded, " +
		"web2 drain succeeded, web2 restart failed, web2 undrain cancelled, " +
		"web3 drain cancelled, web3 restart cancelled, web3 undrain cancelled, web2 undrain succeeded!"
	if got.State != inventory.OpFailed || r.history(got) != want || !strings.Contains(got.Stopped, "exit status 1") {
		t.Errorf("it %s, stopped by %q:\n%s, want\n%s", got.State, got.Stopped, r.history(got), want)
	}
	r.service("web2", func(v *inventory.Service) {
		if v.Drained {
			t.Error("web2 is still drained")
		}
	})
}

func TestWhatWasStoppedBeforeAFailureIsStartedAgainWhatStoodStillStaysSo(t *testing.T) {
	r := newRoller(t, "web1", "web2", "web3")
	no := false
	r.service("web1", func(v *inventory.Service) { v.Want, v.State = inventory.WantStopped, inventory.ServiceStopped })
	r.fails["web3"] = true
	got := r.run(r.create(roll(inventory.OpServiceStop, api.NewRolling{Batch: 3, MaxUnavailable: 3, Drain: &no})))
	want := "web1 stop succeeded, web2 stop succeeded, web3 stop failed, web2 start succeeded!"
	if got.State != inventory.OpFailed || r.history(got) != want {
		t.Errorf("%s, want %s", r.history(got), want)
	}
}

func TestWhatIsDownAlreadyCountsAsUnavailable(t *testing.T) {
	r := newRoller(t, "web1", "web2", "web3")
	r.server("web3", func(s *inventory.Server) { s.State = inventory.ServerDown })
	op := r.create(roll(inventory.OpServiceRestart, api.NewRolling{Health: 1}))
	for range 5 {
		r.pass()
	}
	got := r.get(op.ID)
	if len(r.did) > 0 || !strings.Contains(got.Steps[0].Message, "1 of 3 may be unavailable and 1 are: web on web3") {
		t.Fatalf("agents did %v; the first step says %q", r.did, got.Steps[0].Message)
	}
	r.server("web3", func(s *inventory.Server) { s.State = inventory.ServerUp })
	if got := r.run(op); got.State != inventory.OpSucceeded {
		t.Errorf("after it came back: %s", r.history(got))
	}

	r.server("web3", func(s *inventory.Server) { s.State = inventory.ServerDown })
	r.service("web2", func(v *inventory.Service) { v.Health = "no greeting" })
	req := roll(inventory.OpServiceRestart, api.NewRolling{Health: 1})
	if _, err := r.ops.Create(t.Context(), alice, "", req); err == nil || !strings.Contains(err.Error(), refuseUnavailable) {
		t.Errorf("more is unavailable than may be: %v", err)
	}
	req.Override = []string{refuseUnavailable}
	r.create(req)
	r.pass()
	if len(r.did) <= 3 {
		t.Error("passed over, it waits all the same")
	}
}

func TestABatchThatDoesNotGetWellStopsTheRest(t *testing.T) {
	r := newRoller(t, "web1", "web2")
	no := false
	req := roll(inventory.OpServiceRestart, api.NewRolling{Health: inventory.Duration(time.Second), Drain: &no})
	req.Expires = inventory.Duration(10 * time.Second)
	op := r.create(req)
	for len(r.did) == 0 {
		r.pass()
	}
	r.service("web1", func(v *inventory.Service) { v.Health = "answers 500" })
	got := r.run(op)
	if len(r.did) != 1 || got.State != inventory.OpExpired || !strings.Contains(got.Stopped, "answers 500") {
		t.Errorf("it %s, stopped by %q; agents did %v", got.State, got.Stopped, r.did)
	}
}

func TestTwoOperationsNeverHoldTheSameTarget(t *testing.T) {
	r := newRoller(t, "web1", "web2")
	r.away["web1"] = true
	first := r.create(api.NewOperation{Kind: inventory.OpServiceRestart, Targets: []api.NewTarget{{Server: "web1", Service: "web"}}})
	second := r.create(api.NewOperation{Kind: inventory.OpServiceStop, Selector: "service=web"})
	third := r.create(api.NewOperation{Kind: inventory.OpServerPreflight, Targets: []api.NewTarget{{Server: "web1"}}})
	r.pass()
	got := r.get(second.ID)
	if got.Steps[0].State != inventory.OpQueued || !strings.Contains(got.Steps[0].Message, string(first.ID)) || got.Steps[1].State != inventory.OpSucceeded {
		t.Errorf("%s, waiting because of %q", r.history(got), got.Steps[0].Message)
	}
	if got := r.get(third.ID); got.Steps[0].Turn.IsZero() {
		t.Error("a preflight, which disturbs nothing, waits")
	}
	delete(r.away, "web1")
	if got := r.run(second); got.State != inventory.OpSucceeded || r.did[len(r.did)-1] != "web1 service.stop" {
		t.Errorf("%s; agents did %v", r.history(got), r.did)
	}
}

func TestCancellingARollingOperationUndrains(t *testing.T) {
	r := newRoller(t, "web1", "web2")
	op := r.create(roll(inventory.OpServiceRestart, api.NewRolling{}))
	r.server("web1", func(s *inventory.Server) { s.Applied = 1 << 40 })
	r.look(r.now) // the drain is done, the restart has its turn
	if got := r.get(op.ID); got.Steps[0].State != inventory.OpSucceeded || got.State != inventory.OpQueued && got.State != inventory.OpRunning {
		t.Fatalf("%s %s", got.State, r.history(got))
	}
	if _, err := r.ops.Cancel(t.Context(), alice, op.ID); err != nil {
		t.Fatal(err)
	}
	got := r.run(op)
	if got.State != inventory.OpCancelled || !strings.HasSuffix(r.history(got), "web1 undrain succeeded!") || len(r.did) > 0 {
		t.Errorf("%s %s; agents did %v", got.State, r.history(got), r.did)
	}
}

func TestAPoolKeepsItsFloorInEveryRegion(t *testing.T) {
	r := newRoller(t, "web1", "web2", "wex1")
	pool := &inventory.Pool{Name: "webmail", Service: "web", MaxUnavailable: 2, PerRegion: 1}
	r.update(func(tx inventory.Tx) error {
		for _, name := range []string{"web1", "web2", "wex1"} {
			pool.Members = append(pool.Members, inventory.Member{Server: r.ids[name], Weight: 1})
		}
		return tx.Pools().Create(pool)
	})
	req := roll(inventory.OpServiceRestart, api.NewRolling{Batch: 2})
	req.Selector = "pool=webmail"
	_, err := r.ops.Create(t.Context(), alice, "", req)
	if err == nil || !strings.Contains(err.Error(), `must keep 1 members in service in region "r2"`) {
		t.Fatalf("the only member of a region: %v", err)
	}
	req.Selector = "pool=webmail,region=r1"
	req.Rolling.Batch = 1
	got := r.run(r.create(req))
	if got.State != inventory.OpSucceeded || got.Rolling.MaxUnavailable != 2 || len(r.did) != 2 {
		t.Errorf("%s; agents did %v", r.history(got), r.did)
	}
	all := api.NewOperation{Kind: inventory.OpServiceStop, Selector: "service=web"}
	if _, err := r.ops.Create(t.Context(), alice, "", all); err == nil || !strings.Contains(err.Error(), "no member in service") {
		t.Errorf("all of a pool at once: %v", err)
	}
}
