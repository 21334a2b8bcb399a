package rest

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

var update = flag.Bool("update", false, "write openapi.json")

// TestOpenAPIIsAsCommitted keeps openapi.json, which others generate code from,
// the description that is served.
func TestOpenAPIIsAsCommitted(t *testing.T) {
	f := build(t, nil)
	raw, err := json.Marshal(f.server.api.OpenAPI())
	f.ok(err)
	var pretty bytes.Buffer
	f.ok(json.Indent(&pretty, raw, "", "  "))
	pretty.WriteByte('\n')
	if *update {
		f.ok(os.WriteFile("openapi.json", pretty.Bytes(), 0o644))
	}
	committed, err := os.ReadFile("openapi.json")
	f.ok(err)
	if !bytes.Equal(committed, pretty.Bytes()) {
		t.Error("openapi.json is not what is served: run go generate ./controller/rest")
	}
}

// description is the part of OpenAPI that the tests walk.
type description struct {
	OpenAPI string `json:"openapi"`
	Paths   map[string]map[string]struct {
		OperationID string                 `json:"operationId"`
		Right       string                 `json:"x-right"`
		Security    []map[string][]string  `json:"security"`
		Responses   map[string]interface{} `json:"responses"`
	} `json:"paths"`
}

func (f *fixture) describe() (d description) {
	f.t.Helper()
	raw, err := f.client.OpenAPI(f.t.Context())
	f.ok(err)
	f.ok(json.Unmarshal(raw, &d))
	if d.OpenAPI != "3.1.0" || len(d.Paths) < 20 {
		f.t.Fatalf("OpenAPI %s with %d paths", d.OpenAPI, len(d.Paths))
	}
	return d
}

// TestEveryRouteNeedsItsRight states the right of every route a second time
// and asks each as everybody.
func TestEveryRouteNeedsItsRight(t *testing.T) {
	want := map[string]string{
		"POST /session": "sign-in:write", "GET /session": "session:read", "DELETE /session": "session:write", "PUT /session/password": "session:write",
		"POST /join": "join:write", "GET /status": "status:read",
		"GET /servers": "servers:read", "POST /servers": "servers:write", "GET /servers/{id}": "servers:read", "PATCH /servers/{id}": "servers:write",
		"DELETE /servers/{id}": "servers:write", "POST /servers/{id}/invitation": "servers:write",
		"GET /powers": "powers:read", "GET /servers/{id}/power": "powers:read", "PUT /servers/{id}/power": "powers:write", "DELETE /servers/{id}/power": "powers:write",
		"POST /servers/{id}/power/test": "powers:write",
		"GET /services":                 "services:read", "POST /services": "services:write", "GET /services/{id}": "services:read", "PATCH /services/{id}": "services:write",
		"GET /services/{id}/log": "services:read", "GET /services/{id}/crash": "services:read", "GET /servers/{id}/preflight": "preflights:read", "GET /preflights": "preflights:read",
		"DELETE /services/{id}":                 "services:write",
		"GET /servers/{id}/services/{name}/log": "services:read", "GET /servers/{id}/samples": "samples:read", "GET /samples": "samples:read",
		"GET /operations": "operations:read", "POST /operations": "operations:write", "GET /operations/{id}": "operations:read", "POST /operations/{id}/cancel": "operations:write",
		"POST /operations/preview": "operations:read", "POST /operations/{id}/approve": "operations:write",
		"GET /releases": "releases:read", "POST /releases": "releases:write", "GET /releases/{id}": "releases:read", "DELETE /releases/{id}": "releases:write",
		"GET /release-keys": "releases:read",
		"GET /queue":        "queue:read", "GET /queue/summary": "queue:read", "GET /queue/{id}/message": "queued-messages:read", "POST /queue/acts": "queue:suspend",
		"GET /ledger": "ledger:read", "GET /ledger.csv": "ledger:read", "GET /ledger/failures": "ledger:read", "GET /ledger/failures.csv": "ledger:read",
		"GET /operations/{id}/export": "queued-messages:read",
		"PUT /domains/{id}/mail":      "domains:change", "GET /domains/{id}/records": "domains:read",
		"POST /domains/{id}/hooks": "domains:change", "DELETE /domains/{id}/hooks/{hook}": "domains:change",
		"GET /groups": "groups:read", "POST /groups": "groups:write", "GET /groups/{id}": "groups:read", "PUT /groups/{id}": "groups:write", "DELETE /groups/{id}": "groups:write",
		"GET /dkim-keys": "dkim-keys:read", "POST /dkim-keys": "dkim-keys:write", "GET /dkim-keys/{id}": "dkim-keys:read",
		"PATCH /dkim-keys/{id}": "dkim-keys:write", "DELETE /dkim-keys/{id}": "dkim-keys:write",
		"GET /pools": "pools:read", "POST /pools": "pools:write", "GET /pools/{id}": "pools:read", "PUT /pools/{id}": "pools:write", "DELETE /pools/{id}": "pools:write",
		"PUT /pools/{id}/members/{server}": "pools:write", "DELETE /pools/{id}/members/{server}": "pools:write",
		"GET /windows": "windows:read", "POST /windows": "windows:write", "GET /windows/{id}": "windows:read", "PUT /windows/{id}": "windows:write",
		"POST /windows/{id}/close": "windows:write", "DELETE /windows/{id}": "windows:write",
		"GET /rules": "rules:read", "POST /rules": "rules:write", "GET /rules/{id}": "rules:read", "PUT /rules/{id}": "rules:write", "DELETE /rules/{id}": "rules:write",
		"GET /contacts": "contacts:read", "POST /contacts": "contacts:write", "GET /contacts/{id}": "contacts:read", "PUT /contacts/{id}": "contacts:write", "DELETE /contacts/{id}": "contacts:write",
		"GET /alerts": "alerts:read", "GET /alerts/{id}": "alerts:read", "POST /alerts/{id}/acknowledge": "alerts:write",
		"GET /sms": "sms:read", "POST /sms": "sms:write", "GET /sms/{id}": "sms:read",
		"GET /domains": "domains:read", "POST /domains": "domains:write", "GET /domains/{id}": "domains:read", "PUT /domains/{id}": "domains:change", "DELETE /domains/{id}": "domains:write",
		"GET /accounts": "accounts:read", "POST /accounts": "accounts:write", "GET /accounts/{id}": "accounts:read", "PATCH /accounts/{id}": "accounts:password", "DELETE /accounts/{id}": "accounts:write",
		"GET /people": "people:read", "POST /people": "people:write", "GET /people/{id}": "people:read", "PATCH /people/{id}": "people:write", "DELETE /people/{id}": "people:write",
		"GET /oidc": "sign-in:write", "GET /oidc/start": "sign-in:write", "GET /oidc/callback": "sign-in:write",
		"GET /policy": "policy:read", "PUT /policy": "policy:write",
		"POST /session/totp": "session:write", "PUT /session/totp": "session:write", "DELETE /session/totp": "session:write",
		"GET /tenants": "tenants:read", "POST /tenants": "tenants:write", "GET /tenants/{id}": "tenants:read", "PUT /tenants/{id}": "tenants:write", "DELETE /tenants/{id}": "tenants:write",
		"GET /plans": "plans:read", "POST /plans": "plans:write", "GET /plans/{id}": "plans:read", "PUT /plans/{id}": "plans:write", "DELETE /plans/{id}": "plans:write",
		"GET /sessions": "sessions:read", "DELETE /sessions": "sessions:write", "DELETE /sessions/{id}": "sessions:write", "GET /audit.csv": "audit:read",
		"GET /accounts/{id}/mailboxes": "accounts:read", "GET /accounts/{id}/sign-ins": "accounts:read",
		"GET /holds": "accounts:read", "DELETE /accounts/{id}/hold": "accounts:suspend", "DELETE /accounts/{id}/held-mail": "accounts:write",
		"POST /accounts/{id}/app-passwords": "accounts:write", "DELETE /accounts/{id}/app-passwords/{password}": "accounts:write",
		"GET /tokens": "tokens:read", "POST /tokens": "tokens:write", "GET /tokens/{id}": "tokens:read", "DELETE /tokens/{id}": "tokens:write",
		"GET /audit": "audit:read", "GET /audit/verify": "audit-chain:read", "GET /events": "events:read",
	}
	f := start(t)
	tokens := map[inventory.Role]string{
		inventory.RoleOperator: f.client.Token,
		inventory.RoleViewer:   f.as(inventory.RoleViewer, "*").Token,
		inventory.RoleAuditor:  f.as(inventory.RoleAuditor, "*").Token,
		"":                     "",
	}
	narrow := f.as(inventory.RoleOperator, "sms:read").Token
	for path, operations := range f.describe().Paths {
		for method, op := range operations {
			method = strings.ToUpper(method)
			route := method + " " + strings.TrimPrefix(path, "/api/v1")
			if op.Right == "" || op.Right != want[route] {
				t.Errorf("%s needs %q, this test says %q", route, op.Right, want[route])
				continue
			}
			delete(want, route)
			resource, verb, _ := strings.Cut(op.Right, ":")
			if !auth.Known(inventory.Kind(resource)) {
				t.Errorf("%s: the table of rights has no row %s", route, resource)
			}
			public := auth.Public(inventory.Kind(resource), auth.Verb(verb))
			if public != (len(op.Security) == 0) {
				t.Errorf("%s: security %v, public %v", route, op.Security, public)
			}
			for role, token := range tokens {
				allowed := auth.Allow(auth.Principal{Role: role}, inventory.Kind(resource), auth.Verb(verb)) == nil
				if got := f.refusalOf(method, path, token); (got == "") != allowed {
					t.Errorf("%s as %q: allowed must be %v, was answered %q", route, role, allowed, got)
				}
			}
			if got := f.refusalOf(method, path, narrow); (got == "") != (public || op.Right == "sms:read") {
				t.Errorf("%s with a token of another scope is answered %q", route, got)
			}
		}
	}
	for route := range want {
		t.Errorf("there is no route %s", route)
	}
}

// refusalOf asks a route about something that is not there and returns how the
// caller was refused for who it is; empty when it was let in.
func (f *fixture) refusalOf(method, path, token string) string {
	f.t.Helper()
	path = strings.NewReplacer("{id}", string(inventory.NewID()), "{name}", "nothing", "{password}", "nothing").Replace(path)
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.web.URL+path, nil)
	f.ok(err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := f.web.Client().Do(req)
	f.ok(err)
	defer func() { _ = res.Body.Close() }()
	switch res.StatusCode {
	case http.StatusUnauthorized:
		return "unauthorized"
	case http.StatusForbidden:
		var p api.Problem
		f.ok(json.NewDecoder(res.Body).Decode(&p))
		if strings.HasPrefix(p.Detail, "the role ") || strings.HasPrefix(p.Detail, "none of the token's scopes ") {
			return p.Detail
		}
	}
	return ""
}

// reaching is what makes a browser ask somebody else; a URL in a text does not.
var reaching = regexp.MustCompile(`(?i)(?:src|href|action|data|url|@import)\s*[=(]?\s*["']?\s*(?:https?:)?//`)

func TestTheDocumentationPageNeedsNobodyElse(t *testing.T) {
	f := start(t)
	res, page := f.ask(http.MethodGet, "/docs", "")
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
		t.Fatalf("%s", res.Status)
	}
	if reaching.MatchString(page) || strings.Contains(page, "<script") || strings.Contains(page, nonceMark) {
		t.Error("the page reaches out, runs scripts or has no nonce")
	}
	checkPolicy(t, res, page)
	for _, path := range slices.Sorted(maps.Keys(f.describe().Paths)) {
		if !strings.Contains(page, "<span>"+path+"</span>") {
			t.Errorf("%s is not documented", path)
		}
	}
	for _, want := range []string{`id="schema-Server"`, `href="#schema-Problem"`, "Idempotency-Key", "servers:write"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not hold %s", want)
		}
	}
}
