// Package recode makes of a message one that a server of fewer abilities takes: lines of
// 7-bit letters for a server without 8BITMIME (RFC 6152 §3), lines at all for one without
// BINARYMIME (RFC 3030 §3). outbound, which meets such servers, uses it, and queue, whose
// reports must not fail there.
//
// The parts that need it are encoded in quoted-printable or base64, whichever is shorter
// for text, and their Content-Transfer-Encoding says so (RFC 2045 §6). All other bytes
// stay as they are. What must not be changed is not: parts of multipart/signed and
// multipart/encrypted (RFC 1847 §2), headers, and what may have no encoding, as
// message/partial (RFC 2046 §5.2.2). A message that would need that cannot be recoded, and
// the error says why. What nobody is shown, as the text before the first part of a
// multipart, has a question mark in place of each byte that cannot stand.
//
// A message is read some times from its beginning and never held in memory. The work is
// linear in its size; where it nests beyond what package message describes it is not
// recoded.
package recode

import "io"

// Form is what a server takes.
type Form int

// The forms.
const (
	EightBit Form = iota // lines of any letters, to 998 bytes
	SevenBit             // such lines of ASCII only
)

// Field is asked of each field of the message's own header whether it is dropped. author is
// that of Recoded; of a long value only the beginning is shown.
type Field func(author, name string, value []byte) (drop bool)

// Recoded is a message in its new form.
type Recoded struct {
	// Changed tells that it is another message than it was. One that had the form already
	// is not changed, not even of fields that would be dropped.
	Changed bool
	// Author is the domain of the first address in From, in lower case, "" for none.
	Author string

	open   func() io.Reader
	pieces []piece
}

// Open reads the message from its beginning.
func (r *Recoded) Open() io.Reader {
	if !r.Changed {
		return r.open()
	}
	return newReader(r.open(), r.pieces)
}

// Error says why a message cannot be recoded.
type Error struct{ Text string }

// Error implements error.
func (e *Error) Error() string { return e.Text }
