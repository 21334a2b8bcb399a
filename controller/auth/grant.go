package auth

import (
	"slices"
	"strings"

	"mailfleet/inventory"
)

// places are the kinds of scope that each role can have.
var places = map[inventory.Role][]string{
	inventory.RoleOperator:    {"fleet", "tenant", "domain", "account"},
	inventory.RoleViewer:      {"fleet", "tenant", "domain", "account"},
	inventory.RoleAuditor:     {"fleet", "tenant", "domain", "account"},
	inventory.RoleReseller:    {"tenant"},
	inventory.RoleDomainAdmin: {"tenant", "domain"},
	inventory.RoleHelpdesk:    {"tenant", "domain"},
	inventory.RoleUser:        {"account"},
}

// Grant checks that the grantor can give somebody a role with a scope, which
// names tenants, domains and accounts as people do, and returns it as it is
// kept. An absent scope is the fleet, or the grantor's own where the role
// cannot have the fleet.
func Grant(tx inventory.Tx, grantor Principal, role inventory.Role, scope []inventory.Scope) ([]inventory.Scope, error) {
	if _, ok := places[role]; !ok {
		return nil, inventory.FieldErrorf("role", "%q is not a role: write one of %v", role, inventory.Roles)
	}
	if !weaker(role, grantor.Role) {
		return nil, inventory.Errorf(inventory.Forbidden, "the role %s may do what yours may not: you cannot give it", role)
	}
	if len(scope) == 0 && !grantor.Fleet() {
		scope = grantor.Scope
	}
	resolved, err := resolve(tx, scope)
	switch {
	case inventory.Is(err, inventory.Invalid) && !grantor.Fleet(): // whether it is there is not theirs to know
		return nil, errBeyond()
	case err != nil:
		return nil, err
	}
	if err := fits(role, resolved); err != nil {
		return nil, err
	}
	reach, err := ReachOf(tx, grantor)
	if err != nil {
		return nil, err
	}
	if !reach.Covers(role, resolved) {
		return nil, errBeyond()
	}
	return resolved, nil
}

func errBeyond() error {
	return inventory.Errorf(inventory.Forbidden, "the scope reaches beyond your own: you cannot give it")
}

// fits refuses a scope that the role cannot have.
func fits(role inventory.Role, scope []inventory.Scope) error {
	if len(scope) == 0 {
		scope = []inventory.Scope{inventory.ScopeFleet}
	}
	for _, s := range scope {
		if kind, _ := s.Split(); !slices.Contains(places[role], kind) {
			return inventory.FieldErrorf("scope", "a %s holds on a %s, not on %s", role, alternatives(places[role]), s)
		}
	}
	return nil
}

// resolve turns names into ids, and the fleet into nothing at all.
func resolve(tx inventory.Tx, scope []inventory.Scope) ([]inventory.Scope, error) {
	var out []inventory.Scope
	for _, s := range scope {
		if s == "*" || s == inventory.ScopeFleet {
			return nil, nil
		}
		kind, name := s.Split()
		var err error
		switch kind {
		case "tenant":
			var t *inventory.Tenant
			if t, err = tx.Tenants().Get(inventory.ID(name)); inventory.Is(err, inventory.NotFound) {
				t, err = tx.Tenants().Find("name", name)
			}
			if err == nil {
				s = inventory.ScopeTenant(t.ID)
			}
		case "domain":
			s = inventory.ScopeDomain(strings.ToLower(name))
			_, err = tx.Domains().Find("name", strings.ToLower(name))
		case "account":
			s = inventory.ScopeAccount(strings.ToLower(name))
			_, err = tx.Accounts().Find("address", strings.ToLower(name))
		default:
			return nil, inventory.FieldErrorf("scope", "%q is not a scope: write fleet, tenant:NAME, domain:NAME or account:ADDRESS", s)
		}
		if inventory.Is(err, inventory.NotFound) {
			return nil, inventory.FieldErrorf("scope", "there is no %s %q", inventory.Noun(kind), name)
		}
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out, nil
}

// alternatives are kinds of scope in a sentence.
func alternatives(kinds []string) (said inventory.Sentence) {
	for i, kind := range kinds {
		if noun := inventory.Noun(kind); i == 0 {
			said = noun.Said()
		} else {
			said = inventory.Say("%s or a %s", said, noun)
		}
	}
	return said
}

// Outranks reports whether p's role may do all that the other role may: only
// then may p change somebody who has it.
func Outranks(p Principal, role inventory.Role) bool { return weaker(role, p.Role) }

// Holder names a person or token whose role holds on exactly that scope, for
// what must not go while somebody does; nothing when there is none.
func Holder(tx inventory.Tx, scope inventory.Scope) (inventory.Sentence, error) {
	var none inventory.Sentence
	people, _, err := tx.People().List(inventory.Query{})
	if err != nil {
		return none, err
	}
	for _, p := range people {
		if slices.Contains(p.Scope, scope) {
			return inventory.Say("the %s %s", inventory.People.Noun(), p.Name), nil
		}
	}
	tokens, _, err := tx.Tokens().List(inventory.Query{})
	if err != nil {
		return none, err
	}
	for _, t := range tokens {
		if slices.Contains(t.Scope, scope) {
			return inventory.Say("the %s %s", inventory.Tokens.Noun(), t.Name), nil
		}
	}
	return none, nil
}
