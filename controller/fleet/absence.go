package fleet

import (
	"context"
	"slices"
	"time"

	"mailfleet/alerts"
	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// absence is what changes of the alerts about servers that are down.
type absence struct {
	begin []api.AlertReport
	on    []*inventory.Server // of begin, one each
	end   []*inventory.Alert
}

// watchAbsence begins and ends the alerts of rules on alerts.ServerUp, which
// no agent can tell of: it looks at the servers' states, so it does not matter
// what happened while no controller was there.
func (f *Fleet) watchAbsence(ctx context.Context, now time.Time) error {
	for more := true; more; {
		var err error
		if more, err = f.takeAbsences(ctx, now); err != nil {
			return err
		}
	}
	return nil
}

// absencesAtOnce is how many alerts begin or end in one transaction: others
// wait for it, and all of a fleet may go down together.
const absencesAtOnce = 100

// takeAbsences begins and ends some alerts; more tells that there may be others.
func (f *Fleet) takeAbsences(ctx context.Context, now time.Time) (more bool, err error) {
	var due absence
	find := func(tx inventory.Tx) (err error) {
		due, err = absences(tx, now)
		due.begin, due.end = due.begin[:min(len(due.begin), absencesAtOnce)], due.end[:min(len(due.end), absencesAtOnce)]
		return err
	}
	if err := f.store.View(ctx, find); err != nil || len(due.begin)+len(due.end) == 0 {
		return false, err
	}
	return true, f.store.Update(ctx, func(tx inventory.Tx) error {
		if err := find(tx); err != nil {
			return err
		}
		for i, r := range due.begin {
			window, err := openWindow(tx, due.on[i].ID, now)
			if err != nil {
				return err
			}
			if err := takeAlert(tx, due.on[i], window, r); err != nil {
				return err
			}
		}
		for _, a := range due.end {
			if err := tx.Alerts().Update(a); err != nil {
				return err
			}
			if a.Muted() {
				continue
			}
			if err := tell(tx, a); err != nil {
				return err
			}
		}
		return nil
	})
}

// absences compares the servers with the alerts there are about them.
func absences(tx inventory.Tx, now time.Time) (due absence, err error) {
	all, _, err := tx.Rules().List(inventory.Query{})
	if err != nil {
		return due, err
	}
	rules := make(map[inventory.ID]*inventory.Rule)
	for _, r := range all {
		if r.Metric == alerts.ServerUp && r.Enabled {
			rules[r.ID] = r
		}
	}
	firing, _, err := tx.Alerts().List(inventory.Query{Where: map[string][]string{"state": {string(inventory.AlertFiring)}}})
	if err != nil {
		return due, err
	}
	firing = slices.DeleteFunc(firing, func(a *inventory.Alert) bool { return a.Metric != alerts.ServerUp })
	if len(rules)+len(firing) == 0 {
		return due, nil
	}
	down, _, err := tx.Servers().List(inventory.Query{Where: map[string][]string{"state": {string(inventory.ServerDown)}}})
	if err != nil {
		return due, err
	}
	absent := make(map[inventory.ID]*inventory.Server)
	for _, s := range down {
		if !s.Off {
			absent[s.ID] = s
		}
	}
	known := make(map[[2]inventory.ID]bool)
	for _, a := range firing {
		known[[2]inventory.ID{a.Rule, a.Server}] = true
		s, r := absent[a.Server], rules[a.Rule]
		if s != nil && r != nil && concerns(r, s) && alerts.Holds(*r, 0) {
			continue
		}
		a.State, a.Resolved = inventory.AlertResolved, now.UTC()
		if s == nil {
			a.Value = 1
		}
		due.end = append(due.end, a)
	}
	for _, s := range down {
		for _, r := range rules {
			if absent[s.ID] == nil || known[[2]inventory.ID{r.ID, s.ID}] || !concerns(r, s) || !alerts.Holds(*r, 0) || now.Sub(s.Since) < time.Duration(r.For) {
				continue
			}
			due.on = append(due.on, s)
			due.begin = append(due.begin, api.AlertReport{
				ID: inventory.NewID(), Rule: r.ID, Metric: r.Metric, State: inventory.AlertFiring, Since: s.Since, Time: now,
			})
		}
	}
	return due, nil
}

// concerns tells whether a rule watches a server.
func concerns(r *inventory.Rule, s *inventory.Server) bool {
	return len(r.Servers) == 0 || slices.Contains(r.Servers, s.Name)
}
