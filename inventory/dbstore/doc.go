// Package dbstore keeps the inventory in a SQL database: it implements
// inventory.Store over SQLite. Only controller/app and tests import it.
//
// Every kind has a table of the same shape: id, version, one text column for
// each indexed field (schema.go lists them), doc (the record's JSON) and secret
// (the fields its JSON leaves out). Each write takes the next value of one
// store-wide counter as the record's version and leaves a row in events, in the
// same transaction; audit entries and sessions are no exception, so versions
// have no gaps and events can tell whether anything older was dropped.
//
// Updates run one after the other. Those that are waiting while another runs
// share its database transaction, each in a savepoint of its own, so that one
// fsync makes many durable.
//
// SQL here is what SQLite and PostgreSQL both understand; what is SQLite's own
// is in sqlite.go.
package dbstore
