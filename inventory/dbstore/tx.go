package dbstore

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"mailfleet/inventory"
)

// tx is an inventory.Tx: a View's transaction or an Update's savepoint. It is
// for one goroutine.
type tx struct {
	db     bun.Tx
	ctx    context.Context // of the statements
	caller context.Context // of the View or Update: once it ends no new statement begins
	memory *memory
	err    error // the database failed, or the transaction is over: everything else fails too

	// Of an Update.
	writes  bool
	index   uint64 // last version given
	now     time.Time
	events  []eventRow
	changed map[inventory.Kind]uint64
	undos   []func() // put the caller's records back as they were
}

var errOver = inventory.Errorf(inventory.Internal, "the transaction is over")

func (t *tx) Servers() inventory.Table[*inventory.Server]       { return at(t, servers) }
func (t *tx) Services() inventory.Table[*inventory.Service]     { return at(t, services) }
func (t *tx) JoinTokens() inventory.Table[*inventory.JoinToken] { return at(t, joinTokens) }
func (t *tx) Certificates() inventory.Table[*inventory.Certificate] {
	return at(t, certificates)
}
func (t *tx) Domains() inventory.Table[*inventory.Domain]       { return at(t, domains) }
func (t *tx) Accounts() inventory.Table[*inventory.Account]     { return at(t, accounts) }
func (t *tx) Operations() inventory.Table[*inventory.Operation] { return at(t, operations) }
func (t *tx) Rules() inventory.Table[*inventory.Rule]           { return at(t, rules) }
func (t *tx) Contacts() inventory.Table[*inventory.Contact]     { return at(t, contacts) }
func (t *tx) Alerts() inventory.Table[*inventory.Alert]         { return at(t, alerts) }
func (t *tx) SMS() inventory.Table[*inventory.SMS]              { return at(t, smses) }
func (t *tx) People() inventory.Table[*inventory.Person]        { return at(t, people) }
func (t *tx) Sessions() inventory.Table[*inventory.Session]     { return at(t, sessions) }
func (t *tx) Tokens() inventory.Table[*inventory.Token]         { return at(t, tokens) }
func (t *tx) Settings() inventory.Table[*inventory.Setting]     { return at(t, settings) }
func (t *tx) Tenants() inventory.Table[*inventory.Tenant]       { return at(t, tenants) }
func (t *tx) Plans() inventory.Table[*inventory.Plan]           { return at(t, plans) }
func (t *tx) Powers() inventory.Table[*inventory.Power]         { return at(t, powers) }
func (t *tx) Pools() inventory.Table[*inventory.Pool]           { return at(t, pools) }
func (t *tx) Windows() inventory.Table[*inventory.Window]       { return at(t, windows) }
func (t *tx) Preflights() inventory.Table[*inventory.Preflight] { return at(t, preflights) }
func (t *tx) Releases() inventory.Table[*inventory.Release]     { return at(t, releases) }
func (t *tx) Groups() inventory.Table[*inventory.Group]         { return at(t, groups) }
func (t *tx) DKIMKeys() inventory.Table[*inventory.DKIMKey]     { return at(t, dkimKeys) }
func (t *tx) Audit() inventory.AuditLog                         { return auditLog{at(t, audit)} }

// Index implements inventory.Tx. When the database cannot tell it is 0 and the
// View fails.
func (t *tx) Index() uint64 {
	if t.writes {
		return t.index
	}
	if t.err = t.ready(); t.err != nil {
		return 0
	}
	index, err := lastIndex(t.ctx, t.db)
	if err != nil {
		t.err = explain(err)
	}
	return index
}

// ready tells whether another statement may run.
func (t *tx) ready() error {
	if t.err != nil {
		return t.err
	}
	if err := t.caller.Err(); err != nil {
		return explain(err)
	}
	return nil
}

// fail notes that the database failed and returns why. No error of the
// database can be passed over: the transaction may be gone.
func (t *tx) fail(err error) error {
	if err == nil || errors.Is(err, sql.ErrNoRows) {
		return err
	}
	t.err = explain(err)
	return t.err
}

// wrote records a change: its version and its event.
func (t *tx) wrote(kind inventory.Kind, verb inventory.Verb, id inventory.ID) {
	t.index++
	t.changed[kind] = t.index
	t.events = append(t.events, eventRow{Version: t.index, Time: t.now.UnixMicro(), Kind: kind, Verb: verb, Record: id})
}

// undo puts the caller's records back as they were.
func (t *tx) undo() {
	for _, fn := range slices.Backward(t.undos) {
		fn()
	}
	t.undos = nil
}

// end makes every later use fail.
func (t *tx) end() {
	if t.err == nil {
		t.err = errOver
	}
}
