package inventory

import (
	"context"
	"time"
)

// Kind names a table; it is also the resource's plural noun in the API.
type Kind string

// The kinds of thing a Store keeps.
const (
	Servers      Kind = "servers"
	Services     Kind = "services"
	JoinTokens   Kind = "join_tokens"
	Certificates Kind = "certificates"
	Domains      Kind = "domains"
	Accounts     Kind = "accounts"
	Operations   Kind = "operations"
	Rules        Kind = "rules"
	Contacts     Kind = "contacts"
	Alerts       Kind = "alerts"
	SMSes        Kind = "sms"
	People       Kind = "people"
	Sessions     Kind = "sessions"
	Tokens       Kind = "tokens"
	Audit        Kind = "audit"
	Settings     Kind = "settings"
	Tenants      Kind = "tenants"
	Plans        Kind = "plans"
	Powers       Kind = "powers"
	Pools        Kind = "pools"
	Windows      Kind = "windows"
	Preflights   Kind = "preflights"
	Releases     Kind = "releases"
	Groups       Kind = "groups"
	DKIMKeys     Kind = "dkim-keys"
)

// Noun is what people call one thing of a kind.
type Noun string

// Said is the noun in a sentence.
func (n Noun) Said() Sentence { return Word(string(n)) }

// NounFleet is all that there is.
const NounFleet Noun = "fleet"

// nouns are what one thing of each kind is called.
var nouns = map[Kind]Noun{
	Servers:      "server",
	Services:     "service",
	JoinTokens:   "join token",
	Certificates: "certificate",
	Domains:      "domain",
	Accounts:     "account",
	Operations:   "operation",
	Rules:        "rule",
	Contacts:     "contact",
	Alerts:       "alert",
	SMSes:        "text message",
	People:       "person",
	Sessions:     "session",
	Tokens:       "token",
	Audit:        "audit entry",
	Settings:     "setting",
	Tenants:      "tenant",
	Plans:        "plan",
	Powers:       "power driver",
	Pools:        "pool",
	Windows:      "maintenance window",
	Preflights:   "preflight",
	Releases:     "release",
	Groups:       "group",
	DKIMKeys:     "DKIM key",
}

// Noun is what one thing of the kind is called.
func (k Kind) Noun() Noun { return nouns[k] }

// Record is what can be kept: a pointer to a struct that embeds Meta.
type Record interface {
	Base() *Meta
	comparable
}

// Verb is what happened to a thing.
type Verb string

// The verbs of events.
const (
	Created Verb = "created"
	Updated Verb = "updated"
	Deleted Verb = "deleted"
)

// Event says that a thing changed. Its Index is the thing's new version.
type Event struct {
	Index uint64    `json:"index"`
	Time  time.Time `json:"time"`
	Kind  Kind      `json:"kind"`
	Verb  Verb      `json:"verb"`
	ID    ID        `json:"id"`
}

// Query selects and pages records. The zero Query lists all, oldest first.
type Query struct {
	// Where keeps records whose field has one of the values. Fields are id and
	// the indexed ones an implementation documents per table; another is Invalid.
	Where  map[string][]string
	Limit  int    // 0: no limit
	Cursor string // from the page before
	Newest bool   // newest first
}

// Table is one kind's records inside a transaction. Order is by ID, which is
// by time of creation.
type Table[R Record] interface {
	// Get returns the record; NotFound when there is none.
	Get(id ID) (R, error)
	// Find returns the one record whose unique field has the value; NotFound.
	Find(field, value string) (R, error)
	// List returns a page and the cursor of the next one, empty at the end.
	List(q Query) (page []R, next string, err error)
	// Count counts what List would return without limit.
	Count(q Query) (int, error)
	// Create keeps a new record, giving it an ID when it has none, times and a
	// version; Conflict when a unique field is taken.
	Create(r R) error
	// Update replaces a record. A Version other than the current one is Stale.
	Update(r R) error
	// Delete removes a record; NotFound when there is none.
	Delete(id ID) error
}

// Tx is one transaction's view of the store.
type Tx interface {
	Servers() Table[*Server]
	Services() Table[*Service]
	JoinTokens() Table[*JoinToken]
	Certificates() Table[*Certificate]
	Domains() Table[*Domain]
	Accounts() Table[*Account]
	Operations() Table[*Operation]
	Rules() Table[*Rule]
	Contacts() Table[*Contact]
	Alerts() Table[*Alert]
	SMS() Table[*SMS]
	People() Table[*Person]
	Sessions() Table[*Session]
	Tokens() Table[*Token]
	Settings() Table[*Setting]
	Tenants() Table[*Tenant]
	Plans() Table[*Plan]
	Powers() Table[*Power]
	Pools() Table[*Pool]
	Windows() Table[*Window]
	Preflights() Table[*Preflight]
	Releases() Table[*Release]
	Groups() Table[*Group]
	DKIMKeys() Table[*DKIMKey]
	// Audit appends to and reads the hash chain.
	Audit() AuditLog
	// Index is the version given to the last change this transaction can see.
	Index() uint64
}

// AuditLog is the append-only table of audit entries.
type AuditLog interface {
	Append(e *AuditEntry) error // sets Seq, Previous and Hash
	List(q Query) (page []*AuditEntry, next string, err error)
	// Search is List for entries that also match a search.
	Search(q Query, s AuditSearch) (page []*AuditEntry, next string, err error)
	// Verify walks the chain and returns the number of entries, or an error
	// naming the first entry that was tampered with.
	Verify() (int, error)
}

// AuditSearch narrows a list of audit entries. Zero fields match everything.
type AuditSearch struct {
	Text     string    // somewhere in the entry's texts, in whatever case
	Address  string    // it came from
	From, To time.Time // created not before From, and before To
}

// Store keeps the fleet's state. It is safe for concurrent use.
type Store interface {
	// View runs fn on a consistent snapshot.
	View(ctx context.Context, fn func(Tx) error) error
	// Update runs fn alone; when it returns nil everything it wrote is durable,
	// otherwise nothing of it happened. fn may run again if the database asks
	// for it and must have no effects of its own.
	Update(ctx context.Context, fn func(Tx) error) error
	// Wait blocks until one of kinds (none: any) has changed after index, or
	// ctx ends, and returns the index of the newest change to them. It never
	// fails: at ctx's end it returns what it has.
	Wait(ctx context.Context, after uint64, kinds ...Kind) uint64
	// Events returns up to limit changes after index, oldest first. ok is false
	// when some that old are no longer kept: the caller must read afresh.
	Events(ctx context.Context, after uint64, limit int) (events []Event, ok bool, err error)
	Close() error
}
