package fleet

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	agentapi "mailfleet/agent/api"
	"mailfleet/controller/api"
	"mailfleet/controller/ops"
	"mailfleet/inventory"
)

// powerLimit is how long an agent may take to ask a management controller.
const powerLimit = 25 * time.Second

// sealedFor is the purpose a server's power password is sealed for.
func sealedFor(server inventory.ID) string { return "power/" + string(server) }

// SetPower says how a server's power is switched. A version other than 0 must
// be the current one.
func (f *Fleet) SetPower(ctx context.Context, actor inventory.Actor, id inventory.ID, version uint64, req api.NewPower) (set *inventory.Power, err error) {
	err = f.store.Update(ctx, func(tx inventory.Tx) error {
		s, err := server(tx, string(id))
		if err != nil {
			return err
		}
		before, err := tx.Powers().Find("server", string(s.ID))
		found := err == nil
		if err != nil && !inventory.Is(err, inventory.NotFound) {
			return err
		}
		set = &inventory.Power{
			Server: s.ID, Kind: req.Kind, Address: req.Address, User: req.User, MAC: req.MAC, Command: req.Command, TLSPin: req.TLSPin,
		}
		if set.Via, err = via(tx, s, req.Via); err != nil {
			return err
		}
		if err := set.Check(); err != nil {
			return err
		}
		if found {
			if err := current(version, before.Version); err != nil {
				return err
			}
			set.Meta = before.Meta
		}
		switch {
		case req.Password != nil:
			set.Secret = f.opts.Seal.Seal(sealedFor(s.ID), []byte(*req.Password))
		case found && before.Secret != nil && sameController(before, set):
			set.Secret = before.Secret
		case found && before.Secret != nil:
			return inventory.FieldErrorf("password", "give the password again: it is not sent to another kind, address or program than it was given for")
		}
		set.HasSecret = len(set.Secret) > 0
		if !found {
			if err := tx.Powers().Create(set); err != nil {
				return err
			}
			return audit(tx, actor, "power.create", inventory.Powers, s.Name, nil, set)
		}
		if err := tx.Powers().Update(set); err != nil {
			return err
		}
		return audit(tx, actor, "power.update", inventory.Powers, s.Name, before, set)
	})
	return set, err
}

// sameController tells whether a password that was given for one driver would
// go to the same place by another.
func sameController(a, b *inventory.Power) bool {
	if a.Kind != b.Kind || a.Address != b.Address || a.TLSPin != b.TLSPin || len(a.Command) != len(b.Command) {
		return false
	}
	for i := range a.Command {
		if a.Command[i] != b.Command[i] {
			return false
		}
	}
	return true
}

// via resolves the server whose agent is to act.
func via(tx inventory.Tx, target *inventory.Server, ref string) (inventory.ID, error) {
	if ref == "" {
		return "", nil
	}
	s, err := server(tx, ref)
	if inventory.Is(err, inventory.NotFound) {
		return "", inventory.FieldErrorf("via", "there is no server %q", ref)
	}
	if err != nil {
		return "", err
	}
	if s.ID == target.ID {
		return "", inventory.FieldErrorf("via", "%s cannot switch on its own power: name another server", s.Name)
	}
	return s.ID, nil
}

// RemovePower forgets how a server's power is switched, and the password.
func (f *Fleet) RemovePower(ctx context.Context, actor inventory.Actor, id inventory.ID, version uint64) error {
	return f.store.Update(ctx, func(tx inventory.Tx) error {
		s, err := server(tx, string(id))
		if err != nil {
			return err
		}
		p, err := f.powerOf(tx, s)
		if err != nil {
			return err
		}
		if err := current(version, p.Version); err != nil {
			return err
		}
		if err := tx.Powers().Delete(p.ID); err != nil {
			return err
		}
		return audit(tx, actor, "power.delete", inventory.Powers, s.Name, p, nil)
	})
}

func (f *Fleet) powerOf(tx inventory.Tx, s *inventory.Server) (*inventory.Power, error) {
	p, err := tx.Powers().Find("server", string(s.ID))
	if inventory.Is(err, inventory.NotFound) {
		return nil, inventory.Errorf(inventory.NotFound, "%s has no power driver", s.Name)
	}
	return p, err
}

// TestPower has an agent ask for a server's power and keeps what it found.
func (f *Fleet) TestPower(ctx context.Context, actor inventory.Actor, id inventory.ID) (api.PowerStatus, error) {
	var p *inventory.Power
	var target, relay *inventory.Server
	err := f.store.View(ctx, func(tx inventory.Tx) (err error) {
		if target, err = server(tx, string(id)); err != nil {
			return err
		}
		if p, err = f.powerOf(tx, target); err != nil {
			return err
		}
		all, _, err := tx.Servers().List(inventory.Query{})
		if err != nil {
			return err
		}
		var why string
		if relay, why = ops.Relay(p, target, all, f.linked); relay == nil {
			return inventory.Errorf(inventory.Unavailable, "%s", why)
		}
		return nil
	})
	if err != nil {
		return api.PowerStatus{}, err
	}
	client, err := f.agent(relay)
	if err != nil {
		return api.PowerStatus{}, err
	}
	password, err := f.opts.Seal.Unseal(sealedFor(target.ID), p.Secret)
	if err != nil {
		return api.PowerStatus{}, inventory.Wrap(inventory.Conflict, err, "the password of %s's power driver cannot be opened: give it again", target.Name)
	}
	asking, cancel := context.WithTimeout(ctx, powerLimit)
	defer cancel()
	began := time.Now()
	found, err := client.Power(asking, agentapi.Power{
		Server: target.Name, Kind: p.Kind, Address: p.Address, User: p.User, Password: string(password), MAC: p.MAC, Command: p.Command, TLSPin: p.TLSPin,
	})
	if err != nil {
		return api.PowerStatus{}, inventory.Wrap(inventory.Unavailable, err, "the agent of %s did not answer", relay.Name)
	}
	out := api.PowerStatus{State: found.State, Message: found.Message, Said: inventory.Read(found.Message, found.Said).Beside(), Via: relay.Name, Took: inventory.Duration(time.Since(began).Round(time.Millisecond))}
	return out, f.tested(ctx, actor, target, out)
}

// tested keeps the outcome of a test.
func (f *Fleet) tested(ctx context.Context, actor inventory.Actor, target *inventory.Server, out api.PowerStatus) error {
	return f.store.Update(ctx, func(tx inventory.Tx) error {
		p, err := tx.Powers().Find("server", string(target.ID))
		if err != nil {
			return err
		}
		p.Tested, p.Result, p.Said = time.Now().UTC(), string(out.State), nil
		if out.Message != "" {
			p.Result, p.Said = out.Message, out.Said
		}
		if err := tx.Powers().Update(p); err != nil {
			return err
		}
		return audit(tx, actor, "power.test", inventory.Powers, target.Name, nil, out)
	})
}

// linked tells whether a server's agent has a link.
func (f *Fleet) linked(id inventory.ID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.servers[id]
	return p != nil && p.link != nil
}

// agent asks the agent of a server; Unavailable while it has no link.
func (f *Fleet) agent(s *inventory.Server) (*agentapi.Client, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.servers[s.ID]; p != nil && p.client != nil {
		return &agentapi.Client{HTTP: p.client}, nil
	}
	return nil, inventory.Errorf(inventory.Unavailable, "the agent of %s is not connected", s.Name)
}

// orderSecret answers an agent that carries out an order on a server's power
// with the password; to no other, and not once the step has ended.
func (f *Fleet) orderSecret(w http.ResponseWriter, r *http.Request, who caller) error {
	step := inventory.ID(r.PathValue("id"))
	var p *inventory.Power
	err := f.store.View(r.Context(), func(tx inventory.Tx) error {
		open, err := ops.Open(tx)
		if err != nil {
			return err
		}
		for _, op := range open {
			for _, s := range op.Steps {
				if s.ID == step && s.Agent == who.id && !s.State.Final() {
					p, err = tx.Powers().Find("server", string(s.Target.Server))
					return err
				}
			}
		}
		return inventory.Errorf(inventory.NotFound, "you have no such order in hand")
	})
	if err != nil {
		return err
	}
	password, err := f.opts.Seal.Unseal(sealedFor(p.Server), p.Secret)
	if err != nil {
		return inventory.Wrap(inventory.Unavailable, err, "the password of the power driver cannot be opened: it must be given again")
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(api.PowerSecret{Password: string(password)})
}
