// Package directory says which account an address belongs to. It holds the
// accounts and domains of the configuration in force; app replaces them at a
// reload. auth and smtpd ask it.
package directory

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"

	"mailfleet/inventory"
	"mailfleet/mailnode/api"
)

// Account is an address with a mailbox on this server.
type Account struct {
	ID           string // names the account for ever
	Address      string // in lower case
	PasswordHash string // argon2id in PHC form; "" when nobody can sign in with it
	Suspended    bool

	SCRAM        string // keys of the same password in credential.SCRAM's form; "" for none
	AppPasswords []api.AppPassword

	QuotaBytes    int64 // 0: no limit, here and below
	QuotaMessages int64
	MessageBytes  int64
	Off           []inventory.Feature // switched off for it
}

// May reports whether a feature is not switched off for the account.
func (a *Account) May(f inventory.Feature) bool { return !slices.Contains(a.Off, f) }

// Why an address is no recipient.
var (
	ErrNotLocal     = errors.New("directory: the domain is not local")
	ErrUnknown      = errors.New("directory: there is no such account")
	ErrSuspended    = errors.New("directory: the account is suspended")
	ErrNoPostmaster = errors.New("directory: no account gets the mail for postmaster")
)

// Directory finds accounts. Its methods are safe for concurrent use.
type Directory struct{ table atomic.Pointer[Table] }

// Table is what a directory knows at one moment. It is not changed once made.
type Table struct {
	domains    map[string]bool
	accounts   []Account
	byAddress  map[string]int // index in accounts
	byID       map[string]int
	postmaster string
}

// NewTable makes a table. Addresses and domains may be in any case. postmaster is the
// address whose account gets the mail for postmaster of a domain that has no such
// account, "" for none.
func NewTable(domains []string, accounts []Account, postmaster string) *Table {
	t := &Table{
		domains:    make(map[string]bool, len(domains)),
		accounts:   make([]Account, len(accounts)),
		byAddress:  make(map[string]int, len(accounts)),
		byID:       make(map[string]int, len(accounts)),
		postmaster: strings.ToLower(postmaster),
	}
	for _, d := range domains {
		t.domains[strings.ToLower(d)] = true
	}
	for i, a := range accounts {
		a.Address = strings.ToLower(a.Address)
		t.accounts[i] = a
		t.byAddress[a.Address], t.byID[a.ID] = i, i
	}
	return t
}

// New returns a directory of what t holds.
func New(t *Table) *Directory {
	d := &Directory{}
	d.table.Store(t)
	return d
}

// Replace makes t what the directory holds, for every question asked from now on.
func (d *Directory) Replace(t *Table) { d.table.Store(t) }

// Accounts returns all accounts. The caller must not change them.
func (d *Directory) Accounts() []Account { return d.table.Load().accounts }

// Account returns the account whose address this is, without regard to case.
func (d *Directory) Account(address string) (Account, bool) {
	return d.table.Load().account(strings.ToLower(address))
}

// ByID returns the account with an id.
func (d *Directory) ByID(id string) (Account, bool) {
	t := d.table.Load()
	i, ok := t.byID[id]
	if !ok {
		return Account{}, false
	}
	return t.accounts[i], true
}

func (t *Table) account(address string) (Account, bool) {
	i, ok := t.byAddress[address]
	if !ok {
		return Account{}, false
	}
	return t.accounts[i], true
}

// Recipient returns the account that gets the mail for an address. The address may
// be a sub-address (user+detail@domain, RFC 5233), and postmaster stands without a domain
// for this server's own (RFC 5321 §4.5.1). Its errors are the ones above.
func (d *Directory) Recipient(address string) (Account, error) {
	t := d.table.Load()
	address = strings.ToLower(address)
	local, domain := address, ""
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		local, domain = address[:at], address[at+1:]
	}
	if domain != "" && !t.domains[domain] {
		return Account{}, ErrNotLocal
	}
	a, found := t.account(address)
	if base, _, sub := strings.Cut(local, "+"); !found && sub {
		a, found = t.account(base + "@" + domain)
	}
	if !found && local == "postmaster" {
		if a, found = t.account(t.postmaster); !found {
			return Account{}, ErrNoPostmaster
		}
	}
	switch {
	case !found:
		return Account{}, ErrUnknown
	case a.Suspended:
		return Account{}, ErrSuspended
	}
	return a, nil
}
