package inventory

import (
	"strings"
	"time"
)

// Role is a set of rights.
type Role string

// Said is the role in a sentence.
func (r Role) Said() Sentence { return Word(string(r)) }

// The roles on the fleet.
const (
	RoleOperator Role = "operator" // everything
	RoleViewer   Role = "viewer"   // sees, changes nothing
	RoleAuditor  Role = "auditor"  // sees, and reads the audit log

	RoleReseller    Role = "reseller"     // on tenants: their domains, plans, people, and tenants below
	RoleDomainAdmin Role = "domain-admin" // on domains: accounts and settings
	RoleHelpdesk    Role = "helpdesk"     // on domains: sees, resets passwords, suspends
	RoleUser        Role = "user"         // on an account: one's own
)

// Roles lists every role, the strongest first.
var Roles = []Role{RoleOperator, RoleAuditor, RoleViewer, RoleReseller, RoleDomainAdmin, RoleHelpdesk, RoleUser}

// Scope is where a role holds: "fleet", "tenant:<id>", "domain:<name>" or
// "account:<address>".
type Scope string

// ScopeFleet is everywhere.
const ScopeFleet Scope = "fleet"

// ScopeTenant is a tenant and all below it.
func ScopeTenant(id ID) Scope { return Scope("tenant:" + string(id)) }

// ScopeDomain is a domain and its accounts.
func ScopeDomain(name string) Scope { return Scope("domain:" + name) }

// ScopeAccount is one account.
func ScopeAccount(address string) Scope { return Scope("account:" + address) }

// Split parts what kind of place the scope is from which one.
func (s Scope) Split() (kind, name string) {
	kind, name, _ = strings.Cut(string(s), ":")
	return kind, name
}

// Person signs in to the console.
type Person struct {
	Meta
	Name     string    `json:"name"` // sign-in name, unique
	Role     Role      `json:"role"`
	Scope    []Scope   `json:"scope,omitempty"`    // where Role holds; empty: the fleet
	Email    string    `json:"email,omitempty"`    // for sign-in through an OpenID provider
	External string    `json:"external,omitempty"` // "issuer subject" of the OpenID provider, once signed in; unique
	Disabled bool      `json:"disabled,omitempty"`
	TOTP     string    `json:"-"`                     // secret of the second factor, sealed; empty: none
	HasTOTP  bool      `json:"totp"`                  // a second factor is asked for
	TOTPUsed int64     `json:"-"`                     // time step of the last code taken (RFC 6238 §5.2)
	Recovery []string  `json:"-"`                     // SHA-256 of unused recovery codes, hexadecimal
	Renew    bool      `json:"must_change,omitempty"` // the password must be changed at the next sign-in
	Changed  time.Time `json:"password_changed"`      // zero: at creation
	Password string    `json:"-"`                     // argon2id hash
	Failures int       `json:"failures"`              // sign-ins failed in a row
	Locked   time.Time `json:"locked_till"`           // zero or past: not locked
}

// Session is a console sign-in.
type Session struct {
	Meta
	Person  ID        `json:"person"`
	Hash    string    `json:"-"` // SHA-256 of the cookie's secret, hexadecimal, unique
	CSRF    string    `json:"-"`
	Address string    `json:"address"`
	Agent   string    `json:"user_agent"`
	Active  time.Time `json:"active,omitzero"` // last use written down
	Via     string    `json:"via,omitempty"`   // "oidc": an OpenID provider vouched; empty: a password
	Expires time.Time `json:"expires"`
}

// Token lets a script in.
type Token struct {
	Meta
	Name    string    `json:"name"`
	Hash    string    `json:"-"` // SHA-256 of the token, hexadecimal, unique
	Role    Role      `json:"role"`
	Scope   []Scope   `json:"scope,omitempty"` // where Role holds; empty: the fleet
	Scopes  []string  `json:"scopes"`          // resource:verb, resource:*, *:read, *; narrows Role
	Actor   string    `json:"actor"`           // who made it
	Expires time.Time `json:"expires"`         // zero: never
}

// AuditEntry records one act. Entries form a chain: each hash covers the one before.
type AuditEntry struct {
	Meta
	Seq       uint64  `json:"seq"`
	Actor     string  `json:"actor"`   // "operator:name", "token:name", "agent:name", "controller"
	Address   string  `json:"address"` // it came from
	Action    string  `json:"action"`  // "operation.create", "signin.failed"
	Resource  string  `json:"resource"`
	Scope     []Scope `json:"scope,omitempty"`  // where the thing lies; empty: the fleet
	Target    string  `json:"target"`           // id or name of the thing
	Before    string  `json:"before,omitempty"` // JSON
	After     string  `json:"after,omitempty"`  // JSON
	Reason    string  `json:"reason,omitempty"`
	RequestID string  `json:"request_id,omitempty"`
	Previous  string  `json:"previous"` // hash of the entry before, hexadecimal
	Hash      string  `json:"hash"`
}

// Setting is one of the controller's own small values (gossip key, fleet name).
type Setting struct {
	Meta
	Name  string `json:"name"`
	Value string `json:"-"`
}

// Actor is who does something, for the audit log.
type Actor struct {
	Name      string // "operator:name", "token:name", "agent:name", "controller"
	Address   string // it comes from
	RequestID string
	Reason    string // why, in the person's own words; may be empty
}

// Entry begins the audit entry of something the actor did to target of kind.
func (a Actor) Entry(action string, kind Kind, target string) *AuditEntry {
	return &AuditEntry{Actor: a.Name, Address: a.Address, RequestID: a.RequestID, Reason: a.Reason, Action: action, Resource: string(kind), Target: target}
}
