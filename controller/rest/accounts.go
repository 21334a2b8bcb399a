package rest

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) accountRoutes() {
	add(s, operation{"list-accounts", http.MethodGet, "/accounts", "List accounts", inventory.Accounts, auth.Read, 0, ""}, s.listAccounts)
	add(s, operation{"create-account", http.MethodPost, "/accounts", "Create an account", inventory.Accounts, auth.Write, http.StatusCreated, ""}, s.createAccount)
	add(s, operation{"get-account", http.MethodGet, "/accounts/{id}", "Get an account, by id or address", inventory.Accounts, auth.Read, 0,
		"With what it comes to under its plan, its domain and its tenant."}, s.getAccount)
	add(s, operation{"change-account", http.MethodPatch, "/accounts/{id}", "Change an account", inventory.Accounts, auth.Password, 0,
		"The right to set passwords is enough for that; a state wants suspend, all else write."}, s.changeAccount)
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
	address, domain, err := inventory.ParseMailbox("address", in.Body.Address)
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
		if _, _, err := s.domains().visible(ctx, tx, domain); err != nil {
			return nil, named(err, "address", "the fleet does not serve the domain %s: create it first", domain)
		}
		if in.Body.Server != "" && !callOf(ctx).principal.Fleet() {
			return nil, inventory.FieldErrorf("server", "which server an account is at home on is the operators' to say")
		}
		home, err := s.home(tx, in.Body.Server)
		if err != nil {
			return nil, err
		}
		a := &inventory.Account{
			Address: address, Domain: domain, Name: in.Body.Name, Server: home, State: inventory.AccountActive, Password: hash, SCRAM: keys.text,
		}
		if err := s.vacancy(tx, domain); err != nil {
			return nil, err
		}
		if err := vacant(tx, "address", address, ""); err != nil {
			return nil, err
		}
		if err := s.setMail(ctx, tx, a, in.Body.Aliases, &in.Body.Forward, &in.Body.Language); err != nil {
			return nil, err
		}
		return a, s.setTerms(ctx, tx, a, &in.Body.Plan, &in.Body.Limits, in.Body.Features)
	})
}

// vacancy checks that a domain has room for one account more.
func (s *Server) vacancy(tx inventory.Tx, domain string) error {
	d, err := tx.Domains().Find("name", domain)
	if err != nil {
		return err
	}
	if d.Accounts > 0 {
		n, err := tx.Accounts().Count(inventory.Query{Where: map[string][]string{"domain": {domain}}})
		if err != nil {
			return err
		}
		if n >= d.Accounts {
			return inventory.Errorf(inventory.Conflict, "the domain %s has %d accounts and can have %d", domain, n, d.Accounts)
		}
	}
	return room(tx, d.Tenant, 0, 1)
}

// setTerms puts an account on a plan, with limits and features of its own.
// What is nil stays.
func (s *Server) setTerms(ctx context.Context, tx inventory.Tx, a *inventory.Account, plan *string, l *inventory.Limits, features map[inventory.Feature]bool) error {
	terms := func(r *inventory.TermsReader) (inventory.Terms, error) { return r.Domain(a.Domain) }
	if plan != nil {
		d, err := tx.Domains().Find("name", a.Domain)
		if err != nil {
			return err
		}
		if a.Plan, err = s.usablePlan(ctx, tx, *plan, a.Plan, d.Tenant, terms); err != nil {
			return err
		}
	}
	if l != nil {
		if err := l.Check(); err != nil {
			return err
		}
		if err := s.granted(ctx, tx, *l, nil, terms); *l != a.Limits && err != nil {
			return err
		}
		a.Limits = *l
	}
	if features != nil {
		if err := inventory.CheckFeatures(features); err != nil {
			return err
		}
		if err := s.granted(ctx, tx, inventory.Limits{}, features, terms); !maps.Equal(features, a.Features) && err != nil {
			return err
		}
		a.Features = features
	}
	return nil
}

func (s *Server) getAccount(ctx context.Context, in *Named) (*one[api.AccountTerms], error) {
	out := &one[api.AccountTerms]{}
	err := s.Store.View(ctx, func(tx inventory.Tx) error {
		a, _, err := s.accounts().visible(ctx, tx, in.ID)
		if err != nil {
			return err
		}
		out.Body.Account, out.ETag = *a, etag(a.Version)
		out.Body.Effective, err = inventory.NewTermsReader(tx).Account(a)
		return err
	})
	return out, err
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
	if err := mayChangeAccount(ctx, in.Body); err != nil {
		return nil, err
	}
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
	return s.accounts().change(ctx, in.ID, in.Conditional, action, func(tx inventory.Tx, a *inventory.Account) error {
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
		if err := s.setMail(ctx, tx, a, in.Body.Aliases, in.Body.Forward, in.Body.Language); err != nil {
			return err
		}
		return s.setTerms(ctx, tx, a, in.Body.Plan, in.Body.Limits, in.Body.Features)
	})
}

// setMail gives an account its other addresses, and says where its mail goes and in
// which language it is written to. What is nil stays.
func (s *Server) setMail(ctx context.Context, tx inventory.Tx, a *inventory.Account, aliases []string, forward *inventory.Forward, language *string) error {
	if aliases != nil {
		if err := s.setAliases(ctx, tx, a, aliases); err != nil {
			return err
		}
	}
	if forward != nil {
		to := inventory.Forward{Keep: forward.Keep}
		for _, one := range forward.To {
			address, _, err := inventory.ParseAddress("forward.to", one)
			if err != nil {
				return err
			}
			if !slices.Contains(to.To, address) {
				to.To = append(to.To, address)
			}
		}
		if err := to.Check(a.Address); err != nil {
			return err
		}
		a.Forward = to
	}
	if language != nil {
		if err := inventory.CheckLanguage(*language); err != nil {
			return err
		}
		a.Language = *language
	}
	return nil
}

// setAliases gives an account other addresses that nobody has, in domains of the
// caller's.
func (s *Server) setAliases(ctx context.Context, tx inventory.Tx, a *inventory.Account, aliases []string) error {
	var to []string
	for i, one := range aliases {
		field := fmt.Sprintf("aliases[%d]", i)
		address, domain, err := inventory.ParseMailbox(field, one)
		if err != nil {
			return err
		}
		if address == a.Address || slices.Contains(to, address) {
			return inventory.FieldErrorf(field, "%s is there twice", address)
		}
		if !slices.Contains(a.Aliases, address) {
			if _, _, err := s.domains().visible(ctx, tx, domain); err != nil {
				return named(err, field, "the fleet does not serve the domain %s", domain)
			}
			if err := vacant(tx, field, address, a.ID); err != nil {
				return err
			}
		}
		to = append(to, address)
	}
	if len(to) > inventory.MaxAliases {
		return inventory.FieldErrorf("aliases", "an account has %d aliases at most", inventory.MaxAliases)
	}
	a.Aliases = to
	return nil
}

// mayChangeAccount asks for the rights that each field of a change wants.
func mayChangeAccount(ctx context.Context, c api.AccountChange) error {
	if c.State != nil {
		if err := mayAlso(ctx, inventory.Accounts, auth.Suspend); err != nil {
			return err
		}
	}
	if c.Name != nil || c.Plan != nil || c.Limits != nil || c.Features != nil || c.Aliases != nil || c.Forward != nil || c.Language != nil {
		return mayAlso(ctx, inventory.Accounts, auth.Write)
	}
	return nil
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
		return unheld(tx, "account", a.Address, inventory.ScopeAccount(a.Address))
	})
}
