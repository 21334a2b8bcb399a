// Package message reads Internet messages (RFC 5322, MIME): the digest that a store
// computes once at delivery, byte ranges of the sections IMAP serves, transfer
// decoding, and the decoded text that searches look at. It is a leaf: it knows no
// other room, and every room of the mailnode may import it.
//
// Nothing a sender can write makes it fail, lose bytes, hold a message in memory or
// do more than linear work. A message is parsed in one pass; what is beyond the
// limits of depth, parts and header bytes stays in the message as it is and is only
// not described; its text is read for searches all the same. Bytes are never changed: a digest holds offsets into the message.
package message
