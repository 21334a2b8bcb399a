package resolve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/idna"
	"golang.org/x/sync/semaphore"
)

// Resolver answers lookups. Its methods are safe for concurrent use.
type Resolver struct {
	log *slog.Logger
	now func() time.Time

	state atomic.Pointer[state]

	ctx     context.Context // ends with the resolver
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	flights map[flightKey]*flight
}

// state is what belongs to one set of settings.
type state struct {
	set     Settings
	cache   *cache
	busy    *semaphore.Weighted
	trusted bool
	servers []netip.AddrPort
	good    atomic.Uint32 // the server that answered last

	mu      sync.Mutex // held while resolv.conf is looked at
	looked  time.Time
	changed time.Time // modification time of the file when it was read
}

type flightKey struct {
	state *state
	question
}

// flight is a lookup under way, for all who want to know.
type flight struct {
	done chan struct{}
	result
}

// New returns a resolver; Close ends it.
func New(set Settings, log *slog.Logger) (*Resolver, error) {
	r := &Resolver{log: log.With("component", "resolve"), now: time.Now, flights: map[flightKey]*flight{}}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	if err := r.Configure(set); err != nil {
		return nil, err
	}
	return r, nil
}

// Configure changes the settings and forgets what is known.
func (r *Resolver) Configure(set Settings) error {
	s, err := r.build(set)
	if err == nil {
		r.state.Store(s)
	}
	return err
}

func (r *Resolver) build(set Settings) (*state, error) {
	set = set.withDefaults()
	s := &state{set: set, cache: newCache(set.CacheBytes), busy: semaphore.NewWeighted(int64(set.Concurrent))}
	for _, text := range set.Servers {
		a, err := parseServer(text)
		if err != nil {
			return nil, err
		}
		s.servers = append(s.servers, a)
	}
	if len(set.Servers) == 0 {
		if err := s.readConf(); err != nil {
			return nil, err
		}
		s.looked = r.now()
	}
	s.trusted = s.trust()
	return s, nil
}

// Close ends all lookups and waits for them.
func (r *Resolver) Close() {
	r.cancel()
	r.running.Wait()
}

// trust tells whether what the servers say of DNSSEC is believed.
func (s *state) trust() bool {
	if s.set.TrustAD {
		return true
	}
	for _, a := range s.servers {
		if !a.Addr().Unmap().IsLoopback() {
			return false
		}
	}
	return len(s.servers) > 0
}

// readConf takes the servers from resolv.conf. A machine without that file asks itself,
// as its C library does.
func (s *state) readConf() error {
	info, err := os.Stat(s.set.ResolvConf)
	if errors.Is(err, os.ErrNotExist) {
		s.servers = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")}
		return nil
	}
	if err != nil {
		return fmt.Errorf("the list of DNS servers: %w", err)
	}
	conf, err := dns.ClientConfigFromFile(s.set.ResolvConf)
	if err != nil {
		return fmt.Errorf("the list of DNS servers in %s: %w", s.set.ResolvConf, err)
	}
	s.changed = info.ModTime()
	for _, text := range conf.Servers {
		a, err := parseServer(text)
		if err != nil {
			return fmt.Errorf("%s: %w", s.set.ResolvConf, err)
		}
		s.servers = append(s.servers, a)
	}
	if len(s.servers) == 0 {
		s.servers = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")}
	}
	return nil
}

// current is the state, renewed when resolv.conf is another than it was.
func (r *Resolver) current() *state {
	s := r.state.Load()
	if len(s.set.Servers) > 0 {
		return s
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	const every = 10 * time.Second
	if r.now().Sub(s.looked) < every {
		return s
	}
	s.looked = r.now()
	info, err := os.Stat(s.set.ResolvConf)
	if err != nil || info.ModTime().Equal(s.changed) {
		return s
	}
	renewed, err := r.build(s.set)
	if err != nil {
		r.log.Warn("the changed list of DNS servers cannot be used; the old one stays", "error", err)
		s.changed = info.ModTime()
		return s
	}
	if r.state.CompareAndSwap(s, renewed) {
		r.log.Info("the list of DNS servers was read again", "file", s.set.ResolvConf)
	}
	return r.state.Load()
}

// canonical brings a name into the form in which it is asked for and kept.
func canonical(name string) (string, error) {
	name = strings.TrimSuffix(name, ".")
	for i := range len(name) {
		if name[i] >= 0x80 {
			ascii, err := idna.Lookup.ToASCII(name)
			if err != nil {
				return "", fmt.Errorf("%q is no domain name", name)
			}
			name = ascii
			break
		}
	}
	if _, ok := dns.IsDomainName(name); !ok || name == "" || strings.ContainsAny(name, "\\ \x00\r\n\t") {
		return "", fmt.Errorf("%q is no domain name", name)
	}
	return strings.ToLower(name) + ".", nil
}

// ask answers a question from the cache or, once for all who want to know, from the
// servers.
func (r *Resolver) ask(ctx context.Context, name string, kind uint16) (result, error) {
	full, err := canonical(name)
	if err != nil {
		// What cannot be a name is not there.
		return result{}, &Error{Name: printable(name), Type: dns.TypeToString[kind], Kind: ErrNoName}
	}
	s := r.current()
	q := question{full, kind}
	found, ok := s.cache.get(q, r.now())
	if !ok {
		f := r.join(s, q)
		select {
		case <-f.done:
			found = f.result
		case <-ctx.Done():
			return result{}, ctx.Err()
		}
	}
	if found.failure != nil {
		return found, &Error{
			Name: strings.TrimSuffix(full, "."), Type: dns.TypeToString[kind],
			Kind: found.failure, Detail: found.detail, Secure: found.secure && s.trusted,
		}
	}
	found.secure = found.secure && s.trusted
	return found, nil
}

// join returns the flight of a question and starts it when there is none.
func (r *Resolver) join(s *state, q question) *flight {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := flightKey{s, q}
	if f := r.flights[key]; f != nil {
		return f
	}
	f := &flight{done: make(chan struct{})}
	r.flights[key] = f
	r.running.Go(func() {
		// Whoever asked first may go away: the others still want the answer.
		ctx, cancel := context.WithTimeout(r.ctx, s.set.Deadline)
		defer cancel()
		f.result = s.resolve(ctx, q, r.now)
		if r.ctx.Err() == nil {
			s.cache.put(q, f.result, r.now())
		}
		r.mu.Lock()
		delete(r.flights, key)
		r.mu.Unlock()
		close(f.done)
	})
	return f
}

// printable shortens what is not a name for an error text.
func printable(s string) string {
	const most = 255
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return '?'
		}
		return c
	}, s[:min(len(s), most)])
}
