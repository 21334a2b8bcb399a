package inventory

import (
	"net/mail"
	"strings"
)

// Domain is a mail domain the fleet serves.
type Domain struct {
	Meta
	Name       string `json:"name"`       // lower case, A-label form
	Postmaster string `json:"postmaster"` // account that answers for postmaster@ (RFC 5321 §4.5.1); may be empty

	Tenant   ID     `json:"tenant,omitempty"`       // it belongs to; empty: the operator
	Plan     ID     `json:"plan,omitempty"`         // of its accounts that name none
	Limits   Limits `json:"limits,omitzero"`        // of its accounts
	Accounts int    `json:"max_accounts,omitempty"` // most accounts; 0: no limit

	Mail          DomainMail    `json:"mail,omitzero"`
	RoutePassword []byte        `json:"-"` // of Mail.Route, sealed
	HookSecrets   map[ID][]byte `json:"-"` // by the hook's id, sealed
}

// AccountState tells whether an account may be used.
type AccountState string

// The states of an account.
const (
	AccountActive    AccountState = "active"
	AccountSuspended AccountState = "suspended"
)

// Account is an address with a mailbox.
type Account struct {
	Meta
	Address  string           `json:"address"` // local@domain, lower case, unique
	Domain   string           `json:"domain"`
	Name     string           `json:"name"`   // of the person
	Server   ID               `json:"server"` // home server
	State    AccountState     `json:"state"`
	Plan     ID               `json:"plan,omitempty"`
	Limits   Limits           `json:"limits,omitzero"`
	Features map[Feature]bool `json:"features,omitempty"` // absent: as the plan has it
	Password string           `json:"-"`                  // argon2id hash

	Aliases  []string `json:"aliases,omitempty"` // its other addresses, in domains of the fleet
	Forward  Forward  `json:"forward,omitzero"`
	Language string   `json:"language,omitempty"` // it is written to in; empty: zh-CN

	SCRAM        string           `json:"-"` // keys of the same password (credential.SCRAM); empty: from before there were any
	AppPasswords []AppPassword    `json:"app_passwords,omitempty"`
	AppSecrets   map[ID]AppSecret `json:"-"` // by the id of the application password
}

// ParseMailbox is ParseAddress for what the fleet itself has: the part before @ is a
// Dot-string of RFC 5321 §4.1.2, without quotes.
func ParseMailbox(field, s string) (address, domain string, err error) {
	address, domain, err = ParseAddress(field, s)
	if err != nil {
		return "", "", err
	}
	for atom := range strings.SplitSeq(address[:len(address)-len(domain)-1], ".") {
		if atom == "" || strings.ContainsFunc(atom, func(c rune) bool {
			return (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", c)
		}) {
			return "", "", FieldErrorf(field, "%s %q: the part before @ must be of letters, digits and !#$%%&'*+-/=?^_`{|}~, with single dots between", field, s)
		}
	}
	return address, domain, nil
}

// ParseAddress checks a mailbox address and returns it in lower case with its domain.
func ParseAddress(field, s string) (address, domain string, err error) {
	a, perr := mail.ParseAddress(s)
	if perr != nil || a.Name != "" || a.Address != strings.TrimSpace(s) {
		return "", "", FieldErrorf(field, "%s %q is not a mail address", field, s)
	}
	address = strings.ToLower(a.Address)
	at := strings.LastIndexByte(address, '@')
	if at < 1 || at > 64 {
		return "", "", FieldErrorf(field, "%s %q: the part before @ must have 1 to 64 octets", field, s)
	}
	if len(address) > 254 { // with < and > a path of 256 (RFC 5321 §4.5.3.1.3)
		return "", "", FieldErrorf(field, "%s %q must have at most 254 octets", field, s)
	}
	domain = address[at+1:]
	if err := CheckName(field, domain); err != nil {
		return "", "", FieldErrorf(field, "%s %q: the part after @ is not a domain name", field, s)
	}
	return address, domain, nil
}
