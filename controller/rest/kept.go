package rest

import (
	"context"
	"encoding/json"
	"slices"

	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

// kept is a kind of thing that the API shows as it is stored, and the one way
// to change it: in one transaction with the entry in the audit log.
type kept[R inventory.Record] struct {
	s      *Server
	kind   inventory.Kind
	noun   string // of one, in the audit log
	unique string // field it can be named by besides the id; empty: none
	table  func(inventory.Tx) inventory.Table[R]
}

// find reads a thing by its id or unique field.
func (k kept[R]) find(tx inventory.Tx, ref string) (R, error) {
	table := k.table(tx)
	if id, err := inventory.ParseID(ref); err == nil {
		r, err := table.Get(id)
		if k.unique == "" || !inventory.Is(err, inventory.NotFound) {
			return r, k.missing(err, ref)
		}
	}
	if k.unique == "" {
		var no R
		return no, k.missing(inventory.Errorf(inventory.NotFound, "not an id"), ref)
	}
	r, err := table.Find(k.unique, ref)
	return r, k.missing(err, ref)
}

func (k kept[R]) missing(err error, ref string) error {
	if inventory.Is(err, inventory.NotFound) {
		return inventory.Wrap(inventory.NotFound, err, "there is no %s %q", k.kind.Noun(), ref)
	}
	return err
}

// list answers with a page of things whose fields have the values of where.
func (k kept[R]) list(ctx context.Context, p Paging, newest bool, where map[string][]string) (*page[R], error) {
	return readPage(ctx, k.s, p, []inventory.Kind{k.kind}, func(tx inventory.Tx) ([]R, string, error) {
		return within(ctx, tx, k.kind, p.query(newest, where), k.table(tx).List)
	})
}

// visible is find of what lies in the caller's scope; the rest is not there.
func (k kept[R]) visible(ctx context.Context, tx inventory.Tx, ref string) (R, *auth.Reach, error) {
	var no R
	reach, err := reachOf(ctx, tx)
	if err != nil {
		return no, nil, err
	}
	thing, err := k.find(tx, ref)
	if err != nil {
		return no, nil, err
	}
	if !reach.Sees(thing) {
		return no, nil, k.missing(inventory.Errorf(inventory.NotFound, "out of scope"), ref)
	}
	return thing, reach, nil
}

// held is visible of what the caller may change, in the version that c wants.
func (k kept[R]) held(ctx context.Context, tx inventory.Tx, ref string, c Conditional) (R, *auth.Reach, error) {
	thing, reach, err := k.visible(ctx, tx, ref)
	if err != nil {
		return thing, nil, err
	}
	version, err := c.version()
	if err == nil {
		err = current(version, thing.Base())
	}
	if err == nil && !reach.Holds(thing) {
		err = inventory.Errorf(inventory.Forbidden, "the %s %q is not yours to change", k.kind.Noun(), ref)
	}
	return thing, reach, err
}

// get answers with one thing.
func (k kept[R]) get(ctx context.Context, in *Named) (*one[R], error) {
	out := &one[R]{}
	err := k.s.Store.View(ctx, func(tx inventory.Tx) (err error) {
		out.Body, _, err = k.visible(ctx, tx, in.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	out.ETag = etag(out.Body.Base().Version)
	return out, nil
}

// create keeps what build makes. It may build twice.
func (k kept[R]) create(ctx context.Context, build func(inventory.Tx) (R, error)) (*created[R], error) {
	out := &created[R]{}
	err := k.s.Store.Update(ctx, func(tx inventory.Tx) error {
		fresh, err := build(tx)
		if err != nil {
			return err
		}
		reach, err := reachOf(ctx, tx)
		if err != nil {
			return err
		}
		if !reach.Holds(fresh) {
			return inventory.Errorf(inventory.Forbidden, "you cannot make a %s outside your scope", k.kind.Noun())
		}
		if err := k.table(tx).Create(fresh); err != nil {
			return err
		}
		out.Body = fresh
		return record(ctx, tx, k.noun+".create", k.kind, fresh.Base().ID, nil, fresh)
	})
	if err != nil {
		return nil, err
	}
	base := out.Body.Base()
	out.Location, out.ETag = "/api/v1/"+string(k.kind)+"/"+string(base.ID), etag(base.Version)
	return out, nil
}

// change applies fn to a thing.
func (k kept[R]) change(ctx context.Context, ref string, c Conditional, action string, fn func(inventory.Tx, R) error) (*one[R], error) {
	out := &one[R]{}
	err := k.s.Store.Update(ctx, func(tx inventory.Tx) error {
		thing, reach, err := k.held(ctx, tx, ref, c)
		if err != nil {
			return err
		}
		before, err := stateOf(tx, thing)
		if err != nil {
			return err
		}
		if err := fn(tx, thing); err != nil {
			return err
		}
		if !reach.Holds(thing) {
			return inventory.Errorf(inventory.Forbidden, "you cannot move the %s %q out of your scope", k.kind.Noun(), ref)
		}
		if err := k.table(tx).Update(thing); err != nil {
			return err
		}
		out.Body = thing
		return record(ctx, tx, k.noun+"."+action, k.kind, thing.Base().ID, before, thing)
	})
	if err != nil {
		return nil, err
	}
	out.ETag = etag(out.Body.Base().Version)
	return out, nil
}

// delete removes a thing that guard lets go.
func (k kept[R]) delete(ctx context.Context, ref string, c Conditional, guard func(inventory.Tx, R) error) (*none, error) {
	return nil, k.s.Store.Update(ctx, func(tx inventory.Tx) error {
		thing, _, err := k.held(ctx, tx, ref, c)
		if err != nil {
			return err
		}
		if err := guard(tx, thing); err != nil {
			return err
		}
		if err := k.table(tx).Delete(thing.Base().ID); err != nil {
			return err
		}
		return record(ctx, tx, k.noun+".delete", k.kind, thing.Base().ID, thing, nil)
	})
}

// free is the guard of what nothing depends on.
func free[R inventory.Record](inventory.Tx, R) error { return nil }

// state is a thing as an audit entry shows it. Its JSON leaves secrets out.
type state struct {
	json  string
	scope []inventory.Scope
}

// stateOf takes down how a thing is; nil is no thing.
func stateOf(tx inventory.Tx, thing any) (state, error) {
	switch t := thing.(type) {
	case nil:
		return state{}, nil
	case state:
		return t, nil
	}
	text, err := json.Marshal(thing)
	if err != nil {
		return state{}, err
	}
	scope, err := auth.ScopeOf(tx, thing)
	return state{string(text), scope}, err
}

// record appends to the audit log what the request did.
func record(ctx context.Context, tx inventory.Tx, action string, kind inventory.Kind, id inventory.ID, before, after any) error {
	e := actorOf(ctx).Entry(action, kind, string(id))
	was, err := stateOf(tx, before)
	if err != nil {
		return err
	}
	is, err := stateOf(tx, after)
	if err != nil {
		return err
	}
	e.Before, e.After, e.Scope = was.json, is.json, was.scope
	for _, s := range is.scope {
		if !slices.Contains(e.Scope, s) {
			e.Scope = append(e.Scope, s)
		}
	}
	return tx.Audit().Append(e)
}

// kept things are those without live state of their own.
func (s *Server) rules() kept[*inventory.Rule] {
	return kept[*inventory.Rule]{s, inventory.Rules, "rule", "name", inventory.Tx.Rules}
}

func (s *Server) contacts() kept[*inventory.Contact] {
	return kept[*inventory.Contact]{s, inventory.Contacts, "contact", "", inventory.Tx.Contacts}
}

func (s *Server) alerts() kept[*inventory.Alert] {
	return kept[*inventory.Alert]{s, inventory.Alerts, "alert", "", inventory.Tx.Alerts}
}

func (s *Server) texts() kept[*inventory.SMS] {
	return kept[*inventory.SMS]{s, inventory.SMSes, "sms", "", inventory.Tx.SMS}
}

func (s *Server) domains() kept[*inventory.Domain] {
	return kept[*inventory.Domain]{s, inventory.Domains, "domain", "name", inventory.Tx.Domains}
}

func (s *Server) accounts() kept[*inventory.Account] {
	return kept[*inventory.Account]{s, inventory.Accounts, "account", "address", inventory.Tx.Accounts}
}

func (s *Server) groups() kept[*inventory.Group] {
	return kept[*inventory.Group]{s, inventory.Groups, "group", "address", inventory.Tx.Groups}
}

func (s *Server) dkimKeys() kept[*inventory.DKIMKey] {
	return kept[*inventory.DKIMKey]{s, inventory.DKIMKeys, "DKIM key", "", inventory.Tx.DKIMKeys}
}

func (s *Server) people() kept[*inventory.Person] {
	return kept[*inventory.Person]{s, inventory.People, "person", "name", inventory.Tx.People}
}

func (s *Server) tokens() kept[*inventory.Token] {
	return kept[*inventory.Token]{s, inventory.Tokens, "token", "name", inventory.Tx.Tokens}
}

func (s *Server) services() kept[*inventory.Service] {
	return kept[*inventory.Service]{s, inventory.Services, "service", "", inventory.Tx.Services}
}

func (s *Server) operations() kept[*inventory.Operation] {
	return kept[*inventory.Operation]{s, inventory.Operations, "operation", "", inventory.Tx.Operations}
}

func (s *Server) servers() kept[*inventory.Server] {
	return kept[*inventory.Server]{s, inventory.Servers, "server", "name", inventory.Tx.Servers}
}

func (s *Server) tenants() kept[*inventory.Tenant] {
	return kept[*inventory.Tenant]{s, inventory.Tenants, "tenant", "name", inventory.Tx.Tenants}
}

func (s *Server) plans() kept[*inventory.Plan] {
	return kept[*inventory.Plan]{s, inventory.Plans, "plan", "name", inventory.Tx.Plans}
}

func (s *Server) pools() kept[*inventory.Pool] {
	return kept[*inventory.Pool]{s, inventory.Pools, "pool", "name", inventory.Tx.Pools}
}

func (s *Server) windows() kept[*inventory.Window] {
	return kept[*inventory.Window]{s, inventory.Windows, "maintenance window", "", inventory.Tx.Windows}
}

func (s *Server) releases() kept[*inventory.Release] {
	return kept[*inventory.Release]{s, inventory.Releases, "release", "", inventory.Tx.Releases}
}
