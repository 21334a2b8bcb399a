package guard

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"mailfleet/inventory/throttle"
	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/resolve"
	"mailfleet/mailnode/store"
)

// Resolver asks the DNS. resolve's is one.
type Resolver interface {
	PTR(ctx context.Context, address netip.Addr) (resolve.Answer[string], error)
	Addresses(ctx context.Context, name string) (resolve.Answer[netip.Addr], error)
	Listed(ctx context.Context, address netip.Addr, zone string) (resolve.Answer[netip.Addr], error)
}

// Guard decides. It is safe for concurrent use.
type Guard struct {
	resolver Resolver
	log      *slog.Logger
	memo     *memo

	mu        sync.Mutex
	set       Settings
	limits    limiters
	standings *throttle.Recent[netip.Addr, *standing]
	errs      *throttle.Recent[string, mistakes]
}

// remembered bounds how many addresses are known at once.
const remembered = 20_000

// New returns a guard that keeps its greylist in a store.
func New(s Settings, r Resolver, st *store.Store, log *slog.Logger) (*Guard, error) {
	g := &Guard{
		resolver: r, log: log.With("component", "guard"), memo: newMemo(st, "greylist"),
		standings: throttle.NewRecent[netip.Addr, *standing](remembered),
		errs:      throttle.NewRecent[string, mistakes](remembered),
	}
	return g, g.Configure(s)
}

// Configure changes the settings. When they are wrong the old ones stay.
func (g *Guard) Configure(s Settings) error {
	if err := s.Check(); err != nil {
		return err
	}
	s = s.withDefaults()
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.Rates != g.set.Rates { // who has used up a rate that is the same now has still
		g.limits = newLimiters(s.Rates)
	}
	g.set = s
	g.standings = throttle.NewRecent[netip.Addr, *standing](remembered)
	return nil
}

func (g *Guard) settings() (Settings, limiters) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.set, g.limits
}

// Run writes down what is to be remembered and forgets what is too old, until ctx
// ends; then it writes down the rest.
func (g *Guard) Run(ctx context.Context) error {
	return g.memo.run(ctx, g.log, func(now time.Time, key, value []byte) bool {
		set, _ := g.settings()
		return greyEntry(value).expired(set.Greylist, now)
	})
}

// Opinion is what is thought of a peer. The zero Opinion lets it go on.
type Opinion struct {
	Refusal *envelope.Refusal
	Delay   time.Duration // answer only after it
	Name    string        // the peer's name, confirmed by the DNS; "" for none known
	Marks   []string      // sentences about the peer, for whoever reads its mail
}

// Connect is asked when a peer has connected. Addresses that are not valid, those of
// local sockets, pass. without are the rules that are off where it has connected.
func (g *Guard) Connect(ctx context.Context, address netip.Addr, without Without) Opinion {
	address = address.Unmap().WithZone("")
	set, limits := g.settings()
	switch {
	case !address.IsValid():
		return Opinion{}
	case contains(set.Allow, address):
		return Opinion{Name: g.standing(ctx, set, address).name}
	case contains(set.Deny, address):
		return Opinion{Refusal: &envelope.Refusal{Code: 554, Enhanced: "5.7.1", Text: "this server takes no mail from " + address.String()}}
	}
	if !without.Rates {
		if wait := limits.errors.left(address); wait > 0 {
			return Opinion{Refusal: tooMany("errors", wait)}
		}
		if wait := limits.connections.take(address, 1); wait > 0 {
			return Opinion{Refusal: tooMany("connections", wait)}
		}
	}
	s := g.standing(ctx, set, address)
	o := Opinion{Name: s.name}
	if !without.Tarpit {
		o.Delay = g.wait(address, set.Tarpit)
	}
	return o
}

func tooMany(what string, wait time.Duration) *envelope.Refusal {
	return &envelope.Refusal{
		Code: 421, Enhanced: "4.7.1",
		Text: fmt.Sprintf("too many %s from your address, try again in %s", what, throttle.RoundUp(wait)),
	}
}

// Attempt is a recipient named by a peer.
type Attempt struct {
	Address  netip.Addr
	From, To string // as in envelope.Address.String; From is "" for the null reverse-path
	// SPF tells whether the domain of From lets the address send for it; asked only
	// when it makes a difference. nil: not known.
	SPF func(ctx context.Context) bool
	// Without says which rules are off for a domain of recipients where the peer has
	// connected; nil: as the settings have it.
	Without func(domain string) Without
}

// Recipient is asked for each recipient that exists.
func (g *Guard) Recipient(ctx context.Context, a Attempt) Opinion {
	address := a.Address.Unmap().WithZone("")
	set, limits := g.settings()
	if !address.IsValid() || contains(set.Allow, address) {
		return Opinion{}
	}
	at := strings.LastIndexByte(a.To, '@')
	local, domain := strings.ToLower(a.To), ""
	if at >= 0 {
		local, domain = strings.ToLower(a.To[:at]), strings.ToLower(a.To[at+1:])
	}
	var without Without
	if off := a.Without; off != nil {
		without = off(domain)
	} else if set.Without != nil {
		without = set.Without(domain)
	}
	var delay time.Duration
	if !without.Tarpit {
		delay = g.wait(address, set.Tarpit)
	}
	if !without.Rates {
		if wait := limits.recipients.take(address, 1); wait > 0 {
			r := tooMany("recipients", wait)
			r.Code = 450
			return Opinion{Refusal: r, Delay: delay}
		}
	}
	if local == "postmaster" || local == "abuse" {
		return Opinion{Delay: delay}
	}
	s := g.standing(ctx, set, address)
	o := Opinion{Delay: delay, Name: s.name}
	if !without.Lists {
		o.Marks = append(o.Marks, s.listed...)
	}
	if !without.Reverse {
		o.Marks = append(o.Marks, s.named...)
	}
	switch {
	case s.blocked != nil && !without.Lists:
		o.Refusal = s.blocked
	case s.misnamed != nil && !without.Reverse:
		o.Refusal = s.misnamed
	case set.Greylist.On && !without.Greylist && s.score >= 0:
		o.Refusal = g.greylist(ctx, set.Greylist, address, a, domain)
	}
	return o
}

// Message is asked before a message is taken from a peer. without are the rules that are
// off where it has connected.
func (g *Guard) Message(address netip.Addr, without Without) *envelope.Refusal {
	address = address.Unmap().WithZone("")
	set, limits := g.settings()
	if !address.IsValid() || without.Rates || contains(set.Allow, address) {
		return nil
	}
	if wait := limits.messages.take(address, 1); wait > 0 {
		r := tooMany("messages", wait)
		r.Code = 450
		return r
	}
	return nil
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
