package rest

import (
	"context"
	"net/http"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) serviceRoutes() {
	add(s, operation{"list-services", http.MethodGet, "/services", "List services", inventory.Services, auth.Read, 0, ""}, s.listServices)
	add(s, operation{"add-service", http.MethodPost, "/services", "Have a command supervised on a server", inventory.Services, auth.Write, http.StatusCreated, ""}, s.addService)
	add(s, operation{"get-service", http.MethodGet, "/services/{id}", "Get a service", inventory.Services, auth.Read, 0, ""}, s.services().get)
	add(s, operation{"remove-service", http.MethodDelete, "/services/{id}", "Remove a service", inventory.Services, auth.Write, 0,
		"Its process is stopped."}, s.removeService)
	add(s, operation{"get-service-log", http.MethodGet, "/servers/{id}/services/{name}/log", "The last lines a service wrote", inventory.Services, auth.Read, 0,
		"The server's agent is asked for them: 503 while it is away."}, s.serviceLog)
}

type servicesInput struct {
	Paging
	Server []string `query:"server" doc:"Id or name"`
	Name   []string `query:"name"`
	State  []string `query:"state" enum:"unknown,starting,running,stopping,stopped,backoff,crashed"`
}

func (s *Server) listServices(ctx context.Context, in *servicesInput) (*page[*inventory.Service], error) {
	servers, err := s.serverIDs(ctx, in.Server)
	if err != nil {
		return nil, err
	}
	return s.services().list(ctx, in.Paging, false, map[string][]string{"server": servers, "name": in.Name, "state": in.State})
}

// serverIDs resolves the ids or names a list is filtered by.
func (s *Server) serverIDs(ctx context.Context, refs []string) ([]string, error) {
	var ids []string
	for _, ref := range refs {
		id, err := s.serverID(ctx, ref)
		if inventory.Is(err, inventory.NotFound) {
			return nil, inventory.FieldErrorf("server", "there is no server %q", ref)
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, string(id))
	}
	return ids, nil
}

type addServiceInput struct {
	Body api.NewService
}

func (s *Server) addService(ctx context.Context, in *addServiceInput) (*created[*inventory.Service], error) {
	service, err := s.Fleet.AddService(ctx, actorOf(ctx), in.Body)
	if err != nil {
		return nil, err
	}
	return &created[*inventory.Service]{"/api/v1/services/" + string(service.ID), etag(service.Version), service}, nil
}

func (s *Server) removeService(ctx context.Context, in *conditionalInput) (*none, error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	service, err := s.services().get(ctx, &in.Named)
	if err != nil {
		return nil, err
	}
	if err := current(version, &service.Body.Meta); err != nil {
		return nil, err
	}
	return nil, s.Fleet.RemoveService(ctx, actorOf(ctx), service.Body.ID, version)
}

type logInput struct {
	Named
	Service string `path:"name" maxLength:"253"`
	Lines   int    `query:"lines" default:"200" minimum:"1" maximum:"2000"`
}

type logOutput struct {
	Body api.Log
}

func (s *Server) serviceLog(ctx context.Context, in *logInput) (*logOutput, error) {
	id, err := s.serverID(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	log, err := s.Fleet.Log(ctx, id, in.Service, in.Lines)
	if err != nil {
		return nil, err
	}
	return &logOutput{api.Log{Lines: append([]string{}, log.Lines...)}}, nil
}
