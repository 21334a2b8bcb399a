package rest

import (
	"context"
	"net/http"
	"time"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/controller/dkim"
	"mailfleet/inventory"
	"mailfleet/inventory/domainkey"
)

func (s *Server) dkimRoutes() {
	add(s, operation{"list-dkim-keys", http.MethodGet, "/dkim-keys", "List the keys that domains sign with", inventory.DKIMKeys, auth.Read, 0, ""}, s.listDKIMKeys)
	add(s, operation{"create-dkim-key", http.MethodPost, "/dkim-keys", "Make a key for a domain", inventory.DKIMKeys, auth.Write, http.StatusCreated,
		"It signs nothing until it is made active: publish its record first. Keys that are published take over by themselves after half a year."}, s.createDKIMKey)
	add(s, operation{"get-dkim-key", http.MethodGet, "/dkim-keys/{id}", "Get a key", inventory.DKIMKeys, auth.Read, 0, ""}, s.dkimKeys().get)
	add(s, operation{"change-dkim-key", http.MethodPatch, "/dkim-keys/{id}", "Let a key sign, or sign no more", inventory.DKIMKeys, auth.Write, 0,
		"An active key takes over from the one of its kind. A retired one's record is to stay until all mail signed with it has arrived."}, s.changeDKIMKey)
	add(s, operation{"delete-dkim-key", http.MethodDelete, "/dkim-keys/{id}", "Delete a key", inventory.DKIMKeys, auth.Write, 0,
		"Refused while it signs."}, s.deleteDKIMKey)
}

type dkimKeysInput struct {
	Paging
	Domain []string `query:"domain" doc:"Names"`
	State  []string `query:"state" enum:"next,active,retired"`
}

func (s *Server) listDKIMKeys(ctx context.Context, in *dkimKeysInput) (*page[*inventory.DKIMKey], error) {
	return s.dkimKeys().list(ctx, in.Paging, false, map[string][]string{"domain": in.Domain, "state": in.State})
}

// maxDKIMKeys bounds how many keys a domain has.
const maxDKIMKeys = 20

type createDKIMKeyInput struct {
	Body api.NewDKIMKey
}

func (s *Server) createDKIMKey(ctx context.Context, in *createDKIMKeyInput) (*created[*inventory.DKIMKey], error) {
	var domain *inventory.Domain
	var taken []string
	err := s.Store.View(ctx, func(tx inventory.Tx) (err error) {
		if domain, _, err = s.domains().visible(ctx, tx, in.Body.Domain); err != nil {
			return named(err, "domain", "there is no domain %q", in.Body.Domain)
		}
		keys, err := dkim.Of(tx, domain.Name)
		for _, k := range keys {
			taken = append(taken, k.Selector)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(taken) >= maxDKIMKeys {
		return nil, inventory.Errorf(inventory.Conflict, "%s has %d keys: delete retired ones first", domain.Name, len(taken))
	}
	key, err := dkim.Make(s.Seal, domain.Name, domainkey.Algorithm(in.Body.Algorithm), domainkey.Next, taken, time.Now())
	if err != nil {
		return nil, err
	}
	return s.dkimKeys().create(ctx, func(inventory.Tx) (*inventory.DKIMKey, error) {
		fresh := *key
		return &fresh, nil
	})
}

type changeDKIMKeyInput struct {
	Named
	Conditional
	Body api.DKIMKeyChange
}

func (s *Server) changeDKIMKey(ctx context.Context, in *changeDKIMKeyInput) (*one[*inventory.DKIMKey], error) {
	return s.dkimKeys().change(ctx, in.ID, in.Conditional, "change", func(tx inventory.Tx, k *inventory.DKIMKey) error {
		now := time.Now()
		switch {
		case k.State == in.Body.State:
			return nil
		case in.Body.State == string(domainkey.Active):
			return dkim.Activate(tx, k, now)
		}
		k.State, k.Since = in.Body.State, now.UTC()
		return nil
	})
}

func (s *Server) deleteDKIMKey(ctx context.Context, in *conditionalInput) (*none, error) {
	return s.dkimKeys().delete(ctx, in.ID, in.Conditional, func(_ inventory.Tx, k *inventory.DKIMKey) error {
		if k.State == string(domainkey.Active) {
			return inventory.Errorf(inventory.Conflict, "mail of %s is signed with the key %s: retire it first", k.Domain, k.Selector)
		}
		return nil
	})
}
