package rest

import (
	"context"
	"net/http"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) statusRoutes() {
	add(s, operation{"get-status", http.MethodGet, "/status", "The fleet at a glance", auth.Status, auth.Read, 0, ""}, s.status)
}

type statusInput struct {
	Blocking
}

type statusOutput struct {
	Index uint64 `header:"X-Index" doc:"Send it as index to wait for the next change"`
	Body  api.Status
}

func (s *Server) status(ctx context.Context, in *statusInput) (*statusOutput, error) {
	if err := s.await(ctx, in.Blocking, inventory.Servers, inventory.Services, inventory.Alerts); err != nil {
		return nil, err
	}
	out := &statusOutput{Body: api.Status{Version: s.Version, Started: s.started, Problems: []string{}, Said: []inventory.Sentence{}}}
	err := s.Store.View(ctx, func(tx inventory.Tx) (err error) {
		out.Index = tx.Index()
		if out.Body.Servers, err = countBy(tx.Servers(), "state", nil, inventory.ServerJoining, inventory.ServerUp, inventory.ServerSuspect, inventory.ServerDown); err != nil {
			return err
		}
		if out.Body.Services, err = countBy(tx.Services(), "state", nil, inventory.ServiceUnknown, inventory.ServiceStarting, inventory.ServiceRunning,
			inventory.ServiceStopping, inventory.ServiceStopped, inventory.ServiceBackoff, inventory.ServiceCrashed); err != nil {
			return err
		}
		firing := map[string][]string{"state": {string(inventory.AlertFiring)}}
		out.Body.Alerts, err = countBy(tx.Alerts(), "severity", firing, inventory.Info, inventory.Warning, inventory.Critical)
		return err
	})
	if err != nil {
		return nil, err
	}
	out.Body.Index = out.Index
	for _, p := range s.Problems() {
		out.Body.Problems, out.Body.Said = append(out.Body.Problems, p.String()), append(out.Body.Said, p)
	}
	return out, nil
}

// countBy counts the records of a table for each value of a field.
func countBy[R inventory.Record, V ~string](t inventory.Table[R], field string, where map[string][]string, values ...V) (map[V]int, error) {
	counts := make(map[V]int, len(values))
	for _, v := range values {
		q := inventory.Query{Where: map[string][]string{field: {string(v)}}}
		for other, wanted := range where {
			q.Where[other] = wanted
		}
		n, err := t.Count(q)
		if err != nil {
			return nil, err
		}
		counts[v] = n
	}
	return counts, nil
}
