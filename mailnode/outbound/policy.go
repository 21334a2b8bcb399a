package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"mailfleet/mailnode/resolve"
)

// policy is what must be so before a message is given to a host.
type policy struct {
	mode     TLSMode
	names    []string       // that the certificate may prove
	tlsa     []resolve.TLSA // DANE: in place of certificate authorities
	testing  bool           // MTA-STS in mode testing: failures are counted and do not matter
	relaxed  bool           // the message asks for no TLS: others, which do not, may not go along
	proven   bool           // that the host is one of the domain's (DNSSEC, MTA-STS, our own choice)
	kind     string         // for reports; "" for routes
	lines    []string
	patterns []string
	route    *Route
}

// key tells connections apart that may not be used for each other.
func (p *policy) key() string {
	key := string(p.mode) + "|" + strings.Join(p.names, ",")
	for _, r := range p.tlsa {
		key += "|" + string([]byte{r.Usage, r.Selector, r.Matching}) + string(r.Data)
	}
	if p.route != nil {
		key += "|" + p.route.User + "\x00" + p.route.Password
	}
	return key
}

// config is the TLS configuration for a host.
func (p *policy) config(set *Settings, host string) *tls.Config {
	config := &tls.Config{ServerName: host, RootCAs: set.Roots, MinVersion: tls.VersionTLS12}
	if len(p.tlsa) > 0 {
		config.ServerName = p.names[0]
		config.InsecureSkipVerify = true // TLSA records decide
		config.VerifyConnection = func(state tls.ConnectionState) error { return checkDANE(state, p.tlsa, p.names) }
		return config
	}
	switch p.mode {
	case Verified, Implicit:
	default: // better than none (RFC 7435)
		config.InsecureSkipVerify = true
		config.MinVersion = tls.VersionTLS10
	}
	return config
}

// verify checks what an opportunistic connection left unchecked.
func (p *policy) verify(set *Settings, state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("it has no certificate")
	}
	between := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: p.names[0], Roots: set.Roots, Intermediates: between})
	return err
}

// strict tells that there is no falling back to clear text.
func (p *policy) strict() bool { return p.mode != Opportunistic && p.mode != Clear }

// host is one that takes mail of a domain, before its addresses are known.
type host struct {
	name       string
	literal    netip.Addr // in place of a name
	preference uint16
	secure     bool // DNSSEC proves that it is the domain's
	route      *Route
}

// target is a host with its addresses and what must be so there.
type target struct {
	host
	addresses []netip.Addr
	port      int
	policy    policy
}

// target finds the addresses of a host and its policy. The outcome says why there is none.
func (c *Client) target(ctx context.Context, set *Settings, domain string, h host, m *Message) (*target, *Outcome) {
	t := &target{host: h, port: set.Port}
	if h.route != nil {
		return c.routed(ctx, set, t, m)
	}
	t.policy = policy{mode: Opportunistic, names: []string{h.name}, kind: policyNone, proven: h.secure}
	secure := h.secure
	canonical := h.name
	if h.literal.IsValid() {
		t.addresses = []netip.Addr{h.literal}
		t.policy.names[0] = h.literal.String()
	} else {
		a, err := c.resolver.Addresses(ctx, h.name)
		if err != nil {
			return nil, unresolved(h.name, err)
		}
		t.addresses, canonical = spread(a.Records), a.Name
		secure = secure && a.Secure
	}
	if slices.ContainsFunc(t.addresses, func(a netip.Addr) bool { return slices.Contains(set.Addresses, a) }) {
		return nil, &Outcome{State: Permanent, Code: 554, Enhanced: loops, Text: "the mail host " + h.name + " of " + domain + " has an address of this server, which does not take its mail: the mail would go in a circle"}
	}
	failed := c.wanted(ctx, set, t, canonical, domain, secure)
	if (failed != nil || t.policy.strict()) && m.prefersDelivery() {
		t.policy.relax()
		return t, nil
	}
	if failed != nil {
		return nil, failed
	}
	return t, requireTLS(t, m)
}

// wanted makes the policy the one that the domain wants; secure tells that DNSSEC proves
// the way to the host.
func (c *Client) wanted(ctx context.Context, set *Settings, t *target, canonical, domain string, secure bool) *Outcome {
	if t.literal.IsValid() {
		return nil
	}
	if secure && !set.NoDANE {
		if failed := c.dane(ctx, t, canonical, domain); failed != nil {
			return failed
		}
	}
	if t.policy.kind != policyTLSA && !set.NoMTASTS {
		return c.applySTS(ctx, set, t, domain)
	}
	return nil
}

// requireTLS makes the policy as strict as the sender wants (RFC 8689 §4.2.1).
func requireTLS(t *target, m *Message) *Outcome {
	switch {
	case !m.RequireTLS || t.policy.kind == policyTLSA && len(t.policy.tlsa) > 0:
	case !t.policy.proven:
		return &Outcome{State: Permanent, Code: 550, Enhanced: "5.7.30", Host: t.name, Text: "the sender wants TLS on the whole way (REQUIRETLS), and nothing proves that " + t.name + " is the mail host of the domain"}
	case t.policy.mode != Implicit:
		t.policy.mode, t.policy.testing = Verified, false
	}
	return nil
}

func (c *Client) routed(ctx context.Context, set *Settings, t *target, m *Message) (*target, *Outcome) {
	r := t.route
	t.policy = policy{mode: r.TLS, names: []string{r.Host}, route: r, proven: r.TLS == Verified || r.TLS == Implicit}
	if t.policy.mode == "" {
		t.policy.mode = Opportunistic
	}
	if r.TLS == Implicit {
		t.port += smtpsPort - smtpPort
	}
	if r.Port != 0 {
		t.port = r.Port
	}
	if a, err := netip.ParseAddr(strings.Trim(r.Host, "[]")); err == nil {
		t.addresses = []netip.Addr{a.Unmap()}
	} else {
		a, err := c.resolver.Addresses(ctx, r.Host)
		if err != nil {
			o := unresolved(r.Host, err)
			// The host is our own choice: the sender has no part in it.
			o.State, o.Code, o.Enhanced = Temporary, 451, "4.4.4"
			return nil, o
		}
		t.addresses = spread(a.Records)
	}
	return t, requireTLS(t, m)
}

// spread takes addresses of both kinds in turn, those of IPv6 first.
func spread(list []netip.Addr) (mixed []netip.Addr) {
	var six, four []netip.Addr
	for _, a := range list {
		switch {
		case a.IsUnspecified(), a.IsMulticast(): // of nobody, or of too many
		case a.Is4():
			four = append(four, a)
		default:
			six = append(six, a)
		}
	}
	shuffle(six)
	shuffle(four)
	for i := range max(len(six), len(four)) {
		if i < len(six) {
			mixed = append(mixed, six[i])
		}
		if i < len(four) {
			mixed = append(mixed, four[i])
		}
	}
	return mixed
}

func unresolved(name string, err error) *Outcome {
	switch {
	case resolve.NotFound(err):
		return &Outcome{State: Permanent, Code: 550, Enhanced: "5.4.4", Text: "the mail host " + name + " has no address: " + err.Error()}
	default:
		return &Outcome{State: Temporary, Code: 451, Enhanced: "4.4.3", Session: true, Text: "the addresses of the mail host " + name + " are not known now: " + err.Error()}
	}
}

// dane looks for TLSA records (RFC 7672 §2.2).
func (c *Client) dane(ctx context.Context, t *target, canonical, domain string) *Outcome {
	for _, base := range slices.Compact([]string{canonical, t.name}) {
		a, err := c.resolver.TLSA(ctx, t.port, base)
		switch {
		case err == nil && !a.Secure, resolve.NotFound(err):
			continue
		case err != nil: // somebody may be hiding it (§2.1.1)
			return &Outcome{State: Temporary, Code: 451, Enhanced: "4.7.5", Session: true, Text: "it is not known now whether " + t.name + " wants its certificate checked (DANE): " + err.Error()}
		}
		t.policy.kind, t.policy.proven = policyTLSA, true
		t.policy.tlsa = usable(a.Records)
		t.policy.names = slices.Compact([]string{base, t.name, domain})
		t.policy.mode = Required
		return nil
	}
	return nil
}

// applySTS looks for a policy of the domain.
func (c *Client) applySTS(ctx context.Context, set *Settings, t *target, domain string) *Outcome {
	p, failed := c.sts(ctx, set, domain)
	if failed != "" {
		c.results.count(&policy{kind: policySTS}, domain, &Failure{Type: resultFetch, Text: failed})
	}
	if p == nil || p.Mode == "none" {
		return nil
	}
	t.policy.kind, t.policy.lines, t.policy.patterns = policySTS, p.Lines, p.MX
	allowed := p.allows(t.name)
	if !allowed {
		c.results.count(&t.policy, domain, &Failure{Type: resultValidation, Host: t.name, Text: "the host is not in the policy"})
	}
	switch {
	case p.Mode == "testing":
		t.policy.testing = true
	case !allowed:
		return &Outcome{State: Temporary, Code: 451, Enhanced: "4.7.5", Text: "the domain's policy (MTA-STS) does not allow the mail host " + t.name}
	default:
		t.policy.mode, t.policy.proven = Verified, true
	}
	return nil
}
