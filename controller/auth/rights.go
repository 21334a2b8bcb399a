package auth

import (
	"slices"
	"strings"

	"mailfleet/inventory"
)

// Verb is what one may do with a resource.
type Verb string

// The verbs of rights. Who may write may do everything else but read.
const (
	Read     Verb = "read"
	Write    Verb = "write"    // create, change and delete
	Change   Verb = "change"   // settings of what is there
	Suspend  Verb = "suspend"  // and let go on
	Delete   Verb = "delete"   // what is there
	Password Verb = "password" // set one
)

// Verbs lists every verb.
var Verbs = []Verb{Read, Write, Change, Suspend, Delete, Password}

// The resources of the API that are not kinds of stored things. The names of
// the others are those of their kind.
const (
	Status  inventory.Kind = "status"
	Samples inventory.Kind = "samples"
	Events  inventory.Kind = "events"
	Session inventory.Kind = "session" // one's own
	Policy  inventory.Kind = "policy"
	Chain   inventory.Kind = "audit-chain" // of all audit entries
	SignIns inventory.Kind = "sign-in"
	Join    inventory.Kind = "join"
	Queue   inventory.Kind = "queue"           // of mail; of narrow scopes what their domains send and wait for
	Queued  inventory.Kind = "queued-messages" // whole, as they would be sent
	Ledger  inventory.Kind = "ledger"
)

// anyone is the role of those who have not said who they are.
const anyone inventory.Role = ""

// columns are the roles of the table below, from left to right.
var columns = []inventory.Role{
	inventory.RoleOperator, inventory.RoleViewer, inventory.RoleAuditor,
	inventory.RoleReseller, inventory.RoleDomainAdmin, inventory.RoleHelpdesk, inventory.RoleUser, anyone,
}

// rights is the table of rights: what is not in it nobody may do. A cell holds
// the first letters of verbs, or -. A role has its rights where its scope is;
// a resource that only operators, viewers and auditors may touch is the whole
// fleet's, and takes the scope fleet.
var rights = []row{
	//                    oper view aud  rslr adm  help user anyone
	{Status, "            r    r    r    -    -    -    -    -"},
	{inventory.Servers, " rw   r    r    -    -    -    -    -"},
	{inventory.Services, "rw   r    r    -    -    -    -    -"},
	{inventory.Powers, "  rw   r    r    -    -    -    -    -"},
	{inventory.Releases, "rw   r    r    -    -    -    -    -"},
	{inventory.Preflights, "r  r    r    -    -    -    -    -"},
	{Samples, "           rw   r    r    -    -    -    -    -"},
	{inventory.Operations, "rw r    r    -    -    -    -    -"},
	{Queue, "             rw   r    r    rsd  rsd  rs   -    -"},
	{Queued, "            r    -    -    -    -    -    -    -"},
	{Ledger, "            r    r    r    r    r    r    -    -"},
	{inventory.Pools, "   rw   r    r    -    -    -    -    -"},
	{inventory.Windows, " rw   r    r    -    -    -    -    -"},
	{inventory.Rules, "   rw   r    r    -    -    -    -    -"},
	{inventory.Contacts, "rw   r    r    -    -    -    -    -"},
	{inventory.Alerts, "  rw   r    r    -    -    -    -    -"},
	{inventory.SMSes, "   rw   r    r    -    -    -    -    -"},
	{inventory.Tenants, " rw   r    r    rw   -    -    -    -"},
	{inventory.Plans, "   rw   r    r    rw   r    r    -    -"},
	{inventory.Domains, " rw   r    r    rw   rc   r    -    -"},
	{inventory.Groups, "  rw   r    r    rw   rw   r    -    -"},
	{inventory.DKIMKeys, "rw   r    r    rw   rw   r    -    -"},
	{inventory.Accounts, "rw   r    r    rw   rw   rsp  rp   -"},
	{inventory.People, "  rw   -    r    rw   rw   -    -    -"},
	{Policy, "            rw   r    r    r    r    r    r    -"},
	{inventory.Tokens, "  rw   -    r    rw   rw   -    -    -"},
	{inventory.Sessions, "rw   r    r    rw   rw   r    rw   -"},
	{inventory.Audit, "   r    -    r    r    r    -    -    -"},
	{Chain, "             r    -    r    -    -    -    -    -"},
	{Events, "            r    r    r    r    r    r    r    -"},
	{Session, "           rw   rw   rw   rw   rw   rw   rw   -"},
	{SignIns, "           w    w    w    w    w    w    w    w"},
	{Join, "              w    w    w    w    w    w    w    w"},
}

// row is one resource and its cells.
type row struct {
	resource inventory.Kind
	cells    string
}

// cell is what a role may do with a row's resource, in letters.
func (r row) cell(role inventory.Role) string {
	cells := strings.Fields(r.cells)
	if i := slices.Index(columns, role); i >= 0 {
		return cells[i]
	}
	return "-"
}

// rowOf returns the resource's row; ok is false when there is none.
func rowOf(resource inventory.Kind) (r row, ok bool) {
	i := slices.IndexFunc(rights, func(r row) bool { return r.resource == resource })
	if i < 0 {
		return row{}, false
	}
	return rights[i], true
}

// may looks a cell of the table up.
func may(role inventory.Role, resource inventory.Kind, verb Verb) bool {
	r, ok := rowOf(resource)
	if !ok || !slices.Contains(Verbs, verb) {
		return false
	}
	cell := r.cell(role)
	return strings.Contains(cell, string(verb[0])) || verb != Read && strings.Contains(cell, "w")
}

// Known reports whether the table has a row for the resource.
func Known(resource inventory.Kind) bool {
	_, ok := rowOf(resource)
	return ok
}

// Scoped reports whether the resource's things lie in scopes narrower than the
// fleet: whether a role that is not the fleet's may touch it.
func Scoped(resource inventory.Kind) bool {
	return slices.ContainsFunc(inventory.Roles, func(role inventory.Role) bool {
		return !onFleet(role) && slices.ContainsFunc(Verbs, func(v Verb) bool { return may(role, resource, v) })
	})
}

// onFleet reports whether the role holds on the whole fleet when no scope is named.
func onFleet(role inventory.Role) bool {
	return role == inventory.RoleOperator || role == inventory.RoleViewer || role == inventory.RoleAuditor
}

// Fleet reports whether p's role holds on the whole fleet.
func (p Principal) Fleet() bool {
	return onFleet(p.Role) && (len(p.Scope) == 0 || slices.Contains(p.Scope, inventory.ScopeFleet))
}

// Public reports whether anybody may, without saying who they are.
func Public(resource inventory.Kind, verb Verb) bool { return may(anyone, resource, verb) }

// Controller is the principal of what the controller does by itself.
func Controller() Principal { return Principal{Name: "controller", Role: inventory.RoleOperator} }

// Allow returns nil when p may do verb with resource, wherever its scope is:
// its role must allow it, and one of its scopes when it is a token.
// Unauthorized or Forbidden otherwise. Which things of the resource lie in p's
// scope is Reach's to say.
func Allow(p Principal, resource inventory.Kind, verb Verb) error {
	switch {
	case !may(p.Role, resource, verb) && p.Role == anyone:
		return inventory.Errorf(inventory.Unauthorized, "sign in, or send a token")
	case !may(p.Role, resource, verb):
		return inventory.Errorf(inventory.Forbidden, "the role %s may not %s %s", p.Role, verb, resource)
	case p.Role != anyone && !p.Fleet() && !Scoped(resource):
		return inventory.Errorf(inventory.Forbidden, "the role %s may not %s %s: its scope is not the fleet", p.Role, verb, resource)
	case p.Must == MustChange && !forDuty(resource, verb):
		return inventory.Errorf(inventory.Forbidden, "change your password before anything else")
	case p.Must == MustEnrol && !forDuty(resource, verb):
		return inventory.Errorf(inventory.Forbidden, "enrol a second factor before anything else")
	case p.Token != "" && !slices.ContainsFunc(p.scopes, func(s string) bool { return covers(s, right(resource, verb)) }):
		return inventory.Errorf(inventory.Forbidden, "none of the token's scopes covers %s", right(resource, verb))
	default:
		return nil
	}
}

// forDuty reports whether somebody needs a right to do what they must do first:
// what is their own, and what the policy asks of a password.
func forDuty(resource inventory.Kind, verb Verb) bool {
	return resource == Session || resource == Policy && verb == Read
}

func right(resource inventory.Kind, verb Verb) string { return string(resource) + ":" + string(verb) }

// covers reports whether a scope covers another one.
func covers(scope, other string) bool {
	if scope == "*" || scope == other {
		return true
	}
	resource, verb, _ := strings.Cut(scope, ":")
	otherResource, otherVerb, _ := strings.Cut(other, ":")
	return (resource == "*" || resource == otherResource) &&
		(verb == "*" || verb == otherVerb || Verb(verb) == Write && Verb(otherVerb) != Read && otherVerb != "*")
}

// checkScope accepts *, resource:verb, and * for either.
func checkScope(scope string) error {
	resource, verb, found := strings.Cut(scope, ":")
	known := resource == "*" || Known(inventory.Kind(resource))
	if scope == "*" || found && known && (verb == "*" || slices.Contains(Verbs, Verb(verb))) {
		return nil
	}
	return inventory.FieldErrorf("scopes", "%q is not a scope: write resource:read, resource:write, *:read or *", scope)
}

// checkScopes refuses scopes that are none, or that the grantor's own token
// does not cover.
func checkScopes(grantor Principal, scopes []string) error {
	for _, scope := range scopes {
		if err := checkScope(scope); err != nil {
			return err
		}
		held := grantor.Token == "" || slices.ContainsFunc(grantor.scopes, func(s string) bool { return covers(s, scope) })
		if !held {
			return inventory.Errorf(inventory.Forbidden, "your own token does not cover the scope %s", scope)
		}
	}
	return nil
}

// Rights are all that a principal may do, as resource:verb.
func Rights(p Principal) []string {
	var rs []string
	for _, r := range rights {
		for _, verb := range Verbs {
			if Allow(p, r.resource, verb) == nil {
				rs = append(rs, right(r.resource, verb))
			}
		}
	}
	return rs
}

// weaker reports whether a role may do nothing that the other may not.
func weaker(role, than inventory.Role) bool {
	for _, r := range rights {
		for _, verb := range Verbs {
			if may(role, r.resource, verb) && !may(than, r.resource, verb) {
				return false
			}
		}
	}
	return true
}
