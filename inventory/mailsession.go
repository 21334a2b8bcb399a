package inventory

import "time"

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
