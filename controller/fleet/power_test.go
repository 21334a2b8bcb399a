package fleet

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	agentapi "mailfleet/agent/api"
	"mailfleet/controller/api"
	"mailfleet/inventory"
)

const secret = "correct horse"

func ipmi(password *string) api.NewPower {
	return api.NewPower{Kind: inventory.PowerIPMI, Address: "bmc1", User: "admin", Password: password}
}

func (w *world) power(id inventory.ID) (p *inventory.Power) {
	w.t.Helper()
	w.view(func(tx inventory.Tx) (err error) { p, err = tx.Powers().Find("server", string(id)); return err })
	return p
}

func TestAPowerPasswordIsKeptSealedAndNeverShown(t *testing.T) {
	w := newWorld(t)
	id := w.add("mail1")
	set, err := w.fleet.SetPower(t.Context(), alice, id, 0, ipmi(new(secret)))
	if err != nil || !set.HasSecret {
		t.Fatalf("%+v, %v", set, err)
	}
	kept := w.power(id)
	if len(kept.Secret) == 0 || bytes.Contains(kept.Secret, []byte(secret)) {
		t.Errorf("kept as %q", kept.Secret)
	}
	shown, err := json.Marshal(kept)
	if err != nil || bytes.Contains(shown, []byte("horse")) {
		t.Errorf("shown as %s, %v", shown, err)
	}
	w.view(func(tx inventory.Tx) error {
		list, _, err := tx.Audit().List(inventory.Query{})
		for _, e := range list {
			if strings.Contains(e.Before+e.After, "horse") {
				t.Errorf("in the audit log: %+v", e)
			}
		}
		return err
	})
	// The password stays when it is not given, unless it would go elsewhere.
	change := ipmi(nil)
	change.User = "root"
	if set, err = w.fleet.SetPower(t.Context(), alice, id, set.Version, change); err != nil || !bytes.Equal(set.Secret, kept.Secret) {
		t.Errorf("without a password: %+v, %v", set, err)
	}
	change.Address = "elsewhere"
	_, err = w.fleet.SetPower(t.Context(), alice, id, 0, change)
	wantField(t, err, "password")
	if _, err := w.fleet.SetPower(t.Context(), alice, id, set.Version-1, ipmi(nil)); !inventory.Is(err, inventory.Stale) {
		t.Errorf("a stale version: %v", err)
	}
	if set, err = w.fleet.SetPower(t.Context(), alice, id, 0, ipmi(new(""))); err != nil || set.HasSecret {
		t.Errorf("an empty password: %+v, %v", set, err)
	}
	if err := w.fleet.RemovePower(t.Context(), alice, id, 0); err != nil {
		t.Error(err)
	}
	if err := w.fleet.RemovePower(t.Context(), alice, id, 0); !inventory.Is(err, inventory.NotFound) {
		t.Errorf("removed twice: %v", err)
	}
}

func (w *world) update(fn func(inventory.Tx) error) {
	w.t.Helper()
	if err := w.store.Update(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

// eventually polls until ok.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("not within a minute: %s", what)
		}
	}
}

func wantField(t *testing.T, err error, field string) {
	t.Helper()
	e, ok := err.(*inventory.Error)
	if !ok || e.Code != inventory.Invalid || e.Field != field {
		t.Errorf("%v, want a complaint about %s", err, field)
	}
}

func TestWrongPowerDriversAreRefusedByField(t *testing.T) {
	w := newWorld(t)
	id := w.add("mail1")
	for field, req := range map[string]api.NewPower{
		"kind":    {Kind: "telepathy"},
		"address": {Kind: inventory.PowerRedfish, Address: "http://bmc"},
		"mac":     {Kind: inventory.PowerWake},
		"command": {Kind: inventory.PowerCommand, Command: []string{"power"}},
		"tls_pin": {Kind: inventory.PowerRedfish, Address: "bmc", TLSPin: "abc"},
		"via":     {Kind: inventory.PowerIPMI, Address: "bmc", Via: "mail1"},
	} {
		_, err := w.fleet.SetPower(t.Context(), alice, id, 0, req)
		wantField(t, err, field)
	}
}

func TestAnotherServersAgentTestsThePower(t *testing.T) {
	w := newWorld(t)
	target, relay := w.add("mail1"), w.add("mail2")
	if _, err := w.fleet.SetPower(t.Context(), alice, target, 0, ipmi(new(secret))); err != nil {
		t.Fatal(err)
	}
	if _, err := w.fleet.TestPower(t.Context(), alice, target); !inventory.Is(err, inventory.Unavailable) {
		t.Errorf("with nobody there: %v", err)
	}
	asked := make(chan agentapi.Power, 1)
	w.connectTo(relay, "mail2", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var p agentapi.Power
		_ = json.NewDecoder(r.Body).Decode(&p)
		asked <- p
		_ = json.NewEncoder(rw).Encode(agentapi.PowerState{State: inventory.PowerUnknown, Message: "it is on fire", Said: new(inventory.Say("it is on %s", "fire"))})
	}))
	w.connect(target, "mail1") // the target itself is not asked
	w.update(func(tx inventory.Tx) error {
		for _, id := range []inventory.ID{target, relay} {
			s, err := tx.Servers().Get(id)
			if err != nil {
				return err
			}
			s.State = inventory.ServerUp
			if err := tx.Servers().Update(s); err != nil {
				return err
			}
		}
		return nil
	})
	w.eventually("both have their links", func() bool { return w.fleet.linked(relay) && w.fleet.linked(target) })
	got, err := w.fleet.TestPower(t.Context(), alice, target)
	if err != nil || got.State != inventory.PowerUnknown || got.Message != "it is on fire" || got.Via != "mail2" {
		t.Fatalf("%+v, %v", got, err)
	}
	if p := <-asked; p.Server != "mail1" || p.Password != secret || p.Address != "bmc1" {
		t.Errorf("asked %+v", p)
	}
	if p := w.power(target); p.Result != "it is on fire" || p.Said == nil || p.Said.Template != "it is on {1}" || time.Since(p.Tested) > time.Minute || len(p.Secret) == 0 {
		t.Errorf("kept %+v", p)
	}
}

func TestOnlyTheAgentThatHasTheOrderGetsThePassword(t *testing.T) {
	w := newWorld(t)
	target, relay := w.add("mail1"), w.add("mail2")
	if _, err := w.fleet.SetPower(t.Context(), alice, target, 0, ipmi(new(secret))); err != nil {
		t.Fatal(err)
	}
	step := inventory.Step{ID: inventory.NewID(), Target: inventory.Target{Server: target}, Agent: relay, State: inventory.OpDelivered}
	op := &inventory.Operation{Kind: inventory.OpServerPowerOn, State: inventory.OpDelivered, Steps: []inventory.Step{step}, Expires: time.Now().Add(time.Hour)}
	w.update(func(tx inventory.Tx) error { return tx.Operations().Create(op) })
	acts, _ := w.connect(relay, "mail2")
	other, _ := w.connect(target, "mail1")
	if got, err := acts.OrderSecret(t.Context(), step.ID); err != nil || got.Password != secret {
		t.Errorf("the agent that acts: %+v, %v", got, err)
	}
	refused := func(c *api.Client, id inventory.ID, what string) {
		t.Helper()
		if got, err := c.OrderSecret(t.Context(), id); err == nil || got.Password != "" {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
	refused(other, step.ID, "another agent")
	refused(acts, inventory.NewID(), "no such order")
	w.update(func(tx inventory.Tx) error {
		op, err := tx.Operations().Get(op.ID)
		if err != nil {
			return err
		}
		op.State, op.Steps[0].State = inventory.OpSucceeded, inventory.OpSucceeded
		return tx.Operations().Update(op)
	})
	refused(acts, step.ID, "after its end")
}
