package rest

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

// Mailnodes are asked about what only they know. Unavailable when a server does
// not answer; NotFound when a connection is not there (any more).
type Mailnodes interface {
	MailSessions(ctx context.Context, server inventory.ID, q inventory.MailSessionQuery) (inventory.MailSessionPage, error)
	EndMailSession(ctx context.Context, server inventory.ID, id string) error
	EndMailSessions(ctx context.Context, server inventory.ID, q inventory.MailSessionQuery) (int, error)
	Mailboxes(ctx context.Context, server, account inventory.ID) (inventory.Mailboxes, error)
	SignIns(ctx context.Context, server, account inventory.ID) ([]inventory.MailSignIn, error)
	Queue(ctx context.Context, server inventory.ID, q inventory.QueueQuery) (inventory.QueuePage, error)
	QueueSummary(ctx context.Context, server inventory.ID, f inventory.QueueFilter) (inventory.QueueSummary, error)
	// ExportQueue opens the stream of what a filter picks (inventory.QueueExportReader).
	ExportQueue(ctx context.Context, server inventory.ID, f inventory.QueueFilter) (io.ReadCloser, error)
	QueuedMessage(ctx context.Context, server inventory.ID, entry string) (io.ReadCloser, int64, error)
	Holds(ctx context.Context, server inventory.ID) ([]inventory.MailHold, error)
	ReleaseHold(ctx context.Context, server, account inventory.ID) (int, error)
	DeleteHeld(ctx context.Context, server, account inventory.ID) (int, error)
	Ledger(ctx context.Context, server inventory.ID, q inventory.LedgerQuery) (inventory.LedgerPage, error)
	MailFailures(ctx context.Context, server inventory.ID, q inventory.LedgerQuery) (inventory.MailFailurePage, error)
}

// mailTime is how long servers have to answer.
const mailTime = 5 * time.Second

// console is the kind of a session of the console.
const console = "console"

func (s *Server) liveRoutes() {
	add(s, operation{"list-sessions", http.MethodGet, "/sessions", "Who is signed in where", inventory.Sessions, auth.Read, 0,
		"To the console, newest first, and then to the mail services of all servers, which are asked at once. When some do not answer the list is partial."}, s.listSessions)
	add(s, operation{"end-sessions", http.MethodDelete, "/sessions", "End all sessions of an account or of a domain", inventory.Sessions, auth.Write, http.StatusOK,
		"Who is signed in can sign in again: suspend an account or disable a person first. The session that asks goes on."}, s.endSessions)
	add(s, operation{"end-session", http.MethodDelete, "/sessions/{id}", "End somebody's session", inventory.Sessions, auth.Write, 0,
		"Who is signed in can sign in again: disable a person or suspend an account first."}, s.endSession)
}

// SessionFilter is the input that chooses sessions.
type SessionFilter struct {
	Kind    []string `query:"kind" enum:"console,smtp,submission,pop3,imap,webmail" doc:"Default: all"`
	Account string   `query:"account" maxLength:"320" doc:"Id or address"`
	Domain  string   `query:"domain" maxLength:"253" doc:"Id or name"`
}

type sessionsInput struct {
	SessionFilter
	Who    string   `query:"who" maxLength:"320" doc:"Sign-in name or address, or a part of it"`
	Server []string `query:"server" doc:"Id or name; the console is on none"`
	Limit  int      `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"Most items in the answer"`
	Cursor string   `query:"cursor" maxLength:"100" doc:"next of the page before"`
}

type sessionsOutput struct {
	Body api.LiveSessions
}

func (s *Server) listSessions(ctx context.Context, in *sessionsInput) (*sessionsOutput, error) {
	c, err := s.choose(ctx, in.SessionFilter, in.Server)
	if err != nil {
		return nil, err
	}
	c.query.Who = in.Who
	all, err := s.consoleSessions(ctx, c)
	if err != nil {
		return nil, err
	}
	out := &sessionsOutput{api.LiveSessions{Total: len(all)}}
	list := slices.DeleteFunc(all, func(l api.LiveSession) bool { return in.Cursor != "" && !follows(l.ID, in.Cursor) })
	answers := askAll(ctx, s, c.servers, func(ctx context.Context, at *inventory.Server) (inventory.MailSessionPage, error) {
		q := c.query
		q.Limit = max(in.Limit-len(list), 1)
		if server, session, ok := strings.Cut(in.Cursor, "."); ok && server == string(at.ID) {
			q.After = session
		} else if ok && server > string(at.ID) {
			q.Limit = 1 // it has been shown, and counts
		}
		return s.Mailnodes.MailSessions(ctx, at.ID, q)
	})
	more := false
	for _, a := range answers.given {
		out.Body.Total += a.answer.Total
		for _, m := range a.answer.Sessions {
			shown := showConnection(m, a.server)
			if in.Cursor == "" || follows(shown.ID, in.Cursor) {
				list = append(list, shown)
				more = more || a.answer.Next != ""
			}
		}
	}
	if len(list) > in.Limit {
		list, more = list[:in.Limit], true
	}
	if more {
		out.Body.Next = list[len(list)-1].ID
	}
	out.Body.Items = append([]api.LiveSession{}, list...)
	out.Body.Silent, out.Body.Partial = answers.told(c.reach), len(answers.silent) > 0
	return out, nil
}

// follows reports whether a session is listed after another: those of the
// console before connections, which have a full stop in their ids.
func follows(id, cursor string) bool {
	switch mail := strings.Contains(id, "."); {
	case mail != strings.Contains(cursor, "."):
		return mail
	case mail:
		return id > cursor
	default:
		return id < cursor // newest first
	}
}

// chosen is what a filter means within the caller's reach.
type chosen struct {
	reach   *auth.Reach
	console bool // sessions of the console, too
	account *inventory.Account
	domain  *inventory.Domain
	query   inventory.MailSessionQuery
	servers []*inventory.Server // to ask, in the order of their ids; none: no mail session is meant
}

// choose works out a filter. servers are ids or names; none: all.
func (s *Server) choose(ctx context.Context, in SessionFilter, servers []string) (*chosen, error) {
	c := &chosen{console: (len(in.Kind) == 0 || slices.Contains(in.Kind, console)) && len(servers) == 0}
	err := s.Store.View(ctx, func(tx inventory.Tx) (err error) {
		if c.reach, err = reachOf(ctx, tx); err != nil {
			return err
		}
		if !c.reach.Fleet() {
			c.query.Within = c.reach.Within()
		}
		switch {
		case in.Account != "" && in.Domain != "":
			return inventory.FieldErrorf("domain", "name an account or a domain, not both")
		case in.Account != "":
			if c.account, _, err = s.accounts().visible(ctx, tx, in.Account); err != nil {
				return err
			}
			c.query.Account, c.query.Within = c.account.ID, nil
		case in.Domain != "":
			if c.domain, _, err = s.domains().visible(ctx, tx, in.Domain); err != nil {
				return err
			}
			c.query.Within = []string{c.domain.Name}
		case !c.reach.Fleet() && len(c.query.Within) == 0:
			return nil // nothing lies in reach
		}
		if c.query.Protocols = slices.DeleteFunc(slices.Clone(in.Kind), func(k string) bool { return k == console }); len(in.Kind) > 0 && len(c.query.Protocols) == 0 {
			return nil
		}
		if len(c.query.Values().Encode()) > inventory.MaxMailSessionQuery {
			return inventory.FieldErrorf("domain", "you look after too many domains to ask about at once: name one")
		}
		c.servers, err = s.mailServers(tx, servers)
		return err
	})
	return c, err
}

// mailServers are the servers to ask, all when none is named.
func (s *Server) mailServers(tx inventory.Tx, refs []string) (servers []*inventory.Server, err error) {
	if len(refs) == 0 {
		servers, _, err = tx.Servers().List(inventory.Query{Where: map[string][]string{"state": present}})
	}
	for _, ref := range refs {
		server, err := s.servers().find(tx, ref)
		if err != nil {
			return nil, named(err, "server", "there is no server %q", ref)
		}
		servers = append(servers, server)
	}
	slices.SortFunc(servers, func(a, b *inventory.Server) int { return cmp.Compare(a.ID, b.ID) })
	return slices.CompactFunc(servers, func(a, b *inventory.Server) bool { return a.ID == b.ID }), err
}

// consoleSessions are the live sessions of people that are meant and lie in the
// caller's reach, and the caller's own, newest first.
func (s *Server) consoleSessions(ctx context.Context, c *chosen) (live []api.LiveSession, err error) {
	if !c.console {
		return nil, nil
	}
	self, now := callOf(ctx).principal, time.Now()
	err = s.Store.View(ctx, func(tx inventory.Tx) error {
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
			if p == nil || !now.Before(one.Expires) || !ownSession(self, p) && !c.reach.Sees(p) || !c.means(p) {
				continue
			}
			shown := showSession(one, p)
			shown.Current = one.ID == self.Session
			live = append(live, shown)
		}
		return err
	})
	return live, err
}

// means reports whether a person is one that the filter is about: of an account
// its user, of a domain those whose scope lies in it.
func (c *chosen) means(p *inventory.Person) bool {
	if !strings.Contains(strings.ToLower(p.Name), strings.ToLower(c.query.Who)) {
		return false
	}
	inside := func(scope inventory.Scope) bool {
		kind, name := scope.Split()
		switch {
		case c.account != nil:
			return kind == "account" && name == c.account.Address
		case c.domain != nil:
			return kind == "domain" && name == c.domain.Name || kind == "account" && strings.HasSuffix(name, "@"+c.domain.Name)
		default:
			return true
		}
	}
	whole := c.account == nil && c.domain == nil
	return whole || len(p.Scope) > 0 && !slices.ContainsFunc(p.Scope, func(scope inventory.Scope) bool { return !inside(scope) })
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

func showConnection(m inventory.MailSession, at *inventory.Server) api.LiveSession {
	return api.LiveSession{
		ID: string(at.ID) + "." + m.ID, Kind: m.Protocol, Who: m.User, Account: m.Account, Server: at.Name,
		Address: m.Address, Since: m.Since, Active: m.Active, TLS: m.TLS != "",
	}
}

// answers are what several servers said to one question, in the servers' order.
type answers[T any] struct {
	given  []answered[T]
	silent []string // names of those that did not answer
}

type answered[T any] struct {
	server *inventory.Server
	answer T
}

// askAll asks servers at once and waits for them as long as they have.
func askAll[T any](ctx context.Context, s *Server, servers []*inventory.Server, ask func(context.Context, *inventory.Server) (T, error)) (all answers[T]) {
	return askFor(ctx, s, mailTime, servers, ask)
}

// askFor asks servers at once and waits so long for them.
func askFor[T any](ctx context.Context, s *Server, long time.Duration, servers []*inventory.Server, ask func(context.Context, *inventory.Server) (T, error)) (all answers[T]) {
	ctx, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	given := make([]T, len(servers))
	errs := make([]error, len(servers))
	var wait sync.WaitGroup
	for i, server := range servers {
		wait.Go(func() { given[i], errs[i] = ask(ctx, server) })
	}
	wait.Wait()
	for i, server := range servers {
		if errs[i] != nil {
			s.Logger.Debug("a server's mailnode did not answer", "server", server.Name, "err", errs[i])
			all.silent = append(all.silent, server.Name)
			continue
		}
		all.given = append(all.given, answered[T]{server, given[i]})
	}
	return all
}

// told are the silent servers as the caller may know them: which there are is the fleet's.
func (a *answers[T]) told(reach *auth.Reach) []string { return toldSilent(reach, a.silent) }

func toldSilent(reach *auth.Reach, silent []string) []string {
	if !reach.Fleet() {
		return []string{}
	}
	return append([]string{}, silent...)
}
