package inventory

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MailSession is a connection that a mailnode holds.
type MailSession struct {
	ID       string    `json:"id"`                // unique on its server while the mailnode runs
	Protocol string    `json:"protocol"`          // smtp, pop3, imap
	Account  ID        `json:"account,omitempty"` // empty: nobody has signed in
	User     string    `json:"user,omitempty"`    // the account's address
	Address  string    `json:"address"`           // IP address of the peer
	Port     int       `json:"port"`              // of the peer
	Listener string    `json:"listener"`          // address and port it came to
	Since    time.Time `json:"since"`
	Active   time.Time `json:"active"`        // when the peer last said something
	TLS      string    `json:"tls,omitempty"` // version, as in "TLS 1.3"; empty: in the clear
}

// MailSessionQuery chooses sessions: those that fit all it names.
type MailSessionQuery struct {
	ID        string   // the one of that id
	Account   ID       // empty: of all, and of nobody
	Protocols []string // none: all
	Who       string   // a part of the user's address, in any case
	Within    []string // addresses, and domains, whose users' sessions are meant, sorted; none: everybody's, and nobody's
	After     string   // id of the last one of the page before
	Limit     int      // 0: MaxMailSessions
}

// Bounds of a query.
const (
	MaxMailSessions     = 1000      // sessions of a page
	MaxMailSessionQuery = 256 << 10 // octets of a query in a URL
)

// Chooses reports whether a session is one of those meant, on whichever page.
func (q *MailSessionQuery) Chooses(s *MailSession) bool {
	return (q.ID == "" || s.ID == q.ID) &&
		(q.Account == "" || s.Account == q.Account) &&
		(len(q.Protocols) == 0 || slices.Contains(q.Protocols, s.Protocol)) &&
		(q.Who == "" || strings.Contains(strings.ToLower(s.User), strings.ToLower(q.Who))) &&
		(len(q.Within) == 0 || s.User != "" && (holds(q.Within, s.User) || holds(q.Within, s.User[strings.LastIndexByte(s.User, '@')+1:])))
}

func holds(sorted []string, s string) bool {
	_, found := slices.BinarySearch(sorted, s)
	return found
}

// Everybody reports whether the query means all sessions there are.
func (q *MailSessionQuery) Everybody() bool {
	return q.ID == "" && q.Account == "" && q.Who == "" && len(q.Within) == 0
}

// Values is the query in a URL.
func (q *MailSessionQuery) Values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"id": q.ID, "account": string(q.Account), "who": q.Who, "after": q.After} {
		if value != "" {
			v.Set(name, value)
		}
	}
	for name, values := range map[string][]string{"protocol": q.Protocols, "within": q.Within} {
		if len(values) > 0 {
			v[name] = values
		}
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// ParseMailSessionQuery reads Values.
func ParseMailSessionQuery(v url.Values) (q MailSessionQuery, err error) {
	q = MailSessionQuery{
		ID: v.Get("id"), Account: ID(v.Get("account")), Protocols: v["protocol"], Who: v.Get("who"), Within: v["within"],
		After: v.Get("after"), Limit: MaxMailSessions,
	}
	if q.Within != nil {
		q.Within = slices.Sorted(slices.Values(q.Within))
	}
	if limit := v.Get("limit"); limit != "" {
		if q.Limit, err = strconv.Atoi(limit); err != nil || q.Limit < 1 || q.Limit > MaxMailSessions {
			return q, FieldErrorf("limit", "limit must be between 1 and %d", MaxMailSessions)
		}
	}
	return q, nil
}

// MailSessionPage is some of the sessions, in the order of their ids.
type MailSessionPage struct {
	Sessions []MailSession `json:"sessions"`
	Next     string        `json:"next,omitempty"` // After of the next page; empty: there is none
	Total    int           `json:"total"`          // of all pages
}

// EndedMailSessions tells how many sessions were told to end.
type EndedMailSessions struct {
	Ended int `json:"ended"`
}

// MailSignIn tells of attempts to sign in to an account that were alike: from one
// address, by one protocol and credential, with one outcome.
type MailSignIn struct {
	First      time.Time `json:"first"`
	Last       time.Time `json:"last"`
	Count      int       `json:"count"`
	Protocol   string    `json:"protocol"`             // smtp, pop3, imap
	Address    string    `json:"address"`              // IP address
	Mechanism  string    `json:"mechanism"`            // of SASL, or USER or LOGIN for the protocol's own command
	Credential ID        `json:"credential,omitempty"` // the application password used; empty: the account's own, or none
	OK         bool      `json:"ok"`
	Reason     string    `json:"reason,omitempty"` // why it failed, in a few words
}

// Mailbox is a folder of an account.
type Mailbox struct {
	Name       string `json:"name"`          // levels are parted by /
	Use        string `json:"use,omitempty"` // special use, as in \Sent (RFC 6154)
	Messages   int    `json:"messages"`
	Unseen     int    `json:"unseen"`
	Deleted    int    `json:"deleted"` // marked, and not yet expunged
	Bytes      int64  `json:"bytes"`   // of its messages together
	Subscribed bool   `json:"subscribed"`
}

// Mailboxes are an account's folders and what they hold together.
type Mailboxes struct {
	Bytes     int64     `json:"bytes"`
	Messages  int64     `json:"messages"`
	Mailboxes []Mailbox `json:"mailboxes"`
}
