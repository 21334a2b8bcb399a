package app

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"mailfleet/inventory"
	"mailfleet/inventory/domainkey"
	"mailfleet/mailnode/api"
	"mailfleet/mailnode/deliver"
	"mailfleet/mailnode/gate"
	"mailfleet/mailnode/guard"
	"mailfleet/mailnode/hook"
	"mailfleet/mailnode/origin"
	"mailfleet/mailnode/outbound"
	"mailfleet/mailnode/queue"
	"mailfleet/mailnode/resolve"
	"mailfleet/mailnode/smtpd"
)

// flow is the way of mail through the mailnode: who is asked about it when it comes,
// where it goes, and how what is for others is sent on.
type flow struct {
	resolver *resolve.Resolver
	client   *outbound.Client
	queue    *queue.Queue
	places   *deliver.Places
	deliver  *deliver.Deliverer
	guard    *guard.Guard
	brake    *guard.Brake
	hooks    *hook.Hook
	secret   []byte // for rewritten senders, where the configuration has none

	terms  atomic.Pointer[terms]
	chains atomic.Pointer[chains]
}

// terms are what the configuration in force says of domains and peers.
type terms struct {
	mail    inventory.MailFlow
	judge   *origin.Judge
	domains map[string]*domainTerms
	peers   map[string]*outbound.Route
	known   []netip.Prefix // who is nobody to be wary of
	proxies []netip.Prefix // whose connections begin with a PROXY header
	fronts  []netip.Prefix // who may use XCLIENT

	perAddress int // connections at once, when the settings of receiving have no number
}

// domainTerms are those of one domain.
type domainTerms struct {
	mail   inventory.DomainMail
	keys   []domainkey.Key
	srs    origin.SRS
	route  *outbound.Route
	accept origin.Action // what is done at most with mail that fails DMARC
}

// newFlow makes the parts; app.run runs them.
func (a *App) newFlow() error {
	secret, err := secretKey(filepath.Join(a.opts.Dir, "forward.key"))
	if err != nil {
		return err
	}
	f := &flow{secret: secret}
	a.flow = f
	if f.resolver, err = resolve.New(resolverSettings(a.config), a.log); err != nil {
		return err
	}
	t, err := f.termsOf(a.config)
	if err != nil {
		f.resolver.Close()
		return err
	}
	f.terms.Store(t)
	a.stops.push("resolver", func(context.Context) error { f.resolver.Close(); return nil })
	f.client = outbound.New(f.outboundSettings(a.config), f.resolver, a.log)
	if err := f.client.Recall(context.Background(), a.store); err != nil {
		return err
	}
	a.run("memory of other servers", f.client.Remember)
	a.stops.push("connections to other servers", func(context.Context) error { f.client.Close(); return nil })
	if f.guard, err = guard.New(f.guardSettings(), f.resolver, a.store, a.log); err != nil {
		return err
	}
	a.run("memory of peers", a.logged("memory of peers", f.guard.Run))
	f.brake = guard.NewBrake(brakeSettings(a.config), a.store, a.log)
	a.run("memory of senders", a.logged("memory of senders", f.brake.Run))
	milters, err := chainsOf(a.config, a.log)
	if err != nil {
		return err
	}
	f.chains.Store(&milters)
	f.hooks = hook.New(hookSettings(a.config), a.store, a.log)
	a.run("hooks", a.logged("hooks", f.hooks.Run))
	f.places = &deliver.Places{
		Store: a.store, Directory: a.directory, Rewrite: f.rewrite, Reverse: f.reverse, Server: f.server, Logger: a.log,
	}
	f.queue = queue.New(queue.Options{
		Store: a.store, Sender: f.client, Local: f.places, Routes: f.route, Language: a.language, Event: f.tell, Logger: a.log, Settings: queueSettings(a.config),
	})
	a.run("queue", f.queue.Run)
	a.run("TLS reports", f.tlsReports(a.config).Run)
	f.deliver = deliver.New(deliver.Options{Store: a.store, Queue: f.queue, Places: f.places, Event: f.tell, Logger: a.log})
	return nil
}

// tlsReports tells other domains how TLS to them went, in the name of this server's first
// domain.
func (f *flow) tlsReports(c *api.Config) *queue.TLSReports {
	domain := c.Hostname
	if len(c.Domains) > 0 {
		domain = strings.ToLower(c.Domains[0].Name)
	}
	contact := "postmaster@" + domain
	return &queue.TLSReports{
		Queue: f.queue, From: contact, Organization: domain, Contact: contact,
		Results: f.client.Results, Forget: f.client.Forget,
		Off: func() bool { return f.terms.Load().mail.Sending.TLSReports == inventory.Off },
		Texts: func(ctx context.Context, name string) ([]string, error) {
			found, err := f.resolver.TXT(ctx, name)
			if resolve.NotFound(err) {
				return nil, nil
			}
			return found.Records, err
		},
		Sign: func(ctx context.Context, message []byte) ([]byte, error) {
			return f.Sign(ctx, domain, bytes.NewReader(message))
		},
	}
}

// logged makes a part's error a line in the log.
func (a *App) logged(name string, part func(context.Context) error) func(context.Context) {
	return func(ctx context.Context) {
		if err := part(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("a part of the mailnode ended", "part", name, "error", err)
		}
	}
}

// configure puts a configuration in force that termsOf has taken.
func (f *flow) configure(c *api.Config, t *terms, log *slog.Logger) error {
	milters, err := chainsOf(c, log)
	if err != nil {
		return err
	}
	f.hooks.Configure(hookSettings(c))
	if was, is := f.terms.Load().mail.Sending, c.Mail.Sending; !slices.Equal(was.Resolvers, is.Resolvers) || was.ResolverSafe != is.ResolverSafe {
		if err := f.resolver.Configure(resolverSettings(c)); err != nil { // it forgets what it knows
			return err
		}
	}
	f.chains.Store(&milters)
	f.terms.Store(t)
	f.client.Configure(f.outboundSettings(c))
	f.queue.Configure(queueSettings(c))
	f.brake.Configure(brakeSettings(c))
	return f.guard.Configure(f.guardSettings())
}

// termsOf reads what the configuration says of domains and peers.
func (f *flow) termsOf(c *api.Config) (*terms, error) {
	judge := origin.New(origin.Settings{ID: c.Hostname, Sealers: c.Mail.Receiving.Sealers}, f.resolver)
	t := &terms{mail: c.Mail, perAddress: c.Limits.ConnectionsPerAddress, judge: judge, domains: map[string]*domainTerms{}, peers: map[string]*outbound.Route{}}
	secret := []byte(c.ForwardSecret)
	if len(secret) == 0 {
		secret = f.secret
	}
	for i := range c.Domains {
		d := &c.Domains[i]
		terms, err := domainTermsOf(d, &c.Mail, secret)
		if err != nil {
			return nil, err
		}
		t.domains[strings.ToLower(d.Name)] = terms
	}
	t.proxies, t.fronts = networks(c.Mail.Receiving.ProxyFrom), networks(c.Mail.Receiving.XClientFrom)
	t.known = append(networks(c.Mail.Receiving.TrustedFrom), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	for _, p := range c.Peers {
		at, err := netip.ParseAddrPort(p.Address)
		if err != nil {
			return nil, fmt.Errorf("the address of the server %s: %w", p.Name, err)
		}
		t.peers[p.Name] = &outbound.Route{Host: at.Addr().String(), Port: int(at.Port()), TLS: outbound.Opportunistic}
		t.known = append(t.known, netip.PrefixFrom(at.Addr(), at.Addr().BitLen()))
	}
	return t, nil
}

func domainTermsOf(d *api.Domain, mail *inventory.MailFlow, secret []byte) (*domainTerms, error) {
	t := &domainTerms{
		mail:   d.Mail,
		accept: origin.Action(cmp.Or(d.Mail.DMARC, mail.Receiving.DMARC, inventory.HandleQuarantine)),
		srs:    origin.SRS{Domain: d.Name, Keys: [][]byte{secret}},
	}
	for _, k := range d.DKIM {
		signer, algorithm, err := domainkey.Decode([]byte(k.Private))
		if err != nil {
			return nil, fmt.Errorf("the key %s of the domain %s: %w", k.Selector, d.Name, err)
		}
		t.keys = append(t.keys, domainkey.Key{Selector: k.Selector, Algorithm: algorithm, State: domainkey.Active, Signer: signer})
	}
	if r := d.Mail.Route; r.Host != "" {
		t.route = smartHost(r, d.RoutePassword)
	}
	return t, nil
}

// smartHost is a smart host as outbound knows it, on the ports that inventory.Route names.
func smartHost(r inventory.Route, password string) *outbound.Route {
	to := &outbound.Route{Host: r.Host, Port: r.Port, TLS: routeTLS[r.TLS], User: r.User, Password: password}
	switch {
	case to.Port == 0 && to.TLS == outbound.Implicit:
		to.Port = 465
	case to.Port == 0:
		to.Port = 587
	}
	return to
}

// routeTLS are the words of inventory.Route in those of outbound.
var routeTLS = map[string]outbound.TLSMode{
	"": outbound.Verified, "required": outbound.Verified, "opportunistic": outbound.Opportunistic, "implicit": outbound.Implicit,
}

// within asks the terms in force whether an address is in some networks of theirs.
func (f *flow) within(networks func(*terms) []netip.Prefix) gate.Networks {
	return func(ip netip.Addr) bool {
		in := gate.Within(networks(f.terms.Load()))
		return in != nil && in(ip)
	}
}

// policy is what a listener of a kind, on a port, does.
func (f *flow) policy(k smtpd.Kind, port int) smtpd.Policy {
	p := smtpd.DefaultPolicy(k)
	if k != smtpd.Receiving {
		return p
	}
	r := f.terms.Load().mail.Receiving
	p.EarlyTalk = 0
	if r.Listener(port).EarlyTalkers != inventory.Off {
		p.EarlyTalk = time.Duration(cmp.Or(r.GreetingDelay, inventory.Duration(time.Second)))
	}
	p.Known = f.within(func(t *terms) []netip.Prefix { return t.known })
	return p
}

func networks(list []string) (out []netip.Prefix) {
	for _, s := range list {
		if p, err := inventory.ParseNetwork(s); err == nil { // the configuration was checked
			out = append(out, p)
		}
	}
	return out
}

func resolverSettings(c *api.Config) resolve.Settings {
	return resolve.Settings{Servers: c.Mail.Sending.Resolvers, TrustAD: c.Mail.Sending.ResolverSafe == inventory.On}
}

func (f *flow) outboundSettings(c *api.Config) outbound.Settings {
	s := outbound.Settings{
		Hostname: c.Hostname, Names: []string{c.Server}, Port: c.Mail.Sending.Port, NoDANE: c.Mail.Sending.ResolverSafe == inventory.Off,
		Signer: f,
	}
	for _, l := range c.Listeners {
		if at, err := netip.ParseAddrPort(l.Address); err == nil && l.Protocol == api.SMTP && !at.Addr().IsUnspecified() {
			s.Addresses = append(s.Addresses, at.Addr())
		}
	}
	for _, from := range c.Mail.Sending.From {
		if at, err := netip.ParseAddr(from); err == nil && !s.Source.IsValid() {
			s.Source = at
		}
	}
	return s
}

func queueSettings(c *api.Config) queue.Settings {
	s := queue.Settings{
		Hostname: c.Hostname, Expire: time.Duration(c.Mail.Sending.Expire), DelayNotice: time.Duration(c.Mail.Sending.DelayNotice),
		Concurrency: c.Mail.Sending.Connections, PerDestination: c.Mail.Sending.PerDestination,
	}
	for _, wait := range c.Mail.Sending.Retry {
		s.Retries = append(s.Retries, time.Duration(wait))
	}
	return s
}

func brakeSettings(c *api.Config) guard.BrakeSettings {
	s := c.Mail.Submission
	return guard.BrakeSettings{Floor: cmp.Or(s.BrakeLeast, 50), Factor: float64(cmp.Or(s.BrakeFactor, 10))}
}

// guardSettings are those of the terms in force.
func (f *flow) guardSettings() guard.Settings {
	t := f.terms.Load()
	r := t.mail.Receiving
	s := guard.DefaultSettings
	s.Allow = slices.Clone(t.known)
	for _, zone := range r.Blocklists {
		s.Lists = append(s.Lists, guard.List{Zone: zone})
	}
	action := guard.Action(strings.TrimPrefix(string(cmp.Or(r.ReverseNames, inventory.HandleMark)), string(inventory.HandleNone)))
	s.Reverse = guard.Reverse{Missing: action, Unconfirmed: action}
	s.Greylist = guard.Greylist{On: t.greylists(), Delay: time.Duration(cmp.Or(r.GreylistDelay, inventory.Duration(5*time.Minute)))}
	s.Rates.Messages = guard.Rate{N: cmp.Or(r.AddressRate, 300), Per: time.Minute}
	s.Rates.Errors = guard.Rate{N: cmp.Or(r.ErrorRate, 60), Per: time.Hour}
	return s
}

// bounds are how many connections may be at the listener of a port.
func (t *terms) bounds(port int) gate.Bounds {
	l := t.mail.Receiving.Listener(port)
	b := gate.Bounds{Connections: l.Connections}
	if l.AddressCaps == inventory.On {
		b.PerAddress = cmp.Or(l.AddressConnections, t.perAddress)
		b.PerNetwork = cmp.Or(l.NetworkConnections, 10*b.PerAddress)
	}
	return b
}

// without are the rules that are off for a domain on the listener of a port; no domain
// is none in particular.
func (f *flow) without(port int, domain string) guard.Without {
	t := f.terms.Load()
	var m inventory.DomainMail
	if d := t.domains[domain]; d != nil {
		m = d.mail
	}
	r := &t.mail.Receiving
	l := r.Listener(port)
	never := slices.ContainsFunc(r.Listeners, func(l inventory.Listener) bool { return l.Port == port && l.Greylisting == inventory.Off })
	return guard.Without{
		Lists:    m.Blocklists == inventory.Off || l.Blocklists == inventory.Off,
		Reverse:  m.ReverseNames == inventory.HandleNone || l.ReverseNames == inventory.Off,
		Greylist: never || cmp.Or(m.Greylisting, l.Greylisting) != inventory.On,
		Rates:    l.Rates == inventory.Off,
		Tarpit:   l.Tarpit == inventory.Off,
	}
}

// greylists reports whether anything is greylisted at all: by the server, on one of its
// listeners or for a domain.
func (t *terms) greylists() bool {
	r := &t.mail.Receiving
	if r.Greylisting == inventory.On || slices.ContainsFunc(r.Listeners, func(l inventory.Listener) bool { return l.Greylisting == inventory.On }) {
		return true
	}
	for _, d := range t.domains {
		if d.mail.Greylisting == inventory.On {
			return true
		}
	}
	return false
}
