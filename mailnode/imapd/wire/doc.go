// Package wire is IMAP on the wire (RFC 9051 §9, with the grammar of the extensions
// that imapd offers): it reads commands from a connection and writes responses to
// one. It knows no mailbox; only imapd and its tests import it.
//
// A command is read as it comes, argument by argument, and bounded before memory
// is spent on it: the bytes outside literals, each literal and all together. What is
// refused is read to its end without being taken for commands. Responses go through
// one bounded buffer. A connection on which nothing happens holds no buffer.
package wire
