package rest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
	"mailfleet/inventory/domainkey"
)

// world is a fleet of two tenants: all that is called in lies in the scope of
// the narrow roles, all that is called out does not.
type world struct {
	*fixture
	in, out map[inventory.Kind]inventory.ID // one thing of each kind
	roles   map[inventory.Role]string       // tokens; of nobody: empty
	made    int
}

func newWorld(t *testing.T) *world {
	w := &world{fixture: start(t), in: map[inventory.Kind]inventory.ID{}, out: map[inventory.Kind]inventory.ID{}, roles: map[inventory.Role]string{}}
	ctx := t.Context()
	w.upServer("mail-1")
	acme, err := w.client.CreateTenant(ctx, api.NewTenant{Name: "acme", Kind: inventory.TenantReseller})
	w.ok(err)
	for _, side := range []struct {
		name, parent string
		ids          map[inventory.Kind]inventory.ID
	}{{"in", "acme", w.in}, {"out", "", w.out}} {
		tenant, err := w.client.CreateTenant(ctx, api.NewTenant{Name: "tenant-" + side.name, Parent: side.parent, Kind: inventory.TenantReseller})
		w.ok(err)
		plan, err := w.client.CreatePlan(ctx, api.NewPlan{Name: "plan-" + side.name, Tenant: tenant.Name})
		w.ok(err)
		name := side.name + ".test"
		domain, err := w.client.CreateDomain(ctx, api.NewDomain{Name: name, Tenant: &tenant.Name, Plan: &plan.Name})
		w.ok(err)
		account, err := w.client.CreateAccount(ctx, api.NewAccount{Address: "user@" + name, Password: "correct horse"})
		w.ok(err)
		group, err := w.client.CreateGroup(ctx, api.NewGroup{Address: "team@" + name, Members: []string{"user@" + name}})
		w.ok(err)
		key, err := w.client.CreateDKIMKey(ctx, api.NewDKIMKey{Domain: name, Algorithm: string(domainkey.Ed25519)})
		w.ok(err)
		scope := []inventory.Scope{inventory.ScopeDomain(name)}
		person, err := w.client.CreatePerson(ctx, api.NewPerson{Name: "person-" + side.name, Role: inventory.RoleHelpdesk, Scope: scope})
		w.ok(err)
		token, err := w.client.CreateToken(ctx, api.NewToken{Name: "token-" + side.name, Role: inventory.RoleHelpdesk, Scope: scope})
		w.ok(err)
		maps.Copy(side.ids, map[inventory.Kind]inventory.ID{
			inventory.Tenants: tenant.ID, inventory.Plans: plan.ID, inventory.Domains: domain.ID, inventory.Accounts: account.ID,
			inventory.People: person.ID, inventory.Tokens: token.ID, inventory.Groups: group.ID, inventory.DKIMKeys: key.ID,
		})
	}
	for role, scope := range map[inventory.Role]inventory.Scope{
		inventory.RoleOperator: "fleet", inventory.RoleViewer: "*", inventory.RoleAuditor: "fleet",
		inventory.RoleReseller: inventory.ScopeTenant(acme.ID), inventory.RoleDomainAdmin: "domain:in.test",
		inventory.RoleHelpdesk: "domain:IN.test", inventory.RoleUser: "account:user@in.test",
	} {
		token, err := w.client.CreateToken(ctx, api.NewToken{Name: "a " + string(role), Role: role, Scope: api.Scopes{scope}})
		w.ok(err)
		w.roles[role] = token.Secret
	}
	w.roles[""] = ""
	at, err := w.client.Account(ctx, "user@in.test")
	w.ok(err)
	w.mail.holds = map[inventory.ID][]inventory.MailHold{at.Server: {{Account: w.in[inventory.Accounts]}, {Account: w.out[inventory.Accounts]}}}
	for _, side := range []string{"in", "out"} { // so that lists of sessions have something to show and to hide
		w.session(side, inventory.RoleHelpdesk)
		w.session(side, inventory.RoleUser)
	}
	return w
}

// session gives a person a live session, and returns its id.
func (w *world) session(side string, role inventory.Role) inventory.ID {
	w.t.Helper()
	s := &inventory.Session{Hash: fmt.Sprint("hash", w.next()), Expires: time.Now().Add(time.Hour)}
	w.update(func(tx inventory.Tx) error {
		name, scope := "person-"+side, inventory.ScopeDomain(side+".test")
		if role == inventory.RoleUser {
			name, scope = "user-"+side, inventory.ScopeAccount("user@"+side+".test")
		}
		p, err := tx.People().Find("name", name)
		if inventory.Is(err, inventory.NotFound) {
			p = &inventory.Person{Name: name, Role: role, Scope: []inventory.Scope{scope}}
			err = tx.People().Create(p)
		}
		if err != nil {
			return err
		}
		s.Person = p.ID
		return tx.Sessions().Create(s)
	})
	return s.ID
}

func (w *world) next() int { w.made++; return w.made }

// request asks as a role. Changes are meant for a version that never was, so that
// those let in change nothing: 412.
func (w *world) request(role inventory.Role, method, path, body string) (status int, text string) {
	w.t.Helper()
	var header []string
	if token := w.roles[role]; token != "" {
		header = append(header, "Authorization", "Bearer "+token)
	}
	if method != http.MethodGet && method != http.MethodPost {
		header = append(header, "If-Match", `"999999"`)
	}
	res, text := w.ask(method, path, body, header...)
	return res.StatusCode, text
}

// bodies are what routes are sent whose things lie in scopes; %[1]s is in or
// out, %[2]d a number nobody else has. Routes of the fleet's resources need none.
var bodies = map[string]string{
	"POST /tenants":        `{"name":"t%[2]d","parent":"tenant-%[1]s"}`,
	"PUT /tenants/{id}":    `{"name":"t%[2]d"}`,
	"POST /plans":          `{"name":"p%[2]d","tenant":"tenant-%[1]s"}`,
	"PUT /plans/{id}":      `{"name":"p%[2]d"}`,
	"POST /domains":        `{"name":"d%[2]d.test","tenant":"tenant-%[1]s"}`,
	"PUT /domains/{id}":    `{"name":"%[1]s.test"}`,
	"POST /accounts":       `{"address":"a%[2]d@%[1]s.test","password":"correct horse"}`,
	"PATCH /accounts/{id}": `{"password":"correct horse"}`,

	"POST /queue/acts":         `{"act":"hold","filter":{"within":["%[1]s.test"]}}`,
	"PUT /domains/{id}/mail":   `{"catch_all":"user@%[1]s.test"}`,
	"POST /domains/{id}/hooks": `{"url":"https://h%[2]d.test/"}`,
	"POST /groups":             `{"address":"g%[2]d@%[1]s.test","members":["a@elsewhere.test"]}`,
	"PUT /groups/{id}":         `{"address":"team@%[1]s.test","members":["a@elsewhere.test"]}`,
	"POST /dkim-keys":          `{"domain":"%[1]s.test","algorithm":"ed25519-sha256"}`,
	"PATCH /dkim-keys/{id}":    `{"state":"retired"}`,

	"POST /people":       `{"name":"n%[2]d","role":"helpdesk","scope":["domain:%[1]s.test"]}`,
	"PATCH /people/{id}": `{"unlock":true}`,

	"POST /accounts/{id}/app-passwords": `{"name":"phone%[2]d"}`,
	"POST /tokens":                      `{"name":"k%[2]d","role":"helpdesk","scope":"domain:%[1]s.test"}`,
	"PUT /policy":                       `{"password_length":12,"password_age":0,"totp_roles":[],"approval_kinds":[],"token_life":0}`,
}

// TestEveryRouteForEveryRole asks every route of the API as every role, about
// what lies in its scope and what does not, and expects what the table of
// rights says. A route without a row, or whose things lie in scopes without a
// body here, fails.
func TestEveryRouteForEveryRole(t *testing.T) {
	w := newWorld(t)
	asked := 0
	for path, operations := range w.describe().Paths {
		for method, op := range operations {
			method = strings.ToUpper(method)
			route := method + " " + strings.TrimPrefix(path, "/api/v1")
			resource, verb, _ := strings.Cut(op.Right, ":")
			kind := inventory.Kind(resource)
			if !auth.Known(kind) {
				t.Errorf("%s: the table of rights has no row %q", route, resource)
				continue
			}
			body, ok := bodies[route]
			if !ok && auth.Scoped(kind) && (method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch) && !personal(kind) && !auth.Public(kind, auth.Verb(verb)) {
				t.Errorf("%s needs a body in this test", route)
				continue
			}
			if route == "GET /events" { // has a test of its own
				continue
			}
			if open := auth.Public(kind, auth.Verb(verb)); open != slices.Contains(public, route) {
				t.Errorf("%s is open to strangers: %v, the list of public routes says otherwise", route, open)
				continue
			}
			for role := range w.roles {
				asked++
				w.cell(role, route, kind, auth.Verb(verb), path, body)
			}
		}
	}
	if asked < 8*60 {
		t.Errorf("only %d cells were asked", asked)
	}
}

// public are the routes that ask nobody who they are. A new one belongs here
// once it is certain that its answer tells strangers nothing of what is kept.
var public = []string{
	"POST /session", "POST /join",
	"GET /oidc", "GET /oidc/start", "GET /oidc/callback",
}

// personal tells the resources that are always one's own.
func personal(kind inventory.Kind) bool { return kind == auth.Session }

// principal is who a role's token says.
func (w *world) principal(role inventory.Role) auth.Principal {
	w.t.Helper()
	if role == "" {
		return auth.Principal{}
	}
	p, err := w.server.Auth.Token(w.t.Context(), w.roles[role])
	w.ok(err)
	return p
}

// cell asks one route as one role.
func (w *world) cell(role inventory.Role, route string, kind inventory.Kind, verb auth.Verb, path, body string) {
	w.t.Helper()
	p := w.principal(role)
	allowed := auth.Allow(p, kind, verb) == nil
	method, _, _ := strings.Cut(route, " ")
	fleet := p.Fleet() || !auth.Scoped(kind) || personal(kind) || kind == auth.Policy
	for _, side := range []string{"in", "out"} {
		id := w.object(side, kind, role)
		asked := strings.NewReplacer("{id}", string(id), "{name}", "nothing", "{service}", "nothing").Replace(path)
		sent := body
		if sent != "" {
			sent = fmt.Sprintf(strings.ReplaceAll(body, "%[2]d", fmt.Sprint(w.next())), side)
			sent, _, _ = strings.Cut(sent, "%!(EXTRA")
		}
		status, text := w.request(role, method, asked, sent)
		refused := status == http.StatusUnauthorized || status == http.StatusForbidden && strings.Contains(text, `"the role `)
		switch {
		case !allowed:
			if !refused {
				w.t.Errorf("%s as %q about what is %s: %d, the table says no: %.200s", route, role, side, status, text)
			}
			return
		case refused:
			w.t.Errorf("%s as %q about what is %s: %d, the table says yes: %.200s", route, role, side, status, text)
		case auth.Public(kind, verb):
			if status >= 500 || w.tells("in", text) || w.tells("out", text) {
				w.t.Errorf("%s as %q: %d, and strangers may read it: %.200s", route, role, status, text)
			}
			return
		case side == "out" && !fleet && strings.Contains(path, "{id}"):
			if status != http.StatusNotFound {
				w.t.Errorf("%s as %q about what is out: %d, want 404: %.200s", route, role, status, text)
			}
		case side == "out" && !fleet && method != http.MethodGet:
			if status < 400 {
				w.t.Errorf("%s as %q made something outside its scope: %s", route, role, text)
			}
		case strings.Contains(path, "{id}") && auth.Scoped(kind):
			want := map[string]int{http.MethodGet: http.StatusOK, http.MethodPost: http.StatusCreated}[method]
			if want == 0 {
				want = http.StatusPreconditionFailed
			}
			if status != want && kind != inventory.Sessions {
				w.t.Errorf("%s as %q about what is %s: %d, want %d: %.200s", route, role, side, status, want, text)
			}
		case body != "" && status >= 300:
			w.t.Errorf("%s as %q of what is %s: %d: %.200s", route, role, side, status, text)
		case method == http.MethodGet && auth.Scoped(kind) && !personal(kind):
			w.listed(role, route, kind, fleet, text)
		}
	}
}

// object is the id of a thing of the kind; of a fleet's kind it is nobody's.
func (w *world) object(side string, kind inventory.Kind, role inventory.Role) inventory.ID {
	if kind == inventory.Sessions {
		if role == inventory.RoleUser {
			return w.session(side, inventory.RoleUser)
		}
		return w.session(side, inventory.RoleHelpdesk)
	}
	ids := w.in
	if side == "out" {
		ids = w.out
	}
	if id, ok := ids[kind]; ok {
		return id
	}
	return inventory.NewID()
}

// listed checks that a list shows what is in scope and nothing else.
func (w *world) listed(role inventory.Role, route string, kind inventory.Kind, fleet bool, text string) {
	w.t.Helper()
	for _, side := range []string{"in", "out"} {
		if found, want := w.tells(side, text), side == "in" || fleet; found != want && kind != auth.Policy {
			w.t.Errorf("%s as %q: what is %s is listed: %v, want %v: %.2000s", route, role, side, found, want, text)
		}
	}
}

// tells reports whether an answer names something of a side.
func (w *world) tells(side, text string) bool {
	ids := map[string]map[inventory.Kind]inventory.ID{"in": w.in, "out": w.out}[side]
	found := strings.Contains(text, side+".test") || strings.Contains(text, "tenant-"+side) ||
		strings.Contains(text, "person-"+side) || strings.Contains(text, "user-"+side)
	for _, id := range ids {
		found = found || strings.Contains(text, string(id))
	}
	return found
}

// TestTheStreamShowsOnlyWhatIsInScope changes things on both sides and reads
// what a domain's administrator is told.
func TestTheStreamShowsOnlyWhatIsInScope(t *testing.T) {
	w := newWorld(t)
	admin := &api.Client{Base: w.web.URL, HTTP: w.web.Client(), Token: w.roles[inventory.RoleDomainAdmin]}
	l := w.listen(admin, 0)
	ctx := t.Context()
	change := func(side string) (name string) {
		name = "renamed " + side
		_, err := w.client.ChangeAccount(ctx, "user@"+side+".test", 0, api.AccountChange{Name: &name})
		w.ok(err)
		extra, err := w.client.CreateAccount(ctx, api.NewAccount{Address: "extra@" + side + ".test", Password: "correct horse"})
		w.ok(err)
		w.ok(w.client.DeleteAccount(ctx, string(extra.ID), 0))
		_, err = w.client.CreateDomain(ctx, api.NewDomain{Name: "more-" + side + ".test"})
		w.ok(err)
		return name
	}
	change("out")
	change("in")
	w.server.PublishSamples("mail-1", []api.Reading{{Metric: "cpu_user"}})
	var seen []string
	l.next(func(e api.StreamEvent) bool {
		if e.Samples != nil {
			t.Error("a domain's administrator is told of samples")
		}
		text, err := json.Marshal(e.Change)
		w.ok(err)
		seen = append(seen, string(text))
		return e.Change != nil && e.Change.Verb == inventory.Deleted
	})
	text := strings.Join(seen, "\n")
	if strings.Contains(text, "out") || !strings.Contains(text, "renamed in") || !strings.Contains(text, "extra@in.test") {
		t.Errorf("the administrator was told:\n%s", text)
	}
	if !slices.ContainsFunc(seen, func(s string) bool { return strings.Contains(s, `"audit"`) }) {
		t.Error("the administrator is not told of the audit log of his domain")
	}
}
