package dbstore

import (
	"encoding/hex"
	"slices"
	"strconv"

	"mailfleet/inventory"
)

// schema describes one kind's table.
type schema[R inventory.Record] struct {
	kind   inventory.Kind // the table's name
	fields []field[R]
	many   *many[R] // may be nil
	// remembers tells that records are held as they were last read: they are few,
	// and read again and again.
	remembers bool
	seal      func(R) // called on a record whose Meta is set, before it is written; may be nil
}

// field is an indexed field: Where and Find know it by its name, which is the
// column's too.
type field[R inventory.Record] struct {
	name  string
	index index
	value func(R) string
}

// index is how a field may be searched.
type index int

const (
	plain  index = iota // Where
	unique              // Where and Find; no two records have the same, unless it is empty
	secret              // unique, and no message shows it
)

// many is an indexed field with several values, kept in a table of its own,
// named <kind>_<name>. Where keeps records that have one of the values.
type many[R inventory.Record] struct {
	name   string
	values func(R) []string
}

var servers = schema[*inventory.Server]{
	kind: inventory.Servers, remembers: true,
	fields: []field[*inventory.Server]{
		{"name", unique, func(r *inventory.Server) string { return r.Name }},
		{"state", plain, func(r *inventory.Server) string { return string(r.State) }},
		{"region", plain, func(r *inventory.Server) string { return r.Region }},
	},
}

var services = schema[*inventory.Service]{
	kind: inventory.Services, remembers: true,
	fields: []field[*inventory.Service]{
		// "<server's id>/<service's name>"
		{"server/name", unique, func(r *inventory.Service) string { return string(r.Server) + "/" + r.Name }},
		{"server", plain, func(r *inventory.Service) string { return string(r.Server) }},
		{"name", plain, func(r *inventory.Service) string { return r.Name }},
		{"kind", plain, func(r *inventory.Service) string { return string(r.Kind) }},
		{"want", plain, func(r *inventory.Service) string { return string(r.Want) }},
		{"state", plain, func(r *inventory.Service) string { return string(r.State) }},
	},
}

var joinTokens = schema[*inventory.JoinToken]{
	kind: inventory.JoinTokens,
	fields: []field[*inventory.JoinToken]{
		{"server", plain, func(r *inventory.JoinToken) string { return string(r.Server) }},
		{"hash", secret, func(r *inventory.JoinToken) string { return hex.EncodeToString(r.Hash) }},
	},
}

var certificates = schema[*inventory.Certificate]{
	kind: inventory.Certificates,
	fields: []field[*inventory.Certificate]{
		{"server", plain, func(r *inventory.Certificate) string { return string(r.Server) }},
		{"serial", unique, func(r *inventory.Certificate) string { return r.Serial }},
	},
}

var domains = schema[*inventory.Domain]{
	kind: inventory.Domains,
	fields: []field[*inventory.Domain]{
		{"name", unique, func(r *inventory.Domain) string { return r.Name }},
		{"tenant", plain, func(r *inventory.Domain) string { return string(r.Tenant) }},
		{"plan", plain, func(r *inventory.Domain) string { return string(r.Plan) }},
	},
}

var accounts = schema[*inventory.Account]{
	kind: inventory.Accounts,
	fields: []field[*inventory.Account]{
		{"address", unique, func(r *inventory.Account) string { return r.Address }},
		{"domain", plain, func(r *inventory.Account) string { return r.Domain }},
		{"server", plain, func(r *inventory.Account) string { return string(r.Server) }},
		{"state", plain, func(r *inventory.Account) string { return string(r.State) }},
		{"plan", plain, func(r *inventory.Account) string { return string(r.Plan) }},
	},
	many: &many[*inventory.Account]{"alias", func(r *inventory.Account) []string { return slices.Clone(r.Aliases) }},
}

var operations = schema[*inventory.Operation]{
	kind: inventory.Operations, remembers: true,
	fields: []field[*inventory.Operation]{
		{"state", plain, func(r *inventory.Operation) string { return string(r.State) }},
		{"kind", plain, func(r *inventory.Operation) string { return string(r.Kind) }},
		// "<actor>\x00<key>"
		{"idempotency", secret, func(r *inventory.Operation) string {
			if r.IdempotencyKey == "" {
				return ""
			}
			return r.Actor + "\x00" + r.IdempotencyKey
		}},
	},
	many: &many[*inventory.Operation]{"server", func(r *inventory.Operation) []string {
		var ids []string
		for _, target := range r.Targets {
			ids = append(ids, string(target.Server))
		}
		for _, step := range r.Steps {
			if step.Agent != "" {
				ids = append(ids, string(step.Agent))
			}
		}
		return ids
	}},
}

var rules = schema[*inventory.Rule]{
	kind: inventory.Rules,
	fields: []field[*inventory.Rule]{
		{"name", unique, func(r *inventory.Rule) string { return r.Name }},
		{"metric", plain, func(r *inventory.Rule) string { return r.Metric }},
		{"enabled", plain, func(r *inventory.Rule) string { return strconv.FormatBool(r.Enabled) }},
	},
}

var contacts = schema[*inventory.Contact]{
	kind: inventory.Contacts,
	fields: []field[*inventory.Contact]{
		{"phone", unique, func(r *inventory.Contact) string { return r.Phone }},
	},
}

var alerts = schema[*inventory.Alert]{
	kind: inventory.Alerts,
	fields: []field[*inventory.Alert]{
		{"state", plain, func(r *inventory.Alert) string { return string(r.State) }},
		{"server", plain, func(r *inventory.Alert) string { return string(r.Server) }},
		{"rule", plain, func(r *inventory.Alert) string { return string(r.Rule) }},
		{"severity", plain, func(r *inventory.Alert) string { return string(r.Severity) }},
	},
}

var smses = schema[*inventory.SMS]{
	kind: inventory.SMSes,
	fields: []field[*inventory.SMS]{
		{"state", plain, func(r *inventory.SMS) string { return string(r.State) }},
		{"alert", plain, func(r *inventory.SMS) string { return string(r.Alert) }},
		{"to", plain, func(r *inventory.SMS) string { return r.To }},
		{"key", secret, func(r *inventory.SMS) string { return r.Key }},
	},
}

var people = schema[*inventory.Person]{
	kind: inventory.People,
	fields: []field[*inventory.Person]{
		{"name", unique, func(r *inventory.Person) string { return r.Name }},
		{"email", unique, func(r *inventory.Person) string { return r.Email }},
		{"external", unique, func(r *inventory.Person) string { return r.External }},
	},
}

var sessions = schema[*inventory.Session]{
	kind: inventory.Sessions,
	fields: []field[*inventory.Session]{
		{"person", plain, func(r *inventory.Session) string { return string(r.Person) }},
		{"hash", secret, func(r *inventory.Session) string { return r.Hash }},
	},
}

var tokens = schema[*inventory.Token]{
	kind: inventory.Tokens,
	fields: []field[*inventory.Token]{
		{"name", unique, func(r *inventory.Token) string { return r.Name }},
		{"hash", secret, func(r *inventory.Token) string { return r.Hash }},
	},
}

var audit = schema[*inventory.AuditEntry]{
	kind: inventory.Audit,
	fields: []field[*inventory.AuditEntry]{
		{"actor", plain, func(r *inventory.AuditEntry) string { return r.Actor }},
		{"action", plain, func(r *inventory.AuditEntry) string { return r.Action }},
		{"resource", plain, func(r *inventory.AuditEntry) string { return r.Resource }},
		{"target", plain, func(r *inventory.AuditEntry) string { return r.Target }},
	},
	many: &many[*inventory.AuditEntry]{"scope", func(r *inventory.AuditEntry) []string {
		scopes := make([]string, len(r.Scope))
		for i, s := range r.Scope {
			scopes[i] = string(s)
		}
		return scopes
	}},
	seal: func(r *inventory.AuditEntry) { r.Hash = auditHash(r) },
}

var settings = schema[*inventory.Setting]{
	kind: inventory.Settings,
	fields: []field[*inventory.Setting]{
		{"name", unique, func(r *inventory.Setting) string { return r.Name }},
	},
}

var tenants = schema[*inventory.Tenant]{
	kind: inventory.Tenants,
	fields: []field[*inventory.Tenant]{
		{"name", unique, func(r *inventory.Tenant) string { return r.Name }},
		{"parent", plain, func(r *inventory.Tenant) string { return string(r.Parent) }},
		{"plan", plain, func(r *inventory.Tenant) string { return string(r.Plan) }},
	},
}

var plans = schema[*inventory.Plan]{
	kind: inventory.Plans,
	fields: []field[*inventory.Plan]{
		{"name", unique, func(r *inventory.Plan) string { return r.Name }},
		{"tenant", plain, func(r *inventory.Plan) string { return string(r.Tenant) }},
	},
}

var powers = schema[*inventory.Power]{
	kind: inventory.Powers,
	fields: []field[*inventory.Power]{
		{"server", unique, func(r *inventory.Power) string { return string(r.Server) }},
	},
}

var pools = schema[*inventory.Pool]{
	kind: inventory.Pools,
	fields: []field[*inventory.Pool]{
		{"name", unique, func(r *inventory.Pool) string { return r.Name }},
		{"service", plain, func(r *inventory.Pool) string { return r.Service }},
	},
}

var windows = schema[*inventory.Window]{
	kind: inventory.Windows,
	fields: []field[*inventory.Window]{
		{"operation", plain, func(r *inventory.Window) string { return string(r.Operation) }},
	},
}

var preflights = schema[*inventory.Preflight]{
	kind: inventory.Preflights,
	fields: []field[*inventory.Preflight]{
		{"server", unique, func(r *inventory.Preflight) string { return string(r.Server) }},
	},
}

var releases = schema[*inventory.Release]{
	kind: inventory.Releases,
	fields: []field[*inventory.Release]{
		{"program", plain, func(r *inventory.Release) string { return r.Program }},
		{"sha256", unique, func(r *inventory.Release) string { return r.SHA256 }},
	},
}

var groups = schema[*inventory.Group]{
	kind: inventory.Groups,
	fields: []field[*inventory.Group]{
		{"address", unique, func(r *inventory.Group) string { return r.Address }},
		{"domain", plain, func(r *inventory.Group) string { return r.Domain }},
	},
	many: &many[*inventory.Group]{"member", func(r *inventory.Group) []string { return slices.Clone(r.Members) }},
}

var dkimKeys = schema[*inventory.DKIMKey]{
	kind: inventory.DKIMKeys,
	fields: []field[*inventory.DKIMKey]{
		// "<domain>/<selector>"
		{"domain/selector", unique, func(r *inventory.DKIMKey) string { return r.Domain + "/" + r.Selector }},
		{"domain", plain, func(r *inventory.DKIMKey) string { return r.Domain }},
		{"state", plain, func(r *inventory.DKIMKey) string { return r.State }},
	},
}
