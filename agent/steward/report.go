package steward

import (
	"context"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

const (
	// gather is how long a report waits for more changes.
	gather = 5 * time.Millisecond
	// unhurried is how long what nobody waits for may wait for what somebody does:
	// that a document is in force, that an order is in hand.
	unhurried = 200 * time.Millisecond
	// reportLimit ends a report whose answer is lost.
	reportLimit = 10 * time.Second
)

// reportSoon makes a report due.
func (s *Steward) reportSoon() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// reportNow makes a report due that waits for nothing: whoever gave the orders
// that have ended waits for it.
func (s *Steward) reportNow() {
	select {
	case s.idle <- struct{}{}:
	default:
	}
}

// reportWithin makes a report due after a time, unless one is due before.
func (s *Steward) reportWithin(d time.Duration) { time.AfterFunc(d, s.reportSoon) }

// report tells the controller how the server is: at every change, at every new
// link, and before it would take us for dead.
func (s *Steward) report(ctx context.Context) {
	tick := time.NewTicker(api.ReportInterval)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-s.Link.Up():
		case <-ctx.Done():
			return
		}
		s.dues() // before looking, so that nothing is missed and nothing told twice
		s.settle()
		changed := s.Services.Changed()
		if err := s.tell(ctx); err != nil {
			if ctx.Err() == nil {
				s.log.Debug("report not taken", "err", err)
			}
			sleep(ctx, retryPoll)
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.idle:
		case <-s.changed:
			sleep(ctx, gather)
		case <-changed:
			sleep(ctx, gather)
		}
	}
}

// dues takes back that a report is due: one is on its way.
func (s *Steward) dues() {
	for _, due := range []chan struct{}{s.changed, s.idle} {
		select {
		case <-due:
		default:
		}
	}
}

// tell sends one report.
func (s *Steward) tell(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reportLimit)
	defer cancel()
	s.mu.Lock()
	r := api.Report{Applied: s.desired.Index, Problem: s.problem.String(), Said: s.problem.Beside()}
	s.mu.Unlock()
	r.Time, r.BootID, r.Version, r.CertExpires = time.Now().UTC(), s.BootID, inventory.Version, s.Link.CertExpires()
	r.Services = s.Services.Status()
	r.Steps = s.Journal.Unreported()
	if s.Missing != nil {
		r.Missing = s.Missing()
	}
	if err := s.Link.Client().Report(ctx, r); err != nil {
		return err
	}
	return s.Journal.Reported(r.Steps)
}
