package inventory

import (
	"net/url"
	"strconv"
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

// MailSessionQuery chooses sessions.
type MailSessionQuery struct {
	Account  ID     // empty: of all, and of nobody
	Protocol string // empty: all
	After    string // id of the last one of the page before
	Limit    int    // 0: MaxMailSessions
}

// MaxMailSessions is how many sessions a page may have.
const MaxMailSessions = 1000

// Values is the query in a URL.
func (q MailSessionQuery) Values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"account": string(q.Account), "protocol": q.Protocol, "after": q.After} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// ParseMailSessionQuery reads Values.
func ParseMailSessionQuery(v url.Values) (q MailSessionQuery, err error) {
	q = MailSessionQuery{Account: ID(v.Get("account")), Protocol: v.Get("protocol"), After: v.Get("after"), Limit: MaxMailSessions}
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
}

// EndedMailSessions tells how many sessions were told to end.
type EndedMailSessions struct {
	Ended int `json:"ended"`
}

// SignIn tells of attempts to sign in to an account that were alike: from one
// address, by one protocol and credential, with one outcome.
type SignIn struct {
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
