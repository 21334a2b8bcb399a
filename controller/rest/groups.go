package rest

import (
	"context"
	"net/http"
	"slices"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) groupRoutes() {
	add(s, operation{"list-groups", http.MethodGet, "/groups", "List groups and aliases of domains", inventory.Groups, auth.Read, 0, ""}, s.listGroups)
	add(s, operation{"create-group", http.MethodPost, "/groups", "Make a group", inventory.Groups, auth.Write, http.StatusCreated,
		"An address whose mail goes to others: with one member it is an alias."}, s.createGroup)
	add(s, operation{"get-group", http.MethodGet, "/groups/{id}", "Get a group, by id or address", inventory.Groups, auth.Read, 0, ""}, s.groups().get)
	add(s, operation{"replace-group", http.MethodPut, "/groups/{id}", "Replace a group", inventory.Groups, auth.Write, 0,
		"The address stays."}, s.replaceGroup)
	add(s, operation{"delete-group", http.MethodDelete, "/groups/{id}", "Delete a group", inventory.Groups, auth.Write, 0, ""},
		func(ctx context.Context, in *conditionalInput) (*none, error) {
			return s.groups().delete(ctx, in.ID, in.Conditional, free)
		})
}

type groupsInput struct {
	Paging
	Domain []string `query:"domain" doc:"Names"`
	Member []string `query:"member" doc:"Addresses"`
}

func (s *Server) listGroups(ctx context.Context, in *groupsInput) (*page[*inventory.Group], error) {
	return s.groups().list(ctx, in.Paging, false, map[string][]string{"domain": in.Domain, "member": in.Member})
}

type createGroupInput struct {
	Body api.NewGroup
}

func (s *Server) createGroup(ctx context.Context, in *createGroupInput) (*created[*inventory.Group], error) {
	address, domain, err := inventory.ParseMailbox("address", in.Body.Address)
	if err != nil {
		return nil, err
	}
	return s.groups().create(ctx, func(tx inventory.Tx) (*inventory.Group, error) {
		if _, _, err := s.domains().visible(ctx, tx, domain); err != nil {
			return nil, named(err, "address", "the fleet does not serve the domain %s: create it first", domain)
		}
		if err := vacant(tx, "address", address, ""); err != nil {
			return nil, err
		}
		g := &inventory.Group{Address: address, Domain: domain}
		return g, setGroup(g, in.Body)
	})
}

type replaceGroupInput struct {
	Named
	Conditional
	Body api.NewGroup
}

func (s *Server) replaceGroup(ctx context.Context, in *replaceGroupInput) (*one[*inventory.Group], error) {
	return s.groups().change(ctx, in.ID, in.Conditional, "change", func(_ inventory.Tx, g *inventory.Group) error {
		if address, _, err := inventory.ParseMailbox("address", in.Body.Address); err != nil || address != g.Address {
			return inventory.FieldErrorf("address", "a group's address never changes; this one is %s", g.Address)
		}
		return setGroup(g, in.Body)
	})
}

// setGroup takes up who a group's mail goes to and who may write to it.
func setGroup(g *inventory.Group, req api.NewGroup) error {
	g.Name, g.Writers, g.Members = req.Name, req.Writers, nil
	if g.Writers == "" {
		g.Writers = inventory.WritersAnyone
	}
	for _, m := range req.Members {
		address, _, err := inventory.ParseAddress("members", m)
		if err != nil {
			return err
		}
		if !slices.Contains(g.Members, address) {
			g.Members = append(g.Members, address)
		}
	}
	return g.Check()
}

// vacant checks that an address is nobody's: no account's, alias's or group's. own is
// the id of the account that may have it.
func vacant(tx inventory.Tx, field, address string, own inventory.ID) error {
	taken := func(by string) error {
		e := inventory.Errorf(inventory.Conflict, "the address %s is taken by %s", address, by)
		e.Field = field
		return e
	}
	account, err := tx.Accounts().Find("address", address)
	switch {
	case err == nil && account.ID != own:
		return taken("an account")
	case err != nil && !inventory.Is(err, inventory.NotFound):
		return err
	}
	aliases, _, err := tx.Accounts().List(inventory.Query{Where: map[string][]string{"alias": {address}}, Limit: 2})
	if err != nil {
		return err
	}
	for _, a := range aliases {
		if a.ID != own {
			return taken("an alias of " + a.Address)
		}
	}
	_, err = tx.Groups().Find("address", address)
	switch {
	case err == nil:
		return taken("a group")
	case !inventory.Is(err, inventory.NotFound):
		return err
	}
	return nil
}
