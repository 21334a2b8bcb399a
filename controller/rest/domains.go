package rest

import (
	"context"
	"net/http"
	"strings"
	"time"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/controller/dkim"
	"mailfleet/inventory"
)

func (s *Server) domainRoutes() {
	add(s, operation{"list-domains", http.MethodGet, "/domains", "List mail domains", inventory.Domains, auth.Read, 0, ""}, s.listDomains)
	add(s, operation{"create-domain", http.MethodPost, "/domains", "Serve a mail domain", inventory.Domains, auth.Write, http.StatusCreated,
		"Made by a reseller it is of their tenant."}, s.createDomain)
	add(s, operation{"get-domain", http.MethodGet, "/domains/{id}", "Get a mail domain", inventory.Domains, auth.Read, 0, ""}, s.domains().get)
	add(s, operation{"replace-domain", http.MethodPut, "/domains/{id}", "Replace a mail domain's settings", inventory.Domains, auth.Change, 0,
		"The name stays. Another tenant takes the domain over with all its accounts; that, plan and limits want the right to write."}, s.replaceDomain)
	add(s, operation{"delete-domain", http.MethodDelete, "/domains/{id}", "Serve a mail domain no more", inventory.Domains, auth.Write, 0,
		"Refused while it has accounts or groups."}, s.deleteDomain)
}

type domainsInput struct {
	Paging
	Tenant []string `query:"tenant" doc:"Id of who they belong to"`
}

func (s *Server) listDomains(ctx context.Context, in *domainsInput) (*page[*inventory.Domain], error) {
	return s.domains().list(ctx, in.Paging, false, map[string][]string{"tenant": in.Tenant})
}

type createDomainInput struct {
	Body api.NewDomain
}

func (s *Server) createDomain(ctx context.Context, in *createDomainInput) (*created[*inventory.Domain], error) {
	name := strings.ToLower(in.Body.Name)
	if err := inventory.CheckName("name", name); err != nil {
		return nil, err
	}
	keys, err := dkim.First(s.Seal, name, time.Now())
	if err != nil {
		return nil, err
	}
	return s.domains().create(ctx, func(tx inventory.Tx) (*inventory.Domain, error) {
		d := &inventory.Domain{Name: name}
		if in.Body.Tenant == nil {
			in.Body.Tenant = new(string)
		}
		if err := s.setDomain(ctx, tx, d, in.Body); err != nil {
			return nil, err
		}
		if err := keep(tx, keys); err != nil {
			return nil, err
		}
		return d, s.setPostmaster(ctx, tx, d, in.Body.Postmaster)
	})
}

// keep keeps the keys of a new domain.
func keep(tx inventory.Tx, keys []*inventory.DKIMKey) error {
	for _, k := range keys {
		fresh := *k // the transaction may run again
		if err := tx.DKIMKeys().Create(&fresh); err != nil {
			return err
		}
	}
	return nil
}

type replaceDomainInput struct {
	Named
	Conditional
	Body api.NewDomain
}

func (s *Server) replaceDomain(ctx context.Context, in *replaceDomainInput) (*one[*inventory.Domain], error) {
	return s.domains().change(ctx, in.ID, in.Conditional, "change", func(tx inventory.Tx, d *inventory.Domain) error {
		if strings.ToLower(in.Body.Name) != d.Name {
			return inventory.FieldErrorf("name", "a domain's name never changes; this one is %s", d.Name)
		}
		was := *d
		if err := s.setDomain(ctx, tx, d, in.Body); err != nil {
			return err
		}
		if d.Tenant != was.Tenant || d.Plan != was.Plan || d.Limits != was.Limits || d.Accounts != was.Accounts {
			if err := mayAlso(ctx, inventory.Domains, auth.Write); err != nil {
				return err
			}
		}
		return s.setPostmaster(ctx, tx, d, in.Body.Postmaster)
	})
}

// setDomain changes who the domain belongs to and what its accounts may use.
func (s *Server) setDomain(ctx context.Context, tx inventory.Tx, d *inventory.Domain, req api.NewDomain) (err error) {
	was := d.Tenant
	if req.Tenant != nil {
		if d.Tenant, err = s.tenantRef(ctx, tx, *req.Tenant); err != nil {
			return err
		}
	}
	if d.ID == "" || d.Tenant != was {
		if err := s.takeOver(tx, d); err != nil {
			return err
		}
	}
	terms := func(r *inventory.TermsReader) (inventory.Terms, error) { return r.Tenant(d.Tenant) }
	switch {
	case req.Plan != nil:
		if d.Plan, err = s.usablePlan(ctx, tx, *req.Plan, d.Plan, d.Tenant, terms); err != nil {
			return err
		}
	case d.Plan != "" && d.Tenant != was:
		plan, err := tx.Plans().Get(d.Plan)
		if err != nil {
			return err
		}
		if err := lent(tx, plan, d.Tenant); err != nil {
			return err
		}
	}
	if req.Limits != nil && *req.Limits != d.Limits {
		if err := req.Limits.Check(); err != nil {
			return err
		}
		if err := s.granted(ctx, tx, *req.Limits, nil, terms); err != nil {
			return err
		}
		d.Limits = *req.Limits
	}
	if req.MaxAccounts != nil {
		d.Accounts = *req.MaxAccounts
	}
	return nil
}

// takeOver checks that a tenant can have the domain: there is room, and none
// of its accounts is on a plan of somebody else.
func (s *Server) takeOver(tx inventory.Tx, d *inventory.Domain) error {
	accounts := 0
	if d.ID != "" {
		var err error
		if accounts, err = tx.Accounts().Count(inventory.Query{Where: map[string][]string{"domain": {d.Name}}}); err != nil {
			return err
		}
		if err := s.accountPlans(tx, d); err != nil {
			return err
		}
	}
	return room(tx, d.Tenant, 1, accounts)
}

func (s *Server) accountPlans(tx inventory.Tx, d *inventory.Domain) error {
	plans, _, err := tx.Plans().List(inventory.Query{})
	if err != nil {
		return err
	}
	for _, plan := range plans {
		refusal := lent(tx, plan, d.Tenant)
		if refusal == nil {
			continue
		}
		if !inventory.Is(refusal, inventory.Invalid) {
			return refusal
		}
		n, err := tx.Accounts().Count(inventory.Query{Where: map[string][]string{"domain": {d.Name}, "plan": {string(plan.ID)}}})
		if err != nil {
			return err
		}
		if n > 0 {
			return inventory.Errorf(inventory.Conflict, "%d accounts of %s are on the plan %s, which is not the new tenant's: put them on another first", n, d.Name, plan.Name)
		}
	}
	return nil
}

// setPostmaster names the account that answers for postmaster@ the domain. It
// may be of another domain, but must exist.
func (s *Server) setPostmaster(ctx context.Context, tx inventory.Tx, d *inventory.Domain, address string) error {
	if address == "" {
		d.Postmaster = ""
		return nil
	}
	address, _, err := inventory.ParseAddress("postmaster", address)
	if err != nil || address == d.Postmaster {
		return err
	}
	d.Postmaster = address
	_, _, err = s.accounts().visible(ctx, tx, address)
	return named(err, "postmaster", "there is no account %s", address)
}

func (s *Server) deleteDomain(ctx context.Context, in *conditionalInput) (*none, error) {
	return s.domains().delete(ctx, in.ID, in.Conditional, func(tx inventory.Tx, d *inventory.Domain) error {
		n, err := tx.Accounts().Count(inventory.Query{Where: map[string][]string{"domain": {d.Name}}})
		if err != nil {
			return err
		}
		if n > 0 {
			return inventory.Errorf(inventory.Conflict, "the domain %s has %d accounts: delete them first", d.Name, n)
		}
		if n, err = tx.Groups().Count(inventory.Query{Where: map[string][]string{"domain": {d.Name}}}); err != nil {
			return err
		}
		if n > 0 {
			return inventory.Errorf(inventory.Conflict, "the domain %s has %d groups: delete them first", d.Name, n)
		}
		keys, err := dkim.Of(tx, d.Name)
		if err != nil {
			return err
		}
		for _, k := range keys {
			if err := tx.DKIMKeys().Delete(k.ID); err != nil {
				return err
			}
		}
		return unheld(tx, inventory.Domains.Noun(), d.Name, inventory.ScopeDomain(d.Name))
	})
}
