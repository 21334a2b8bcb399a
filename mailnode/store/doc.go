// Package store keeps the mailboxes of one server's accounts in one Pebble
// database and promises that what it has acknowledged survives kill -9 and power
// loss. The mailnode's faces use it through small interfaces of their own; only
// app and storectl open it.
//
// Every change is one batch that ends in a log entry, and is written and synced
// before the call that made it returns. Changes are applied in the order of their
// log numbers, and concurrent ones share a sync (group commit). A reader never sees a
// change that a crash could still take back, so no UID is ever seen with two
// different messages. A log entry carries the change: applied in order on another
// database, log entries and bodies give the same keys and values.
//
// What is listed and searched of a mailbox, an Item for each message, is kept in memory
// while somebody has the mailbox open (Select) and some time after. A View of it never
// changes; each change makes a new one, which shares with the old what is the same.
// A large mailbox is open before it is read, and its last messages can be had without
// (Opening).
//
// Keys begin with the space they are in. An account's keys begin with the
// account's id, not its address, so that an account can be renamed, copied, checked
// and removed as one range:
//
//	m "format" | "id"                   what this database is
//	l seq                               log entry: kind, time, the change
//	a account 0 a                       account: state, usage
//	a account 0 b mailbox               mailbox: name, UIDVALIDITY, UIDNEXT, counts, …
//	a account 0 m mailbox uid           message: flags, modseq, size, dates
//	a account 0 i mailbox uid           message: what never changes: ids, body, header lines of its own
//	a account 0 d mailbox uid           message: digest
//	a account 0 o email mailbox uid     where the message with an id is
//	a account 0 r hash                  thread of the messages that name a Message-ID
//	a account 0 x mailbox modseq        UIDs a change expunged
//	a account 0 g mailbox who           rights given in a mailbox
//	a account 0 k mailbox owner 0 name  annotation
//	a account 0 s name                  subscription
//	b body c chunk                      64 KiB of a body and a checksum
//	b body h                            body: hash, size, how many have it
//	c name                              counter of the ledger
//	g who 0 account 0 mailbox           rights, found by those they are given to
//	h hash                              body with a hash
//	k owner 0 name                      annotation of the server
//	t table 0 key                       another room's
//	u account 0 mailbox uid             last UID of a step of a copy that has not ended
//	y table 0 key                       body held by another room
//	z account 0 mailbox                 mailbox whose messages are being removed
//
// Numbers in keys are big-endian, so that keys sort by them.
package store
