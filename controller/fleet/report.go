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
	settled, skew := f.board.settled(who.id), r.Time.Sub(now).Seconds()
	f.mu.Lock()
	p := f.presence(who.id)
	p.missing = missing
	known := p.reported == digest && !p.behind(r.Applied, settled) && math.Abs(p.skew-skew) < skewStep
	f.mu.Unlock()
	if known && len(r.Steps) == 0 {
		return nil
	}
	err = f.reports.Do(ctx, told{id: who.id, report: r, skew: skew, known: known})
	if err != nil {
		return fmt.Errorf("store the report of %s: %w", who.name, err)
	}
	if known {
		return nil
	}
	f.mu.Lock()
	p.reported, p.skew, p.applied = digest, math.Round(skew), r.Applied
	f.mu.Unlock()
	return nil
}

// behind tells whether the index that a server has applied is worth a write:
// not when nothing but orders has changed since the one stored, or a command to
// a whole fleet would write all its servers. Fleet.mu is held.
func (p *presence) behind(applied, settled uint64) bool {
	return applied < p.applied || applied > p.applied && settled > p.applied
}

// told is a report to be stored.
type told struct {
	id     inventory.ID
	report api.Report
	skew   float64
	known  bool // but for its steps
}

// storeReports stores what agents told, together.
func storeReports(tx inventory.Tx, list []told) error {
	steps := make(map[inventory.ID]ops.Told)
	for _, t := range list {
		if len(t.report.Steps) > 0 {
			all := steps[t.id]
			all.Applied, all.Steps = t.report.Applied, append(all.Steps, t.report.Steps...)
			steps[t.id] = all
		}
		if t.known {
			continue
		}
		s, err := server(tx, string(t.id))
		if err != nil {
			return err
		}
		r, before := t.report, *s
		s.BootID, s.AgentVersion, s.CertExpires = r.BootID, r.Version, r.CertExpires.UTC()
		s.Applied, s.Problem, s.Said = r.Applied, r.Problem, inventory.Read(r.Problem, r.Said).Beside()
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
	}
	return ops.Apply(tx, steps, time.Now())
}

// changed tells whether a report brought anything new of a server: one that only
// tells of a step costs no write of the server, and what follows from that.
func changed(before, after *inventory.Server) bool {
	return before.BootID != after.BootID || before.AgentVersion != after.AgentVersion || !before.CertExpires.Equal(after.CertExpires) ||
		before.Applied != after.Applied || before.Problem != after.Problem || before.ClockSkew != after.ClockSkew
}

// digestOf covers what of a report is stored, but for the index applied.
func digestOf(r api.Report) ([32]byte, error) {
	r.Time, r.Missing, r.Steps, r.Applied = time.Time{}, nil, nil, 0
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
		status := r.ServiceStatus
		status.Since = status.Since.UTC()
		exit, health, note := status.Told() // what says the same alone is kept
		status.Tell(&exit, &health, &note)
		statuses[r.Name] = status
	}
	for _, s := range list {
		status, ok := statuses[s.Name]
		if !ok {
			status = inventory.ServiceStatus{State: inventory.ServiceUnknown, Since: s.Since}
		}
		if s.ServiceStatus.Same(status) {
			continue
		}
		s.ServiceStatus = status
		if err := tx.Services().Update(s); err != nil {
			return err
		}
	}
	return nil
}
