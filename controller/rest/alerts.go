package rest

import (
	"context"
	"net/http"
	"time"

	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) alertRoutes() {
	add(s, operation{"list-alerts", http.MethodGet, "/alerts", "List alerts, newest first", inventory.Alerts, auth.Read, 0, ""}, s.listAlerts)
	add(s, operation{"get-alert", http.MethodGet, "/alerts/{id}", "Get an alert", inventory.Alerts, auth.Read, 0, ""}, s.alerts().get)
	add(s, operation{"acknowledge-alert", http.MethodPost, "/alerts/{id}/acknowledge", "Take an alert on", inventory.Alerts, auth.Write, 0,
		"The first to do it has it; again changes nothing."}, s.acknowledge)
}

type alertsInput struct {
	Paging
	State    []string `query:"state" enum:"pending,firing,resolved"`
	Severity []string `query:"severity" enum:"info,warning,critical"`
	Server   []string `query:"server" doc:"Id or name"`
	Rule     []string `query:"rule" doc:"Id"`
}

func (s *Server) listAlerts(ctx context.Context, in *alertsInput) (*page[*inventory.Alert], error) {
	servers, err := s.serverIDs(ctx, in.Server)
	if err != nil {
		return nil, err
	}
	return s.alerts().list(ctx, in.Paging, true, map[string][]string{
		"state": in.State, "severity": in.Severity, "server": servers, "rule": in.Rule,
	})
}

func (s *Server) acknowledge(ctx context.Context, in *Named) (*one[*inventory.Alert], error) {
	found, err := s.alerts().get(ctx, in)
	if err != nil || !found.Body.Acked.IsZero() {
		return found, err
	}
	return s.alerts().change(ctx, in.ID, Conditional{}, "acknowledge", func(_ inventory.Tx, a *inventory.Alert) error {
		if a.Acked.IsZero() { // somebody else may have been faster
			a.Acked, a.AckedBy = time.Now().UTC(), callOf(ctx).principal.Actor()
		}
		return nil
	})
}
