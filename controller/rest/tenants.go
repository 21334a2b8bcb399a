package rest

import (
	"context"
	"net/http"
	"strings"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) tenantRoutes() {
	add(s, operation{"list-tenants", http.MethodGet, "/tenants", "List who domains belong to", inventory.Tenants, auth.Read, 0, ""}, s.listTenants)
	add(s, operation{"create-tenant", http.MethodPost, "/tenants", "Add a tenant", inventory.Tenants, auth.Write, http.StatusCreated,
		"Made by a reseller it is below theirs."}, s.createTenant)
	add(s, operation{"get-tenant", http.MethodGet, "/tenants/{id}", "Get a tenant, by id or name", inventory.Tenants, auth.Read, 0, ""}, s.tenants().get)
	add(s, operation{"replace-tenant", http.MethodPut, "/tenants/{id}", "Replace a tenant", inventory.Tenants, auth.Write, 0,
		"Nobody changes the tenant they act for."}, s.replaceTenant)
	add(s, operation{"delete-tenant", http.MethodDelete, "/tenants/{id}", "Delete a tenant", inventory.Tenants, auth.Write, 0,
		"Refused while anything is its own: domains, plans, tenants below, people, tokens."}, s.deleteTenant)
}

type tenantsInput struct {
	Paging
	Parent []string `query:"parent" doc:"Id of the reseller they are below"`
}

func (s *Server) listTenants(ctx context.Context, in *tenantsInput) (*page[*inventory.Tenant], error) {
	return s.tenants().list(ctx, in.Paging, false, map[string][]string{"parent": in.Parent})
}

type createTenantInput struct {
	Body api.NewTenant
}

func (s *Server) createTenant(ctx context.Context, in *createTenantInput) (*created[*inventory.Tenant], error) {
	return s.tenants().create(ctx, func(tx inventory.Tx) (*inventory.Tenant, error) {
		t := &inventory.Tenant{}
		return t, s.setTenant(ctx, tx, t, in.Body)
	})
}

type replaceTenantInput struct {
	Named
	Conditional
	Body api.NewTenant
}

func (s *Server) replaceTenant(ctx context.Context, in *replaceTenantInput) (*one[*inventory.Tenant], error) {
	return s.tenants().change(ctx, in.ID, in.Conditional, "change", func(tx inventory.Tx, t *inventory.Tenant) error {
		return s.setTenant(ctx, tx, t, in.Body)
	})
}

func (s *Server) setTenant(ctx context.Context, tx inventory.Tx, t *inventory.Tenant, req api.NewTenant) (err error) {
	t.Name, t.Kind, t.Contact = strings.TrimSpace(req.Name), req.Kind, req.Contact
	t.Domains, t.Accounts = req.MaxDomains, req.MaxAccounts
	if t.Name == "" {
		return inventory.FieldErrorf("name", "a tenant needs a name")
	}
	if t.Kind == "" {
		t.Kind = inventory.TenantEnterprise
	}
	if t.Parent, err = s.parent(ctx, tx, t.ID, req.Parent); err != nil {
		return err
	}
	if t.Kind == inventory.TenantEnterprise && t.ID != "" {
		n, err := tx.Tenants().Count(inventory.Query{Where: map[string][]string{"parent": {string(t.ID)}}})
		if err != nil {
			return err
		}
		if n > 0 {
			return inventory.FieldErrorf("kind", "%s has %d tenants below it: it stays a reseller", t.Name, n)
		}
	}
	t.Plan, err = s.usablePlan(ctx, tx, req.Plan, t.Plan, t.Parent, func(r *inventory.TermsReader) (inventory.Terms, error) { return r.Tenant(t.Parent) })
	return err
}

// parent finds the reseller a tenant shall be below. A reseller's tenants are
// below their own when none is named.
func (s *Server) parent(ctx context.Context, tx inventory.Tx, id inventory.ID, ref string) (inventory.ID, error) {
	if ref == "" {
		return s.ownTenant(ctx, tx, "parent")
	}
	parent, _, err := s.tenants().visible(ctx, tx, ref)
	if err != nil {
		return "", named(err, "parent", "there is no tenant %q", ref)
	}
	if parent.Kind != inventory.TenantReseller {
		return "", inventory.FieldErrorf("parent", "%s is no reseller: it has no tenants below it", parent.Name)
	}
	above, err := ancestors(tx, parent.ID)
	if err != nil {
		return "", err
	}
	for _, t := range above {
		if t.ID == id {
			return "", inventory.FieldErrorf("parent", "%s would be below itself", t.Name)
		}
	}
	if len(above) >= maxTenants {
		return "", inventory.FieldErrorf("parent", "tenants lie %d deep at most", maxTenants)
	}
	return parent.ID, nil
}

// ownTenant is the one tenant the caller acts for; empty for the fleet's.
func (s *Server) ownTenant(ctx context.Context, tx inventory.Tx, field string) (inventory.ID, error) {
	reach, err := reachOf(ctx, tx)
	if err != nil || reach.Fleet() {
		return "", err
	}
	roots := reach.Roots()
	if len(roots) != 1 {
		return "", inventory.FieldErrorf(field, "say which tenant: you act for %d", len(roots))
	}
	return roots[0], nil
}

// maxTenants bounds how deep tenants lie below each other.
const maxTenants = 8

// ancestors are the tenant and those above it, nearest first.
func ancestors(tx inventory.Tx, id inventory.ID) ([]*inventory.Tenant, error) {
	var above []*inventory.Tenant
	for id != "" && len(above) <= maxTenants {
		t, err := tx.Tenants().Get(id)
		if err != nil {
			return nil, err
		}
		above = append(above, t)
		id = t.Parent
	}
	return above, nil
}

// room checks that a tenant and those above have room for more domains and accounts.
func room(tx inventory.Tx, id inventory.ID, domains, accounts int) error {
	above, err := ancestors(tx, id)
	if err != nil {
		return err
	}
	for _, t := range above {
		if t.Domains == 0 && t.Accounts == 0 {
			continue
		}
		reach, err := auth.ReachOf(tx, auth.Principal{Role: inventory.RoleReseller, Scope: []inventory.Scope{inventory.ScopeTenant(t.ID)}})
		if err != nil {
			return err
		}
		names := reach.Domains()
		if t.Domains > 0 && len(names)+domains > t.Domains {
			return inventory.Errorf(inventory.Conflict, "the tenant %s has %d domains and can have %d", t.Name, len(names), t.Domains)
		}
		if t.Accounts == 0 || accounts == 0 {
			continue
		}
		have := 0
		if len(names) > 0 {
			if have, err = tx.Accounts().Count(inventory.Query{Where: map[string][]string{"domain": names}}); err != nil {
				return err
			}
		}
		if have+accounts > t.Accounts {
			return inventory.Errorf(inventory.Conflict, "the tenant %s has %d accounts and can have %d", t.Name, have, t.Accounts)
		}
	}
	return nil
}

func (s *Server) deleteTenant(ctx context.Context, in *conditionalInput) (*none, error) {
	return s.tenants().delete(ctx, in.ID, in.Conditional, func(tx inventory.Tx, t *inventory.Tenant) error {
		id := string(t.ID)
		domains, _, err := tx.Domains().List(inventory.Query{Limit: 1, Where: map[string][]string{"tenant": {id}}})
		if err == nil && len(domains) > 0 {
			return inUse(inventory.Tenants.Noun(), t.Name, inventory.Say("the %s %s", inventory.Domains.Noun(), domains[0].Name))
		}
		if err != nil {
			return err
		}
		below, _, err := tx.Tenants().List(inventory.Query{Limit: 1, Where: map[string][]string{"parent": {id}}})
		if err == nil && len(below) > 0 {
			return inUse(inventory.Tenants.Noun(), t.Name, inventory.Say("the %s %s", inventory.Tenants.Noun(), below[0].Name))
		}
		if err != nil {
			return err
		}
		plans, _, err := tx.Plans().List(inventory.Query{Limit: 1, Where: map[string][]string{"tenant": {id}}})
		if err == nil && len(plans) > 0 {
			return inUse(inventory.Tenants.Noun(), t.Name, inventory.Say("the %s %s", inventory.Plans.Noun(), plans[0].Name))
		}
		if err != nil {
			return err
		}
		return unheld(tx, inventory.Tenants.Noun(), t.Name, inventory.ScopeTenant(t.ID))
	})
}

func inUse(noun inventory.Noun, name string, by inventory.Sentence) error {
	return inventory.Errorf(inventory.Conflict, "the %s %s is in use by %s", noun, name, by)
}

// unheld is a Conflict while somebody's role holds on the scope.
func unheld(tx inventory.Tx, noun inventory.Noun, name string, scope inventory.Scope) error {
	holder, err := auth.Holder(tx, scope)
	if err == nil && !holder.None() {
		return inUse(noun, name, holder)
	}
	return err
}
