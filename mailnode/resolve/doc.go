// Package resolve asks the DNS for the mailnode: whom mail for a domain goes to, what
// a domain says of its senders, which blocklists name an address. It is the only one
// that does, so that there is one cache, one set of time limits and one place that
// knows whether an answer can be believed. origin, guard, outbound and smtpd use it
// through interfaces of their own; app makes it.
//
// It asks recursive servers, by UDP and, when an answer does not fit, by TCP. A name
// is always taken as complete: search lists of /etc/resolv.conf are not used. Three
// kinds of failure are told apart, because mail depends on it: there is no such name
// (ErrNoName), the name has no record of the type (ErrNoData), and nobody knows now
// (ErrTemporary).
package resolve

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// The kinds of failure. Errors of lookups match one of them, or are the context's.
var (
	ErrNoName    = errors.New("there is no such name")
	ErrNoData    = errors.New("the name has no such record")
	ErrTemporary = errors.New("the lookup failed for now")
)

// NotFound reports whether err says for certain that there is nothing to be found.
func NotFound(err error) bool { return errors.Is(err, ErrNoName) || errors.Is(err, ErrNoData) }

// Error is a failed lookup.
type Error struct {
	Name   string // that was asked for
	Type   string // of record, such as MX
	Kind   error  // ErrNoName, ErrNoData or ErrTemporary
	Detail string // why, of a temporary failure
	Secure bool   // a validating server proved that there is nothing
}

func (e *Error) Error() string {
	switch {
	case errors.Is(e.Kind, ErrNoName):
		return fmt.Sprintf("the DNS knows no name %s", e.Name)
	case errors.Is(e.Kind, ErrNoData):
		return fmt.Sprintf("the DNS has no %s record of %s", e.Type, e.Name)
	}
	return fmt.Sprintf("looking up %s of %s failed for now: %s", e.Type, e.Name, e.Detail)
}

// Unwrap returns the kind.
func (e *Error) Unwrap() error { return e.Kind }

// Answer is what a lookup found; there is at least one record.
type Answer[T any] struct {
	Records []T
	Name    string    // that the records belong to: the one asked for, or where its aliases lead
	Secure  bool      // a validating server that is trusted proved it (DNSSEC)
	Expires time.Time // until when it may be used
}

// MX is one host that takes mail of a domain. Host is "" in a null MX (RFC 7505).
type MX struct {
	Host       string // without the last dot, in lower case
	Preference uint16
}

// TLSA says which certificate a server has (RFC 6698).
type TLSA struct {
	Usage, Selector, Matching uint8
	Data                      []byte
}

// Settings of a resolver. The zero value asks the machine's own servers.
type Settings struct {
	// Servers are addresses, with a port when it is not 53; those of ResolvConf when
	// there are none.
	Servers    []string
	ResolvConf string // "" is /etc/resolv.conf
	// TrustAD believes what the servers say of DNSSEC. Servers on this machine
	// (loopback addresses) are always believed: nobody can change their answers on
	// the way.
	TrustAD bool

	Timeout    time.Duration // for one question to one server; 0 is 3 s
	Deadline   time.Duration // for a whole lookup; 0 is 15 s
	Concurrent int           // lookups under way at once; 0 is 256
	CacheBytes int           // 0 is 16 MiB
}

func (s Settings) withDefaults() Settings {
	if s.ResolvConf == "" {
		s.ResolvConf = "/etc/resolv.conf"
	}
	if s.Timeout <= 0 {
		s.Timeout = 3 * time.Second
	}
	if s.Deadline <= 0 {
		s.Deadline = 15 * time.Second
	}
	if s.Concurrent <= 0 {
		s.Concurrent = 256
	}
	if s.CacheBytes <= 0 {
		s.CacheBytes = 16 << 20
	}
	return s
}

// parseServer completes the address of a server.
func parseServer(s string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(a, 53), nil
	}
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is no address of a DNS server: it wants an IP address, with a port when it is not 53", s)
	}
	return a, nil
}
