package rest

import (
	"context"
	"net/http"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) preflightRoutes() {
	add(s, operation{"list-preflights", http.MethodGet, "/preflights", "How fit the servers are for their work", inventory.Preflights, auth.Read, 0,
		"As their agents found when they last looked: when they joined, once a day, and at each operation server.preflight."}, s.listPreflights)
	add(s, operation{"get-preflight", http.MethodGet, "/servers/{id}/preflight", "How fit a server is for its work", inventory.Preflights, auth.Read, 0,
		"404 when its agent has not looked yet. The operation server.preflight has it look now, server.tune applies fixes."}, s.getPreflight)
}

type preflightsInput struct {
	Paging
	Server []string `query:"server" doc:"Id or name"`
}

func (s *Server) listPreflights(ctx context.Context, in *preflightsInput) (*page[api.Preflight], error) {
	servers, err := s.serverIDs(ctx, in.Server)
	if err != nil {
		return nil, err
	}
	return readPage(ctx, s, in.Paging, []inventory.Kind{inventory.Preflights}, func(tx inventory.Tx) ([]api.Preflight, string, error) {
		found, next, err := tx.Preflights().List(in.query(false, map[string][]string{"server": servers}))
		if err != nil {
			return nil, "", err
		}
		shown := make([]api.Preflight, 0, len(found))
		for _, p := range found {
			one, err := showPreflight(tx, p)
			if err != nil {
				return nil, "", err
			}
			if one.ServerName != "" {
				shown = append(shown, one)
			}
		}
		return shown, next, nil
	})
}

// showPreflight adds the outcome and the server's name; one that was removed has none.
func showPreflight(tx inventory.Tx, p *inventory.Preflight) (api.Preflight, error) {
	server, err := tx.Servers().Get(p.Server)
	if err != nil && !inventory.Is(err, inventory.NotFound) {
		return api.Preflight{}, err
	}
	shown := api.Preflight{Preflight: *p, Worst: p.Worst()}
	if err == nil && server.State != inventory.ServerRemoved {
		shown.ServerName = server.Name
	}
	shown.Checks = append([]inventory.Check{}, p.Checks...)
	return shown, nil
}

func (s *Server) getPreflight(ctx context.Context, in *Named) (*one[api.Preflight], error) {
	out := &one[api.Preflight]{}
	err := s.Store.View(ctx, func(tx inventory.Tx) error {
		server, err := s.servers().find(tx, in.ID)
		if err != nil {
			return err
		}
		p, err := tx.Preflights().Find("server", string(server.ID))
		if inventory.Is(err, inventory.NotFound) {
			return inventory.Errorf(inventory.NotFound, "the agent of %s has not looked at its server yet", server.Name)
		}
		if err != nil {
			return err
		}
		out.Body, err = showPreflight(tx, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	out.ETag = etag(out.Body.Version)
	return out, nil
}
