package rest

import (
	"context"
	"net/http"
	"slices"

	"mailfleet/alerts"
	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) contactRoutes() {
	add(s, operation{"list-contacts", http.MethodGet, "/contacts", "List who is told of alerts", inventory.Contacts, auth.Read, 0, ""}, s.listContacts)
	add(s, operation{"create-contact", http.MethodPost, "/contacts", "Have somebody told of alerts", inventory.Contacts, auth.Write, http.StatusCreated, ""}, s.createContact)
	add(s, operation{"get-contact", http.MethodGet, "/contacts/{id}", "Get a contact", inventory.Contacts, auth.Read, 0, ""}, s.contacts().get)
	add(s, operation{"replace-contact", http.MethodPut, "/contacts/{id}", "Replace a contact", inventory.Contacts, auth.Write, 0, ""}, s.replaceContact)
	add(s, operation{"delete-contact", http.MethodDelete, "/contacts/{id}", "Delete a contact", inventory.Contacts, auth.Write, 0,
		"Refused while a rule names it."}, s.deleteContact)
}

func (s *Server) listContacts(ctx context.Context, in *Paging) (*page[*inventory.Contact], error) {
	return s.contacts().list(ctx, *in, false, nil)
}

type createContactInput struct {
	Body api.NewContact
}

func (s *Server) createContact(ctx context.Context, in *createContactInput) (*created[*inventory.Contact], error) {
	return s.contacts().create(ctx, func(inventory.Tx) (*inventory.Contact, error) {
		c := &inventory.Contact{}
		return c, setContact(c, in.Body)
	})
}

type replaceContactInput struct {
	Named
	Conditional
	Body api.NewContact
}

func (s *Server) replaceContact(ctx context.Context, in *replaceContactInput) (*one[*inventory.Contact], error) {
	return s.contacts().change(ctx, in.ID, in.Conditional, "change", func(_ inventory.Tx, c *inventory.Contact) error {
		return setContact(c, in.Body)
	})
}

func setContact(c *inventory.Contact, req api.NewContact) error {
	c.Name, c.Phone, c.Language = req.Name, req.Phone, req.Language
	return alerts.CheckContact(c)
}

func (s *Server) deleteContact(ctx context.Context, in *conditionalInput) (*none, error) {
	return s.contacts().delete(ctx, in.ID, in.Conditional, func(tx inventory.Tx, c *inventory.Contact) error {
		rules, _, err := tx.Rules().List(inventory.Query{})
		if err != nil {
			return err
		}
		for _, r := range rules {
			// A rule whose last recipient went would tell everybody.
			if slices.Contains(r.Recipients, c.ID) {
				return inventory.Errorf(inventory.Conflict, "the rule %q tells %s: take the contact from the rule first", r.Name, c.Name)
			}
		}
		return nil
	})
}
