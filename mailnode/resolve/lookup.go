package resolve

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// lookup asks for records of a type and turns each into what the caller wants. take
// returns false for a record that cannot be used.
func lookup[T any](ctx context.Context, r *Resolver, name string, kind uint16, take func(dns.RR) (T, bool)) (Answer[T], error) {
	found, err := r.ask(ctx, name, kind)
	if err != nil {
		return Answer[T]{}, err
	}
	a := Answer[T]{Name: strings.TrimSuffix(found.name, "."), Secure: found.secure, Expires: found.expires}
	for _, rr := range found.records {
		if v, ok := take(rr); ok {
			a.Records = append(a.Records, v)
		}
	}
	if len(a.Records) == 0 {
		return a, &Error{
			Name: strings.TrimSuffix(name, "."), Type: dns.TypeToString[kind],
			Kind: ErrTemporary, Detail: "its records make no sense",
		}
	}
	return a, nil
}

// MX returns the hosts that take mail of a domain, in no order.
func (r *Resolver) MX(ctx context.Context, domain string) (Answer[MX], error) {
	return lookup(ctx, r, domain, dns.TypeMX, func(rr dns.RR) (MX, bool) {
		mx, ok := rr.(*dns.MX)
		if !ok {
			return MX{}, false
		}
		return MX{host(mx.Mx), mx.Preference}, true
	})
}

func host(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// A returns the IPv4 addresses of a name.
func (r *Resolver) A(ctx context.Context, name string) (Answer[netip.Addr], error) {
	return lookup(ctx, r, name, dns.TypeA, func(rr dns.RR) (netip.Addr, bool) {
		a, ok := rr.(*dns.A)
		if !ok {
			return netip.Addr{}, false
		}
		addr, ok := netip.AddrFromSlice(a.A)
		return addr.Unmap(), ok
	})
}

// AAAA returns the IPv6 addresses of a name.
func (r *Resolver) AAAA(ctx context.Context, name string) (Answer[netip.Addr], error) {
	return lookup(ctx, r, name, dns.TypeAAAA, func(rr dns.RR) (netip.Addr, bool) {
		a, ok := rr.(*dns.AAAA)
		if !ok {
			return netip.Addr{}, false
		}
		return netip.AddrFromSlice(a.AAAA)
	})
}

// Addresses returns the addresses of a name, those of IPv6 first. When one kind is
// found and the other cannot be looked up, there is an answer that is not Secure.
func (r *Resolver) Addresses(ctx context.Context, name string) (Answer[netip.Addr], error) {
	type half struct {
		Answer[netip.Addr]
		err error
	}
	six := make(chan half, 1)
	go func() { // waited for below
		a, err := r.AAAA(ctx, name)
		six <- half{a, err}
	}()
	four, err := r.A(ctx, name)
	v6 := <-six
	switch {
	case err == nil && v6.err == nil:
		four.Records = slices.Concat(v6.Records, four.Records)
		four.Secure = four.Secure && v6.Secure
		four.Expires = earlier(four.Expires, v6.Expires)
		return four, nil
	case err == nil:
		four.Secure = four.Secure && provenNone(v6.err)
		return four, nil
	case v6.err == nil:
		v6.Secure = v6.Secure && provenNone(err)
		return v6.Answer, nil
	case NotFound(err) && !NotFound(v6.err): // the half that may be something
		return v6.Answer, v6.err
	}
	return four, err
}

func provenNone(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && NotFound(e) && e.Secure
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// TXT returns the texts of a name, the strings of each record put together.
func (r *Resolver) TXT(ctx context.Context, name string) (Answer[string], error) {
	return lookup(ctx, r, name, dns.TypeTXT, func(rr dns.RR) (string, bool) {
		t, ok := rr.(*dns.TXT)
		if !ok {
			return "", false
		}
		return unescape(strings.Join(t.Txt, "")), true
	})
}

// unescape turns the library's writing of a string, \" and \ddd, into its bytes.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b = append(b, s[i])
			continue
		}
		i++
		if i+2 < len(s) && digit(s[i]) && digit(s[i+1]) && digit(s[i+2]) {
			b = append(b, (s[i]-'0')*100+(s[i+1]-'0')*10+s[i+2]-'0')
			i += 2
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// TLSA returns what is known of the certificate of a server on a TCP port.
func (r *Resolver) TLSA(ctx context.Context, port int, name string) (Answer[TLSA], error) {
	return lookup(ctx, r, fmt.Sprintf("_%d._tcp.%s", port, name), dns.TypeTLSA, func(rr dns.RR) (TLSA, bool) {
		t, ok := rr.(*dns.TLSA)
		if !ok {
			return TLSA{}, false
		}
		data, err := hex.DecodeString(t.Certificate)
		return TLSA{t.Usage, t.Selector, t.MatchingType, data}, err == nil
	})
}

// PTR returns the names of an address, in no order and not proven: anybody can give
// his address any name.
func (r *Resolver) PTR(ctx context.Context, a netip.Addr) (Answer[string], error) {
	return lookup(ctx, r, reversed(a, "in-addr.arpa", "ip6.arpa"), dns.TypePTR, func(rr dns.RR) (string, bool) {
		p, ok := rr.(*dns.PTR)
		if !ok {
			return "", false
		}
		return host(p.Ptr), true
	})
}

// Listed returns what a DNS blocklist or welcome list says of an address: addresses
// within 127.0.0.0/8 that each stand for something (RFC 5782 §2.1). Anything else a
// list answers, as one does whose domain was sold, is a temporary failure. ErrNoName
// and ErrNoData are: not listed.
func (r *Resolver) Listed(ctx context.Context, a netip.Addr, zone string) (Answer[netip.Addr], error) {
	zone = strings.Trim(zone, ".")
	return r.codes(ctx, reversed(a, zone, zone), zone)
}

// NameListed is Listed for a domain name.
func (r *Resolver) NameListed(ctx context.Context, name, zone string) (Answer[netip.Addr], error) {
	return r.codes(ctx, strings.Trim(name, ".")+"."+strings.Trim(zone, "."), zone)
}

func (r *Resolver) codes(ctx context.Context, name, zone string) (Answer[netip.Addr], error) {
	a, err := r.A(ctx, name)
	if err != nil {
		return a, err
	}
	for _, code := range a.Records {
		if !code.Is4() || code.As4()[0] != 127 {
			return a, &Error{Name: name, Type: "A", Kind: ErrTemporary, Detail: fmt.Sprintf("the list %s answers %s, which is not the answer of a blocklist", zone, code)}
		}
	}
	return a, nil
}

// reversed is the name under which things are said of an address.
func reversed(a netip.Addr, four, six string) string {
	a = a.Unmap()
	var b strings.Builder
	if a.Is4() {
		v := a.As4()
		fmt.Fprintf(&b, "%d.%d.%d.%d.%s", v[3], v[2], v[1], v[0], four)
		return b.String()
	}
	v := a.As16()
	for _, c := range slices.Backward(v[:]) {
		fmt.Fprintf(&b, "%x.%x.", c&15, c>>4)
	}
	b.WriteString(six)
	return b.String()
}
