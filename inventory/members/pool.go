package members

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/serf/serf"
)

// look is how long what was seen of the members is taken for true when serf tells
// of no change: it may drop events in a rush.
const look = 5 * time.Second

// Pool is the local member's view of the pool. Its methods are safe for
// concurrent use.
type Pool struct {
	name   string
	log    *slog.Logger
	timing timing
	serf   *serf.Serf

	events chan serf.Event // from serf, always drained by listen
	stale  atomic.Bool     // somebody's state changed since looked

	mu     sync.Mutex
	looked time.Time // when failed was made
	failed map[Role][]string

	stopJoining context.CancelFunc
	stop        context.CancelFunc
	running     sync.WaitGroup
	ending      sync.Mutex // one Leave or Close at a time
}

// Start begins to take part in the pool. It does not wait for others: joining
// goes on in the background until it succeeds. It returns an error if the
// configuration is wrong or the address is taken.
func Start(c Config) (*Pool, error) { return start(c, lan()) }

func start(c Config, t timing) (*Pool, error) {
	seeds, err := parseSeeds(c.Join)
	if err != nil {
		return nil, err
	}
	log := c.Logger.With("component", "members")
	p := &Pool{
		name:   c.Name,
		log:    log,
		timing: t,
		events: make(chan serf.Event, 256),
	}
	conf, err := serfConfig(c, t, p.events, bridgeTo(log))
	if err != nil {
		return nil, err
	}
	p.serf, err = serf.Create(conf)
	if err != nil {
		return nil, fmt.Errorf("start gossip on %v: %w", c.Bind, err)
	}

	ctx, stop := context.WithCancel(context.Background())
	joining, stopJoining := context.WithCancel(ctx)
	p.stop, p.stopJoining = stop, stopJoining
	p.running.Go(func() { p.listen(ctx) })
	p.running.Go(func() { p.keepJoined(joining, seeds) })
	return p, nil
}

// Members returns all members, sorted by name.
func (p *Pool) Members() []Member {
	here, err := p.serf.GetCoordinate()
	list := p.members()
	for i := range list {
		there, ok := p.serf.GetCachedCoordinate(list[i].Name)
		if err == nil && ok && list[i].Name != p.name && here.IsCompatibleWith(there) {
			list[i].RTT = here.DistanceTo(there)
		}
	}
	return list
}

// members is Members without the round-trip times.
func (p *Pool) members() []Member {
	var list []Member
	for _, m := range p.serf.Members() {
		list = append(list, describe(m))
	}
	slices.SortFunc(list, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Failed returns the names of the members in a role that the pool finds dead. It
// is cheap to ask often. The caller must not change the list.
func (p *Pool) Failed(role Role) (names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stale.Swap(false) || time.Since(p.looked) > look {
		p.looked, p.failed = time.Now(), make(map[Role][]string)
		for _, m := range p.serf.Members() {
			if m.Status == serf.StatusFailed {
				role := Role(m.Tags["role"])
				p.failed[role] = append(p.failed[role], m.Name)
			}
		}
		for _, names := range p.failed {
			slices.Sort(names)
		}
	}
	return p.failed[role]
}

func describe(m serf.Member) Member {
	status := StatusAlive
	switch m.Status {
	case serf.StatusFailed:
		status = StatusFailed
	case serf.StatusLeaving, serf.StatusLeft:
		status = StatusLeft
	}
	addr, _ := netip.AddrFromSlice(m.Addr)
	return Member{
		Name:   m.Name,
		ID:     m.Tags["id"],
		Role:   Role(m.Tags["role"]),
		Addr:   netip.AddrPortFrom(addr.Unmap(), m.Port),
		Status: status,
	}
}

// Leave says goodbye, so that the others see this member as left at once and
// not as failed. It takes a second or two, at most five. Close comes after it.
func (p *Pool) Leave() error {
	p.stopJoining()
	p.ending.Lock()
	defer p.ending.Unlock()
	if err := p.serf.Leave(); err != nil {
		return fmt.Errorf("leave the pool: %w", err)
	}
	return nil
}

// Close ends taking part. Without Leave before it the others see this member
// fail. It waits for a Leave or an attempt to join that is under way, the
// latter at most 5 s. A second Close does nothing.
func (p *Pool) Close() error {
	p.stopJoining()
	p.ending.Lock()
	defer p.ending.Unlock()
	if err := p.serf.Shutdown(); err != nil {
		return fmt.Errorf("close the pool: %w", err)
	}
	p.stop()
	p.running.Wait()
	return nil
}

// listen drains serf's events and notes that there were some.
func (p *Pool) listen(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.events:
			p.stale.Store(true) // no lock: serf waits for room in the channel with its own held
		}
	}
}
