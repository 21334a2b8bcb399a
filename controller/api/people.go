package api

import (
	"encoding/json"
	"fmt"
	"time"

	"mailfleet/inventory"
)

// SignIn asks for a console session. Where a second factor is asked for, the
// answer without a code is a Problem whose error is at body.code: send all
// again with it.
type SignIn struct {
	User     string `json:"user" maxLength:"100"`
	Password string `json:"password" maxLength:"256"`
	Code     string `json:"code,omitempty" maxLength:"40" doc:"Of the second factor, or a recovery code"`
}

// Session is a console session. CSRF goes back in the header X-CSRF-Token with every change.
type Session struct {
	User    string            `json:"user"`
	Role    inventory.Role    `json:"role"`
	Scope   []inventory.Scope `json:"scope" nullable:"false"` // where the role holds; empty: the fleet
	Rights  []string          `json:"rights" nullable:"false" doc:"resource:verb, all that the role may do"`
	CSRF    string            `json:"csrf"`
	Expires time.Time         `json:"expires"`
	Must    string            `json:"must,omitempty" enum:"password,totp" doc:"What is to be done before anything else: change the password, or enrol a second factor"`
	TOTP    bool              `json:"totp"` // a second factor is asked for
}

// PasswordChange changes the signed-in person's own password.
type PasswordChange struct {
	Current  string `json:"current" maxLength:"256"`
	Password string `json:"password" minLength:"8" maxLength:"256"`
}

// NewTOTP is a second factor to be confirmed with a code. It is shown this once.
type NewTOTP struct {
	Secret string `json:"secret"` // base32
	URL    string `json:"url"`    // otpauth://, for a QR code
}

// TOTPCode is a code of the second factor.
type TOTPCode struct {
	Code string `json:"code" maxLength:"40"`
}

// RecoveryCodes each stand for a code of the second factor, once. They are shown this once.
type RecoveryCodes struct {
	Recovery []string `json:"recovery" nullable:"false"`
}

// Providers tells who else vouches for people: GET /oidc.
type Providers struct {
	OIDC string `json:"oidc,omitempty"` // name of the OpenID provider; empty: none
}

// Scopes is one scope, or a list of them.
type Scopes []inventory.Scope

// UnmarshalJSON reads a string or a list of strings.
func (s *Scopes) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		var one inventory.Scope
		if err := json.Unmarshal(b, &one); err != nil {
			return err
		}
		*s = Scopes{one}
		return nil
	}
	return json.Unmarshal(b, (*[]inventory.Scope)(s))
}

// Expiry is when something ends: after a time, or at a time. The zero Expiry
// says nothing.
type Expiry struct {
	For time.Duration
	At  time.Time
}

// MarshalJSON writes what UnmarshalJSON reads.
func (e Expiry) MarshalJSON() ([]byte, error) {
	if !e.At.IsZero() {
		return json.Marshal(e.At.UTC())
	}
	return json.Marshal(inventory.Duration(e.For))
}

// UnmarshalJSON reads a duration ("720h", or seconds) or an RFC 3339 time.
func (e *Expiry) UnmarshalJSON(b []byte) error {
	var at time.Time
	if err := json.Unmarshal(b, &at); err == nil {
		*e = Expiry{At: at}
		return nil
	}
	var d inventory.Duration
	if err := json.Unmarshal(b, &d); err != nil {
		return fmt.Errorf("expires is a duration such as 720h, seconds, or a time such as 2027-01-31T00:00:00Z")
	}
	*e = Expiry{For: time.Duration(d)}
	return nil
}

// NewToken asks for an API token.
type NewToken struct {
	Name    string         `json:"name" minLength:"1" maxLength:"100"`
	Role    inventory.Role `json:"role,omitempty" default:"viewer"`
	Scope   Scopes         `json:"scope,omitempty" doc:"Where the role holds: fleet (or *), tenant:NAME, domain:NAME, account:ADDRESS, or a list; default: the maker's own"`
	Scopes  []string       `json:"scopes,omitempty" doc:"resource:read, resource:write, *:read or *, to narrow the role; default *"`
	Expires Expiry         `json:"expires,omitzero" doc:"Lifetime, or when it ends; default 90 days"`
}

// IssuedToken is a token just made. Secret is shown this once.
type IssuedToken struct {
	inventory.Token
	Secret string `json:"token"` // to send as bearer token
}

// LiveSessions is who is signed in where.
type LiveSessions struct {
	Items   []LiveSession `json:"items" nullable:"false"`
	Next    string        `json:"next,omitempty" doc:"cursor of the next page; absent: there is none"`
	Total   int           `json:"total" doc:"Of all pages"`
	Partial bool          `json:"partial" doc:"Some servers did not answer: theirs are missing"`
	Silent  []string      `json:"silent" nullable:"false" doc:"Names of the servers that did not answer; only the fleet's roles are told"`
}

// EndedSessions is how many sessions were told to end.
type EndedSessions struct {
	Ended   int      `json:"ended"`
	Partial bool     `json:"partial" doc:"Some servers did not answer: theirs go on"`
	Silent  []string `json:"silent" nullable:"false" doc:"Names of the servers that did not answer; only the fleet's roles are told"`
}

// AccountMailboxes is what an account's mailboxes hold and may hold.
type AccountMailboxes struct {
	inventory.Mailboxes
	Quota       int64 `json:"quota" doc:"Most bytes; 0: no limit"`
	MaxMessages int64 `json:"max_messages" doc:"Most messages; 0: no limit"`
}

// MailSignIns are the last sign-ins to an account by mail, alike ones as one, the latest first.
type MailSignIns struct {
	Items []inventory.MailSignIn `json:"items" nullable:"false"`
}
