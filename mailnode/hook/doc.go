// Package hook tells other systems what happens to mail: it posts events as JSON to
// their HTTP servers, signed as the Standard Webhooks specification has it. The
// mailnode's queue, smtpd and deliver emit events through interfaces of their own; app
// makes it.
//
// Events wait in a table of the store until they are taken, at least once and in
// order for each target. A target that fails, hangs or is gone costs nobody else
// anything: it is tried again at growing intervals, its events are bounded in number
// and in age, and what is dropped, the oldest first, is counted.
package hook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Kind is what happened.
type Kind string

// The kinds of events.
const (
	Received  Kind = "received"
	Delivered Kind = "delivered" // into a mailbox, or taken by another server
	Deferred  Kind = "deferred"
	Bounced   Kind = "bounced"
	Held      Kind = "held"
)

var kinds = map[Kind]bool{Received: true, Delivered: true, Deferred: true, Bounced: true, Held: true}

// Event is something that happened to a message.
type Event struct {
	ID     string    `json:"id"` // made when empty: receivers know by it what they have had
	Kind   Kind      `json:"kind"`
	At     time.Time `json:"at"`
	Domain string    `json:"domain"` // of this server whose mail it is

	Message   string `json:"message"`              // id of the transaction
	MessageID string `json:"message_id,omitempty"` // of the header
	Account   string `json:"account,omitempty"`
	From      string `json:"from"`
	To        string `json:"to,omitempty"`
	Size      int64  `json:"size,omitempty"` // bytes
	Peer      string `json:"peer,omitempty"` // address of the other server
	Reply     string `json:"reply,omitempty"`
	Reason    string `json:"reason,omitempty"` // one sentence
}

// Target is an HTTP server that is told.
type Target struct {
	ID     string // letters, digits, dashes: what waits for it is known by it
	URL    string
	Domain string // whose events it gets; "" for all
	Kinds  []Kind // that it gets; none: all
	// Secrets sign, each: whsec_ and 24 to 64 bytes in base64, as the specification
	// writes them, or 16 to 128 characters that are the key as they are. Two of them let
	// a receiver change from one to the other.
	Secrets []string
}

// Settings of the hook.
type Settings struct {
	Server  string // name of this server
	Targets []Target
	// Networks are those whose addresses targets may have although they are not public.
	// Whoever may set a target can make this server post to them.
	Networks []netip.Prefix

	Timeout time.Duration   // of a request; 0 is 15 s
	Batch   int             // events in a request; 0 is 100
	Entries int             // that wait for a target; 0 is 50,000
	Age     time.Duration   // after which an event is dropped; 0 is 72 h
	Backoff []time.Duration // between attempts, the last one for all further ones
}

var backoff = []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour}

const (
	maxEvent = 64 << 10  // bytes of an event's JSON
	maxBatch = 512 << 10 // bytes of a request
)

// sorted parts the targets that can be told from those that cannot, each with what is
// wrong with it.
func (s Settings) sorted() (good []Target, bad map[string]error) {
	bad = map[string]error{}
	seen := map[string]bool{}
	for _, t := range s.Targets {
		switch err := t.Check(); {
		case seen[t.ID]:
			bad[t.ID] = fmt.Errorf("two targets have the id %s", t.ID)
		case err != nil:
			bad[t.ID] = err
		default:
			good = append(good, t)
		}
		seen[t.ID] = true
	}
	return good, bad
}

// Check tells what is wrong with the target.
func (t Target) Check() error {
	if t.ID == "" || len(t.ID) > 64 || strings.Trim(t.ID, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
		return errors.New("the id of a target must be letters, digits and dashes")
	}
	u, err := url.Parse(t.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil {
		return fmt.Errorf("the target %s needs a URL that begins with https:// and holds no password", t.ID)
	}
	if len(t.Secrets) == 0 {
		return fmt.Errorf("the target %s needs a secret", t.ID)
	}
	for _, s := range t.Secrets {
		if _, err := decodeSecret(s); err != nil {
			return fmt.Errorf("the target %s: %w", t.ID, err)
		}
	}
	for _, k := range t.Kinds {
		if !kinds[k] {
			return fmt.Errorf("the target %s: there is no event %q", t.ID, k)
		}
	}
	return nil
}

// decodeSecret is the key that a secret stands for.
func decodeSecret(s string) ([]byte, error) {
	text, encoded := strings.CutPrefix(s, "whsec_")
	if !encoded {
		if len(s) < 16 || len(s) > 128 {
			return nil, errors.New("a secret must have 16 to 128 characters")
		}
		return []byte(s), nil
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) < 24 || len(b) > 64 {
		return nil, errors.New("after whsec_ a secret must be 24 to 64 bytes in base64")
	}
	return b, nil
}

// gets tells whether a target is told of an event.
func (t Target) gets(e Event) bool {
	if t.Domain != "" && !strings.EqualFold(t.Domain, e.Domain) {
		return false
	}
	for _, k := range t.Kinds {
		if k == e.Kind {
			return true
		}
	}
	return len(t.Kinds) == 0
}

func (s Settings) withDefaults() Settings {
	if s.Timeout <= 0 {
		s.Timeout = 15 * time.Second
	}
	if s.Batch <= 0 {
		s.Batch = 100
	}
	if s.Entries <= 0 {
		s.Entries = 50_000
	}
	if s.Age <= 0 {
		s.Age = 72 * time.Hour
	}
	if len(s.Backoff) == 0 {
		s.Backoff = backoff
	}
	return s
}
