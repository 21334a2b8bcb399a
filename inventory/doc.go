// Package inventory is the fleet's vocabulary: the types every program shares
// (servers, services, domains, accounts, operations, rules, alerts, people,
// audit entries), their IDs, the coded errors and the Store that keeps them.
//
// It imports the standard library only and may be imported by every package of
// the module. Implementations of Store live below it (dbstore).
package inventory
