package rest

import (
	"context"
	"net/http"
	"slices"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) serverRoutes() {
	add(s, operation{"list-servers", http.MethodGet, "/servers", "List servers", inventory.Servers, auth.Read, 0,
		"Removed servers are left out unless state asks for them."}, s.listServers)
	add(s, operation{"add-server", http.MethodPost, "/servers", "Add a server to the fleet", inventory.Servers, auth.Write, http.StatusCreated,
		"The answer holds the line to run on the server; its token is shown this once."}, s.addServer)
	add(s, operation{"get-server", http.MethodGet, "/servers/{id}", "Get a server", inventory.Servers, auth.Read, 0, ""}, s.getServer)
	add(s, operation{"change-server", http.MethodPatch, "/servers/{id}", "Change a server", inventory.Servers, auth.Write, 0, ""}, s.changeServer)
	add(s, operation{"remove-server", http.MethodDelete, "/servers/{id}", "Remove a server from the fleet", inventory.Servers, auth.Write, 0,
		"Its certificates are revoked. It stays readable, as removed, for its history."}, s.removeServer)
	add(s, operation{"invite-server", http.MethodPost, "/servers/{id}/invitation", "Make a new token for a server to join with", inventory.Servers, auth.Write,
		http.StatusCreated, "Joining with it revokes the certificates of before."}, s.inviteServer)
}

type serversInput struct {
	Paging
	State  []string `query:"state" enum:"joining,up,suspect,down,removed"`
	Region []string `query:"region"`
}

var serverKinds = []inventory.Kind{inventory.Servers, inventory.Services}

func (s *Server) listServers(ctx context.Context, in *serversInput) (*page[api.Server], error) {
	if len(in.State) == 0 {
		in.State = present
	}
	return readPage(ctx, s, in.Paging, serverKinds, func(tx inventory.Tx) ([]api.Server, string, error) {
		found, next, err := tx.Servers().List(in.query(false, map[string][]string{"state": in.State, "region": in.Region}))
		if err != nil {
			return nil, "", err
		}
		shown, err := s.showServers(tx, found...)
		return shown, next, err
	})
}

// present are the states of servers that are in the fleet.
var present = []string{
	string(inventory.ServerJoining), string(inventory.ServerUp), string(inventory.ServerSuspect), string(inventory.ServerDown),
}

// showServers adds what is known now, and the services, to stored servers.
func (s *Server) showServers(tx inventory.Tx, servers ...*inventory.Server) ([]api.Server, error) {
	shown := make([]api.Server, len(servers))
	at := make(map[inventory.ID]int, len(servers))
	ids := make([]string, len(servers))
	for i, server := range servers {
		shown[i] = api.Server{Server: *server, Witnesses: []string{}, Services: []inventory.Service{}}
		if server.Labels == nil {
			shown[i].Labels = map[string]string{}
		}
		connected, seen, witnesses := s.Fleet.Live(server.ID)
		shown[i].Connected, shown[i].LastSeen = connected, seen.UTC()
		shown[i].Witnesses = append(shown[i].Witnesses, witnesses...)
		at[server.ID], ids[i] = i, string(server.ID)
	}
	for some := range slices.Chunk(ids, 500) {
		services, _, err := tx.Services().List(inventory.Query{Where: map[string][]string{"server": some}})
		if err != nil {
			return nil, err
		}
		for _, service := range services {
			i := at[service.Server]
			shown[i].Services = append(shown[i].Services, *service)
		}
	}
	return shown, nil
}

func (s *Server) showServer(ctx context.Context, ref string) (shown api.Server, err error) {
	err = s.Store.View(ctx, func(tx inventory.Tx) error {
		server, err := s.servers().find(tx, ref)
		if err != nil {
			return err
		}
		all, err := s.showServers(tx, server)
		if err != nil {
			return err
		}
		shown = all[0]
		return nil
	})
	return shown, err
}

func (s *Server) getServer(ctx context.Context, in *Named) (*one[api.Server], error) {
	shown, err := s.showServer(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &one[api.Server]{etag(shown.Version), shown}, nil
}

// serverID resolves an id or name.
func (s *Server) serverID(ctx context.Context, ref string) (id inventory.ID, err error) {
	err = s.Store.View(ctx, func(tx inventory.Tx) error {
		server, err := s.servers().find(tx, ref)
		if err == nil {
			id = server.ID
		}
		return err
	})
	return id, err
}

type addServerInput struct {
	Body api.NewServer
}

func (s *Server) addServer(ctx context.Context, in *addServerInput) (*created[api.Enrolment], error) {
	e, err := s.Fleet.Add(ctx, actorOf(ctx), in.Body)
	return s.enrolment(ctx, e, err)
}

func (s *Server) inviteServer(ctx context.Context, in *Named) (*created[api.Enrolment], error) {
	id, err := s.serverID(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	e, err := s.Fleet.Invite(ctx, actorOf(ctx), id)
	return s.enrolment(ctx, e, err)
}

func (s *Server) enrolment(ctx context.Context, e api.Enrolment, err error) (*created[api.Enrolment], error) {
	if err != nil {
		return nil, err
	}
	if e.Server, err = s.showServer(ctx, string(e.Server.ID)); err != nil {
		return nil, err
	}
	return &created[api.Enrolment]{"/api/v1/servers/" + string(e.Server.ID), etag(e.Server.Version), e}, nil
}

type changeServerInput struct {
	Named
	Conditional
	Body api.ServerChange
}

func (s *Server) changeServer(ctx context.Context, in *changeServerInput) (*one[api.Server], error) {
	err := s.onServer(ctx, in.ID, in.Conditional, func(id inventory.ID, version uint64) error {
		return s.Fleet.Change(ctx, actorOf(ctx), id, version, in.Body)
	})
	if err != nil {
		return nil, err
	}
	return s.getServer(ctx, &in.Named)
}

// conditionalInput is the input of what only changes a named thing.
type conditionalInput struct {
	Named
	Conditional
}

func (s *Server) removeServer(ctx context.Context, in *conditionalInput) (*none, error) {
	return nil, s.onServer(ctx, in.ID, in.Conditional, func(id inventory.ID, version uint64) error {
		return s.Fleet.Remove(ctx, actorOf(ctx), id, version)
	})
}

// onServer has the fleet change a server; a refusal for a stale version tells
// the current one.
func (s *Server) onServer(ctx context.Context, ref string, c Conditional, change func(inventory.ID, uint64) error) error {
	version, err := c.version()
	if err != nil {
		return err
	}
	server, err := s.showServer(ctx, ref)
	if err != nil {
		return err
	}
	if err := current(version, &server.Meta); err != nil {
		return err
	}
	err = change(server.ID, version)
	if inventory.Is(err, inventory.Stale) { // changed since: the version read is the one before
		if server, rerr := s.showServer(ctx, string(server.ID)); rerr == nil {
			return errStale(server.Version)
		}
	}
	return err
}
