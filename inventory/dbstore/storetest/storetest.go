// Package storetest is the suite that every implementation of inventory.Store
// must pass. Only the tests of those implementations import it.
package storetest

import (
	"context"
	"reflect"
	"testing"

	"mailfleet/inventory"
)

// Open opens the database called name, which is empty the first time a test
// asks for it and keeps what it has when it is closed and opened again. The
// store is closed when the test ends, if the test has not done so.
type Open func(t *testing.T, name string) inventory.Store

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for _, k := range kinds {
		t.Run(string(k.name), func(t *testing.T) { k.run(t, open(t, "kind")) })
	}
	for name, test := range map[string]func(*testing.T, Open){
		"optional unique fields may be empty":                        optionalUnique,
		"operations are selected by any target's server":             operationServers,
		"audit entries are searched":                                 auditSearch,
		"hostile text is kept and found":                             hostileText,
		"records that could not be read back are refused":            unreadable,
		"a page continues while records come and go":                 paging,
		"bad queries are invalid":                                    badQueries,
		"a failed update leaves nothing":                             rollback,
		"a panicking update leaves nothing":                          panicking,
		"an update may go on after a conflict":                       afterConflict,
		"a view is a snapshot and cannot write":                      isolation,
		"a transaction is over when it is over":                      over,
		"an ended context stops work":                                cancelled,
		"concurrent updates happen one after the other":              concurrent,
		"failing and panicking updates leave their neighbours alone": neighbours,
		"a wait is woken by its own kinds only":                      waiting,
		"a wait ends with its context and with the store":            waitEnds,
		"a wait misses nothing":                                      waitRace,
		"events tell every change in order":                          events,
		"the audit log is a chain":                                   auditChain,
		"a rolled back audit entry leaves no gap":                    auditRollback,
		"a store that is opened again has everything":                reopened,
		"a store that closes keeps what it acknowledged":             closing,
		"a closed store says that it is closed":                      closed,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

// update runs fn in an Update that must succeed.
func update(t *testing.T, s inventory.Store, fn func(tx inventory.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

// view runs fn in a View that must succeed.
func view(t *testing.T, s inventory.Store, fn func(tx inventory.Tx) error) {
	t.Helper()
	if err := s.View(t.Context(), fn); err != nil {
		t.Fatalf("View: %v", err)
	}
}

// index is the store's newest index.
func index(t *testing.T, s inventory.Store) (n uint64) {
	t.Helper()
	view(t, s, func(tx inventory.Tx) error {
		n = tx.Index()
		return nil
	})
	return n
}

// newServer makes a server of that name.
func newServer(t *testing.T, s inventory.Store, name string) *inventory.Server {
	t.Helper()
	r := &inventory.Server{Name: name}
	update(t, s, func(tx inventory.Tx) error { return tx.Servers().Create(r) })
	return r
}

func wantCode(t *testing.T, err error, code inventory.Code) {
	t.Helper()
	if !inventory.Is(err, code) {
		t.Errorf("error %v: want %s", err, code)
	}
}

func wantEqual(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// allEvents reads the events after an index, which the store must still have.
func allEvents(t *testing.T, s inventory.Store, after uint64) []inventory.Event {
	t.Helper()
	list, ok, err := s.Events(context.WithoutCancel(t.Context()), after, 1_000_000)
	if err != nil || !ok {
		t.Fatalf("Events(%d): ok %v, %v", after, ok, err)
	}
	return list
}
