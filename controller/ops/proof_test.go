package ops

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

func (r *roller) power(name string, kind inventory.PowerKind) {
	r.update(func(tx inventory.Tx) error {
		return tx.Powers().Create(&inventory.Power{Server: r.ids[name], Kind: kind})
	})
}

func on(kind inventory.OperationKind, server string) api.NewOperation {
	return api.NewOperation{Kind: kind, Targets: []api.NewTarget{{Server: server}}, Confirm: server}
}

func TestOnlyAnotherBootIDProvesAReboot(t *testing.T) {
	r := newRoller(t, "web1", "web2")
	op := r.create(on(inventory.OpServerReboot, "web1"))
	r.pass() // its agent took it and says it succeeded
	if got := r.get(op.ID); got.State != inventory.OpRunning {
		t.Fatalf("without another boot id it is %s", got.State)
	}
	r.server("web1", func(s *inventory.Server) { s.State = inventory.ServerDown })
	r.look(r.now)
	if got := r.get(op.ID); got.State != inventory.OpRunning {
		t.Errorf("while the server is down, as it should be, it is %s", got.State)
	}
	r.look(r.now.Add(bootTime + time.Minute))
	if got := r.get(op.ID); got.State != inventory.OpUnknown || !strings.Contains(got.Steps[0].Message, "not come back") {
		t.Errorf("long after it is %s: %s", got.State, got.Steps[0].Message)
	}
	r.server("web1", func(s *inventory.Server) { s.BootID, s.State = "b2", inventory.ServerUp })
	r.look(r.now)
	if got := r.get(op.ID); got.State != inventory.OpSucceeded || len(r.did) != 1 {
		t.Errorf("back with another boot id it is %s; agents did %v", got.State, r.did)
	}
}

func TestPowerIsSwitchedByAnotherServersAgentUntilTheServerIsBack(t *testing.T) {
	r := newRoller(t, "web1", "web2", "wex1")
	_, err := r.ops.Create(t.Context(), alice, "", on(inventory.OpServerPowerOn, "web1"))
	if err == nil || !strings.Contains(err.Error(), "no power driver") {
		t.Fatalf("without a driver: %v", err)
	}
	r.power("web1", inventory.PowerIPMI)
	r.server("web1", func(s *inventory.Server) { s.State = inventory.ServerDown })
	r.away["web1"] = true
	op := r.create(on(inventory.OpServerPowerOn, "web1"))
	r.pass()
	got := r.get(op.ID)
	if got.State != inventory.OpRunning || got.Steps[0].Agent != r.ids["wex1"] || strings.Join(r.did, ",") != "wex1 server.poweron" {
		t.Errorf("it is %s, by %s; agents did %v", got.State, got.Steps[0].Agent, r.did)
	}
	orders := Orders(&inventory.Operation{Steps: []inventory.Step{{
		Turn: r.now, State: inventory.OpDelivered, Target: inventory.Target{Server: "a"}, Agent: "b",
	}}, Kind: inventory.OpServerPowerOn}, func(id inventory.ID) string { return "name of " + string(id) },
		func(inventory.ID) *inventory.Power {
			return &inventory.Power{Kind: inventory.PowerIPMI, Address: "bmc", Secret: []byte("s3cret")}
		})
	if o := orders["b"][0]; o.Target != "name of a" || o.Power.Address != "bmc" {
		t.Errorf("the order is %+v", o)
	}
	if text, _ := json.Marshal(orders); strings.Contains(string(text), "s3cret") {
		t.Error("the order carries the password")
	}
	r.server("web1", func(s *inventory.Server) { s.State = inventory.ServerUp })
	r.look(r.now)
	if got := r.get(op.ID); got.State != inventory.OpSucceeded {
		t.Errorf("the agent is back and it is %s", got.State)
	}
	again := r.create(on(inventory.OpServerPowerOn, "web1"))
	if again.State != inventory.OpSucceeded || again.Steps[0].Message != "it was on already" {
		t.Errorf("of a server that is on: %s, %s", again.State, again.Steps[0].Message)
	}
}

func TestAShutdownIsOverWhenTheServerIsGone(t *testing.T) {
	r := newRoller(t, "web1", "web2")
	op := r.create(on(inventory.OpServerShutdown, "web1"))
	r.pass()
	if got := r.get(op.ID); got.State != inventory.OpRunning {
		t.Fatalf("acknowledged, it is %s", got.State)
	}
	r.server("web1", func(s *inventory.Server) { s.State = inventory.ServerDown })
	r.look(r.now)
	if got := r.get(op.ID); got.State != inventory.OpSucceeded {
		t.Errorf("gone, it is %s", got.State)
	}
	quick := r.create(on(inventory.OpServerShutdown, "web2"))
	r.look(r.now)
	r.server("web2", func(s *inventory.Server) { s.State, s.Since = inventory.ServerDown, r.now.Add(-time.Hour) })
	r.update(func(tx inventory.Tx) error { return Deliver(tx, just(r.ids["web2"]), r.now) })
	r.look(r.now)
	if got := r.get(quick.ID); got.State != inventory.OpDelivered {
		t.Errorf("handed to a server that was still held for down, it is %s", got.State)
	}
	r.server("web2", func(s *inventory.Server) { s.Since = r.now.Add(time.Second) })
	r.look(r.now)
	if got := r.get(quick.ID); got.State != inventory.OpSucceeded {
		t.Errorf("gone before its agent could tell, it is %s", got.State)
	}
	r.update(func(tx inventory.Tx) error {
		s, err := tx.Servers().Get(r.ids["web1"])
		if err == nil && !s.Off {
			t.Error("the server is not said to be off on purpose")
		}
		return err
	})
}

func TestWhatIsNotConfirmedOrSeenAsItIsDoesNotHappen(t *testing.T) {
	r := newRoller(t, "web1", "web2")
	req := on(inventory.OpServerReboot, "web1")
	for _, wrong := range []string{"", "web2", "1", "WEB1"} {
		req.Confirm = wrong
		_, err := r.ops.Create(t.Context(), alice, "", req)
		if e, ok := errors.AsType[*inventory.Error](err); !ok || e.Code != inventory.Invalid || e.Field != "confirm" {
			t.Errorf("confirmed with %q: %v", wrong, err)
		}
	}
	both := api.NewOperation{Kind: inventory.OpServerReboot, Selector: "service=web", Confirm: "web1"}
	if _, err := r.ops.Create(t.Context(), alice, "", both); inventory.CodeOf(err) != inventory.Invalid {
		t.Errorf("two servers confirmed with the name of one: %v", err)
	}
	impact, err := r.ops.Preview(t.Context(), alice, both)
	if err != nil || impact.Confirm != "2" || len(impact.Versions) != 2 || impact.Users != 0 || impact.Queued != -1 {
		t.Fatalf("%+v %v", impact, err)
	}
	both.Confirm, both.Versions = impact.Confirm, impact.Versions
	r.server("web2", func(s *inventory.Server) { s.Region = "moved" })
	_, err = r.ops.Create(t.Context(), alice, "", both)
	if stale, ok := errors.AsType[*StaleError](err); !ok || !inventory.Is(err, inventory.Stale) || stale.Current <= impact.Versions[string(r.ids["web2"])] {
		t.Errorf("seen in another version: %v", err)
	}
	if n := len(r.all()); n != 0 {
		t.Errorf("%d operations were written down", n)
	}
	r.ops.Own = func(s *inventory.Server) bool { return s.Name == "web1" }
	req.Confirm = "web1"
	if _, err = r.ops.Create(t.Context(), alice, "", req); err == nil || !strings.Contains(err.Error(), `override: ["controller"]`) {
		t.Errorf("the controller's own server: %v", err)
	}
	req.Override = []string{"controller"}
	r.create(req)
}

func (r *roller) all() (list []*inventory.Operation) {
	r.update(func(tx inventory.Tx) (err error) {
		list, _, err = tx.Operations().List(inventory.Query{})
		return err
	})
	return list
}

func TestAnOperationWaitsForASecondPerson(t *testing.T) {
	r := newRoller(t, "web1")
	policy, _ := json.Marshal(api.Policy{ApprovalKinds: []inventory.OperationKind{inventory.OpServerReboot}})
	r.update(func(tx inventory.Tx) error {
		for name, by := range map[string]string{"ci": "operator:alice", "dev": "controller"} {
			if err := tx.Tokens().Create(&inventory.Token{Name: name, Hash: name, Actor: by}); err != nil {
				return err
			}
		}
		return tx.Settings().Create(&inventory.Setting{Name: "policy", Value: string(policy)})
	})
	op := r.create(on(inventory.OpServerReboot, "web1"))
	r.pass()
	if got := r.get(op.ID); got.State != inventory.OpQueued || got.Approval == nil || len(r.did) > 0 {
		t.Fatalf("unapproved it is %s; agents did %v", got.State, r.did)
	}
	for _, same := range []string{"operator:alice", "viewer:alice", "token:ci"} {
		if _, err := r.ops.Approve(t.Context(), inventory.Actor{Name: same}, op.ID); !inventory.Is(err, inventory.Forbidden) {
			t.Errorf("approved by %s, who asked for it: %v", same, err)
		}
	}
	if _, err := r.ops.Approve(t.Context(), inventory.Actor{Name: "token:dev"}, op.ID); err != nil {
		t.Fatal(err)
	}
	r.pass()
	if len(r.did) != 1 {
		t.Error("approved, it does not begin")
	}
	asked := on(inventory.OpServerPreflight, "web1")
	asked.Approval = true
	op = r.create(asked)
	r.look(r.now.Add(approvalExpiry + time.Minute))
	if got := r.get(op.ID); got.State != inventory.OpExpired || !strings.Contains(got.Stopped, "nobody approved") {
		t.Errorf("nobody approved and it is %s", got.State)
	}
	if _, err := r.ops.Approve(t.Context(), inventory.Actor{Name: "operator:bob"}, op.ID); !inventory.Is(err, inventory.Conflict) {
		t.Errorf("approved too late: %v", err)
	}
}

func TestSettingsComeIntoForce(t *testing.T) {
	r := newRoller(t, "web1", "web2")
	r.service("web1", func(v *inventory.Service) {
		v.Command, v.Env, v.Dir = []string{"/bin/web"}, map[string]string{"A": "1", "B": "2"}, "/srv"
	})
	r.service("web2", func(v *inventory.Service) { v.Want, v.State = inventory.WantStopped, inventory.ServiceStopped })
	got := r.run(r.create(api.NewOperation{Kind: inventory.OpConfigApply, Selector: "service=web",
		Params: api.NewParams{Config: &inventory.ServiceConfig{Env: map[string]string{"A": "9"}, User: "www"}}}))
	if got.State != inventory.OpSucceeded || len(r.did) != 2 || !slices.Contains(r.did, "web1 config.apply") || !slices.Contains(r.did, "web2 config.apply") {
		t.Errorf("%s; agents did %v", r.history(got), r.did)
	}
	r.service("web1", func(v *inventory.Service) {
		if v.Env["A"] != "9" || len(v.Env) != 1 || v.User != "www" || v.Dir != "/srv" || len(v.Command) != 1 {
			t.Errorf("web1 is set to %+v", v.ServiceConfig)
		}
	})
	r.service("web2", func(v *inventory.Service) {
		if v.User != "www" || v.Want != inventory.WantStopped {
			t.Errorf("web2, which stood still, is wanted %s and set to %+v", v.Want, v.ServiceConfig)
		}
	})
	audited := 0
	r.update(func(tx inventory.Tx) error {
		list, _, err := tx.Audit().List(inventory.Query{Where: map[string][]string{"action": {"service.update"}}})
		for _, e := range list {
			if strings.Contains(e.After, "www") && !strings.Contains(e.Before, "www") {
				audited++
			}
		}
		return err
	})
	if audited != 2 {
		t.Errorf("%d of 2 changes are in the audit log", audited)
	}
}

func TestAnUpgradeIsBelievedWhenTheAgentIsTheNewOne(t *testing.T) {
	r := newRoller(t, "web1", "web2")
	release := &inventory.Release{Program: "mailfleet-agent", Number: "2.0", SHA256: "aa"}
	r.update(func(tx inventory.Tx) error { return tx.Releases().Create(release) })
	r.server("web1", func(s *inventory.Server) { s.AgentVersion = "1.0" })
	r.server("web2", func(s *inventory.Server) { s.AgentVersion = "2.0" })
	got := r.run(r.create(api.NewOperation{Kind: inventory.OpAgentUpgrade, Params: api.NewParams{Release: string(release.ID)},
		Targets: []api.NewTarget{{Server: "web1"}, {Server: "web2"}}}))
	if r.history(got) != "web1 agent.upgrade failed, web2 agent.upgrade succeeded" || !strings.Contains(got.Steps[0].Message, "came back as 1.0") {
		t.Errorf("%s: %s", r.history(got), got.Steps[0].Message)
	}
}

func TestSettingsAreBelievedInForceWhenTheirIndexIsApplied(t *testing.T) {
	r := newRoller(t, "web1")
	op := r.create(api.NewOperation{Kind: inventory.OpConfigApply, Targets: []api.NewTarget{{Server: "web1", Service: "web"}}})
	r.look(r.now)
	id := r.ids["web1"]
	r.update(func(tx inventory.Tx) error { return Deliver(tx, just(id), r.now) })
	step := r.get(op.ID).Steps[0]
	if step.Needs == 0 || step.State != inventory.OpDelivered {
		t.Fatalf("delivered it is %+v", step)
	}
	r.server("web1", func(s *inventory.Server) { s.Applied = step.Needs - 1 })
	done := api.StepReport{ID: step.ID, State: inventory.OpSucceeded, Started: r.now, Ended: r.now}
	r.update(func(tx inventory.Tx) error { return Apply(tx, reports(id, done), r.now) })
	if got := r.get(op.ID); got.State != inventory.OpFailed || !strings.Contains(got.Steps[0].Message, "has applied only index") {
		t.Errorf("%s: %s", got.State, got.Steps[0].Message)
	}
}

// build makes a release.
func (r *roller) build(program, number string) *inventory.Release {
	r.t.Helper()
	release := &inventory.Release{Program: program, Number: number, SHA256: program + number}
	r.update(func(tx inventory.Tx) error { return tx.Releases().Create(release) })
	return release
}

func TestAServiceIsWantedUpgradedOnlyWhenItWas(t *testing.T) {
	r := newRoller(t, "web1", "web2", "web3")
	release := r.build("web", "2.0")
	r.fails["web2"] = true
	req := roll(inventory.OpServiceUpgrade, api.NewRolling{Batch: 1, MaxUnavailable: 1})
	req.Params.Release = string(release.ID)
	got := r.run(r.create(req))
	if got.State != inventory.OpFailed || !strings.Contains(got.Stopped, "service.upgrade of web on web2 failed") {
		t.Errorf("%s, stopped for %q: %s", got.State, got.Stopped, r.history(got))
	}
	for name, want := range map[string]inventory.ID{"web1": release.ID, "web2": "", "web3": ""} {
		r.service(name, func(v *inventory.Service) {
			if v.Release != want || v.Drained {
				t.Errorf("%s is to run release %q, drained %v", name, v.Release, v.Drained)
			}
		})
	}
	if strings.Contains(strings.Join(r.did, ","), "web3") {
		t.Errorf("agents did %v", r.did)
	}
	r.service("web3", func(v *inventory.Service) { v.Command = []string{"/opt/web1", "run"} })
	got = r.run(r.create(api.NewOperation{Kind: inventory.OpServiceUpgrade, Targets: []api.NewTarget{{Server: "web3", Service: "web"}},
		Params: api.NewParams{Config: &inventory.ServiceConfig{Command: []string{"/opt/web2", "run"}}}}))
	r.service("web3", func(v *inventory.Service) {
		if got.State != inventory.OpSucceeded || v.Command[0] != "/opt/web2" {
			t.Errorf("%s; web3 is to run %v", r.history(got), v.Command)
		}
	})
}

func TestWhatCannotBeUpgradedSoIsRefused(t *testing.T) {
	r := newRoller(t, "web1")
	web, agent, other := r.build("web", "2.0"), r.build(inventory.ProgramAgent, "2.0"), r.build("shop", "2.0")
	on := func(kind inventory.OperationKind, service string, p api.NewParams) api.NewOperation {
		return api.NewOperation{Kind: kind, Targets: []api.NewTarget{{Server: "web1", Service: service}}, Params: p}
	}
	command := &inventory.ServiceConfig{Command: []string{"/opt/web"}}
	for want, req := range map[string]api.NewOperation{
		"agent.upgrade needs a release":                  on(inventory.OpAgentUpgrade, "", api.NewParams{}),
		"is of web, not of mailfleet-agent":              on(inventory.OpAgentUpgrade, "", api.NewParams{Release: string(web.ID)}),
		"is of mailfleet-agent, not of web":              on(inventory.OpServiceUpgrade, "web", api.NewParams{Release: string(agent.ID)}),
		"is of shop, not of web, which web on web1 runs": on(inventory.OpServiceUpgrade, "web", api.NewParams{Release: string(other.ID)}),
		"a release or a command, not both":               on(inventory.OpServiceUpgrade, "web", api.NewParams{Release: string(web.ID), Config: command}),
		"takes the command of config and nothing else":   on(inventory.OpServiceUpgrade, "web", api.NewParams{Config: &inventory.ServiceConfig{Command: command.Command, Dir: "/"}}),
		"absolute path or a bare name":                   on(inventory.OpServiceUpgrade, "web", api.NewParams{Config: &inventory.ServiceConfig{Command: []string{"opt/web"}}}),
		"another release is run by service.upgrade":      on(inventory.OpConfigApply, "web", api.NewParams{Config: &inventory.ServiceConfig{Release: web.ID}}),
	} {
		if _, err := r.ops.Create(t.Context(), inventory.Actor{Name: "operator:a"}, "", req); !inventory.Is(err, inventory.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

func TestAnAgentThatIsUpgradedMayBeAwayForAWhile(t *testing.T) {
	r := newRoller(t, "web1")
	release := r.build(inventory.ProgramAgent, "2.0")
	op := r.create(api.NewOperation{Kind: inventory.OpAgentUpgrade, Targets: []api.NewTarget{{Server: "web1"}}, Params: api.NewParams{Release: string(release.ID)}})
	r.look(r.now)
	id := r.ids["web1"]
	r.update(func(tx inventory.Tx) error { return Deliver(tx, just(id), r.now) })
	trial := api.StepReport{ID: op.Steps[0].ID, State: inventory.OpRunning, Started: r.now}
	r.update(func(tx inventory.Tx) error { return Apply(tx, reports(id, trial), r.now) })
	r.server("web1", func(s *inventory.Server) { s.State = inventory.ServerDown })
	r.look(r.now.Add(time.Minute))
	if got := r.get(op.ID); got.State != inventory.OpRunning {
		t.Errorf("away for a minute it is %s", got.State)
	}
	r.look(r.now.Add(bootTime + time.Minute))
	if got := r.get(op.ID); got.State != inventory.OpUnknown {
		t.Errorf("away for longer than it takes it is %s", got.State)
	}
	r.server("web1", func(s *inventory.Server) { s.State, s.AgentVersion = inventory.ServerUp, "1.0" })
	back := api.StepReport{ID: op.Steps[0].ID, State: inventory.OpFailed, Message: "returned to 1.0 because 2.0 ended", Started: r.now, Ended: r.now}
	r.update(func(tx inventory.Tx) error { return Apply(tx, reports(id, back), r.now) })
	if got := r.get(op.ID); got.State != inventory.OpFailed || got.Steps[0].Message != back.Message {
		t.Errorf("back it is %s: %s", got.State, got.Steps[0].Message)
	}
}

func TestAgentsAreUpgradedInTurnAndTheFirstFailureStopsIt(t *testing.T) {
	r := newRoller(t, "web1", "web2", "web3")
	release := r.build(inventory.ProgramAgent, "2.0")
	for name := range r.ids {
		r.server(name, func(s *inventory.Server) { s.AgentVersion = "2.0" }) // as its report would say
	}
	r.fails["web2"] = true
	req := roll(inventory.OpAgentUpgrade, api.NewRolling{Batch: 1})
	req.Params.Release = string(release.ID)
	got := r.run(r.create(req))
	if r.history(got) != "web1 agent.upgrade succeeded, web2 agent.upgrade failed, web3 agent.upgrade cancelled" {
		t.Errorf("%s", r.history(got))
	}
}

func TestARemovedServersServicesAreStoppedFirst(t *testing.T) {
	r := newRoller(t, "web1", "web2")
	fleet := &leaver{}
	r.ops.Fleet = fleet
	got := r.run(r.create(on(inventory.OpServerRemove, "web1")))
	if r.history(got) != "web1 stop succeeded, web1 server.remove succeeded" || len(fleet.left) != 1 || len(fleet.cut) != 1 {
		t.Errorf("%s; removed %v, cut %v", r.history(got), fleet.left, fleet.cut)
	}
	r.fails["web2"] = true
	got = r.run(r.create(on(inventory.OpServerRemove, "web2")))
	if r.history(got) != "web2 stop failed, web2 server.remove cancelled" || len(fleet.left) != 1 {
		t.Errorf("%s; removed %v", r.history(got), fleet.left)
	}
	r.server("web2", func(s *inventory.Server) { s.State = inventory.ServerDown })
	if got := r.create(on(inventory.OpServerRemove, "web2")); got.State != inventory.OpSucceeded || len(fleet.cut) != 2 {
		t.Errorf("of a server that is down: %s; cut %v", r.history(got), fleet.cut)
	}
}

// leaver is a fleet whose servers leave.
type leaver struct{ left, cut []inventory.ID }

func (l *leaver) AddIn(inventory.Tx, inventory.Actor, api.NewServer) (*inventory.Server, error) {
	return nil, inventory.Errorf(inventory.Invalid, "nobody comes")
}

func (l *leaver) RemoveIn(tx inventory.Tx, _ inventory.Actor, id inventory.ID) error {
	l.left = append(l.left, id)
	return nil
}

func (l *leaver) Removed(_ context.Context, ids ...inventory.ID) error {
	l.cut = append(l.cut, ids...)
	return nil
}

func (l *leaver) Linked(inventory.ID) bool { return true }
