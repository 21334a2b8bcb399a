package fleet

import (
	"context"
	"fmt"
	"slices"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

const (
	// maxChecks is how many checks of one preflight are kept.
	maxChecks = 200
	// maxCheckText bounds one text of a check, in octets.
	maxCheckText = 2000
	// keptPreflight is how long a preflight stands when nothing has changed.
	keptPreflight = 20 * time.Hour
)

// takePreflight keeps what an agent found of its server. The same outcome again
// costs a write once a day only.
func (f *Fleet) takePreflight(ctx context.Context, who caller, r api.PreflightReport) error {
	if len(r.Checks) == 0 || len(r.Checks) > maxChecks {
		return inventory.FieldErrorf("checks", "a preflight has 1 to %d checks", maxChecks)
	}
	for i, c := range r.Checks {
		switch c.State {
		case inventory.CheckOK, inventory.CheckWarning, inventory.CheckFailed, inventory.CheckSkipped:
		default:
			return inventory.FieldErrorf("checks", "check %d has no outcome", i)
		}
		if c.Name == "" || max(len(c.Name), len(c.Found), len(c.Wanted), len(c.Advice)) > maxCheckText {
			return inventory.FieldErrorf("checks", "check %d has no name, or a text of more than %d octets", i, maxCheckText)
		}
	}
	err := f.store.Update(ctx, func(tx inventory.Tx) error {
		s, err := server(tx, string(who.id))
		if err != nil {
			return err
		}
		p, err := tx.Preflights().Find("server", string(s.ID))
		if inventory.Is(err, inventory.NotFound) {
			return tx.Preflights().Create(&inventory.Preflight{Server: s.ID, Checked: r.Checked.UTC(), Checks: r.Checks})
		}
		if err != nil {
			return err
		}
		if age := r.Checked.Sub(p.Checked); slices.Equal(p.Checks, r.Checks) && age >= 0 && age < keptPreflight {
			return nil
		}
		p.Checked, p.Checks = r.Checked.UTC(), r.Checks
		return tx.Preflights().Update(p)
	})
	if err != nil {
		return fmt.Errorf("store the preflight of %s: %w", who.name, err)
	}
	return nil
}
