package inventory

import (
	"slices"
	"time"
)

// AppPassword is a password made for one application or device of an account's user.
type AppPassword struct {
	ID        ID        `json:"id"`
	Name      string    `json:"name"`
	Protocols []string  `json:"protocols,omitempty"` // it is good for: smtp, pop3, imap…; none: all
	Created   time.Time `json:"created"`
	Expires   time.Time `json:"expires,omitzero"` // zero: never
}

// AppSecret is what is kept of an application password itself.
type AppSecret struct {
	Hash  string `json:"hash"`            // credential.HashApp
	SCRAM string `json:"scram,omitempty"` // credential.SCRAM, with the salt and cost of the account's own
}

// MaxAppPasswords is how many an account may have.
const MaxAppPasswords = 50

// AddAppPassword gives the account an application password. Conflict: it has as
// many as it may, or one of that name.
func (a *Account) AddAppPassword(p AppPassword, s AppSecret) error {
	if len(a.AppPasswords) >= MaxAppPasswords {
		return Errorf(Conflict, "an account may have %d application passwords: revoke one first", MaxAppPasswords)
	}
	if slices.ContainsFunc(a.AppPasswords, func(other AppPassword) bool { return other.Name == p.Name }) {
		return FieldErrorf("name", "there is an application password named %q already", p.Name)
	}
	if a.AppSecrets == nil {
		a.AppSecrets = map[ID]AppSecret{}
	}
	a.AppPasswords = append(a.AppPasswords, p)
	a.AppSecrets[p.ID] = s
	return nil
}

// RemoveAppPassword takes an application password away. NotFound: there is none of that id.
func (a *Account) RemoveAppPassword(id ID) error {
	i := slices.IndexFunc(a.AppPasswords, func(p AppPassword) bool { return p.ID == id })
	if i < 0 {
		return Errorf(NotFound, "there is no application password %q", id)
	}
	a.AppPasswords = slices.Delete(a.AppPasswords, i, i+1)
	delete(a.AppSecrets, id)
	return nil
}

// SaltedKeys are SCRAM keys the account has already: all its passwords share their
// salt and cost. It is empty when there are none.
func (a *Account) SaltedKeys() string {
	if a.SCRAM != "" {
		return a.SCRAM
	}
	for _, p := range a.AppPasswords {
		if keys := a.AppSecrets[p.ID].SCRAM; keys != "" {
			return keys
		}
	}
	return ""
}
