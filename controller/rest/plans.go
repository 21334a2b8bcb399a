package rest

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) planRoutes() {
	add(s, operation{"list-plans", http.MethodGet, "/plans", "List service plans", inventory.Plans, auth.Read, 0,
		"One's own, and those one may use."}, s.listPlans)
	add(s, operation{"create-plan", http.MethodPost, "/plans", "Make a service plan", inventory.Plans, auth.Write, http.StatusCreated,
		"A reseller's goes no further than their own."}, s.createPlan)
	add(s, operation{"get-plan", http.MethodGet, "/plans/{id}", "Get a service plan, by id or name", inventory.Plans, auth.Read, 0, ""}, s.plans().get)
	add(s, operation{"replace-plan", http.MethodPut, "/plans/{id}", "Replace a service plan", inventory.Plans, auth.Write, 0,
		"All that are on it have the new limits at once."}, s.replacePlan)
	add(s, operation{"delete-plan", http.MethodDelete, "/plans/{id}", "Delete a service plan", inventory.Plans, auth.Write, 0,
		"Refused while anything is on it."}, s.deletePlan)
}

type plansInput struct {
	Paging
	Tenant []string `query:"tenant" doc:"Id of whose they are"`
}

func (s *Server) listPlans(ctx context.Context, in *plansInput) (*page[*inventory.Plan], error) {
	return s.plans().list(ctx, in.Paging, false, map[string][]string{"tenant": in.Tenant})
}

type createPlanInput struct {
	Body api.NewPlan
}

func (s *Server) createPlan(ctx context.Context, in *createPlanInput) (*created[*inventory.Plan], error) {
	return s.plans().create(ctx, func(tx inventory.Tx) (*inventory.Plan, error) {
		p := &inventory.Plan{}
		return p, s.setPlan(ctx, tx, p, in.Body)
	})
}

type replacePlanInput struct {
	Named
	Conditional
	Body api.NewPlan
}

func (s *Server) replacePlan(ctx context.Context, in *replacePlanInput) (*one[*inventory.Plan], error) {
	return s.plans().change(ctx, in.ID, in.Conditional, "change", func(tx inventory.Tx, p *inventory.Plan) error {
		was := p.Tenant
		if err := s.setPlan(ctx, tx, p, in.Body); err != nil || was == p.Tenant {
			return err
		}
		return planFree(tx, p) // others would be on a plan that is not for them
	})
}

func (s *Server) setPlan(ctx context.Context, tx inventory.Tx, p *inventory.Plan, req api.NewPlan) (err error) {
	p.Name, p.Limits, p.Features = strings.TrimSpace(req.Name), req.Limits, req.Features
	if p.Name == "" {
		return inventory.FieldErrorf("name", "a plan needs a name")
	}
	if p.Features == nil {
		p.Features = map[inventory.Feature]bool{}
	}
	if err := checkTerms(p.Limits, p.Features); err != nil {
		return err
	}
	if p.Tenant, err = s.tenantRef(ctx, tx, req.Tenant); err != nil {
		return err
	}
	return s.granted(ctx, tx, p.Limits, p.Features, func(r *inventory.TermsReader) (inventory.Terms, error) { return r.Tenant(p.Tenant) })
}

func checkTerms(l inventory.Limits, features map[inventory.Feature]bool) error {
	if err := l.Check(); err != nil {
		return err
	}
	return inventory.CheckFeatures(features)
}

// granted refuses to let those who are not the fleet's give more than they
// have. Terms are what the next wider one has.
func (s *Server) granted(ctx context.Context, tx inventory.Tx, l inventory.Limits, features map[inventory.Feature]bool, terms func(*inventory.TermsReader) (inventory.Terms, error)) error {
	if callOf(ctx).principal.Fleet() {
		return nil
	}
	most, err := terms(inventory.NewTermsReader(tx))
	if err != nil {
		return err
	}
	return most.Grants(l, features)
}

// tenantRef finds a tenant by id or name; a reseller's own when none is named.
func (s *Server) tenantRef(ctx context.Context, tx inventory.Tx, ref string) (inventory.ID, error) {
	if ref == "" {
		return s.ownTenant(ctx, tx, "tenant")
	}
	t, _, err := s.tenants().visible(ctx, tx, ref)
	if err != nil {
		return "", named(err, "tenant", "there is no tenant %q", ref)
	}
	return t.ID, nil
}

// usablePlan finds a plan that the tenant's may be put on: the operator's, the
// tenant's own, or of one above, that goes no further than what there is. The
// plan that is there already stays.
func (s *Server) usablePlan(ctx context.Context, tx inventory.Tx, ref string, now, tenant inventory.ID, terms func(*inventory.TermsReader) (inventory.Terms, error)) (inventory.ID, error) {
	if ref == "" {
		return "", nil
	}
	plan, _, err := s.plans().visible(ctx, tx, ref)
	if err != nil {
		return "", named(err, "plan", "there is no plan %q", ref)
	}
	if err := lent(tx, plan, tenant); err != nil || plan.ID == now {
		return plan.ID, err
	}
	err = s.granted(ctx, tx, plan.Limits, plan.Features, terms)
	if e, ok := errors.AsType[*inventory.Error](err); ok && e.Code == inventory.Invalid {
		return "", inventory.FieldErrorf("plan", "the plan %s goes beyond yours: %s", plan.Name, e.Said)
	}
	return plan.ID, err
}

// lent refuses a plan of somebody the tenant is not below.
func lent(tx inventory.Tx, plan *inventory.Plan, tenant inventory.ID) error {
	if plan.Tenant == "" {
		return nil
	}
	above, err := ancestors(tx, tenant)
	if err != nil {
		return err
	}
	for _, t := range above {
		if t.ID == plan.Tenant {
			return nil
		}
	}
	return inventory.FieldErrorf("plan", "the plan %s is another tenant's", plan.Name)
}

func (s *Server) deletePlan(ctx context.Context, in *conditionalInput) (*none, error) {
	return s.plans().delete(ctx, in.ID, in.Conditional, planFree)
}

// planFree is a Conflict while anything is on the plan.
func planFree(tx inventory.Tx, p *inventory.Plan) error {
	on := inventory.Query{Limit: 1, Where: map[string][]string{"plan": {string(p.ID)}}}
	tenants, _, err := tx.Tenants().List(on)
	if err == nil && len(tenants) > 0 {
		return inUse(inventory.Plans.Noun(), p.Name, inventory.Say("the %s %s", inventory.Tenants.Noun(), tenants[0].Name))
	}
	if err != nil {
		return err
	}
	domains, _, err := tx.Domains().List(on)
	if err == nil && len(domains) > 0 {
		return inUse(inventory.Plans.Noun(), p.Name, inventory.Say("the %s %s", inventory.Domains.Noun(), domains[0].Name))
	}
	if err != nil {
		return err
	}
	accounts, _, err := tx.Accounts().List(on)
	if err == nil && len(accounts) > 0 {
		return inUse(inventory.Plans.Noun(), p.Name, inventory.Say("the %s %s", inventory.Accounts.Noun(), accounts[0].Address))
	}
	return err
}
