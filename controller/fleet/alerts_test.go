package fleet

import (
	"slices"
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

func TestAnAlertIsTakenOnceAndToldToItsRecipients(t *testing.T) {
	w := newWorld(t)
	id, other := w.add("mail1"), w.add("mail2")
	rule := &inventory.Rule{Name: "memory", Metric: "mem_used_percent", Comparison: inventory.Above, Value: 90, Clear: 80, Severity: inventory.Critical, Enabled: true}
	if err := w.store.Update(t.Context(), func(tx inventory.Tx) error {
		var ids []inventory.ID
		for phone, language := range map[string]string{"+861": "zh", "+862": "en", "+863": "zh"} {
			c := &inventory.Contact{Name: phone, Phone: phone, Language: language}
			if err := tx.Contacts().Create(c); err != nil {
				return err
			}
			if phone != "+863" {
				ids = append(ids, c.ID)
			}
		}
		rule.Recipients = ids
		return tx.Rules().Create(rule)
	}); err != nil {
		t.Fatal(err)
	}
	agent, _ := w.connect(id, "mail1")
	report := api.AlertReport{ID: inventory.NewID(), Rule: rule.ID, Metric: rule.Metric, Value: 95, Since: time.Now(), Time: time.Now()}
	tell := func(states ...inventory.AlertState) {
		t.Helper()
		var list []api.AlertReport
		for _, s := range states {
			r := report
			r.State = s
			list = append(list, r)
		}
		if err := agent.ReportAlerts(t.Context(), list); err != nil {
			t.Fatal(err)
		}
	}
	sms := func() (phones []string) {
		w.view(func(tx inventory.Tx) error {
			list, _, err := tx.SMS().List(inventory.Query{})
			for _, m := range list {
				phones = append(phones, m.To)
			}
			return err
		})
		slices.Sort(phones)
		return phones
	}
	state := func() (s inventory.AlertState) {
		w.view(func(tx inventory.Tx) error {
			a, err := tx.Alerts().Get(report.ID)
			if inventory.Is(err, inventory.NotFound) {
				return nil
			}
			s = a.State
			return err
		})
		return s
	}
	tell(inventory.AlertPending)
	if got := sms(); state() != inventory.AlertPending || len(got) != 0 {
		t.Errorf("pending: state %s, messages to %v", state(), got)
	}
	tell(inventory.AlertFiring)
	tell(inventory.AlertPending, inventory.AlertFiring) // a repetition
	if got := sms(); state() != inventory.AlertFiring || !slices.Equal(got, []string{"+861", "+862"}) {
		t.Errorf("firing: state %s, messages to %v", state(), got)
	}
	tell(inventory.AlertResolved)
	tell(inventory.AlertFiring, inventory.AlertResolved)
	if got := sms(); state() != inventory.AlertResolved || len(got) != 4 {
		t.Errorf("resolved: state %s, messages to %v", state(), got)
	}

	report.ID = inventory.NewID()
	tell(inventory.AlertPending)
	tell(inventory.AlertResolved)
	if got := sms(); state() != "" || len(got) != 4 {
		t.Errorf("what never fired left %q and messages to %v", state(), got)
	}

	report.ID = inventory.NewID()
	tell(inventory.AlertFiring)
	stranger, _ := w.connect(other, "mail2")
	r := report
	r.State = inventory.AlertResolved
	if err := stranger.ReportAlerts(t.Context(), []api.AlertReport{r}); err == nil {
		t.Error("another server resolved the alert")
	}
	if err := w.fleet.Remove(t.Context(), alice, id, 0); err != nil {
		t.Fatal(err)
	}
	if state() != inventory.AlertResolved {
		t.Errorf("the server was removed and its alert is %s", state())
	}
}
