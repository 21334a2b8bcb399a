package fleet

import (
	"context"
	"slices"
	"time"

	"mailfleet/alerts"
	"mailfleet/alerts/sms"
	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// takeAlerts takes changes of alerts from an agent, oldest first. The text
// messages they call for are queued in the same transaction, so that neither
// is ever without the other; what was taken before changes nothing.
func (f *Fleet) takeAlerts(ctx context.Context, who caller, reports []api.AlertReport) error {
	return f.store.Update(ctx, func(tx inventory.Tx) error {
		s, err := server(tx, string(who.id))
		if err != nil {
			return err
		}
		window, err := openWindow(tx, s.ID, time.Now())
		if err != nil {
			return err
		}
		for _, r := range reports {
			if err := takeAlert(tx, s, window, r); err != nil {
				return err
			}
		}
		return nil
	})
}

func takeAlert(tx inventory.Tx, s *inventory.Server, window *inventory.Window, r api.AlertReport) error {
	if _, err := inventory.ParseID(string(r.ID)); err != nil {
		return err
	}
	a, err := tx.Alerts().Get(r.ID)
	switch {
	case inventory.Is(err, inventory.NotFound):
		rule, err := tx.Rules().Get(r.Rule)
		if inventory.Is(err, inventory.NotFound) || r.State == inventory.AlertResolved {
			return nil // the rule is gone, or it ended before anybody heard of it
		}
		if err != nil {
			return err
		}
		a = &inventory.Alert{
			Meta: inventory.Meta{ID: r.ID}, Rule: rule.ID, RuleName: rule.Name, Server: s.ID, ServerName: s.Name,
			Metric: r.Metric, Tags: r.Tags, Comparison: rule.Comparison, Threshold: rule.Value,
			Severity: rule.Severity, Since: r.Since.UTC(),
		}
		advance(a, window, r)
		if err := tx.Alerts().Create(a); err != nil {
			return err
		}
	case err != nil:
		return err
	case a.Server != s.ID:
		return inventory.Errorf(inventory.Forbidden, "alert %s is another server's", r.ID)
	case order(r.State) <= order(a.State):
		return nil
	case a.State == inventory.AlertPending && r.State == inventory.AlertResolved:
		return tx.Alerts().Delete(a.ID) // it never fired: nothing to keep
	default:
		advance(a, window, r)
		if err := tx.Alerts().Update(a); err != nil {
			return err
		}
	}
	if a.State == inventory.AlertPending || a.Muted() {
		return nil
	}
	return tell(tx, a)
}

// order tells which state comes after which; reports never go back.
func order(s inventory.AlertState) int {
	return slices.Index([]inventory.AlertState{inventory.AlertPending, inventory.AlertFiring, inventory.AlertResolved}, s)
}

// advance moves an alert on. Of one that fires in a maintenance window nobody
// is told, nor that it has resolved.
func advance(a *inventory.Alert, window *inventory.Window, r api.AlertReport) {
	a.State, a.Value = r.State, r.Value
	switch r.State {
	case inventory.AlertFiring:
		a.Fired = r.Time.UTC()
		if window != nil {
			mute(a, window)
		} else {
			a.Told = time.Now().UTC()
		}
	case inventory.AlertResolved:
		a.Resolved = r.Time.UTC()
	}
}

// tell queues one text message to each recipient of the alert's rule.
func tell(tx inventory.Tx, a *inventory.Alert) error {
	people, _, err := tx.Contacts().List(inventory.Query{})
	if err != nil {
		return err
	}
	var only []inventory.ID
	if rule, err := tx.Rules().Get(a.Rule); err == nil {
		only = rule.Recipients
	} else if !inventory.Is(err, inventory.NotFound) {
		return err
	}
	for _, c := range people {
		if len(only) > 0 && !slices.Contains(only, c.ID) {
			continue
		}
		m := sms.New(c.Phone, alerts.Text(*a, c.Language), time.Now().UTC())
		m.Alert, m.Key = a.ID, string(a.ID)+"/"+string(a.State)+"/"+c.Phone
		m.Next = m.Next.Add(gathers(a))
		if _, err := tx.SMS().Find("key", m.Key); err == nil {
			continue // two contacts share a phone
		} else if !inventory.Is(err, inventory.NotFound) {
			return err
		}
		if err := tx.SMS().Create(m); err != nil {
			return err
		}
	}
	return nil
}

// resolveAll ends a removed server's open alerts without telling anybody.
func resolveAll(tx inventory.Tx, id inventory.ID, now time.Time) error {
	list, _, err := tx.Alerts().List(inventory.Query{Where: map[string][]string{
		"server": {string(id)}, "state": {string(inventory.AlertPending), string(inventory.AlertFiring)},
	}})
	if err != nil {
		return err
	}
	for _, a := range list {
		a.State, a.Resolved = inventory.AlertResolved, now
		if err := tx.Alerts().Update(a); err != nil {
			return err
		}
	}
	return nil
}
