package outbound

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/idna"

	"mailfleet/mailnode/resolve"
)

// Client sends messages. Its methods are safe for concurrent use.
type Client struct {
	resolver Resolver
	log      *slog.Logger
	set      atomic.Pointer[Settings]
	pool     pool
	policies policies
	results  results
	broken   broken // TLS
	// unchained is where a message must not begin before the last has been answered.
	unchained broken
	memory    memory
}

// New returns a client; Close ends it.
func New(set Settings, resolver Resolver, log *slog.Logger) *Client {
	c := &Client{resolver: resolver, log: log.With("component", "outbound")}
	c.policies.changed, c.results.changed = c.memory.note, c.memory.note
	c.Configure(set)
	return c
}

// Configure changes the settings for connections made from now on.
func (c *Client) Configure(set Settings) {
	set = set.withDefaults()
	c.set.Store(&set)
}

// Close ends the connections that wait. Sends that are under way end with their contexts.
func (c *Client) Close() { c.pool.close() }

// Send gives a message to a host that takes mail of a domain, or to the route's when
// there is one. There is one outcome for each of m.To, in that order.
func (c *Client) Send(ctx context.Context, domain string, route *Route, m *Message) []Outcome {
	s := &single{message: m}
	c.SendAll(ctx, domain, route, s)
	return s.outcomes
}

// send gives the message of a run over, or says why it cannot be. It returns early when
// the run has come to a later message.
func (c *Client) send(ctx context.Context, domain string, route *Route, r *run) {
	set, j := c.set.Load(), r.job
	hosts, failed := c.hosts(ctx, set, domain, route)
	tries := 0
	for _, h := range hosts {
		t, none := c.target(ctx, set, domain, h, j.Message)
		if none != nil {
			failed = worse(failed, none)
			if none.Enhanced == loops { // those that follow would send it here (RFC 5321 §5.1)
				break
			}
			continue
		}
		for _, a := range t.addresses {
			if tries++; tries > set.HostsMost || ctx.Err() != nil {
				break
			}
			none := c.deliver(ctx, set, t, a, domain, r)
			if r.job != j || len(j.left) == 0 {
				return
			}
			failed = worse(failed, none)
		}
	}
	switch {
	case ctx.Err() != nil:
		failed = &Outcome{State: Temporary, Code: 451, Enhanced: "4.3.2", Text: "this server is stopping"}
	case failed == nil:
		failed = &Outcome{State: Temporary, Code: 451, Enhanced: "4.4.4", Text: "no mail host of " + domain + " could be tried"}
	}
	j.decide(j.left, *failed)
}

// loops is the enhanced code of mail that would go in a circle (RFC 3463 §3.5).
const loops = "5.4.6"

// worse picks of two failures the one to report: the last, but one that may pass before
// one that will not.
func worse(before, now *Outcome) *Outcome {
	if now == nil || before != nil && before.State == Temporary && now.State == Permanent {
		return before
	}
	return now
}

// hosts are those that take mail of a domain, in the order in which they are tried.
func (c *Client) hosts(ctx context.Context, set *Settings, domain string, route *Route) ([]host, *Outcome) {
	if route != nil {
		return []host{{name: route.Host, route: route}}, nil
	}
	if a, ok := literal(domain); ok {
		return []host{{name: domain, literal: a}}, nil
	}
	name, err := idna.Lookup.ToASCII(strings.TrimSuffix(domain, "."))
	if err != nil || name == "" {
		return nil, &Outcome{State: Permanent, Code: 550, Enhanced: "5.1.2", Text: fmt.Sprintf("%q is no domain", clean(domain))}
	}
	a, err := c.resolver.MX(ctx, name)
	switch {
	case errors.Is(err, resolve.ErrNoData):
		e, ok := errors.AsType[*resolve.Error](err)
		return c.withoutMX(ctx, name, ok && e.Secure)
	case errors.Is(err, resolve.ErrNoName):
		return nil, &Outcome{State: Permanent, Code: 550, Enhanced: "5.1.2", Text: "there is no domain " + domain + ": " + err.Error()}
	case err != nil:
		return nil, &Outcome{State: Temporary, Code: 451, Enhanced: "4.4.3", Session: true, Text: "the mail hosts of " + domain + " are not known now: " + err.Error()}
	}
	return c.order(set, domain, a)
}

// literal is the address in a domain of the form [192.0.2.1] or [IPv6:2001:db8::1].
func literal(domain string) (netip.Addr, bool) {
	inner, ok := strings.CutPrefix(domain, "[")
	if !ok || !strings.HasSuffix(inner, "]") {
		return netip.Addr{}, false
	}
	inner = strings.TrimSuffix(inner, "]")
	if len(inner) > 5 && strings.EqualFold(inner[:5], "IPv6:") {
		inner = inner[5:]
	}
	a, err := netip.ParseAddr(inner)
	return a.Unmap(), err == nil && a.Zone() == ""
}

// withoutMX is the domain itself, when it has an address (RFC 5321 §5.1).
func (c *Client) withoutMX(ctx context.Context, domain string, secure bool) ([]host, *Outcome) {
	_, err := c.resolver.Addresses(ctx, domain)
	switch {
	case err == nil:
		return []host{{name: domain, secure: secure}}, nil
	case resolve.NotFound(err):
		return nil, &Outcome{State: Permanent, Code: 550, Enhanced: "5.1.2", Text: "the domain " + domain + " takes no mail: it has neither mail hosts (MX) nor an address"}
	}
	return nil, unresolved(domain, err)
}

// order sorts mail hosts, mixes those of equal preference, and leaves out this server
// and all that are not better (RFC 5321 §5.1).
func (c *Client) order(set *Settings, domain string, a resolve.Answer[resolve.MX]) ([]host, *Outcome) {
	var list []host
	for _, mx := range a.Records {
		if mx.Host != "" {
			list = append(list, host{name: mx.Host, preference: mx.Preference, secure: a.Secure})
		}
	}
	if len(list) == 0 {
		return nil, &Outcome{State: Permanent, Code: 556, Enhanced: "5.1.10", Text: "the domain " + domain + " takes no mail: it says so in the DNS (null MX)"}
	}
	shuffle(list)
	slices.SortStableFunc(list, func(a, b host) int { return cmp.Compare(a.preference, b.preference) })
	for i := range list {
		if set.self(list[i].name) {
			best := list[i].preference
			list = slices.DeleteFunc(list, func(h host) bool { return h.preference >= best })
			break
		}
	}
	if len(list) == 0 {
		return nil, &Outcome{State: Permanent, Code: 554, Enhanced: loops, Text: "this server is the best mail host of " + domain + " and does not take its mail: the mail would go in a circle"}
	}
	return list, nil
}

func shuffle[T any](list []T) {
	rand.Shuffle(len(list), func(i, k int) { list[i], list[k] = list[k], list[i] })
}

// deliver tries one address of a host. The outcome, for those who are left, says why it
// came to nothing there.
func (c *Client) deliver(ctx context.Context, set *Settings, t *target, a netip.Addr, domain string, r *run) *Outcome {
	for first := r.job; ; {
		l, reused, failed := c.connect(ctx, set, t, a, domain, first.RequireTLS)
		if failed != nil {
			return failed
		}
		before := l.messages
		err := c.converse(ctx, l, r)
		if err == nil {
			c.pool.put(l, set)
			return nil
		}
		_ = l.Close() // it is of no use any more
		if r.job != first || len(first.left) == 0 {
			return nil
		}
		if reused && l.messages == before && ctx.Err() == nil {
			continue // it had ended while it waited: that says nothing
		}
		return broke(l.host, err)
	}
}

// converse gives the message over, in as many transactions as it takes, and those that
// follow it on the same connection.
func (c *Client) converse(ctx context.Context, l *conn, r *run) error {
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	for {
		began := l.messages
		for len(r.left) > 0 {
			was := len(r.left)
			chained := l.said != nil
			if err := l.transact(r); err != nil {
				if _, answered := errors.AsType[*refusal](err); chained && l.messages == began && !answered && ctx.Err() == nil {
					c.unchained.add(l.remote)
				}
				return err
			}
			if len(r.left) == was {
				return errReply
			}
		}
		if l.said == nil {
			return nil
		}
		r.end()
	}
}

// broke is a session that came to nothing, in words.
func broke(host string, err error) *Outcome {
	o := &Outcome{State: Temporary, Code: 451, Enhanced: "4.4.2", Host: host, Session: true, Text: host + ": " + err.Error()}
	if r, ok := errors.AsType[*refusal](err); ok {
		o.Code, o.Enhanced, o.Reply = r.code, r.enhanced, r.String()
		if r.permanent() { // of this host, and perhaps for now (RFC 5321 §4.2.4.2)
			o.Enhanced = ""
		}
		o.Enhanced = cmp.Or(o.Enhanced, "4.3.2")
		o.Text = fmt.Sprintf("%s refused %s: %s", host, r.step, r.reply)
	}
	if errors.Is(err, errReply) {
		o.Enhanced = "4.5.0"
	}
	return o
}

// connect returns a connection on which a transaction can begin.
func (c *Client) connect(ctx context.Context, set *Settings, t *target, a netip.Addr, domain string, requireTLS bool) (l *conn, reused bool, failed *Outcome) {
	remote := netip.AddrPortFrom(a, uint16(t.port))
	name := fmt.Sprintf("%s [%s]", t.name, a)
	if t.literal.IsValid() || t.name == a.String() {
		name = "[" + a.String() + "]"
	}
	key := remote.String() + "|" + t.policy.key()
	l = c.pool.get(key)
	reused = l != nil
	clear := t.policy.mode == Clear || !t.policy.strict() && c.broken.has(remote)
	if l == nil {
		l, failed = c.session(ctx, set, t, remote, name, domain, clear)
		if failed != nil && failed.Enhanced == tlsBroken && !t.policy.strict() {
			c.broken.add(remote)
			c.log.Info("TLS does not work with a host: mail goes there in clear", "host", name, "error", failed.Text)
			l, failed = c.session(ctx, set, t, remote, name, domain, true)
		}
		if failed != nil {
			return nil, false, failed
		}
		l.key, l.remote = key, remote
	}
	l.alone = t.policy.relaxed || c.unchained.has(remote)
	if requireTLS && !l.has("REQUIRETLS") {
		c.pool.put(l, set)
		return nil, false, &Outcome{State: Permanent, Code: 550, Enhanced: "5.7.30", Host: name, Text: name + " does not promise TLS on the rest of the way, which the sender wants (REQUIRETLS)"}
	}
	return l, reused, nil
}

// tlsBroken is the enhanced code of failures of TLS (RFC 3463 §3.8: cryptographic failure).
const tlsBroken = "4.7.5"

// session opens a connection up to where a transaction can begin.
func (c *Client) session(ctx context.Context, set *Settings, t *target, remote netip.AddrPort, name, domain string, clear bool) (*conn, *Outcome) {
	l, err := open(ctx, set, remote, name)
	if err != nil {
		return nil, &Outcome{State: Temporary, Code: 451, Enhanced: "4.4.1", Host: name, Session: true, Text: fmt.Sprintf("%s, port %d, cannot be reached: %v", name, remote.Port(), err)}
	}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	failed := c.introduce(ctx, l, t, domain, clear)
	if !stop() && failed == nil {
		failed = broke(name, ctx.Err())
	}
	if failed != nil {
		_ = l.Close()
		return nil, failed
	}
	return l, nil
}

// introduce is the greeting, TLS and, on a route, signing in.
func (c *Client) introduce(ctx context.Context, l *conn, t *target, domain string, clear bool) *Outcome {
	p := &t.policy
	config := p.config(l.set, t.name)
	if p.mode == Implicit {
		if err := l.handshake(ctx, config); err != nil {
			return c.insecure(l, t, domain, err)
		}
		l.proven = true
	}
	if err := l.greet(); err != nil {
		return broke(l.host, err)
	}
	if !l.secure && !clear {
		if failed := c.secure(ctx, l, t, domain, config); failed != nil {
			return failed
		}
	}
	if p.route == nil || p.route.User == "" {
		return nil
	}
	if addr, ok := l.RemoteAddr().(*net.TCPAddr); !l.secure && (!ok || !addr.IP.IsLoopback()) {
		return &Outcome{State: Temporary, Code: 451, Enhanced: "4.7.0", Host: l.host, Session: true, Text: l.host + " offers no TLS: the password of the route is not said in clear"}
	}
	if err := l.authenticate(p.route.User, p.route.Password); err != nil {
		return broke(l.host, err)
	}
	return nil
}

// secure makes the session private as the policy wants.
func (c *Client) secure(ctx context.Context, l *conn, t *target, domain string, config *tls.Config) *Outcome {
	p := &t.policy
	if !l.has("STARTTLS") {
		if p.kind == policySTS || p.kind == policyTLSA {
			c.results.count(p, domain, &Failure{Type: resultNoTLS, Host: t.name, Address: address(l), Text: "STARTTLS is not offered"})
		}
		if p.strict() {
			return &Outcome{State: Temporary, Code: 451, Enhanced: "4.7.5", Host: l.host, Session: true, Text: l.host + " offers no TLS, without which nothing may be sent there" + why(p)}
		}
		return nil
	}
	if err := l.startTLS(ctx, config); err != nil {
		return c.insecure(l, t, domain, err)
	}
	if err := l.hello(); err != nil {
		return broke(l.host, err)
	}
	l.proven = p.mode == Verified || len(p.tlsa) > 0
	if p.testing {
		if err := p.verify(l.set, l.Conn.(*tls.Conn).ConnectionState()); err != nil {
			c.results.count(p, domain, &Failure{Type: resultType(err), Host: t.name, Address: address(l), Text: err.Error()})
			return nil
		}
	}
	if p.kind != "" {
		c.results.count(p, domain, nil)
	}
	return nil
}

func why(p *policy) string {
	switch {
	case p.kind == policyTLSA:
		return " (DANE)"
	case p.kind == policySTS:
		return " (MTA-STS)"
	case p.route != nil:
		return " (the route wants it)"
	}
	return " (REQUIRETLS)"
}

// insecure is TLS that failed.
func (c *Client) insecure(l *conn, t *target, domain string, err error) *Outcome {
	p := &t.policy
	if p.kind != "" {
		c.results.count(p, domain, &Failure{Type: resultType(err), Host: t.name, Address: address(l), Text: err.Error()})
	}
	o := broke(l.host, err)
	o.Enhanced = tlsBroken
	if p.strict() {
		o.Text += why(p)
	}
	return o
}

func address(l *conn) string {
	host, _, err := net.SplitHostPort(l.RemoteAddr().String())
	if err != nil {
		return ""
	}
	return host
}

// broken remembers for a while where something does not work that should.
type broken struct {
	mu    sync.Mutex
	until map[netip.AddrPort]time.Time
}

func (b *broken) has(a netip.AddrPort) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Now().Before(b.until[a])
}

func (b *broken) add(a netip.AddrPort) {
	const (
		kept = 15 * time.Minute
		most = 10000
	)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until == nil || len(b.until) >= most {
		b.until = map[netip.AddrPort]time.Time{}
	}
	b.until[a] = time.Now().Add(kept)
}

// dialHTTPS connects with a host found by the same resolver as all others.
func (c *Client) dialHTTPS(name string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		a, err := c.resolver.Addresses(ctx, name)
		if err != nil {
			return nil, err
		}
		var last error
		for _, ip := range a.Records[:min(len(a.Records), 4)] {
			conn, err := new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(ip.String(), port))
			if err == nil {
				return conn, nil
			}
			last = err
		}
		return nil, last
	}
}
