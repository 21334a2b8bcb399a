package fleet

import (
	"context"
	"slices"

	agentapi "mailfleet/agent/api"
	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// AddService adds a command or a unit for a server's agent to supervise.
func (f *Fleet) AddService(ctx context.Context, actor inventory.Actor, req api.NewService) (*inventory.Service, error) {
	if req.Kind == "" {
		req.Kind = inventory.KindCommand
	}
	if req.Kind == inventory.KindMailnode {
		return nil, inventory.FieldErrorf("kind", "a mailnode comes with its server: add command or unit")
	}
	if req.Want == "" {
		req.Want = inventory.WantRunning
	}
	var made *inventory.Service
	err := f.store.Update(ctx, func(tx inventory.Tx) error {
		s, err := server(tx, req.Server)
		if err != nil {
			return err
		}
		made = &inventory.Service{
			Server: s.ID, Name: req.Name, Kind: req.Kind, Want: req.Want,
			ServiceConfig: req.ServiceConfig, ServiceStatus: inventory.ServiceStatus{State: inventory.ServiceUnknown},
		}
		if err := inventory.CheckService(tx, made); err != nil {
			return err
		}
		if err := tx.Services().Create(made); err != nil {
			if inventory.Is(err, inventory.Conflict) {
				return inventory.Errorf(inventory.Conflict, "%s has a service %q already", s.Name, req.Name)
			}
			return err
		}
		return audit(tx, actor, "service.create", inventory.Services, made.Name+" on "+s.Name, nil, made)
	})
	return made, err
}

// RemoveService takes a service from its server; the agent stops it. A version
// other than 0 must be the current one.
func (f *Fleet) RemoveService(ctx context.Context, actor inventory.Actor, id inventory.ID, version uint64) error {
	return f.store.Update(ctx, func(tx inventory.Tx) error {
		s, err := tx.Services().Get(id)
		if err != nil {
			return err
		}
		if err := current(version, s.Version); err != nil {
			return err
		}
		if s.Kind == inventory.KindMailnode {
			if err := emptyOfAccounts(tx, s.Server); err != nil {
				return err
			}
		}
		if err := firstOfNone(tx, s); err != nil {
			return err
		}
		if err := tx.Services().Delete(id); err != nil {
			return err
		}
		return audit(tx, actor, "service.delete", inventory.Services, s.Name, s, nil)
	})
}

// firstOfNone refuses a service that others start after.
func firstOfNone(tx inventory.Tx, s *inventory.Service) error {
	others, _, err := tx.Services().List(inventory.Query{Where: map[string][]string{"server": {string(s.Server)}}})
	if err != nil {
		return err
	}
	for _, o := range others {
		if slices.Contains(o.After, s.Name) {
			return inventory.Errorf(inventory.Conflict, "%s starts after %s: change that first", o.Name, s.Name)
		}
	}
	return nil
}

// Log asks a server's agent for the last lines one of its services wrote.
func (f *Fleet) Log(ctx context.Context, id inventory.ID, service string, lines int) (agentapi.Log, error) {
	return askAgent(ctx, f, id, service, func(c *agentapi.Client) (agentapi.Log, error) { return c.Log(ctx, service, lines) })
}

// FollowLog is Log, and the lines that come. The caller closes the stream.
func (f *Fleet) FollowLog(ctx context.Context, id inventory.ID, service string, lines int) (*agentapi.LogStream, error) {
	return askAgent(ctx, f, id, service, func(c *agentapi.Client) (*agentapi.LogStream, error) { return c.Follow(ctx, service, lines) })
}

// Crash asks a server's agent how one of its services last ended unasked.
func (f *Fleet) Crash(ctx context.Context, id inventory.ID, service string) (agentapi.Crash, error) {
	return askAgent(ctx, f, id, service, func(c *agentapi.Client) (agentapi.Crash, error) { return c.Crash(ctx, service) })
}

// askAgent asks a server's agent about one of its services. What the agent does
// not have is NotFound; everything else makes it Unavailable.
func askAgent[T any](ctx context.Context, f *Fleet, id inventory.ID, service string, ask func(*agentapi.Client) (T, error)) (out T, err error) {
	var s *inventory.Server
	err = f.store.View(ctx, func(tx inventory.Tx) (err error) {
		if s, err = server(tx, string(id)); err != nil {
			return err
		}
		_, err = tx.Services().Find("server/name", string(s.ID)+"/"+service)
		if inventory.Is(err, inventory.NotFound) {
			return inventory.Errorf(inventory.NotFound, "%s has no service %q", s.Name, service)
		}
		return err
	})
	if err != nil {
		return out, err
	}
	client, err := f.agent(s)
	if err != nil {
		return out, err
	}
	if out, err = ask(client); err != nil && !inventory.Is(err, inventory.NotFound) {
		return out, inventory.Wrap(inventory.Unavailable, err, "the agent of %s did not answer", s.Name)
	}
	return out, err
}
