package sms

import (
	"context"
	"errors"
	"time"

	"mailfleet/inventory"
)

// Gateway hands messages on towards phones. It is safe for concurrent use.
type Gateway interface {
	// Name is what messages it has sent are marked with.
	Name() string
	// Send returns nil once the gateway has taken the message, to keep it and
	// send it on. An error made by Permanent says that it never will; any other
	// says that trying again may help. No error holds a secret.
	Send(ctx context.Context, m Message) (Receipt, error)
}

// Message is one text to one phone.
type Message struct {
	ID       inventory.ID
	To       string // digits, perhaps with a leading +
	Text     string
	Encoding Encoding
	Parts    int
	Attempt  int // 1 for the first; of a later one the gateway may know already
}

// Receipt is a gateway's word that it has a message.
type Receipt struct {
	Answer string // what it said, for the log
}

type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

// Said is what the error says.
func (e permanentError) Said() inventory.Sentence { return inventory.Say("%s", e.error) }

// Permanent marks err, if not nil, as one that trying again cannot help.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanentError{err}
}

// IsPermanent reports whether trying again cannot help.
func IsPermanent(err error) bool {
	_, ok := errors.AsType[permanentError](err)
	return ok
}

// New makes a message to be queued: its text cleaned and cut to MaxParts,
// counted, due at once.
func New(to, text string, now time.Time) *inventory.SMS {
	text = Truncate(Clean(text), MaxParts)
	encoding, parts := Encode(text)
	return &inventory.SMS{To: to, Text: text, State: inventory.SMSQueued, Encoding: string(encoding), Parts: parts, Next: now}
}
