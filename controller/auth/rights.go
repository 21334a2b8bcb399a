package auth

import (
	"slices"
	"strings"

	"mailfleet/inventory"
)

// Verb is what one may do with a resource.
type Verb string

// The verbs of rights.
const (
	Read  Verb = "read"
	Write Verb = "write"
)

// The resources of the API that are not kinds of stored things. The names of
// the others are those of their kind.
const (
	Status  inventory.Kind = "status"
	Samples inventory.Kind = "samples"
	Events  inventory.Kind = "events"
	Session inventory.Kind = "session" // one's own
	SignIns inventory.Kind = "sign-in"
	Join    inventory.Kind = "join"
)

// anyone is the role of those who have not said who they are.
const anyone inventory.Role = ""

type verbs string

const (
	none  verbs = ""
	read  verbs = "read"
	write verbs = "write"
	both  verbs = "read write"
)

// rights is the table of rights: what is not in it nobody may do.
var rights = []struct {
	resource                          inventory.Kind
	operator, viewer, auditor, anyone verbs
}{
	{Status, read, read, read, none},
	{inventory.Servers, both, read, read, none},
	{inventory.Services, both, read, read, none},
	{Samples, both, read, read, none},
	{inventory.Operations, both, read, read, none},
	{inventory.Rules, both, read, read, none},
	{inventory.Contacts, both, read, read, none},
	{inventory.Alerts, both, read, read, none},
	{inventory.SMSes, both, read, read, none},
	{inventory.Domains, both, read, read, none},
	{inventory.Accounts, both, read, read, none},
	{inventory.People, read, none, read, none},
	{inventory.Tokens, both, none, read, none},
	{inventory.Audit, read, none, read, none},
	{Events, read, read, read, none},
	{Session, both, both, both, none},
	{SignIns, write, write, write, write},
	{Join, write, write, write, write},
}

// may looks a cell of the table up.
func may(role inventory.Role, resource inventory.Kind, verb Verb) bool {
	for _, row := range rights {
		if row.resource != resource {
			continue
		}
		cell := none
		switch role {
		case inventory.RoleOperator:
			cell = row.operator
		case inventory.RoleViewer:
			cell = row.viewer
		case inventory.RoleAuditor:
			cell = row.auditor
		case anyone:
			cell = row.anyone
		}
		return slices.Contains(strings.Fields(string(cell)), string(verb))
	}
	return false
}

// Known reports whether the table has a row for the resource.
func Known(resource inventory.Kind) bool {
	for _, row := range rights {
		if row.resource == resource {
			return true
		}
	}
	return false
}

// Public reports whether anybody may, without saying who they are.
func Public(resource inventory.Kind, verb Verb) bool { return may(anyone, resource, verb) }

// Controller is the principal of what the controller does by itself.
func Controller() Principal { return Principal{Name: "controller", Role: inventory.RoleOperator} }

// Allow returns nil when p may do verb with resource: its role must allow it,
// and one of its scopes when it is a token. Unauthorized or Forbidden otherwise.
func Allow(p Principal, resource inventory.Kind, verb Verb) error {
	switch {
	case !may(p.Role, resource, verb) && p.Role == anyone:
		return inventory.Errorf(inventory.Unauthorized, "sign in, or send a token")
	case !may(p.Role, resource, verb):
		return inventory.Errorf(inventory.Forbidden, "the role %s may not %s %s", p.Role, verb, resource)
	case p.Token != "" && !slices.ContainsFunc(p.scopes, func(s string) bool { return covers(s, right(resource, verb)) }):
		return inventory.Errorf(inventory.Forbidden, "none of the token's scopes covers %s", right(resource, verb))
	default:
		return nil
	}
}

func right(resource inventory.Kind, verb Verb) string { return string(resource) + ":" + string(verb) }

// covers reports whether a scope covers another one.
func covers(scope, other string) bool {
	if scope == "*" || scope == other {
		return true
	}
	resource, verb, _ := strings.Cut(scope, ":")
	otherResource, otherVerb, _ := strings.Cut(other, ":")
	return (resource == "*" || resource == otherResource) && (verb == "*" || verb == otherVerb)
}

// checkScope accepts *, *:read, *:write, resource:*, resource:read and resource:write.
func checkScope(scope string) error {
	resource, verb, found := strings.Cut(scope, ":")
	known := resource == "*" || Known(inventory.Kind(resource))
	if scope == "*" || found && known && (verb == "*" || Verb(verb) == Read || Verb(verb) == Write) {
		return nil
	}
	return inventory.FieldErrorf("scopes", "%q is not a scope: write resource:read, resource:write, *:read or *", scope)
}

// checkGrant refuses rights that the grantor does not have itself.
func checkGrant(grantor Principal, role inventory.Role, scopes []string) error {
	if role != inventory.RoleOperator && role != inventory.RoleViewer && role != inventory.RoleAuditor {
		return inventory.FieldErrorf("role", "%q is not a role: write operator, viewer or auditor", role)
	}
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
