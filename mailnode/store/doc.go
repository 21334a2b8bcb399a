// Package store keeps the mailboxes of one server's accounts in one Pebble
// database and promises that what it has acknowledged survives kill -9 and power
// loss. The mailnode's faces use it through small interfaces of their own; only
// app opens it.
//
// Every change is one batch that ends in a log entry, and is written and synced
// before the call that made it returns. Changes are applied in the order of their
// log numbers, and concurrent ones share a sync (group commit). A reader never sees a
// change that a crash could still take back, so no UID is ever seen with two
// different messages.
//
// Keys begin with the space they are in. An account's keys begin with the
// account's id, not its address, so that an account can be renamed, copied, checked
// and removed as one range:
//
//	m "format" | "id"                            what this database is
//	l seq                                        log entry: kind, time
//	a account 0 b mailbox                        mailbox: UIDVALIDITY, UIDNEXT, …
//	a account 0 m mailbox uid                    message: id, body, sizes, dates
//	b body c chunk                               64 KiB of a body
//	b body r account 0 mailbox uid               a message that has this body
//
// Numbers in keys are big-endian, so that keys sort by them.
package store
