package rest

import (
	"context"
	"fmt"
	"net/http"

	"mailfleet/alerts"
	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) ruleRoutes() {
	add(s, operation{"list-rules", http.MethodGet, "/rules", "List threshold rules", inventory.Rules, auth.Read, 0, ""}, s.listRules)
	add(s, operation{"create-rule", http.MethodPost, "/rules", "Watch a threshold", inventory.Rules, auth.Write, http.StatusCreated, ""}, s.createRule)
	add(s, operation{"get-rule", http.MethodGet, "/rules/{id}", "Get a rule", inventory.Rules, auth.Read, 0, ""}, s.rules().get)
	add(s, operation{"replace-rule", http.MethodPut, "/rules/{id}", "Replace a rule", inventory.Rules, auth.Write, 0,
		"Its alerts are judged afresh."}, s.replaceRule)
	add(s, operation{"delete-rule", http.MethodDelete, "/rules/{id}", "Delete a rule", inventory.Rules, auth.Write, 0,
		"Its alerts resolve."}, s.deleteRule)
}

type rulesInput struct {
	Paging
	Metric []string `query:"metric"`
}

func (s *Server) listRules(ctx context.Context, in *rulesInput) (*page[*inventory.Rule], error) {
	return s.rules().list(ctx, in.Paging, false, map[string][]string{"metric": in.Metric})
}

type createRuleInput struct {
	Body api.NewRule
}

func (s *Server) createRule(ctx context.Context, in *createRuleInput) (*created[*inventory.Rule], error) {
	return s.rules().create(ctx, func(tx inventory.Tx) (*inventory.Rule, error) {
		r := &inventory.Rule{}
		return r, setRule(tx, r, in.Body)
	})
}

type replaceRuleInput struct {
	Named
	Conditional
	Body api.NewRule
}

func (s *Server) replaceRule(ctx context.Context, in *replaceRuleInput) (*one[*inventory.Rule], error) {
	return s.rules().change(ctx, in.ID, in.Conditional, "change", func(tx inventory.Tx, r *inventory.Rule) error {
		return setRule(tx, r, in.Body)
	})
}

func (s *Server) deleteRule(ctx context.Context, in *conditionalInput) (*none, error) {
	return s.rules().delete(ctx, in.ID, in.Conditional, free)
}

// setRule gives a rule what was asked for, in its normal form.
func setRule(tx inventory.Tx, r *inventory.Rule, req api.NewRule) error {
	*r = inventory.Rule{
		Meta: r.Meta, Name: req.Name, Metric: req.Metric, Comparison: inventory.Comparison(req.Comparison),
		Value: req.Value, Clear: req.Value, For: req.For, Severity: req.Severity,
		Servers: append([]string{}, req.Servers...), Recipients: append([]inventory.ID{}, req.Recipients...), Enabled: true,
	}
	if req.Clear != nil {
		r.Clear = *req.Clear
	}
	if req.Enabled != nil {
		r.Enabled = *req.Enabled
	}
	if err := alerts.Check(r); err != nil {
		return err
	}
	for _, name := range r.Servers {
		if err := exists(tx.Servers().Find("name", name)); err != nil {
			return named(err, "servers", "there is no server %q", name)
		}
	}
	for i, id := range r.Recipients {
		if err := exists(tx.Contacts().Get(id)); err != nil {
			return named(err, fmt.Sprintf("recipients[%d]", i), "there is no contact %q", id)
		}
	}
	return nil
}

func exists[R inventory.Record](_ R, err error) error { return err }

// named makes NotFound a complaint about the field that names the missing thing.
func named(err error, field, format string, args ...any) error {
	if inventory.Is(err, inventory.NotFound) {
		return inventory.FieldErrorf(field, format, args...)
	}
	return err
}
