package fleet

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mailfleet/alerts"
	"mailfleet/inventory"
)

// absent is a server that may go down, a rule that watches it, and a phone.
type absent struct {
	*world
	id  inventory.ID
	now time.Time
}

func newAbsent(t *testing.T, change func(*inventory.Rule)) *absent {
	t.Helper()
	a := &absent{world: newWorld(t), now: time.Now().UTC()}
	a.id = a.add("mail1")
	rule := &inventory.Rule{Name: "down", Metric: alerts.ServerUp, Comparison: inventory.Below, Value: 1, Clear: 1, Severity: inventory.Critical, Enabled: true}
	change(rule)
	a.write(func(tx inventory.Tx) error {
		if err := tx.Contacts().Create(&inventory.Contact{Name: "a", Phone: "+861", Language: "en"}); err != nil {
			return err
		}
		return tx.Rules().Create(rule)
	})
	return a
}

// becomes gives the server a state and lets the fleet look twice: the second
// look changes nothing.
func (a *absent) becomes(state inventory.ServerState) {
	a.t.Helper()
	if err := a.fleet.become(a.t.Context(), map[inventory.ID]inventory.ServerState{a.id: state}); err != nil {
		a.t.Fatal(err)
	}
	a.look(0)
	a.look(0)
}

func (a *absent) look(later time.Duration) {
	a.t.Helper()
	now := time.Now().Add(later)
	if err := a.fleet.watchAbsence(a.t.Context(), now); err != nil {
		a.t.Fatal(err)
	}
	if err := a.fleet.speak(a.t.Context(), now); err != nil {
		a.t.Fatal(err)
	}
	if err := a.fleet.gatherTexts(a.t.Context(), now); err != nil {
		a.t.Fatal(err)
	}
}

// is checks the states of the alerts, oldest first, and how many texts were written.
func (a *absent) is(texts int, states ...inventory.AlertState) (list []*inventory.Alert, messages []*inventory.SMS) {
	a.t.Helper()
	a.view(func(tx inventory.Tx) (err error) {
		if list, _, err = tx.Alerts().List(inventory.Query{}); err != nil {
			return err
		}
		messages, _, err = tx.SMS().List(inventory.Query{})
		return err
	})
	var got []inventory.AlertState
	for _, alert := range list {
		got = append(got, alert.State)
	}
	if len(messages) != texts || !slices.Equal(got, states) {
		a.t.Fatalf("%d texts and alerts %v; want %d and %v", len(messages), got, texts, states)
	}
	return list, messages
}

func TestAServerThatIsDownIsAnAlert(t *testing.T) {
	a := newAbsent(t, func(*inventory.Rule) {})
	a.becomes(inventory.ServerUp)
	a.becomes(inventory.ServerSuspect)
	a.is(0)
	a.becomes(inventory.ServerDown)
	_, messages := a.is(1, inventory.AlertFiring)
	if !strings.HasPrefix(messages[0].Text, "CRITICAL mail1: the server is down, at ") {
		t.Errorf("the text is %q", messages[0].Text)
	}
	a.becomes(inventory.ServerUp)
	_, messages = a.is(2, inventory.AlertResolved)
	if !strings.HasPrefix(messages[1].Text, "RESOLVED (CRITICAL) mail1: the server is up again, at ") {
		t.Errorf("the text is %q", messages[1].Text)
	}
	a.becomes(inventory.ServerDown)
	a.is(3, inventory.AlertResolved, inventory.AlertFiring)
}

func TestARuleOnServersSaysWhichAndHowLong(t *testing.T) {
	other := newAbsent(t, func(r *inventory.Rule) { r.Servers = []string{"mail2"} })
	other.becomes(inventory.ServerDown)
	other.is(0)
	off := newAbsent(t, func(r *inventory.Rule) { r.Enabled = false })
	off.becomes(inventory.ServerDown)
	off.is(0)
	slow := newAbsent(t, func(r *inventory.Rule) { r.For = inventory.Duration(time.Minute) })
	slow.becomes(inventory.ServerDown)
	slow.is(0)
	slow.look(2 * time.Minute)
	slow.is(1, inventory.AlertFiring)
	slow.write(func(tx inventory.Tx) error {
		rules, _, err := tx.Rules().List(inventory.Query{})
		if err != nil {
			return err
		}
		return tx.Rules().Delete(rules[0].ID)
	})
	slow.look(2 * time.Minute)
	slow.is(2, inventory.AlertResolved)
}

func TestAServerThatIsDownInItsWindowTellsNobodyUntilItIsOver(t *testing.T) {
	a := newAbsent(t, func(*inventory.Rule) {})
	a.becomes(inventory.ServerUp)
	op := &inventory.Operation{
		Kind: inventory.OpServerReboot, State: inventory.OpRunning, Targets: []inventory.Target{{Server: a.id}}, Window: inventory.NewID(),
		Steps: []inventory.Step{{ID: inventory.NewID(), Target: inventory.Target{Server: a.id}, State: inventory.OpRunning}},
	}
	window := &inventory.Window{Meta: inventory.Meta{ID: op.Window}, Servers: []inventory.ID{a.id}, From: a.now.Add(-time.Minute), Reason: "kernel", Actor: alice.Name}
	a.write(func(tx inventory.Tx) error {
		if err := tx.Operations().Create(op); err != nil {
			return err
		}
		window.Operation = op.ID
		return tx.Windows().Create(window)
	})
	a.becomes(inventory.ServerDown)
	list, _ := a.is(0, inventory.AlertFiring)
	if !list[0].Muted() || list[0].MutedBy != "kernel (operator:alice)" {
		t.Errorf("the alert is muted by %q", list[0].MutedBy)
	}
	a.becomes(inventory.ServerUp)
	a.is(0, inventory.AlertResolved)

	a.becomes(inventory.ServerDown)
	a.is(0, inventory.AlertResolved, inventory.AlertFiring)
	a.write(func(tx inventory.Tx) error {
		op.State, window.Closed = inventory.OpUnknown, time.Now()
		if err := tx.Windows().Update(window); err != nil {
			return err
		}
		return tx.Operations().Update(op)
	})
	a.look(time.Second)
	a.is(1, inventory.AlertResolved, inventory.AlertFiring)
	a.becomes(inventory.ServerUp)
	a.is(2, inventory.AlertResolved, inventory.AlertResolved)
}

func TestAServerShutDownOnPurposeIsNoAlert(t *testing.T) {
	a := newAbsent(t, func(*inventory.Rule) {})
	a.becomes(inventory.ServerUp)
	a.write(func(tx inventory.Tx) error {
		s, err := tx.Servers().Get(a.id)
		if err != nil {
			return err
		}
		s.Off = true
		return tx.Servers().Update(s)
	})
	a.becomes(inventory.ServerDown)
	a.is(0)
	a.becomes(inventory.ServerUp)
	if a.server(a.id).Off {
		t.Error("up again, it is still said to be off")
	}
	a.becomes(inventory.ServerDown)
	a.is(1, inventory.AlertFiring)
}

func TestAWholeFleetThatGoesDownIsAnAlertForEachServer(t *testing.T) {
	a := newAbsent(t, func(*inventory.Rule) {})
	down := map[inventory.ID]inventory.ServerState{a.id: inventory.ServerDown}
	for n := range 2 * absencesAtOnce {
		down[a.add(fmt.Sprintf("other%d", n))] = inventory.ServerDown
	}
	if err := a.fleet.become(t.Context(), down); err != nil {
		t.Fatal(err)
	}
	a.look(0)
	a.view(func(tx inventory.Tx) error {
		n, err := tx.Alerts().Count(inventory.Query{Where: map[string][]string{"state": {string(inventory.AlertFiring)}}})
		if err == nil && n != len(down) {
			t.Errorf("%d alerts for %d servers", n, len(down))
		}
		return err
	})
}
