package rest

import (
	"context"
	"net/http"
	"net/mail"
	"strings"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) peopleRoutes() {
	add(s, operation{"list-people", http.MethodGet, "/people", "List who may sign in", inventory.People, auth.Read, 0, ""}, s.listPeople)
	add(s, operation{"create-person", http.MethodPost, "/people", "Let somebody sign in", inventory.People, auth.Write, http.StatusCreated,
		"The password, made or given, must be changed at the first sign-in. Nobody can give more than they have."}, s.createPerson)
	add(s, operation{"get-person", http.MethodGet, "/people/{id}", "Get a person", inventory.People, auth.Read, 0, ""}, s.people().get)
	add(s, operation{"change-person", http.MethodPatch, "/people/{id}", "Change a person", inventory.People, auth.Write, 0,
		"A new role, scope or password, and disabling, end the person's sessions. The last operator stays."}, s.changePerson)
	add(s, operation{"delete-person", http.MethodDelete, "/people/{id}", "Delete a person", inventory.People, auth.Write, 0,
		"Ends their sessions. The last operator stays."}, s.deletePerson)
	add(s, operation{"get-policy", http.MethodGet, "/policy", "What the fleet asks of people", auth.Policy, auth.Read, 0, ""}, s.getPolicy)
	add(s, operation{"replace-policy", http.MethodPut, "/policy", "Replace what the fleet asks of people", auth.Policy, auth.Write, 0, ""}, s.replacePolicy)
}

func (s *Server) listPeople(ctx context.Context, in *Paging) (*page[*inventory.Person], error) {
	return s.people().list(ctx, *in, false, nil)
}

type createPersonInput struct {
	Body api.NewPerson
}

func (s *Server) createPerson(ctx context.Context, in *createPersonInput) (*created[api.NewPersonMade], error) {
	name := strings.TrimSpace(in.Body.Name)
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, inventory.FieldErrorf("name", "a person needs a name in visible characters")
	}
	email, err := emailOf(in.Body.Email)
	if err != nil {
		return nil, err
	}
	password, hash, err := s.Auth.FirstPassword(ctx, name, email, in.Body.Password)
	if err != nil {
		return nil, err
	}
	made, err := s.people().create(ctx, func(tx inventory.Tx) (*inventory.Person, error) {
		scope, err := auth.Grant(tx, callOf(ctx).principal, in.Body.Role, in.Body.Scope)
		return &inventory.Person{Name: name, Role: in.Body.Role, Scope: scope, Email: email, Password: hash, Renew: true}, err
	})
	if err != nil {
		return nil, err
	}
	out := &created[api.NewPersonMade]{made.Location, made.ETag, api.NewPersonMade{Person: *made.Body}}
	if in.Body.Password == "" {
		out.Body.Password = password
	}
	return out, nil
}

// emailOf checks a mail address and returns it in lower case, as providers' claims are compared.
func emailOf(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != s {
		return "", inventory.FieldErrorf("email", "email %q is not a mail address", s)
	}
	return strings.ToLower(s), nil
}

type changePersonInput struct {
	Named
	Conditional
	Body api.PersonChange
}

func (s *Server) changePerson(ctx context.Context, in *changePersonInput) (*one[*inventory.Person], error) {
	hash, action := "", "change"
	if in.Body.Password != nil {
		if *in.Body.Password == "" {
			return nil, inventory.FieldErrorf("password", "give the new password")
		}
		person, err := s.people().get(ctx, &in.Named)
		if err != nil {
			return nil, err
		}
		if _, hash, err = s.Auth.FirstPassword(ctx, person.Body.Name, person.Body.Email, *in.Body.Password); err != nil {
			return nil, err
		}
		action = "password" // the audit log shows no passwords, but that one was set
	}
	return s.people().change(ctx, in.ID, in.Conditional, action, func(tx inventory.Tx, p *inventory.Person) error {
		if err := outranks(ctx, p); err != nil {
			return err
		}
		operator := auth.Operates(p)
		end := hash != "" || in.Body.Role != nil || in.Body.Scope != nil || in.Body.Disabled != nil && *in.Body.Disabled
		if err := applyPerson(ctx, tx, p, in.Body); err != nil {
			return err
		}
		if hash != "" {
			p.Password, p.Renew = hash, true
		}
		if operator && !auth.Operates(p) {
			if err := auth.NotTheLast(tx, p); err != nil {
				return err
			}
		}
		if !end {
			return nil
		}
		return auth.EndSessions(tx, p.ID)
	})
}

// outranks refuses to change somebody who may do more.
func outranks(ctx context.Context, p *inventory.Person) error {
	if auth.Outranks(callOf(ctx).principal, p.Role) {
		return nil
	}
	return inventory.Errorf(inventory.Forbidden, "a %s may do what you may not: you cannot change one", p.Role)
}

// applyPerson changes all but the password.
func applyPerson(ctx context.Context, tx inventory.Tx, p *inventory.Person, c api.PersonChange) (err error) {
	if c.Role != nil || c.Scope != nil {
		role, scope := p.Role, p.Scope
		if c.Role != nil {
			role = *c.Role
		}
		if c.Scope != nil {
			scope = *c.Scope
		}
		if p.Scope, err = auth.Grant(tx, callOf(ctx).principal, role, scope); err != nil {
			return err
		}
		p.Role = role
	}
	if c.Email != nil {
		if p.Email, err = emailOf(*c.Email); err != nil {
			return err
		}
		p.External = "" // the provider must name the new address once
	}
	if c.Disabled != nil {
		p.Disabled = *c.Disabled
	}
	if c.TOTP != nil {
		if *c.TOTP {
			return inventory.FieldErrorf("totp", "a second factor is enrolled by the person alone; it can only be taken away here")
		}
		auth.ForgetTOTP(p)
	}
	if c.Unlock {
		auth.Unlock(p)
	}
	return nil
}

func (s *Server) deletePerson(ctx context.Context, in *conditionalInput) (*none, error) {
	return s.people().delete(ctx, in.ID, in.Conditional, func(tx inventory.Tx, p *inventory.Person) error {
		if err := outranks(ctx, p); err != nil {
			return err
		}
		if auth.Operates(p) {
			if err := auth.NotTheLast(tx, p); err != nil {
				return err
			}
		}
		return auth.EndSessions(tx, p.ID)
	})
}

type policyOutput struct {
	Body api.Policy
}

func (s *Server) getPolicy(ctx context.Context, _ *struct{}) (*policyOutput, error) {
	out := &policyOutput{}
	err := s.Store.View(ctx, func(tx inventory.Tx) (err error) {
		out.Body, err = auth.ReadPolicy(tx)
		return err
	})
	return out, err
}

type policyInput struct {
	Body api.Policy
}

func (s *Server) replacePolicy(ctx context.Context, in *policyInput) (*policyOutput, error) {
	err := s.Store.Update(ctx, func(tx inventory.Tx) error {
		before, err := auth.WritePolicy(tx, in.Body)
		if err != nil {
			return err
		}
		return record(ctx, tx, "policy.change", auth.Policy, "policy", before, in.Body)
	})
	return &policyOutput{in.Body}, err
}
