package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"mailfleet/controller/api"
	"mailfleet/controller/ops"
	"mailfleet/inventory"
)

// skewStep is the change of clock skew, in seconds, that is worth a write.
const skewStep = 2

// report takes what an agent tells of its server. What it told before costs no write.
func (f *Fleet) report(ctx context.Context, who caller, r api.Report) error {
	now := time.Now()
	missing := make(map[string]bool, len(r.Missing))
	for _, name := range r.Missing {
		missing[name] = true
	}
	digest, err := digestOf(r)
	if err != nil {
		return err
	}
	f.mu.Lock()
	p := f.presence(who.id)
	p.missing = missing
	known := p.reported == digest && len(r.Steps) == 0
	f.mu.Unlock()

	skew := r.Time.Sub(now).Seconds()
	if known && !f.skewed(who.id, skew) {
		return nil
	}
	err = f.reports.Do(ctx, told{id: who.id, report: r, skew: skew})
	if err != nil {
		return fmt.Errorf("store the report of %s: %w", who.name, err)
	}
	f.mu.Lock()
	p.reported, p.skew = digest, math.Round(skew)
	f.mu.Unlock()
	return nil
}

// told is a report to be stored.
type told struct {
	id     inventory.ID
	report api.Report
	skew   float64
}

// storeReports stores what agents told, together.
func storeReports(tx inventory.Tx, list []told) error {
	steps := make(map[inventory.ID][]api.StepReport)
	for _, t := range list {
		s, err := server(tx, string(t.id))
		if err != nil {
			return err
		}
		r, before := t.report, *s
		s.BootID, s.AgentVersion, s.CertExpires = r.BootID, r.Version, r.CertExpires.UTC()
		s.Applied, s.Problem = r.Applied, r.Problem
		if math.Abs(s.ClockSkew-t.skew) >= skewStep {
			s.ClockSkew = math.Round(t.skew)
		}
		if changed(&before, s) {
			if err := tx.Servers().Update(s); err != nil {
				return err
			}
		}
		if err := takeStatuses(tx, s.ID, r.Services); err != nil {
			return err
		}
		if len(r.Steps) > 0 {
			steps[s.ID] = append(steps[s.ID], r.Steps...)
		}
	}
	return ops.Apply(tx, steps, time.Now())
}

// changed tells whether a report brought anything new of a server: one that only
// tells of a step costs no write of the server, and what follows from that.
func changed(before, after *inventory.Server) bool {
	return before.BootID != after.BootID || before.AgentVersion != after.AgentVersion || !before.CertExpires.Equal(after.CertExpires) ||
		before.Applied != after.Applied || before.Problem != after.Problem || before.ClockSkew != after.ClockSkew
}

// skewed tells whether a server's clock moved since its last stored report.
func (f *Fleet) skewed(id inventory.ID, skew float64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return math.Abs(f.presence(id).skew-skew) >= skewStep
}

// digestOf covers what of a report is stored.
func digestOf(r api.Report) ([32]byte, error) {
	r.Time, r.Missing, r.Steps = time.Time{}, nil, nil
	b, err := json.Marshal(r)
	if err != nil {
		return [32]byte{}, fmt.Errorf("digest a report: %w", err)
	}
	return sha256.Sum256(b), nil
}

// takeStatuses stores how the server's services are. A service the agent says
// nothing of is one it does not know yet.
func takeStatuses(tx inventory.Tx, id inventory.ID, reports []api.ServiceReport) error {
	list, _, err := tx.Services().List(inventory.Query{Where: map[string][]string{"server": {string(id)}}})
	if err != nil {
		return err
	}
	statuses := make(map[string]inventory.ServiceStatus, len(reports))
	for _, r := range reports {
		r.Since = r.Since.UTC()
		statuses[r.Name] = r.ServiceStatus
	}
	for _, s := range list {
		status, ok := statuses[s.Name]
		if !ok {
			status = inventory.ServiceStatus{State: inventory.ServiceUnknown, Since: s.Since}
		}
		if s.ServiceStatus == status {
			continue
		}
		s.ServiceStatus = status
		if err := tx.Services().Update(s); err != nil {
			return err
		}
	}
	return nil
}
