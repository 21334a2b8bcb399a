// Package envelope is what travels with a message and is not part of it (RFC 5321
// §2.3.1): who it is from, whom it is for, and what both asked of those who carry
// it. It holds data and the syntax of addresses; smtpd makes envelopes, deliver and
// queue keep them, outbound sends them on.
package envelope

import (
	"net/netip"
	"time"
)

// Envelope belongs to one message. Its addresses are in the form Address.String
// gives, so that one in angle brackets is a path.
type Envelope struct {
	ID   string // names the transaction in Received, in the log and to operators
	From string // reverse-path; "" is the null one

	// DSN (RFC 3461), as the sender gave them; "" for not given.
	EnvID  string // in xtext, well-formed
	Return Return

	Body       Body // "" is 7BIT
	UTF8       bool // SMTPUTF8 was asked for (RFC 6531)
	RequireTLS bool // RFC 8689

	Priority  Priority
	HoldUntil time.Time // not sent before (RFC 4865); zero: at once
	Account   string    // id of the account that submitted it; "" for mail from outside
	Source    Source

	// Held is why the message waits in the queue until somebody has looked at it; "" for
	// mail that waits for nobody.
	Held string

	// Quarantine is why the message goes where its recipient looks for spam, and
	// nowhere else; "" for mail like any other.
	Quarantine string

	Recipients []Recipient
}

// Recipient is one whom the message is for.
type Recipient struct {
	Address  string // where it goes now
	Original string // ORCPT as it was given, such as rfc822;user+2Btag@example.test: a type and xtext; "" for not given
	Notify   Notify
}

// Return is how much of a message a failure report gives back.
type Return string

// How much is given back.
const (
	ReturnFull    Return = "FULL"
	ReturnHeaders Return = "HDRS"
)

// Body is what the lines of a message hold (RFC 6152, RFC 3030).
type Body string

// The kinds of bodies.
const (
	Body7Bit   Body = "7BIT"
	Body8Bit   Body = "8BITMIME"
	BodyBinary Body = "BINARYMIME"
)

// Notify is a set of reasons to report on a recipient (RFC 3461 §4.1). The empty set
// is the default: failure and delay.
type Notify uint8

// The reasons. NotifyNever stands alone.
const (
	NotifyNever Notify = 1 << iota
	NotifySuccess
	NotifyFailure
	NotifyDelay
)

// Wants reports whether the sender wants to hear of an outcome.
func (n Notify) Wants(reason Notify) bool {
	if n == 0 {
		n = NotifyFailure | NotifyDelay
	}
	return n&reason != 0
}

// Priority orders messages that wait for the same destination; higher goes first.
type Priority int8

// The priorities.
const (
	PriorityBulk   Priority = -4 // mailings
	PriorityNormal Priority = 0
	PriorityReport Priority = 2 // what this server itself writes
)

// Source is where a message came from.
type Source struct {
	Address netip.Addr // of the peer; not valid for what was made here
	Helo    string     // what it called itself
}
