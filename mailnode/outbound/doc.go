// Package outbound is the SMTP client of the mailnode (RFC 5321): it takes one message
// and those of its recipients who share a domain, finds the hosts that take mail of
// that domain, and gives it to one of them. It keeps no mail and never tries
// later: package queue, which uses it, does both. What it has learnt of policies, and its
// counts of TLS, it keeps in the store (memory.go). app makes it.
//
// What it says of each recipient is an Outcome with a sentence for operators and
// senders. A connection is used for several messages. TLS is taken wherever it is
// offered; where the domain's policy wants it (DANE, RFC 7672; MTA-STS, RFC 8461) or
// the sender does (REQUIRETLS, RFC 8689), nothing is sent without it. What came of it
// is counted for the reports of RFC 8460.
//
// A server that lacks 8BITMIME or BINARYMIME gets the message recoded (package recode). That
// breaks every signature of it (RFC 6376 §5.3). Signing a 7-bit form of all mail in advance
// would spare that and make mail larger and harder to read for the many that take it as it
// is, so a message of a user of this server is signed again: the signatures of its
// author's domain are taken out and new ones made, of the form that is sent, by the
// Signer. The author of such a message was checked when it was submitted. A message from
// elsewhere is never signed in that name, as nobody knows who wrote it; its signatures stay
// and fail, and it arrives all the same, which is better than a bounce (RFC 6152 §3).
//
// Everything a remote says is hostile: replies are bounded, must have the form of a
// reply, and are cleaned before anybody sees them.
package outbound

import (
	"context"
	"crypto/x509"
	"io"
	"net/netip"
	"time"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/resolve"
)

// Resolver is what is asked of the DNS; resolve.Resolver is one.
type Resolver interface {
	MX(ctx context.Context, domain string) (resolve.Answer[resolve.MX], error)
	Addresses(ctx context.Context, host string) (resolve.Answer[netip.Addr], error)
	TXT(ctx context.Context, name string) (resolve.Answer[string], error)
	TLSA(ctx context.Context, port int, host string) (resolve.Answer[resolve.TLSA], error)
}

// TLSMode is how a smart host is spoken to.
type TLSMode string

// The modes. The empty one is Opportunistic.
const (
	Opportunistic TLSMode = "opportunistic" // STARTTLS when offered, whatever the certificate
	Required      TLSMode = "required"      // STARTTLS, whatever the certificate
	Verified      TLSMode = "verified"      // STARTTLS, and the certificate proves the host's name
	Implicit      TLSMode = "implicit"      // TLS from the first byte, and the same proof (RFC 8314)
	Clear         TLSMode = "none"          // never
)

// Route sends the mail of a domain to a host of our choice in place of its MX hosts.
type Route struct {
	Host     string // name or IP address
	Port     int    // 0: that of Settings, 465+Port-25 for Implicit
	TLS      TLSMode
	User     string // "" for no authentication
	Password string // said only within TLS, unless the host is on this machine
}

// Settings of a client; they can be changed while it runs.
type Settings struct {
	Hostname  string       // said in EHLO
	Names     []string     // under which this server takes mail, to see loops; Hostname is one
	Addresses []netip.Addr // of this server, to see loops
	Source    netip.Addr   // to send from over IPv4 or IPv6; not valid: the system chooses
	Port      int          // of MX hosts; 0 is 25
	HTTPSPort int          // of hosts with MTA-STS policies; 0 is 443
	Roots     *x509.CertPool
	Signer    Signer // nil: what is recoded is not signed again
	NoDANE    bool
	NoMTASTS  bool

	PerConnection int           // messages on a connection; 0 is 100
	PerMessage    int           // recipients of a transaction; 0 is 100
	Idle          time.Duration // how long a connection is kept for the next message; 0 is 5 s
	IdleMost      int           // connections kept so; 0 is 200
	HostsMost     int           // addresses tried for a message; 0 is 8
	Timeouts      Timeouts
}

// Timeouts are those of RFC 5321 §4.5.3.2 when they are 0.
type Timeouts struct {
	Connect  time.Duration // 30 s
	Greeting time.Duration // 5 min; also for EHLO and STARTTLS
	Command  time.Duration // 5 min, for MAIL and RCPT and what is not named here
	Data     time.Duration // 2 min, for the reply to DATA
	Block    time.Duration // 3 min, for each block of a message
	Final    time.Duration // 10 min, for the reply to the message
}

// Message is one message for recipients of one domain.
type Message struct {
	envelope.Envelope // of its Recipients none is looked at
	To                []envelope.Recipient
	Size              int64            // bytes, exactly
	Open              func() io.Reader // the message from its beginning
}

// State is what became of a recipient.
type State int

// The states.
const (
	Temporary State = iota // try again later
	Sent                   // the remote took it, and reports on it from now on if it can
	Permanent              // never try again
)

// Outcome is what became of a recipient. The text is for humans, the rest for reports.
type Outcome struct {
	State    State
	Code     int    // of the remote's reply; of our own making when Reply is ""
	Enhanced string // such as 5.1.1
	Reply    string // what the remote said, cleaned, with its codes; "" when it said nothing
	Host     string // name and address of the remote; "" when none was reached
	DSN      bool   // the remote reports on it (RFC 3461)
	Text     string // a sentence that says what happened
	// Session is set when what failed was not about this message: the host could not be
	// reached, or sent everybody away. It tells the queue to slow down.
	Session bool
}
