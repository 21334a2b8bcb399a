package rest

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

// Connections knows who is connected to servers' mail services. Unavailable
// when a server does not answer; NotFound when a connection is not there (any more).
type Connections interface {
	Sessions(ctx context.Context, server inventory.ID) ([]api.LiveSession, error)
	EndSession(ctx context.Context, server inventory.ID, id string) error
}

// sessionsTime is how long servers have to say who is connected.
const sessionsTime = 5 * time.Second

// console is the kind of a session of the console.
const console = "console"

func (s *Server) liveRoutes() {
	add(s, operation{"list-sessions", http.MethodGet, "/sessions", "Who is signed in where", inventory.Sessions, auth.Read, 0,
		"To the console and to the mail services of all servers, which are asked at once. Those that did not answer are in silent."}, s.listSessions)
	add(s, operation{"end-session", http.MethodDelete, "/sessions/{id}", "End somebody's session", inventory.Sessions, auth.Write, 0,
		"Who is signed in can sign in again: disable a person or suspend an account first."}, s.endSession)
}

type sessionsInput struct {
	Kind   []string `query:"kind" enum:"console,smtp,submission,pop3,imap,webmail"`
	Who    string   `query:"who" maxLength:"320" doc:"Sign-in name or address, or a part of it"`
	Server []string `query:"server" doc:"Id or name; the console is on none"`
	Limit  int      `query:"limit" default:"1000" minimum:"1" maximum:"10000"`
}

type sessionsOutput struct {
	Body api.LiveSessions
}

func (s *Server) listSessions(ctx context.Context, in *sessionsInput) (*sessionsOutput, error) {
	all, reach, err := s.consoleSessions(ctx)
	if err != nil {
		return nil, err
	}
	out := &sessionsOutput{api.LiveSessions{Items: []api.LiveSession{}, Silent: []string{}}}
	if len(in.Kind) == 0 || !slices.Equal(in.Kind, []string{console}) {
		servers, err := s.mailServers(ctx, in.Server)
		if err != nil {
			return nil, err
		}
		found, silent := s.connections(ctx, servers)
		out.Body.Silent = append(out.Body.Silent, silent...)
		for _, one := range found {
			if reach.Fleet() || one.Who != "" && reach.Address(one.Who) {
				all = append(all, one)
			}
		}
	}
	for _, one := range all {
		if len(in.Kind) > 0 && !slices.Contains(in.Kind, one.Kind) || len(in.Server) > 0 && one.Kind == console ||
			!strings.Contains(strings.ToLower(one.Who), strings.ToLower(in.Who)) {
			continue
		}
		out.Body.Total++
		if len(out.Body.Items) < in.Limit {
			out.Body.Items = append(out.Body.Items, one)
		}
	}
	if !reach.Fleet() { // which servers there are is the fleet's to know
		out.Body.Silent = []string{}
	}
	return out, nil
}

// consoleSessions are the live sessions of people in the caller's scope, and
// the caller's own, newest first.
func (s *Server) consoleSessions(ctx context.Context) (live []api.LiveSession, reach *auth.Reach, err error) {
	self, now := callOf(ctx).principal, time.Now()
	err = s.Store.View(ctx, func(tx inventory.Tx) (err error) {
		if reach, err = reachOf(ctx, tx); err != nil {
			return err
		}
		people, _, err := tx.People().List(inventory.Query{})
		if err != nil {
			return err
		}
		byID := make(map[inventory.ID]*inventory.Person, len(people))
		for _, p := range people {
			byID[p.ID] = p
		}
		sessions, _, err := tx.Sessions().List(inventory.Query{Newest: true})
		for _, one := range sessions {
			p := byID[one.Person]
			if p == nil || !now.Before(one.Expires) || !ownSession(self, p) && !reach.Sees(p) {
				continue
			}
			shown := showSession(one, p)
			shown.Current = one.ID == self.Session
			live = append(live, shown)
		}
		return err
	})
	return live, reach, err
}

// ownSession tells whether the person is the caller.
func ownSession(self auth.Principal, p *inventory.Person) bool {
	return self.Session != "" && self.Name == p.Name
}

func showSession(s *inventory.Session, p *inventory.Person) api.LiveSession {
	active := s.Active
	if active.IsZero() {
		active = s.Updated
	}
	return api.LiveSession{
		ID: string(s.ID), Kind: console, Who: p.Name, Address: s.Address, Since: s.Created, Active: active, TLS: true, Client: s.Agent,
	}
}

// mailServers are the servers to ask, all when none is named.
func (s *Server) mailServers(ctx context.Context, refs []string) (servers []*inventory.Server, err error) {
	err = s.Store.View(ctx, func(tx inventory.Tx) error {
		if len(refs) == 0 {
			servers, _, err = tx.Servers().List(inventory.Query{Where: map[string][]string{"state": present}})
			return err
		}
		for _, ref := range refs {
			server, err := s.servers().find(tx, ref)
			if err != nil {
				return named(err, "server", "there is no server %q", ref)
			}
			servers = append(servers, server)
		}
		return nil
	})
	return servers, err
}

// connections asks all servers at once; silent are the names of those that did
// not answer in time.
func (s *Server) connections(ctx context.Context, servers []*inventory.Server) (found []api.LiveSession, silent []string) {
	if s.Connections == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, sessionsTime)
	defer cancel()
	answers := make([][]api.LiveSession, len(servers))
	errs := make([]error, len(servers))
	var wait sync.WaitGroup
	for i, server := range servers {
		wait.Go(func() { answers[i], errs[i] = s.Connections.Sessions(ctx, server.ID) })
	}
	wait.Wait()
	for i, server := range servers {
		if errs[i] != nil {
			s.Logger.Debug("ask who is connected", "server", server.Name, "err", errs[i])
			silent = append(silent, server.Name)
		}
		for _, one := range answers[i] {
			one.ID, one.Server = string(server.ID)+"."+one.ID, server.Name
			found = append(found, one)
		}
	}
	return found, silent
}

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
		if err := tx.Sessions().Delete(session.ID); err != nil {
			return err
		}
		scope, err := auth.ScopeOf(tx, person)
		if err != nil {
			return err
		}
		return recordEnd(ctx, tx, showSession(session, person), scope)
	})
}

// endConnection ends a connection to a server's mail services.
func (s *Server) endConnection(ctx context.Context, server inventory.ID, id string) error {
	missing := inventory.Errorf(inventory.NotFound, "there is no session %q", string(server)+"."+id)
	var reach *auth.Reach
	var at *inventory.Server
	err := s.Store.View(ctx, func(tx inventory.Tx) (err error) {
		if reach, err = reachOf(ctx, tx); err != nil {
			return err
		}
		at, err = tx.Servers().Get(server)
		return err
	})
	switch {
	case inventory.Is(err, inventory.NotFound), err == nil && s.Connections == nil:
		return missing
	case err != nil:
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sessionsTime)
	defer cancel()
	live, err := s.Connections.Sessions(ctx, server)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(live, func(one api.LiveSession) bool { return one.ID == id })
	if i < 0 || !reach.Fleet() && (live[i].Who == "" || !reach.Address(live[i].Who)) {
		return missing
	}
	if err := s.Connections.EndSession(ctx, server, id); err != nil {
		return err
	}
	ended := live[i]
	ended.Server = at.Name
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
