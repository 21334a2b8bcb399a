package rest

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) holdRoutes() {
	add(s, operation{"list-holds", http.MethodGet, "/holds", "Accounts whose mail is held because they send far more than usual", inventory.Accounts, auth.Read, 0,
		"The latest first. All servers are asked at once; when some do not answer the list is partial. Suspend an account by changing its state: nobody signs in to it any more, its sessions end, and its held mail stays held."}, s.listHolds)
	add(s, operation{"release-hold", http.MethodDelete, "/accounts/{id}/hold", "Let an account send again, and its held mail go", inventory.Accounts, auth.Suspend, http.StatusOK,
		"What it has sent in this hour is not held against it any more. 404 when its mail is not held; 503 while its server is away."}, s.releaseHold)
	add(s, operation{"delete-held-mail", http.MethodDelete, "/accounts/{id}/held-mail", "Delete an account's held mail", inventory.Accounts, auth.Write, http.StatusOK,
		"Nobody is told. The account stays held. 404 when its mail is not held; 503 while its server is away."}, s.deleteHeld)
}

type holdsInput struct {
	Account string `query:"account" maxLength:"320" doc:"Id or address"`
	Domain  string `query:"domain" maxLength:"253" doc:"Id or name"`
}

type holdsOutput struct {
	Body api.Holds
}

func (s *Server) listHolds(ctx context.Context, in *holdsInput) (*holdsOutput, error) {
	c, err := s.choose(ctx, SessionFilter{Account: in.Account, Domain: in.Domain}, nil)
	if err != nil {
		return nil, err
	}
	if c.account != nil { // it is held where it is at home
		c.servers = slices.DeleteFunc(c.servers, func(at *inventory.Server) bool { return at.ID != c.account.Server })
	}
	answers := askAll(ctx, s, c.servers, func(ctx context.Context, at *inventory.Server) ([]inventory.MailHold, error) {
		return s.Mailnodes.Holds(ctx, at.ID)
	})
	out := &holdsOutput{api.Holds{Items: []api.Hold{}, Silent: answers.told(c.reach), Partial: len(answers.silent) > 0}}
	err = s.Store.View(ctx, func(tx inventory.Tx) error {
		out.Body.Items = out.Body.Items[:0]
		for _, a := range answers.given {
			for _, hold := range a.answer {
				account, err := tx.Accounts().Get(hold.Account)
				if inventory.Is(err, inventory.NotFound) {
					continue // it was deleted a moment ago
				}
				if err != nil {
					return err
				}
				if !c.reach.Sees(account) || c.account != nil && c.account.ID != account.ID || c.domain != nil && c.domain.Name != account.Domain {
					continue
				}
				out.Body.Items = append(out.Body.Items, showHold(hold, account))
			}
		}
		return nil
	})
	slices.SortFunc(out.Body.Items, func(a, b api.Hold) int {
		return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(a.Address, b.Address))
	})
	return out, err
}

func showHold(h inventory.MailHold, a *inventory.Account) api.Hold {
	h.Address = a.Address
	return api.Hold{MailHold: h, Domain: a.Domain, State: a.State, Version: a.Version}
}

type releasedOutput struct {
	Body inventory.QueueDone
}

func (s *Server) releaseHold(ctx context.Context, in *conditionalInput) (*releasedOutput, error) {
	return s.onHold(ctx, in, "release-hold", s.Mailnodes.ReleaseHold)
}

func (s *Server) deleteHeld(ctx context.Context, in *conditionalInput) (*releasedOutput, error) {
	return s.onHold(ctx, in, "delete-held-mail", s.Mailnodes.DeleteHeld)
}

// holdTime is how long a server may take over much held mail.
const holdTime = 30 * time.Second

// onHold has an account's server do something with its hold, and writes down who wanted
// it, and how much was held.
func (s *Server) onHold(ctx context.Context, in *conditionalInput, action string, do func(ctx context.Context, server, account inventory.ID) (int, error)) (*releasedOutput, error) {
	var a *inventory.Account
	err := s.Store.View(ctx, func(tx inventory.Tx) (err error) {
		a, _, err = s.accounts().held(ctx, tx, in.ID, in.Conditional)
		return err
	})
	if err != nil {
		return nil, err
	}
	asking, cancel := context.WithTimeout(ctx, holdTime)
	defer cancel()
	list, err := s.Mailnodes.Holds(asking, a.Server)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(h inventory.MailHold) bool { return h.Account == a.ID })
	if i < 0 {
		return nil, inventory.Errorf(inventory.NotFound, "the mail of %s is not held", a.Address)
	}
	out := &releasedOutput{}
	if out.Body.Entries, err = do(asking, a.Server, a.ID); err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // it is done, whoever hangs up
	return out, s.Store.Update(ctx, func(tx inventory.Tx) error {
		before, err := stateOf(tx, showHold(list[i], a))
		if err != nil {
			return err
		}
		if before.scope, err = auth.ScopeOf(tx, a); err != nil {
			return err
		}
		after, err := stateOf(tx, out.Body)
		if err != nil {
			return err
		}
		return record(ctx, tx, "account."+action, inventory.Accounts, a.ID, before, after)
	})
}
