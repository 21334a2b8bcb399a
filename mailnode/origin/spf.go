package origin

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"

	"blitiri.com.ar/go/spf"

	"mailfleet/mailnode/resolve"
)

// SPF is what the sender's domain says of the peer.
type SPF struct {
	Result Result
	Reason string // a sentence without a full stop; "" when there is nothing to say
	Domain string // whose record it was, in ASCII; "" for none
	Sender string // the identity it was: the reverse-path, or the name given with HELO
	Helo   bool   // it was HELO, because the reverse-path is null (RFC 7208 §2.4)
}

// SPF checks the peer against the domain of the reverse-path, or against HELO when
// that is null. It can be known before the message has come and be handed to Begin.
func (j *Judge) SPF(ctx context.Context, peer netip.Addr, helo, from string) SPF {
	s := SPF{Result: None, Sender: from, Helo: from == ""}
	local, domain, ok := cutLast(from, "@")
	if s.Helo {
		s.Sender = helo
		local, domain, ok = "postmaster", helo, true
	}
	name, err := domainName(domain)
	if !ok || err != nil || !strings.Contains(name, ".") {
		s.Reason = "the sender has no domain name" // RFC 7208 §4.3
		return s
	}
	if !peer.IsValid() {
		s.Reason = "the address of the peer is not known"
		return s
	}
	s.Domain = name
	ctx, cancel := context.WithTimeout(ctx, j.settings.Timeout)
	defer cancel()
	// The library takes what follows the first @ as the domain.
	sender := strings.ReplaceAll(local, "@", "%40") + "@" + name
	result, err := spf.CheckHostWithSender(peer.Unmap().AsSlice(), helo, sender,
		spf.WithContext(ctx), spf.WithResolver(spfResolver{j}))
	s.Result = Result(result)
	s.Reason = spfReason(s.Result, err)
	return s
}

func spfReason(r Result, err error) string {
	switch r {
	case None:
		return "the domain has no SPF record"
	case Pass:
		return ""
	case Fail:
		return "the domain says that this address does not send its mail"
	case SoftFail:
		return "the domain says that this address probably does not send its mail"
	case Neutral:
		return "the domain does not say whether this address sends its mail"
	case TempError:
		return "the DNS could not be asked for the domain's SPF record"
	}
	switch {
	case errors.Is(err, spf.ErrLookupLimitReached), errors.Is(err, spf.ErrVoidLookupLimitReached):
		return "the domain's SPF record needs too many questions to the DNS"
	case errors.Is(err, spf.ErrMultipleRecords):
		return "the domain has more than one SPF record"
	case errors.Is(err, spf.ErrNoResult):
		return "the domain's SPF record refers to a domain that has none"
	}
	return "the domain's SPF record is malformed"
}

// spfResolver answers the library in the words of the net package.
type spfResolver struct{ j *Judge }

// lookupError makes of an error what the library knows: not found, or temporary.
func lookupError(name string, err error) error {
	if resolve.NotFound(err) {
		return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return &net.DNSError{Err: "server misbehaving", Name: name, IsTemporary: true}
}

func (r spfResolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	txts, err := r.j.query(ctx, name)
	if err != nil {
		return nil, lookupError(name, err)
	}
	return txts, nil
}

func (r spfResolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	name, err := domainName(name)
	if err != nil {
		return nil, lookupError(name, resolve.ErrNoName)
	}
	found, err := r.j.resolver.MX(ctx, name)
	if err != nil {
		return nil, lookupError(name, err)
	}
	list := make([]*net.MX, 0, len(found.Records))
	for _, mx := range found.Records {
		if mx.Host != "" { // the null MX
			list = append(list, &net.MX{Host: mx.Host, Pref: mx.Preference})
		}
	}
	return list, nil
}

func (r spfResolver) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	host, err := domainName(host)
	if err != nil {
		return nil, lookupError(host, resolve.ErrNoName)
	}
	found, err := r.j.resolver.Addresses(ctx, host)
	if err != nil {
		return nil, lookupError(host, err)
	}
	list := make([]net.IPAddr, 0, len(found.Records))
	for _, a := range found.Records {
		list = append(list, net.IPAddr{IP: a.Unmap().AsSlice()})
	}
	return list, nil
}

func (r spfResolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return nil, lookupError(addr, resolve.ErrNoName)
	}
	found, err := r.j.resolver.PTR(ctx, a.Unmap())
	if err != nil {
		return nil, lookupError(addr, err)
	}
	return found.Records, nil
}
