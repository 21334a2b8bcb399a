package fleet

import (
	"context"

	agentapi "mailfleet/agent/api"
	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// AddService adds a command for a server's agent to supervise.
func (f *Fleet) AddService(ctx context.Context, actor inventory.Actor, req api.NewService) (*inventory.Service, error) {
	if err := inventory.CheckName("name", req.Name); err != nil {
		return nil, err
	}
	if len(req.Command) == 0 || req.Command[0] == "" {
		return nil, inventory.FieldErrorf("command", "name the program to run")
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
			Server: s.ID, Name: req.Name, Kind: inventory.KindCommand,
			ServiceConfig: inventory.ServiceConfig{Command: req.Command, Env: req.Env, Dir: req.Dir},
			Want:          req.Want, ServiceStatus: inventory.ServiceStatus{State: inventory.ServiceUnknown},
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
		if err := tx.Services().Delete(id); err != nil {
			return err
		}
		return audit(tx, actor, "service.delete", inventory.Services, s.Name, s, nil)
	})
}

// Log asks a server's agent for the last lines one of its services wrote.
func (f *Fleet) Log(ctx context.Context, id inventory.ID, service string, lines int) (agentapi.Log, error) {
	var s *inventory.Server
	err := f.store.View(ctx, func(tx inventory.Tx) (err error) {
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
		return agentapi.Log{}, err
	}
	client, err := f.agent(s)
	if err != nil {
		return agentapi.Log{}, err
	}
	out, err := client.Log(ctx, service, lines)
	if err != nil {
		return agentapi.Log{}, inventory.Wrap(inventory.Unavailable, err, "the agent of %s did not answer", s.Name)
	}
	return out, nil
}
