package rest

import (
	"context"
	"errors"
	"net/http"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) serviceRoutes() {
	add(s, operation{"list-services", http.MethodGet, "/services", "List services", inventory.Services, auth.Read, 0, ""}, s.listServices)
	add(s, operation{"add-service", http.MethodPost, "/services", "Have a command or systemd unit supervised on a server", inventory.Services, auth.Write, http.StatusCreated, ""}, s.addService)
	add(s, operation{"get-service", http.MethodGet, "/services/{id}", "Get a service", inventory.Services, auth.Read, 0, ""}, s.services().get)
	add(s, operation{"change-service", http.MethodPatch, "/services/{id}", "Change a service's settings", inventory.Services, auth.Write, 0,
		"What its process is started from holds from its next start; until then the service is pending. Probes, signals, grace and start order hold at once."}, s.changeService)
	add(s, operation{"remove-service", http.MethodDelete, "/services/{id}", "Remove a service", inventory.Services, auth.Write, 0,
		"Its process is stopped."}, s.removeService)
	s.logRoutes()
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

type changeServiceInput struct {
	Named
	Conditional
	Body api.ServiceChange
}

func (s *Server) changeService(ctx context.Context, in *changeServiceInput) (*one[*inventory.Service], error) {
	return s.services().change(ctx, in.ID, in.Conditional, "change", func(tx inventory.Tx, service *inventory.Service) error {
		if in.Body.Config == nil {
			return nil
		}
		service.ServiceConfig = *in.Body.Config
		err := inventory.CheckService(tx, service)
		if e, ok := errors.AsType[*inventory.Error](err); ok && e.Field != "" {
			return inventory.FieldErrorf("config."+e.Field, "%s", e.Message)
		}
		return err
	})
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
