package rest

import (
	"context"
	"net/http"
	"strings"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) domainRoutes() {
	add(s, operation{"list-domains", http.MethodGet, "/domains", "List mail domains", inventory.Domains, auth.Read, 0, ""}, s.listDomains)
	add(s, operation{"create-domain", http.MethodPost, "/domains", "Serve a mail domain", inventory.Domains, auth.Write, http.StatusCreated, ""}, s.createDomain)
	add(s, operation{"get-domain", http.MethodGet, "/domains/{id}", "Get a mail domain", inventory.Domains, auth.Read, 0, ""}, s.domains().get)
	add(s, operation{"replace-domain", http.MethodPut, "/domains/{id}", "Replace a mail domain's settings", inventory.Domains, auth.Write, 0,
		"The name stays."}, s.replaceDomain)
	add(s, operation{"delete-domain", http.MethodDelete, "/domains/{id}", "Serve a mail domain no more", inventory.Domains, auth.Write, 0,
		"Refused while it has accounts."}, s.deleteDomain)
}

func (s *Server) listDomains(ctx context.Context, in *Paging) (*page[*inventory.Domain], error) {
	return s.domains().list(ctx, *in, false, nil)
}

type createDomainInput struct {
	Body api.NewDomain
}

func (s *Server) createDomain(ctx context.Context, in *createDomainInput) (*created[*inventory.Domain], error) {
	return s.domains().create(ctx, func(tx inventory.Tx) (*inventory.Domain, error) {
		d := &inventory.Domain{Name: strings.ToLower(in.Body.Name)}
		if err := inventory.CheckName("name", d.Name); err != nil {
			return nil, err
		}
		return d, setPostmaster(tx, d, in.Body.Postmaster)
	})
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
		return setPostmaster(tx, d, in.Body.Postmaster)
	})
}

// setPostmaster names the account that answers for postmaster@ the domain. It
// may be of another domain, but must exist.
func setPostmaster(tx inventory.Tx, d *inventory.Domain, address string) error {
	d.Postmaster = ""
	if address == "" {
		return nil
	}
	address, _, err := inventory.ParseAddress("postmaster", address)
	if err != nil {
		return err
	}
	d.Postmaster = address
	return named(exists(tx.Accounts().Find("address", address)), "postmaster", "there is no account %s", address)
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
		return nil
	})
}
