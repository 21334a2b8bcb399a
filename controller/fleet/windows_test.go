package fleet

import (
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

func TestAlertsOfPlannedWorkTellNobodyUntilItIsOver(t *testing.T) {
	w := newWorld(t)
	id := w.add("mail1")
	agent, _ := w.connect(id, "mail1")
	rule := &inventory.Rule{Name: "memory", Metric: "mem_used_percent", Comparison: inventory.Above, Value: 90, Clear: 80, Severity: inventory.Critical, Enabled: true}
	window := &inventory.Window{Servers: []inventory.ID{id}, From: time.Now().Add(-time.Minute), Reason: "new disks", Actor: alice.Name}
	w.write(func(tx inventory.Tx) error {
		if err := tx.Contacts().Create(&inventory.Contact{Name: "a", Phone: "+861", Language: "en"}); err != nil {
			return err
		}
		if err := tx.Windows().Create(window); err != nil {
			return err
		}
		return tx.Rules().Create(rule)
	})
	fire := func() inventory.ID {
		r := api.AlertReport{ID: inventory.NewID(), Rule: rule.ID, Metric: rule.Metric, State: inventory.AlertFiring, Value: 95, Since: time.Now(), Time: time.Now()}
		if err := agent.ReportAlerts(t.Context(), []api.AlertReport{r}); err != nil {
			t.Fatal(err)
		}
		return r.ID
	}
	resolve := func(alert inventory.ID) {
		r := api.AlertReport{ID: alert, Rule: rule.ID, State: inventory.AlertResolved, Time: time.Now()}
		if err := agent.ReportAlerts(t.Context(), []api.AlertReport{r}); err != nil {
			t.Fatal(err)
		}
	}
	look := func(alert inventory.ID) (a *inventory.Alert, messages int) {
		w.view(func(tx inventory.Tx) (err error) {
			if a, err = tx.Alerts().Get(alert); err != nil {
				return err
			}
			messages, err = tx.SMS().Count(inventory.Query{})
			return err
		})
		return a, messages
	}
	over, lasting := fire(), fire()
	resolve(over)
	for _, alert := range []inventory.ID{over, lasting} {
		if a, messages := look(alert); !a.Muted() || a.Window != window.ID || a.MutedBy != "new disks (operator:alice)" || messages != 0 {
			t.Errorf("in the window the alert is %s, of window %q, with %d messages", a.State, a.Window, messages)
		}
	}
	now := time.Now()
	if err := w.fleet.speak(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if _, messages := look(lasting); messages != 0 {
		t.Errorf("%d messages while the window is open", messages)
	}
	w.write(func(tx inventory.Tx) error {
		window.Closed = now
		return tx.Windows().Update(window)
	})
	for range 2 {
		if err := w.fleet.speak(t.Context(), now.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if a, messages := look(lasting); a.Muted() || a.Window != window.ID || a.Told.IsZero() || messages != 1 {
		t.Errorf("after the window: %+v, %d messages, want one", a, messages)
	}
	if a, _ := look(over); !a.Muted() || a.State != inventory.AlertResolved {
		t.Errorf("the one that was over in the window: %+v", a)
	}
	fire()
	if _, messages := look(lasting); messages != 2 {
		t.Errorf("%d messages, want one of each alert outside the window", messages)
	}
}

func (w *world) write(fn func(inventory.Tx) error) {
	w.t.Helper()
	if err := w.store.Update(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}
