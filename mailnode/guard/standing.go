package guard

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/resolve"
)

// standing is what the DNS says of an address.
type standing struct {
	ready chan struct{} // closed when the rest is known
	until time.Time     // until when it holds

	name     string            // confirmed
	score    float64           // of the lists
	listed   []string          // marks by lists
	named    []string          // marks by its reverse name
	blocked  *envelope.Refusal // by lists
	misnamed *envelope.Refusal // by its reverse name
}

const (
	standingKept = 10 * time.Minute
	unsureKept   = time.Minute     // when a part was not to be found out
	dnsTime      = 5 * time.Second // for all that is asked about an address
	maxNames     = 5               // of an address
)

// standing finds out about an address, once for all who ask at the same time. It does
// not fail: what cannot be found out counts for nothing.
func (g *Guard) standing(ctx context.Context, set Settings, a netip.Addr) *standing {
	now := time.Now()
	g.mu.Lock()
	place := g.standings.At(a)
	s := *place
	if s == nil || !s.until.IsZero() && now.After(s.until) {
		s = &standing{ready: make(chan struct{})}
		*place = s
		g.mu.Unlock()
		g.find(ctx, set, a, s)
		return s
	}
	g.mu.Unlock()
	select {
	case <-s.ready:
		return s
	case <-ctx.Done():
		return &standing{}
	}
}

// find asks and publishes what it found.
func (g *Guard) find(ctx context.Context, set Settings, a netip.Addr, s *standing) {
	// Others may wait for the same answers: they are not lost when this peer leaves.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dnsTime)
	defer cancel()
	var wg sync.WaitGroup
	listed := make([][]netip.Addr, len(set.Lists))
	var mu sync.Mutex
	unsure := false
	for i, l := range set.Lists {
		wg.Go(func() {
			found, err := g.resolver.Listed(ctx, a, l.Zone)
			switch {
			case err == nil:
				listed[i] = found.Records
			case !resolve.NotFound(err):
				g.log.Debug("a blocklist could not be asked", "zone", l.Zone, "error", err)
				mu.Lock()
				unsure = true
				mu.Unlock()
			}
		})
	}
	var names []string
	known := false
	wg.Go(func() { s.name, names, known = g.names(ctx, a) })
	wg.Wait()
	s.weigh(set, a, listed)
	if known {
		s.judgeName(set.Reverse, a, names)
	}
	kept := standingKept
	if unsure || !known {
		kept = unsureKept
	}
	g.mu.Lock()
	s.until = time.Now().Add(kept)
	g.mu.Unlock()
	close(s.ready)
}

// weigh adds the lists up.
func (s *standing) weigh(set Settings, a netip.Addr, listed [][]netip.Addr) {
	var zones []string
	for i, l := range set.Lists {
		if !counts(l, listed[i]) {
			continue
		}
		weight := l.Weight
		if weight == 0 {
			weight = 1
		}
		s.score += weight
		if weight > 0 {
			zones = append(zones, l.Zone)
			s.listed = append(s.listed, fmt.Sprintf("The address %s is on the blocklist %s.", a, l.Zone))
		}
	}
	if s.score >= set.Refused && len(zones) > 0 {
		s.blocked = &envelope.Refusal{
			Code: 554, Enhanced: "5.7.1",
			Text: fmt.Sprintf("your address %s is on the blocklist %s: ask there to be taken off it", a, strings.Join(zones, " and ")),
		}
	}
}

// errorCodes are the answers with which lists say that they do not answer.
var errorCodes = netip.MustParsePrefix("127.255.255.0/24")

// counts tells whether one of a list's answers is one that counts.
func counts(l List, codes []netip.Addr) bool {
	for _, c := range codes {
		if len(l.Codes) == 0 && !errorCodes.Contains(c) || contains(l.Codes, c) {
			return true
		}
	}
	return false
}

// names finds the names of an address, and the one of them that leads back to it.
// known is false when that cannot be found out now.
func (g *Guard) names(ctx context.Context, a netip.Addr) (confirmed string, names []string, known bool) {
	found, err := g.resolver.PTR(ctx, a)
	if err != nil {
		return "", nil, resolve.NotFound(err)
	}
	names, known = found.Records[:min(len(found.Records), maxNames)], true
	for _, name := range names {
		to, err := g.resolver.Addresses(ctx, name)
		if err != nil && !resolve.NotFound(err) {
			known = false
		}
		for _, b := range to.Records {
			if b.Unmap() == a {
				return name, names, true
			}
		}
	}
	return "", names, known
}

func (s *standing) judgeName(r Reverse, a netip.Addr, names []string) {
	switch {
	case len(names) == 0:
		s.apply(r.Missing, fmt.Sprintf("your address %s has no name in the DNS: ask its provider for a PTR record", a))
	case s.name == "":
		s.apply(r.Unconfirmed, fmt.Sprintf("the name of your address %s does not lead back to it: its PTR and address records must match", a))
	case generic(s.name, a):
		s.apply(r.Generic, fmt.Sprintf("the name of your address %s is that of a customer's line: send through the server of your provider", a))
	}
}

func (s *standing) apply(act Action, text string) {
	switch act {
	case Mark:
		s.named = append(s.named, strings.ToUpper(text[:1])+text[1:]+".")
	case Defer:
		s.misnamed = &envelope.Refusal{Code: 450, Enhanced: "4.7.25", Text: text}
	case Refuse:
		s.misnamed = &envelope.Refusal{Code: 550, Enhanced: "5.7.25", Text: text} // RFC 7372 §3.3
	}
}

// lineWords are parts of the names that providers give to customers' lines.
var lineWords = []string{"dyn", "dynamic", "dhcp", "pool", "ppp", "pppoe", "dsl", "adsl", "vdsl", "dialup", "dial", "cable", "broadband", "client", "customer", "cpe", "dip"}

// generic tells whether a name looks made of the address, or names a line. A name that
// calls itself one of a mail server or static is none.
func generic(name string, a netip.Addr) bool {
	parts := strings.FieldsFunc(strings.ToLower(name), func(c rune) bool { return c == '.' || c == '-' || c == '_' })
	words := map[string]bool{}
	for _, p := range parts {
		words[p] = true
		words[strings.TrimRight(p, "0123456789")] = true
	}
	for _, good := range []string{"static", "mail", "smtp", "mx", "mta", "mout", "relay"} {
		if words[good] {
			return false
		}
	}
	for _, bad := range lineWords {
		if words[bad] {
			return true
		}
	}
	return holdsAddress(strings.Join(parts, "."), a)
}

// holdsAddress finds an IPv4 address in a name: its numbers in either order, with or
// without dots, or in hexadecimal.
func holdsAddress(name string, a netip.Addr) bool {
	if !a.Is4() {
		return false
	}
	v := a.As4()
	name = "." + name + "."
	for _, form := range []string{
		fmt.Sprintf(".%d.%d.%d.%d.", v[0], v[1], v[2], v[3]), fmt.Sprintf(".%d.%d.%d.%d.", v[3], v[2], v[1], v[0]),
		fmt.Sprintf("%03d.%03d.%03d.%03d", v[0], v[1], v[2], v[3]), fmt.Sprintf("%03d%03d%03d%03d", v[0], v[1], v[2], v[3]),
		fmt.Sprintf("%02x%02x%02x%02x", v[0], v[1], v[2], v[3]),
	} {
		if strings.Contains(name, form) {
			return true
		}
	}
	return false
}
