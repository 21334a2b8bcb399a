// Package guard is the memory of who sends: it says what is thought of a peer before
// its message has come (blocklists, reverse names, rates, greylisting, deny lists), and
// it notices when an account of this server sends far more than it is used to. app
// makes it and gives it to smtpd. Each rule is a switch of its own; the zero Settings
// have only those that never keep good mail away.
//
// Rules that ask the DNS never hold mail up because the DNS does not answer: what is
// not known counts for nothing. postmaster and abuse are reached by everyone who is
// not denied outright (RFC 5321 §4.5.1, RFC 2142), for they are whom one asks to be
// let in. What is remembered is bounded, in memory and in the store.
package guard

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Settings of a listener, or of all of them.
type Settings struct {
	Allow []netip.Prefix // all rules are passed by
	Deny  []netip.Prefix // nothing is taken; Allow is stronger

	Lists   []List
	Refused float64 // weight of lists from which on a peer is refused; 0 is 1

	Reverse  Reverse
	Greylist Greylist
	Rates    Rates
	Tarpit   Tarpit

	// Without says which rules a domain of recipients does without; nil for none.
	Without func(domain string) Without
}

// Without are rules that are off: for a domain, or on a listener.
type Without struct{ Lists, Reverse, Greylist, Rates, Tarpit bool }

// List is a DNS blocklist, or a welcome list when its weight is below 0 (RFC 5782).
type List struct {
	Zone   string
	Weight float64        // 0 is 1
	Codes  []netip.Prefix // of answers that count; none: all but those that report an error
}

// Action is what is done with a peer by a rule.
type Action string

// The actions.
const (
	Ignore Action = ""
	Mark   Action = "mark"
	Defer  Action = "defer"
	Refuse Action = "refuse"
)

// Reverse are the rules about the name of a peer's address.
type Reverse struct {
	Missing     Action // it has none
	Unconfirmed Action // the name does not lead back to the address
	Generic     Action // the name looks like those of customers' lines
}

// Greylist makes the first message of a stranger wait: those who send properly try
// again.
type Greylist struct {
	On      bool
	Delay   time.Duration // until a further attempt is taken; 0 is 2 min
	Window  time.Duration // within which it has to come; 0 is 48 h
	Keep    time.Duration // how long who passed is known; 0 is 35 days
	Trusted int           // senders passed after which a network needs to wait no more; 0 is 3
	Entries int           // remembered at most; 0 is 500,000. When full, nobody waits
}

// Rate is a number of things in a time, which may come all at once. The zero Rate is
// no limit.
type Rate struct {
	N   int
	Per time.Duration
}

// Rates bound what comes from one IPv4 address or IPv6 /64, and from its neighbourhood
// (IPv4 /24, IPv6 /48) ten times as much.
type Rates struct {
	Connections, Messages, Recipients, Errors Rate
}

// Tarpit makes those wait who make errors: Step for each recent one, at most Most.
type Tarpit struct {
	Step, Most time.Duration // 0 Step: nobody waits; 0 Most is 20 s
}

// DefaultSettings are those of a server that nobody has configured: rates that no
// good sender meets, and a tarpit.
var DefaultSettings = Settings{
	Rates: Rates{
		Connections: Rate{120, time.Minute}, Messages: Rate{600, time.Minute},
		Recipients: Rate{3000, time.Minute}, Errors: Rate{60, time.Hour},
	},
	Tarpit: Tarpit{Step: time.Second},
}

// Check tells what is wrong with the settings.
func (s Settings) Check() error {
	for _, l := range s.Lists {
		if l.Zone == "" || strings.ContainsAny(l.Zone, " /@") {
			return fmt.Errorf("%q is no zone of a blocklist", l.Zone)
		}
	}
	for _, a := range []Action{s.Reverse.Missing, s.Reverse.Unconfirmed, s.Reverse.Generic} {
		switch a {
		case Ignore, Mark, Defer, Refuse:
		default:
			return fmt.Errorf("%q is no action: it must be mark, defer or refuse", a)
		}
	}
	for _, r := range []Rate{s.Rates.Connections, s.Rates.Messages, s.Rates.Recipients, s.Rates.Errors} {
		if r.N < 0 || r.N > 0 && r.Per <= 0 {
			return errors.New("a rate needs a number and a time")
		}
	}
	if s.Greylist.Delay < 0 || s.Greylist.Delay > 24*time.Hour {
		return errors.New("the delay of greylisting must be at most a day")
	}
	return nil
}

func (s Settings) withDefaults() Settings {
	if s.Refused == 0 {
		s.Refused = 1
	}
	g := &s.Greylist
	for _, d := range []struct {
		at *time.Duration
		to time.Duration
	}{{&g.Delay, 2 * time.Minute}, {&g.Window, 48 * time.Hour}, {&g.Keep, 35 * 24 * time.Hour}, {&s.Tarpit.Most, 20 * time.Second}} {
		if *d.at <= 0 {
			*d.at = d.to
		}
	}
	if g.Trusted <= 0 {
		g.Trusted = 3
	}
	if g.Entries <= 0 {
		g.Entries = 500_000
	}
	return s
}
