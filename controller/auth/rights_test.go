package auth

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// TestEveryCellOfTheTable states the rights a second time, for operator,
// viewer, auditor, reseller, domain-admin, helpdesk, user and anyone.
func TestEveryCellOfTheTable(t *testing.T) {
	want := map[inventory.Kind][8]string{
		"status":          {"r", "r", "r", "-", "-", "-", "-", "-"},
		"servers":         {"rw", "r", "r", "-", "-", "-", "-", "-"},
		"services":        {"rw", "r", "r", "-", "-", "-", "-", "-"},
		"powers":          {"rw", "r", "r", "-", "-", "-", "-", "-"},
		"releases":        {"rw", "r", "r", "-", "-", "-", "-", "-"},
		"samples":         {"rw", "r", "r", "-", "-", "-", "-", "-"},
		"preflights":      {"r", "r", "r", "-", "-", "-", "-", "-"},
		"operations":      {"rw", "r", "r", "-", "-", "-", "-", "-"},
		"queue":           {"rw", "r", "r", "rsd", "rsd", "rs", "-", "-"},
		"queued-messages": {"r", "-", "-", "-", "-", "-", "-", "-"},
		"ledger":          {"r", "r", "r", "r", "r", "r", "-", "-"},
		"pools":           {"rw", "r", "r", "-", "-", "-", "-", "-"},
		"windows":         {"rw", "r", "r", "-", "-", "-", "-", "-"},
		"rules":           {"rw", "r", "r", "-", "-", "-", "-", "-"},
		"contacts":        {"rw", "r", "r", "-", "-", "-", "-", "-"},
		"alerts":          {"rw", "r", "r", "-", "-", "-", "-", "-"},
		"sms":             {"rw", "r", "r", "-", "-", "-", "-", "-"},
		"tenants":         {"rw", "r", "r", "rw", "-", "-", "-", "-"},
		"plans":           {"rw", "r", "r", "rw", "r", "r", "-", "-"},
		"domains":         {"rw", "r", "r", "rw", "rc", "r", "-", "-"},
		"accounts":        {"rw", "r", "r", "rw", "rw", "rsp", "rp", "-"},
		"groups":          {"rw", "r", "r", "rw", "rw", "r", "-", "-"},
		"dkim-keys":       {"rw", "r", "r", "rw", "rw", "r", "-", "-"},
		"people":          {"rw", "-", "r", "rw", "rw", "-", "-", "-"},
		"policy":          {"rw", "r", "r", "r", "r", "r", "r", "-"},
		"tokens":          {"rw", "-", "r", "rw", "rw", "-", "-", "-"},
		"sessions":        {"rw", "r", "r", "rw", "rw", "r", "rw", "-"},
		"audit":           {"r", "-", "r", "r", "r", "-", "-", "-"},
		"audit-chain":     {"r", "-", "r", "-", "-", "-", "-", "-"},
		"events":          {"r", "r", "r", "r", "r", "r", "r", "-"},
		"session":         {"rw", "rw", "rw", "rw", "rw", "rw", "rw", "-"},
		"sign-in":         {"w", "w", "w", "w", "w", "w", "w", "w"},
		"join":            {"w", "w", "w", "w", "w", "w", "w", "w"},
		// Internal kinds are nobody's.
		"settings":     {"-", "-", "-", "-", "-", "-", "-", "-"},
		"join_tokens":  {"-", "-", "-", "-", "-", "-", "-", "-"},
		"certificates": {"-", "-", "-", "-", "-", "-", "-", "-"},
	}
	roles := [8]inventory.Role{
		inventory.RoleOperator, inventory.RoleViewer, inventory.RoleAuditor,
		inventory.RoleReseller, inventory.RoleDomainAdmin, inventory.RoleHelpdesk, inventory.RoleUser, anyone,
	}
	implied := map[Verb]string{Read: "r", Write: "w", Change: "cw", Suspend: "sw", Delete: "dw", Password: "pw"}
	for resource, cells := range want {
		for i, role := range roles {
			for verb, letters := range implied {
				allowed := strings.ContainsAny(cells[i], letters)
				err := Allow(Principal{Role: role}, resource, verb)
				code := inventory.Forbidden
				if role == anyone {
					code = inventory.Unauthorized
				}
				if allowed && err != nil || !allowed && !inventory.Is(err, code) {
					t.Errorf("%q %s %s: %v, want allowed=%v", role, verb, resource, err, allowed)
				}
			}
		}
	}
	for _, row := range rights {
		if _, ok := want[row.resource]; !ok {
			t.Errorf("%s is in the table but not in this test", row.resource)
		}
		if n := len(strings.Fields(row.cells)); n != len(columns) {
			t.Errorf("%s has %d cells for %d roles", row.resource, n, len(columns))
		}
	}
	if len(columns) != len(inventory.Roles)+1 {
		t.Errorf("the table has columns for %v, roles are %v", columns, inventory.Roles)
	}
	if err := Allow(Principal{Role: "stranger"}, inventory.Servers, Read); !inventory.Is(err, inventory.Forbidden) {
		t.Errorf("a role that is none: %v", err)
	}
}

func TestANarrowScopeHasNothingOfTheFleets(t *testing.T) {
	narrow := Principal{Role: inventory.RoleOperator, Scope: []inventory.Scope{"domain:example.test"}}
	for resource, allowed := range map[inventory.Kind]bool{
		inventory.Servers: false, Samples: false, Chain: false, inventory.Domains: true, inventory.Accounts: true, inventory.Audit: true,
	} {
		if err := Allow(narrow, resource, Read); allowed != (err == nil) {
			t.Errorf("%s: %v", resource, err)
		}
	}
	if !(Principal{Role: inventory.RoleOperator, Scope: []inventory.Scope{inventory.ScopeFleet}}).Fleet() || narrow.Fleet() ||
		(Principal{Role: inventory.RoleUser}).Fleet() {
		t.Error("who is on the fleet is wrong")
	}
}

// TestADutyLeavesWhatIsNeededForIt looks at what is left to somebody who has
// to change the password or to enrol a second factor first.
func TestADutyLeavesWhatIsNeededForIt(t *testing.T) {
	for _, duty := range []Duty{MustChange, MustEnrol} {
		bound := Principal{Name: "alice", Role: inventory.RoleOperator, Session: "s", Must: duty}
		for _, right := range Rights(bound) {
			if !strings.HasPrefix(right, "session:") && right != "policy:read" {
				t.Errorf("%s leaves %s", duty, right)
			}
		}
		for verb, allowed := range map[Verb]bool{Read: true, Write: false} {
			if err := Allow(bound, Policy, verb); allowed != (err == nil) {
				t.Errorf("%s: %s the policy: %v", duty, verb, err)
			}
		}
	}
}

func TestScopesNarrowATokensRole(t *testing.T) {
	cases := []struct {
		role     inventory.Role
		scopes   []string
		resource inventory.Kind
		verb     Verb
		allowed  bool
	}{
		{inventory.RoleOperator, []string{"*"}, inventory.Servers, Write, true},
		{inventory.RoleViewer, []string{"*"}, inventory.Servers, Write, false},
		{inventory.RoleOperator, []string{"*:read"}, inventory.Servers, Read, true},
		{inventory.RoleOperator, []string{"*:read"}, inventory.Servers, Write, false},
		{inventory.RoleOperator, []string{"servers:read"}, inventory.Servers, Read, true},
		{inventory.RoleOperator, []string{"servers:read"}, inventory.Rules, Read, false},
		{inventory.RoleOperator, []string{"servers:*"}, inventory.Servers, Write, true},
		{inventory.RoleOperator, []string{"servers:write"}, inventory.Servers, Read, false},
		{inventory.RoleOperator, []string{"servers:read", "rules:write"}, inventory.Rules, Write, true},
		{inventory.RoleOperator, nil, inventory.Servers, Read, false},
		{inventory.RoleOperator, []string{"accounts:write"}, inventory.Accounts, Password, true},
		{inventory.RoleOperator, []string{"accounts:password"}, inventory.Accounts, Password, true},
		{inventory.RoleOperator, []string{"accounts:password"}, inventory.Accounts, Write, false},
	}
	for _, c := range cases {
		err := Allow(Principal{Role: c.role, Token: "t", scopes: c.scopes}, c.resource, c.verb)
		if c.allowed != (err == nil) {
			t.Errorf("%s %v: %s %s: %v", c.role, c.scopes, c.verb, c.resource, err)
		}
	}
}

func TestATokenCannotMakeAStrongerOne(t *testing.T) {
	f := newFixture(t)
	actor := inventory.Actor{Name: "token:ci"}
	narrow := Principal{Name: "ci", Role: inventory.RoleOperator, Token: "t", scopes: []string{"tokens:write", "servers:*"}}
	for _, c := range []struct {
		role   inventory.Role
		scopes []string
		code   inventory.Code
	}{
		{inventory.RoleOperator, nil, inventory.Forbidden}, // * by default
		{inventory.RoleOperator, []string{"*:read"}, inventory.Forbidden},
		{inventory.RoleOperator, []string{"servers:read"}, ""},
		{inventory.RoleOperator, []string{"servers:read", "rules:read"}, inventory.Forbidden},
		{inventory.RoleOperator, []string{"server:read"}, inventory.Invalid},
		{inventory.RoleOperator, []string{"servers"}, inventory.Invalid},
		{"root", []string{"servers:read"}, inventory.Invalid},
	} {
		_, err := f.CreateToken(t.Context(), actor, narrow, api.NewToken{Name: "n", Role: c.role, Scopes: c.scopes})
		f.wants(c.code, err)
	}
	_, err := f.CreateToken(t.Context(), actor, Controller(), api.NewToken{Name: " "})
	f.wants(inventory.Invalid, err)
	if got := f.audited(); len(got) != 1 || got[0] != "token.create" {
		t.Fatalf("audited %v", got)
	}
}

func TestWhoWritesSamples(t *testing.T) {
	f := newFixture(t)
	token := func(name string, role inventory.Role, scopes ...string) string {
		k, err := f.CreateToken(t.Context(), inventory.Actor{Name: "controller"}, Controller(), api.NewToken{Name: name, Role: role, Scopes: scopes})
		f.wants("", err)
		return k.Secret
	}
	writer := token("writer", inventory.RoleOperator, "samples:write")
	for header, want := range map[string]bool{
		"Token " + writer:  true,
		"Bearer " + writer: true,
		"Basic " + writer:  false,
		writer:             false,
		"":                 false,
		"Token mft_no":     false,
		"Token " + token("reader", inventory.RoleOperator, "*:read"):        false,
		"Token " + token("viewer", inventory.RoleViewer, "samples:write"):   false,
		"Token " + token("all", inventory.RoleOperator):                     true,
		"Bearer " + token("other", inventory.RoleOperator, "servers:write"): false,
	} {
		r := httptest.NewRequest(http.MethodPost, "/api/v2/write", nil)
		r.TLS = &tls.ConnectionState{}
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		if server, ok := f.WriteIdentity(r); ok != want || server != "" {
			t.Errorf("%.10q: got %q, %v, want %v", header, server, ok, want)
		}
	}
}

func TestALimiterForgetsWithTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(2, time.Second)
		for range 2 {
			if err := l.Take("192.0.2.1"); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Take("192.0.2.1"); !inventory.Is(err, inventory.TooMany) {
			t.Fatalf("got %v", err)
		}
		if err := l.Take("::ffff:192.0.2.2"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := l.Take("192.0.2.1"); err != nil {
			t.Fatal(err)
		}
		l.Return("192.0.2.1")
		if err := l.Take("192.0.2.1"); err != nil {
			t.Fatal(err)
		}
	})
}
