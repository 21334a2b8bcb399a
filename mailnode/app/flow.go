package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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
	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/origin"
	"mailfleet/mailnode/outbound"
	"mailfleet/mailnode/queue"
	"mailfleet/mailnode/resolve"
	"mailfleet/mailnode/smtpd"
)

// flow is the way of mail between the faces and the store: what smtpd asks about
// recipients, senders and messages, who takes responsibility for them, and how they
// get further.
type flow struct {
	directory *directory.Directory
	room      func(account string, messages, bytes int64) error

	resolver  *resolve.Resolver
	client    *outbound.Client
	judge     atomic.Pointer[origin.Judge]
	queue     *queue.Queue
	deliverer *deliver.Deliverer
	set       atomic.Pointer[flowSettings]
	ownSecret []byte // for rewritten senders, where the configuration has none

	delivered atomic.Int64 // copies put into mailboxes
	bytes     atomic.Int64 // size of these copies
}

// flowSettings are a configuration in the words of the parts below.
type flowSettings struct {
	resolve  resolve.Settings
	outbound outbound.Settings
	queue    queue.Settings
	keys     map[string][]domainkey.Key // by the domain that signs with them
	peers    map[string]*outbound.Route // by name
	trusted  []netip.Addr               // of peers
	id       string                     // of this server in Authentication-Results
	dmarc    inventory.Handling         // where a domain says nothing
	secret   []byte                     // for rewritten senders; nil: the server's own
}

func flowSettingsOf(c *api.Config) (flowSettings, error) {
	s := &c.Mail.Sending
	set := flowSettings{
		resolve: resolve.Settings{Servers: s.Resolvers, TrustAD: s.ResolverSafe == inventory.On},
		outbound: outbound.Settings{
			Hostname: c.Hostname, Names: []string{c.Hostname, c.Server}, Port: s.Port, NoDANE: s.ResolverSafe == inventory.Off,
		},
		queue: queue.Settings{
			Hostname: c.Hostname, Expire: time.Duration(s.Expire), DelayNotice: time.Duration(s.DelayNotice),
			Concurrency: s.Connections, PerDestination: s.PerDestination,
		},
		keys: make(map[string][]domainkey.Key), peers: make(map[string]*outbound.Route), id: c.Hostname,
		dmarc: c.Mail.Receiving.DMARC, secret: []byte(c.ForwardSecret),
	}
	if set.dmarc == "" {
		set.dmarc = inventory.HandleQuarantine
	}
	for _, wait := range s.Retry {
		set.queue.Retries = append(set.queue.Retries, time.Duration(wait))
	}
	if len(s.From) > 0 {
		set.outbound.Source, _ = netip.ParseAddr(s.From[0]) // was checked when the file was read
	}
	for _, l := range c.Listeners {
		if at, err := netip.ParseAddrPort(l.Address); err == nil && l.Protocol == api.SMTP && !at.Addr().IsUnspecified() {
			set.outbound.Addresses = append(set.outbound.Addresses, at.Addr())
		}
	}
	for _, p := range c.Peers {
		at, err := netip.ParseAddrPort(p.Address)
		if err != nil {
			return set, fmt.Errorf("peers: %s: %w", p.Name, err)
		}
		set.peers[p.Name] = &outbound.Route{Host: at.Addr().String(), Port: int(at.Port()), TLS: outbound.Opportunistic}
		set.trusted = append(set.trusted, at.Addr())
	}
	for _, d := range c.Domains {
		for _, k := range d.DKIM {
			signer, algorithm, err := domainkey.Decode([]byte(k.Private))
			if err != nil {
				return set, fmt.Errorf("the DKIM key %s of %s: %w", k.Selector, d.Name, err)
			}
			name := strings.ToLower(d.Name)
			set.keys[name] = append(set.keys[name], domainkey.Key{Selector: k.Selector, Algorithm: algorithm, State: domainkey.Active, Signer: signer})
		}
	}
	return set, nil
}

// newFlow makes the parts below smtpd and begins to work on what waits in the queue.
func newFlow(a *App, set flowSettings) (*flow, error) {
	f := &flow{directory: a.directory, room: a.store.CanTake}
	var err error
	if f.ownSecret, err = secretKey(filepath.Join(a.opts.Dir, "forward.key")); err != nil {
		return nil, err
	}
	f.set.Store(&set)
	if f.resolver, err = resolve.New(set.resolve, a.log); err != nil {
		return nil, err
	}
	a.stops.push("resolver", func(context.Context) error { f.resolver.Close(); return nil })
	f.judge.Store(origin.New(origin.Settings{ID: set.id}, f.resolver))
	f.client = outbound.New(set.outbound, f.resolver, a.log)
	a.stops.push("connections to other servers", func(context.Context) error { f.client.Close(); return nil })
	places := &deliver.Places{
		Store: a.store, Directory: a.directory, Rewrite: f.rewrite, Reverse: f.reverse, Server: f.peer, Logger: a.log,
	}
	f.queue = queue.New(queue.Options{
		Store: a.store, Sender: routed{f}, Local: places, Language: f.language, Event: f.event, Logger: a.log, Settings: set.queue,
	})
	f.deliverer = deliver.New(deliver.Options{Store: a.store, Queue: f.queue, Places: places, Event: f.event, Logger: a.log})
	a.run("queue", f.queue.Run)
	return f, nil
}

// configure changes the settings; on an error nothing was changed.
func (f *flow) configure(set flowSettings) error {
	if was := f.set.Load(); !slices.Equal(was.resolve.Servers, set.resolve.Servers) || was.resolve.TrustAD != set.resolve.TrustAD {
		if err := f.resolver.Configure(set.resolve); err != nil { // it forgets what it knows
			return err
		}
	}
	f.set.Store(&set)
	f.judge.Store(origin.New(origin.Settings{ID: set.id}, f.resolver))
	f.client.Configure(set.outbound)
	f.queue.Configure(set.queue)
	return nil
}

// Recipient tells how large a message an address takes. Who may write to a group is asked when the message
// has come: only then is all of its sender known.
func (f *flow) Recipient(address string, size int64) (largest int64, err error) {
	if _, rewritten := f.reverse(address); rewritten {
		return 0, nil
	}
	route, err := f.directory.Resolve(address, directory.Sender{})
	if errors.Is(err, directory.ErrNotAllowed) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if most := route.MessageBytes; most > 0 && size > most {
		return most, nil // there is an answer for that
	}
	if len(route.Targets) == 1 && route.Targets[0].Account != nil {
		return route.MessageBytes, f.room(route.Targets[0].Account.ID, 1, size)
	}
	return route.MessageBytes, nil
}

// MaySend implements smtpd.Senders.
func (f *flow) MaySend(account *directory.Account, from envelope.Address) bool {
	return f.directory.Owns(account.ID, from.String())
}

// Sign implements smtpd.Signer.
func (f *flow) Sign(_ context.Context, domain string, message io.Reader) ([]byte, error) {
	keys := f.set.Load().keys[strings.ToLower(domain)]
	if len(keys) == 0 {
		return nil, nil
	}
	signer, err := origin.NewSigner(domain, keys, time.Now())
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(signer, message); err != nil {
		return nil, err
	}
	fields, err := signer.Fields()
	return []byte(fields), err
}

// origins is the flow as smtpd.Judge. Another server of the fleet has judged what it
// passes on, and is not who it is from.
type origins struct{ *flow }

// Judge implements smtpd.Judge.
func (o origins) Judge(ctx context.Context, m smtpd.Arrival) (smtpd.Verdict, error) {
	set := o.set.Load()
	// Of this machine and of local sockets nobody can say more than that.
	if a := m.Peer.Address.Unmap(); !a.IsValid() || a.IsLoopback() || slices.Contains(set.trusted, a) {
		return smtpd.Verdict{}, nil
	}
	v, err := o.judge.Load().Judge(ctx, origin.Message{Peer: m.Peer.Address, Helo: m.Peer.Helo, From: m.Envelope.From}, m.Open())
	if err != nil {
		return smtpd.Verdict{}, err
	}
	out := smtpd.Verdict{Fields: []byte(v.Header)}
	switch v.Disposition(origin.Action(o.handling(m.Envelope, set))) {
	case origin.Refuse:
		out.Refusal = v.Refusal()
	case origin.Quarantine:
		out.Quarantine = "it fails the policy (DMARC) of " + v.DMARC.Domain
	}
	return out, nil
}

// handling is the least that any of the recipients' domains wants done: the message is
// one for all of them.
func (f *flow) handling(e *envelope.Envelope, set *flowSettings) inventory.Handling {
	order := []inventory.Handling{inventory.HandleNone, inventory.HandleMark, inventory.HandleQuarantine, inventory.HandleRefuse}
	least := len(order) - 1
	for _, to := range e.Recipients {
		wanted := set.dmarc
		if a, err := envelope.ParseAddress(to.Address); err == nil {
			if d, ok := f.directory.Domain(a.Domain); ok && d.Mail.DMARC != "" {
				wanted = d.Mail.DMARC
			}
		}
		least = min(least, max(slices.Index(order, wanted), 0))
	}
	return order[least]
}

// recipients is the flow as smtpd.Recipients.
type recipients struct{ *flow }

// Judge implements smtpd.Recipients.
func (r recipients) Judge(_ context.Context, address string, size int64) (int64, error) {
	return r.Recipient(address, size)
}

// srs rewrites senders for a domain.
func (f *flow) srs(domain string) origin.SRS {
	key := f.set.Load().secret
	if len(key) == 0 {
		key = f.ownSecret
	}
	return origin.SRS{Domain: domain, Keys: [][]byte{key}}
}

// rewrite is deliver.Places.Rewrite.
func (f *flow) rewrite(from, via string) (string, error) {
	at := strings.LastIndexByte(via, '@')
	return f.srs(via[at+1:]).Forward(from, time.Now())
}

// reverse is deliver.Places.Reverse.
func (f *flow) reverse(address string) (string, bool) {
	if !bytes.HasPrefix(bytes.ToUpper([]byte(address[:min(len(address), 5)])), []byte("SRS")) && !strings.HasPrefix(address, `"`) {
		return "", false // as nearly all are
	}
	at := strings.LastIndexByte(address, '@')
	if _, ours := f.directory.Domain(address[at+1:]); at < 0 || !ours {
		return "", false
	}
	original, err := f.srs(address[at+1:]).Reverse(address, time.Now())
	return original, err == nil
}

// peer is deliver.Places.Server.
func (f *flow) peer(name string) *outbound.Route { return f.set.Load().peers[name] }

// language is that of reports to an address.
func (f *flow) language(address string) string {
	if a, err := f.directory.Recipient(address); err == nil && a.Language != "" {
		return a.Language
	}
	return inventory.Languages[0]
}

// event takes down what became of a recipient.
func (f *flow) event(e queue.Event) {
	f.delivered.Add(int64(e.Mailboxes))
	f.bytes.Add(int64(e.Mailboxes) * e.Size)
}

// routed sends the mail of domains that have a smart host through it.
type routed struct{ *flow }

// Send implements queue.Sender.
func (r routed) Send(ctx context.Context, domain string, route *outbound.Route, m *outbound.Message) []outbound.Outcome {
	if route == nil {
		route = r.smartHost(m.From)
	}
	return r.client.Send(ctx, domain, route, m)
}

// smartHost is that of a sender's domain; nil for none.
func (f *flow) smartHost(from string) *outbound.Route {
	d, ok := f.directory.Domain(from[strings.LastIndexByte(from, '@')+1:])
	if !ok || d.Mail.Route.Host == "" {
		return nil
	}
	return smartHost(d.Mail.Route, d.RoutePassword)
}

func smartHost(r inventory.Route, password string) *outbound.Route {
	to := &outbound.Route{Host: r.Host, Port: r.Port, User: r.User, Password: password}
	switch r.TLS {
	case "opportunistic":
		to.TLS = outbound.Opportunistic
	case "implicit":
		to.TLS = outbound.Implicit
	default:
		to.TLS = outbound.Verified
	}
	if to.Port == 0 && to.TLS == outbound.Implicit {
		to.Port = 465
	} else if to.Port == 0 {
		to.Port = 587
	}
	return to
}
