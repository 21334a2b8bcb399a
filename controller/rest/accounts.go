package rest

import (
	"context"
	"net/http"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) accountRoutes() {
	add(s, operation{"list-accounts", http.MethodGet, "/accounts", "List accounts", inventory.Accounts, auth.Read, 0, ""}, s.listAccounts)
	add(s, operation{"create-account", http.MethodPost, "/accounts", "Create an account", inventory.Accounts, auth.Write, http.StatusCreated, ""}, s.createAccount)
	add(s, operation{"get-account", http.MethodGet, "/accounts/{id}", "Get an account, by id or address", inventory.Accounts, auth.Read, 0, ""}, s.accounts().get)
	add(s, operation{"change-account", http.MethodPatch, "/accounts/{id}", "Change an account", inventory.Accounts, auth.Write, 0, ""}, s.changeAccount)
	add(s, operation{"delete-account", http.MethodDelete, "/accounts/{id}", "Delete an account", inventory.Accounts, auth.Write, 0,
		"Refused while it is a domain's postmaster."}, s.deleteAccount)
}

type accountsInput struct {
	Paging
	Domain []string `query:"domain"`
	Server []string `query:"server" doc:"Home server, id or name"`
	State  []string `query:"state" enum:"active,suspended"`
}

func (s *Server) listAccounts(ctx context.Context, in *accountsInput) (*page[*inventory.Account], error) {
	servers, err := s.serverIDs(ctx, in.Server)
	if err != nil {
		return nil, err
	}
	return s.accounts().list(ctx, in.Paging, false, map[string][]string{"domain": in.Domain, "server": servers, "state": in.State})
}

type createAccountInput struct {
	Body api.NewAccount
}

func (s *Server) createAccount(ctx context.Context, in *createAccountInput) (*created[*inventory.Account], error) {
	address, domain, err := inventory.ParseAddress("address", in.Body.Address)
	if err != nil {
		return nil, err
	}
	hash, err := s.Auth.Hash(ctx, in.Body.Password)
	if err != nil {
		return nil, err
	}
	keys, err := s.mailKeys(ctx, "", in.Body.Password)
	if err != nil {
		return nil, err
	}
	return s.accounts().create(ctx, func(tx inventory.Tx) (*inventory.Account, error) {
		if err := exists(tx.Domains().Find("name", domain)); err != nil {
			return nil, named(err, "address", "the fleet does not serve the domain %s: create it first", domain)
		}
		home, err := s.home(tx, in.Body.Server)
		if err != nil {
			return nil, err
		}
		return &inventory.Account{
			Address: address, Domain: domain, Name: in.Body.Name, Server: home, State: inventory.AccountActive, Password: hash, SCRAM: keys.text,
		}, nil
	})
}

// home is the server that an account shall live on: the one named, or of those
// that are up the one with the fewest accounts.
func (s *Server) home(tx inventory.Tx, ref string) (inventory.ID, error) {
	if ref != "" {
		server, err := s.servers().find(tx, ref)
		if err != nil {
			return "", named(err, "server", "there is no server %q", ref)
		}
		if server.State == inventory.ServerRemoved {
			return "", inventory.FieldErrorf("server", "the server %s was removed from the fleet", server.Name)
		}
		return server.ID, nil
	}
	servers, _, err := tx.Servers().List(inventory.Query{Where: map[string][]string{"state": {string(inventory.ServerUp)}}})
	if err != nil {
		return "", err
	}
	var home inventory.ID
	fewest := -1
	for _, server := range servers {
		n, err := tx.Accounts().Count(inventory.Query{Where: map[string][]string{"server": {string(server.ID)}}})
		if err != nil {
			return "", err
		}
		if fewest < 0 || n < fewest {
			home, fewest = server.ID, n
		}
	}
	if home == "" {
		return "", inventory.Errorf(inventory.Conflict, "no server is up to take the account: name one")
	}
	return home, nil
}

type changeAccountInput struct {
	Named
	Conditional
	Body api.AccountChange
}

func (s *Server) changeAccount(ctx context.Context, in *changeAccountInput) (*one[*inventory.Account], error) {
	hash, action := "", "change"
	var keys mailKeys
	if in.Body.Password != nil {
		var err error
		if hash, err = s.Auth.Hash(ctx, *in.Body.Password); err != nil {
			return nil, err
		}
		if keys, err = s.mailKeys(ctx, in.ID, *in.Body.Password); err != nil {
			return nil, err
		}
		action = "password" // the audit log shows no passwords, but that one was set
	}
	return s.accounts().change(ctx, in.ID, in.Conditional, action, func(_ inventory.Tx, a *inventory.Account) error {
		if in.Body.Name != nil {
			a.Name = *in.Body.Name
		}
		if in.Body.State != nil {
			a.State = *in.Body.State
		}
		if hash != "" {
			if !keys.fit(a) {
				return errSalted
			}
			a.Password, a.SCRAM = hash, keys.text
		}
		return nil
	})
}

func (s *Server) deleteAccount(ctx context.Context, in *conditionalInput) (*none, error) {
	return s.accounts().delete(ctx, in.ID, in.Conditional, func(tx inventory.Tx, a *inventory.Account) error {
		domains, _, err := tx.Domains().List(inventory.Query{})
		if err != nil {
			return err
		}
		for _, d := range domains {
			if d.Postmaster == a.Address {
				return inventory.Errorf(inventory.Conflict, "%s is the postmaster of %s: name another one first", a.Address, d.Name)
			}
		}
		return nil
	})
}
