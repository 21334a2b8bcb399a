package rest

import (
	"context"
	"strings"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) endSession(ctx context.Context, in *Named) (*none, error) {
	if server, id, ok := strings.Cut(in.ID, "."); ok {
		return nil, s.endConnection(ctx, inventory.ID(server), id)
	}
	missing := inventory.Errorf(inventory.NotFound, "there is no session %q", in.ID)
	return nil, s.Store.Update(ctx, func(tx inventory.Tx) error {
		session, err := tx.Sessions().Get(inventory.ID(in.ID))
		if inventory.Is(err, inventory.NotFound) {
			return missing
		}
		if err != nil {
			return err
		}
		person, err := tx.People().Get(session.Person)
		if err != nil {
			return err
		}
		reach, err := reachOf(ctx, tx)
		if err != nil {
			return err
		}
		own := ownSession(callOf(ctx).principal, person)
		if !own && !reach.Sees(person) {
			return missing
		}
		if !own {
			if err := outranks(ctx, person); err != nil {
				return err
			}
		}
		return endOf(ctx, tx, session, person)
	})
}

// endOf ends a session of the console and says so in the audit log.
func endOf(ctx context.Context, tx inventory.Tx, session *inventory.Session, person *inventory.Person) error {
	if err := tx.Sessions().Delete(session.ID); err != nil {
		return err
	}
	scope, err := auth.ScopeOf(tx, person)
	if err != nil {
		return err
	}
	return recordEnd(ctx, tx, showSession(session, person), scope)
}

// endConnection ends a connection to a server's mail services.
func (s *Server) endConnection(ctx context.Context, server inventory.ID, id string) error {
	missing := inventory.Errorf(inventory.NotFound, "there is no session %q", string(server)+"."+id)
	c, err := s.choose(ctx, SessionFilter{}, []string{string(server)})
	if inventory.Is(err, inventory.Invalid) || err == nil && len(c.servers) == 0 {
		return missing
	}
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, mailTime)
	defer cancel()
	c.query.ID = id
	page, err := s.Mailnodes.MailSessions(asking, server, c.query)
	if err != nil {
		return err
	}
	if len(page.Sessions) == 0 {
		return missing
	}
	if err := s.Mailnodes.EndMailSession(asking, server, id); err != nil {
		if inventory.Is(err, inventory.NotFound) {
			return missing
		}
		return err
	}
	ended := showConnection(page.Sessions[0], c.servers[0])
	ctx = context.WithoutCancel(ctx) // it has ended, whoever hangs up
	return s.Store.Update(ctx, func(tx inventory.Tx) error {
		var scope []inventory.Scope
		if ended.Who != "" {
			var err error
			if scope, err = auth.ScopeOf(tx, &inventory.Account{Address: ended.Who}); err != nil {
				return err
			}
		}
		return recordEnd(ctx, tx, ended, scope)
	})
}

func recordEnd(ctx context.Context, tx inventory.Tx, ended api.LiveSession, scope []inventory.Scope) error {
	before, err := stateOf(tx, ended)
	if err != nil {
		return err
	}
	before.scope = scope
	return record(ctx, tx, "session.end", inventory.Sessions, inventory.ID(ended.ID), before, nil)
}

type endSessionsInput struct {
	SessionFilter
}

type endedOutput struct {
	Body api.EndedSessions
}

// endSessions ends those of the console in one transaction and has all servers
// end theirs at once.
func (s *Server) endSessions(ctx context.Context, in *endSessionsInput) (*endedOutput, error) {
	if in.Account == "" && in.Domain == "" {
		return nil, inventory.FieldErrorf("account", "name the account or the domain whose sessions shall end")
	}
	c, err := s.choose(ctx, in.SessionFilter, nil)
	if err != nil {
		return nil, err
	}
	out := &endedOutput{}
	if out.Body.Ended, err = s.endConsole(ctx, c); err != nil {
		return nil, err
	}
	answers := askAll(ctx, s, c.servers, func(ctx context.Context, at *inventory.Server) (int, error) {
		return s.Mailnodes.EndMailSessions(ctx, at.ID, c.query)
	})
	all := api.EndedSessions{Partial: len(answers.silent) > 0, Silent: append([]string{}, answers.silent...)}
	for _, a := range answers.given {
		all.Ended += a.answer
	}
	if len(c.servers) > 0 {
		ctx = context.WithoutCancel(ctx) // they have ended, whoever hangs up
		if err := s.Store.Update(ctx, func(tx inventory.Tx) error { return recordEnds(ctx, tx, c, all) }); err != nil {
			return nil, err
		}
	}
	out.Body.Ended += all.Ended
	out.Body.Silent, out.Body.Partial = answers.told(c.reach), all.Partial
	return out, nil
}

// recordEnds writes down how many connections of an account or a domain were ended.
func recordEnds(ctx context.Context, tx inventory.Tx, c *chosen, ended api.EndedSessions) error {
	kind, id, whose := inventory.Accounts, c.query.Account, any(c.account)
	if c.domain != nil {
		kind, id, whose = inventory.Domains, c.domain.ID, c.domain
	}
	scope, err := auth.ScopeOf(tx, whose)
	if err != nil {
		return err
	}
	after, err := stateOf(tx, ended)
	if err != nil {
		return err
	}
	after.scope = scope
	return record(ctx, tx, "session.end-all", kind, id, nil, after)
}

// endConsole ends the sessions of the console that are meant, but for the one
// that asks and those of people who may do more.
func (s *Server) endConsole(ctx context.Context, c *chosen) (ended int, err error) {
	live, err := s.consoleSessions(ctx, c)
	if err != nil || len(live) == 0 {
		return 0, err
	}
	err = s.Store.Update(ctx, func(tx inventory.Tx) error {
		ended = 0
		for _, one := range live {
			session, err := tx.Sessions().Get(inventory.ID(one.ID))
			if inventory.Is(err, inventory.NotFound) || one.Current {
				continue
			}
			if err != nil {
				return err
			}
			person, err := tx.People().Get(session.Person)
			if err != nil {
				return err
			}
			if outranks(ctx, person) != nil && !ownSession(callOf(ctx).principal, person) {
				continue
			}
			if err := endOf(ctx, tx, session, person); err != nil {
				return err
			}
			ended++
		}
		return nil
	})
	return ended, err
}
