package rest

import (
	"context"
	"crypto/rand"
	"maps"
	"net/http"
	"slices"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/controller/seal"
	"mailfleet/inventory"
)

func (s *Server) domainMailRoutes() {
	add(s, operation{"set-domain-mail", http.MethodPut, "/domains/{id}/mail", "Replace how a domain's mail is handled", inventory.Domains, auth.Change, 0,
		"What is absent is as the server has it. The domain's hooks stay."}, s.setDomainMail)
	add(s, operation{"list-domain-records", http.MethodGet, "/domains/{id}/records", "The DNS records a domain's mail needs", inventory.Domains, auth.Read, 0,
		"With check, what the DNS has of them."}, s.listDomainRecords)
	add(s, operation{"create-hook", http.MethodPost, "/domains/{id}/hooks", "Have somebody told of events of a domain's mail", inventory.Domains, auth.Change, http.StatusCreated,
		"The secret that events are signed with is in this answer only."}, s.createHook)
	add(s, operation{"delete-hook", http.MethodDelete, "/domains/{id}/hooks/{hook}", "Tell somebody no more", inventory.Domains, auth.Change, 0, ""}, s.deleteHook)
}

type domainMailInput struct {
	Named
	Conditional
	Body api.NewDomainMail
}

func (s *Server) setDomainMail(ctx context.Context, in *domainMailInput) (*one[*inventory.Domain], error) {
	return s.domains().change(ctx, in.ID, in.Conditional, "mail", func(tx inventory.Tx, d *inventory.Domain) error {
		was, to := d.Mail, in.Body.DomainMail
		to.Hooks = was.Hooks
		if err := to.Check(); err != nil {
			return err
		}
		for _, one := range []struct {
			field        string
			address, had *string
		}{{"catch_all", &to.CatchAll, &was.CatchAll}, {"abuse", &to.Abuse, &was.Abuse}, {"report", &to.Report, &was.Report}} {
			if *one.address != "" && *one.address != *one.had {
				if err := s.leads(ctx, tx, one.field, one.address); err != nil {
					return err
				}
			}
		}
		s.setRoute(d, &to.Route, in.Body.RoutePassword)
		d.Mail = to
		return nil
	})
}

// setRoute keeps the password for a smart host. One that was given for another host
// or another user goes to nobody else.
func (s *Server) setRoute(d *inventory.Domain, to *inventory.Route, password *string) {
	was := d.Mail.Route
	switch {
	case password != nil:
		d.RoutePassword = s.Seal.Seal(seal.RoutePassword(d.ID), []byte(*password))
	case to.Host != was.Host || to.Port != was.Port || to.User != was.User || to.TLS != was.TLS:
		d.RoutePassword = nil
	}
	to.HasPassword = len(d.RoutePassword) > 0
}

// leads checks an address that mail is to go to, and writes it in lower case: when the
// fleet serves its domain, somebody there must have it.
func (s *Server) leads(ctx context.Context, tx inventory.Tx, field string, address *string) error {
	to, domain, err := inventory.ParseAddress(field, *address)
	if err != nil {
		return err
	}
	*address = to
	if _, err := tx.Domains().Find("name", domain); inventory.Is(err, inventory.NotFound) {
		return nil
	} else if err != nil {
		return err
	}
	if err := vacant(tx, field, to, ""); !inventory.Is(err, inventory.Conflict) {
		if err == nil {
			err = inventory.FieldErrorf(field, "nobody has the address %s", to)
		}
		return err
	}
	if _, _, err := s.domains().visible(ctx, tx, domain); err != nil {
		return named(err, field, "nobody has the address %s", to)
	}
	return nil
}

// maxHooks bounds who is told of a domain's mail.
const maxHooks = 10

type createHookInput struct {
	Named
	Body api.NewHook
}

// issuedHook is a hook in the only answer that shows its secret.
type issuedHook struct {
	Location string `header:"Location"`
	Body     api.IssuedHook
}

func (s *Server) createHook(ctx context.Context, in *createHookInput) (*issuedHook, error) {
	hook := inventory.Hook{ID: inventory.NewID(), URL: in.Body.URL, Events: in.Body.Events}
	secret := in.Body.Secret
	if secret == "" {
		secret = rand.Text()
	}
	domain, err := s.domains().change(ctx, in.ID, Conditional{}, "hook", func(_ inventory.Tx, d *inventory.Domain) error {
		if len(d.Mail.Hooks) >= maxHooks {
			return inventory.Errorf(inventory.Conflict, "a domain has %d hooks at most", maxHooks)
		}
		d.Mail.Hooks = append(slices.Clone(d.Mail.Hooks), hook)
		if err := d.Mail.Check(); err != nil {
			return inventory.FieldErrorf("url", "%s", err)
		}
		secrets := maps.Clone(d.HookSecrets)
		if secrets == nil {
			secrets = make(map[inventory.ID][]byte)
		}
		secrets[hook.ID] = s.Seal.Seal(seal.HookSecret(hook.ID), []byte(secret))
		d.HookSecrets = secrets
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &issuedHook{
		Location: "/api/v1/domains/" + string(domain.Body.ID) + "/hooks/" + string(hook.ID),
		Body:     api.IssuedHook{Hook: hook, Secret: secret},
	}, nil
}

type hookInput struct {
	Named
	Conditional
	Hook inventory.ID `path:"hook" doc:"Id of the hook"`
}

func (s *Server) deleteHook(ctx context.Context, in *hookInput) (*none, error) {
	_, err := s.domains().change(ctx, in.ID, in.Conditional, "hook", func(_ inventory.Tx, d *inventory.Domain) error {
		kept := slices.DeleteFunc(slices.Clone(d.Mail.Hooks), func(h inventory.Hook) bool { return h.ID == in.Hook })
		if len(kept) == len(d.Mail.Hooks) {
			return inventory.Errorf(inventory.NotFound, "there is no hook %q", in.Hook)
		}
		secrets := maps.Clone(d.HookSecrets)
		delete(secrets, in.Hook)
		d.Mail.Hooks, d.HookSecrets = kept, secrets
		return nil
	})
	return nil, err
}
