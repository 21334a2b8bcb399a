// Package directory says where mail for an address goes: into a mailbox here, to
// the server of the fleet that has the mailbox, or to somewhere else. It holds what
// the configuration in force says of domains, accounts and groups; app replaces it at
// a reload. auth, smtpd, imapd and deliver ask it.
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

	Aliases  []string // its other addresses
	Forward  inventory.Forward
	Language string // it is written to in; "": zh-CN

	Recipients int // of a message it sends; 0: no limit of its own, here and below
	SentADay   int // recipients it writes to in a day

	SentAnHour     int // recipients it writes to in an hour
	MessagesAnHour int
}

// May reports whether a feature is not switched off for the account.
func (a *Account) May(f inventory.Feature) bool { return !slices.Contains(a.Off, f) }

// Why an address is no recipient.
var (
	ErrNotLocal     = errors.New("directory: the domain is not local")
	ErrUnknown      = errors.New("directory: there is no such account")
	ErrSuspended    = errors.New("directory: the account is suspended")
	ErrNoPostmaster = errors.New("directory: no account gets the mail for postmaster")
	ErrNotAllowed   = errors.New("directory: the group does not take mail from this sender")
	ErrTooMany      = errors.New("directory: the address leads to too many others")
	ErrNotKnown     = errors.New("directory: whether there is such an account is not known here")
)

// Directory finds accounts. Its methods are safe for concurrent use.
type Directory struct{ table atomic.Pointer[Table] }

// Content is what a table is made of. Addresses and domains may be in any case.
type Content struct {
	Domains  []api.Domain
	Accounts []Account // of this server
	Groups   []api.Group
	Away     []api.Away // accounts of other servers
	Partial  bool       // there are more of those

	// Postmaster gets the mail for postmaster where nobody else does; "" for nobody.
	Postmaster string
}

// Table is what a directory knows at one moment. It is not changed once made.
type Table struct {
	domains    map[string]*api.Domain
	accounts   []Account
	byID       map[string]int // index in accounts
	byAddress  map[string]int // the same, with aliases
	groups     map[string]*api.Group
	away       map[string]*api.Away // with aliases
	partial    bool
	postmaster string
}

// NewTable makes a table of domains with nothing but their names, and accounts.
func NewTable(domains []string, accounts []Account, postmaster string) *Table {
	c := Content{Accounts: accounts, Postmaster: postmaster}
	for _, d := range domains {
		c.Domains = append(c.Domains, api.Domain{Name: d})
	}
	return TableOf(c)
}

// TableOf makes a table. Where two have the same address, accounts of this server
// come before groups, and groups before accounts of others.
func TableOf(c Content) *Table {
	t := &Table{
		domains:   make(map[string]*api.Domain, len(c.Domains)),
		accounts:  make([]Account, len(c.Accounts)),
		byID:      make(map[string]int, len(c.Accounts)),
		byAddress: make(map[string]int, len(c.Accounts)),
		groups:    make(map[string]*api.Group, len(c.Groups)),
		away:      make(map[string]*api.Away, len(c.Away)),
		partial:   c.Partial, postmaster: strings.ToLower(c.Postmaster),
	}
	for i := range c.Domains {
		d := c.Domains[i]
		d.Name = strings.ToLower(d.Name)
		t.domains[d.Name] = &d
	}
	for i, a := range c.Accounts {
		a.Address = strings.ToLower(a.Address)
		t.accounts[i], t.byID[a.ID] = a, i
		for _, alias := range a.Aliases {
			t.byAddress[strings.ToLower(alias)] = i
		}
	}
	for i, a := range t.accounts { // after all aliases: an address of one's own comes first
		t.byAddress[a.Address] = i
	}
	for i := range c.Groups {
		g := c.Groups[i]
		g.Address = strings.ToLower(g.Address)
		t.groups[g.Address] = &g
	}
	for i := range c.Away {
		a := c.Away[i]
		a.Address = strings.ToLower(a.Address)
		t.away[a.Address] = &a
		for _, alias := range a.Aliases {
			t.away[strings.ToLower(alias)] = &a
		}
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

// Accounts returns all accounts of this server. The caller must not change them.
func (d *Directory) Accounts() []Account { return d.table.Load().accounts }

// Account returns the account whose own address this is, without regard to case: the
// name that people sign in with.
func (d *Directory) Account(address string) (Account, bool) {
	t := d.table.Load()
	address = strings.ToLower(address)
	a, ok := t.account(address)
	if !ok || a.Address != address {
		return Account{}, false
	}
	return a, true
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

// Domain returns what is said of a local domain. The caller must not change it.
func (d *Directory) Domain(name string) (*api.Domain, bool) {
	domain, ok := d.table.Load().domains[strings.ToLower(name)]
	return domain, ok
}

// Owns reports whether an address is one that an account of this server may write
// as: its own, an alias, or a sub-address of either.
func (d *Directory) Owns(account, address string) bool {
	t := d.table.Load()
	address = strings.ToLower(address)
	i, found := t.byAddress[address]
	if !found {
		base, _, sub := t.split(address)
		if i, found = t.byAddress[base]; !found || !sub {
			return false
		}
	}
	return t.accounts[i].ID == account
}

// account returns the account that an address or alias in lower case is of.
func (t *Table) account(address string) (Account, bool) {
	i, ok := t.byAddress[address]
	if !ok {
		return Account{}, false
	}
	return t.accounts[i], true
}

// split parts a sub-address (RFC 5233) in lower case: the address it is of, and the
// detail. sub is false when it is none.
func (t *Table) split(address string) (base, detail string, sub bool) {
	local, domain, whole := cutLast(address)
	if !whole {
		return address, "", false
	}
	delimiter := t.delimiter(domain)
	if delimiter == inventory.NoDelimiter {
		return address, "", false
	}
	user, detail, sub := strings.Cut(local, delimiter)
	if !sub || user == "" {
		return address, "", false
	}
	return user + "@" + domain, detail, true
}

// sub is the sub-address of an address with a detail; without one, the address.
func (t *Table) sub(address, detail string) string {
	if detail == "" {
		return address
	}
	local, domain, _ := cutLast(address)
	return local + t.delimiter(domain) + detail + "@" + domain
}

// delimiter is what parts sub-addresses of a domain, or inventory.NoDelimiter.
func (t *Table) delimiter(domain string) string {
	if d := t.domains[domain]; d != nil && d.Mail.Delimiter != "" {
		return d.Mail.Delimiter
	}
	return "+"
}
