package rest

import (
	"context"
	"net/http"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

// Powers keeps how servers' power is switched. A version of 0 is not checked.
type Powers interface {
	SetPower(ctx context.Context, actor inventory.Actor, id inventory.ID, version uint64, req api.NewPower) (*inventory.Power, error)
	RemovePower(ctx context.Context, actor inventory.Actor, id inventory.ID, version uint64) error
	TestPower(ctx context.Context, actor inventory.Actor, id inventory.ID) (api.PowerStatus, error)
}

func (s *Server) powerRoutes() {
	add(s, operation{"list-powers", http.MethodGet, "/powers", "List power drivers", inventory.Powers, auth.Read, 0, ""}, s.listPowers)
	add(s, operation{"get-power", http.MethodGet, "/servers/{id}/power", "Get how a server's power is switched", inventory.Powers, auth.Read, 0,
		"The password is never shown."}, s.getPower)
	add(s, operation{"set-power", http.MethodPut, "/servers/{id}/power", "Set how a server's power is switched", inventory.Powers, auth.Write, 0,
		"A password that is not given stays, as long as it would go to the same place."}, s.setPower)
	add(s, operation{"remove-power", http.MethodDelete, "/servers/{id}/power", "Forget how a server's power is switched", inventory.Powers, auth.Write, 0, ""}, s.removePower)
	add(s, operation{"test-power", http.MethodPost, "/servers/{id}/power/test", "Ask the power driver whether the server is on", inventory.Powers, auth.Write, 0,
		"Another server's agent asks. What the driver found wrong is the message of the answer; 503 when that agent is away."}, s.testPower)
}

type powersInput struct {
	Paging
	Server []string `query:"server" doc:"Id or name"`
}

func (s *Server) listPowers(ctx context.Context, in *powersInput) (*page[*inventory.Power], error) {
	servers, err := s.serverIDs(ctx, in.Server)
	if err != nil {
		return nil, err
	}
	return s.powers().list(ctx, in.Paging, false, map[string][]string{"server": servers})
}

func (s *Server) powers() kept[*inventory.Power] {
	return kept[*inventory.Power]{s, inventory.Powers, "power driver", "server", inventory.Tx.Powers}
}

func (s *Server) getPower(ctx context.Context, in *Named) (*one[*inventory.Power], error) {
	out := &one[*inventory.Power]{}
	err := s.Store.View(ctx, func(tx inventory.Tx) error {
		server, err := s.servers().find(tx, in.ID)
		if err != nil {
			return err
		}
		out.Body, err = tx.Powers().Find("server", string(server.ID))
		if inventory.Is(err, inventory.NotFound) {
			return inventory.Errorf(inventory.NotFound, "%s has no power driver", server.Name)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out.ETag = etag(out.Body.Version)
	return out, nil
}

type setPowerInput struct {
	Named
	Conditional
	Body api.NewPower
}

func (s *Server) setPower(ctx context.Context, in *setPowerInput) (out *one[*inventory.Power], err error) {
	err = s.onPower(ctx, in.ID, in.Conditional, func(id inventory.ID, version uint64) error {
		set, err := s.Powers.SetPower(ctx, actorOf(ctx), id, version, in.Body)
		if err == nil {
			out = &one[*inventory.Power]{etag(set.Version), set}
		}
		return err
	})
	return out, err
}

func (s *Server) removePower(ctx context.Context, in *conditionalInput) (*none, error) {
	return nil, s.onPower(ctx, in.ID, in.Conditional, func(id inventory.ID, version uint64) error {
		return s.Powers.RemovePower(ctx, actorOf(ctx), id, version)
	})
}

// onPower changes a server's power driver; a refusal for a stale version tells
// the current one.
func (s *Server) onPower(ctx context.Context, ref string, c Conditional, change func(inventory.ID, uint64) error) error {
	version, err := c.version()
	if err != nil {
		return err
	}
	id, err := s.serverID(ctx, ref)
	if err != nil {
		return err
	}
	err = change(id, version)
	if inventory.Is(err, inventory.Stale) {
		if now, rerr := s.getPower(ctx, &Named{string(id)}); rerr == nil {
			return errStale(now.Body.Version)
		}
	}
	return err
}

type powerStatusOutput struct {
	Body api.PowerStatus
}

func (s *Server) testPower(ctx context.Context, in *Named) (*powerStatusOutput, error) {
	id, err := s.serverID(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	status, err := s.Powers.TestPower(ctx, actorOf(ctx), id)
	if err != nil {
		return nil, err
	}
	return &powerStatusOutput{status}, nil
}
