package members

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"
)

const (
	// nudge is the name of the one kind of event sent through the pool.
	nudge = "nudge"
	// everyone is the payload of a nudge that is meant for all members.
	everyone = "*"
)

// Pool is the local member's view of the pool. Its methods are safe for
// concurrent use.
type Pool struct {
	id     string
	name   string
	log    *slog.Logger
	timing timing
	serf   *serf.Serf

	events  chan serf.Event // from serf, always drained by listen
	wake    chan struct{}   // from listen to tell: somebody's state changed
	changes chan Member
	nudges  chan struct{}

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
		id:      c.ID,
		name:    c.Name,
		log:     log,
		timing:  t,
		events:  make(chan serf.Event, 256),
		wake:    make(chan struct{}, 1),
		changes: make(chan Member),
		nudges:  make(chan struct{}, 1),
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
	p.running.Go(func() { p.tell(ctx) })
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

// Failed returns the names of the members in a role that the pool finds dead.
func (p *Pool) Failed(role Role) (names []string) {
	for _, m := range p.serf.Members() {
		if m.Status == serf.StatusFailed && Role(m.Tags["role"]) == role {
			names = append(names, m.Name)
		}
	}
	slices.Sort(names)
	return names
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

// Changes delivers the state of each member, the local one included, when it
// is first seen and whenever it changes, without round-trip times. There is one
// channel, for one reader. A slow reader holds up nothing: it misses states
// that were over before it looked, never the last one. Close closes the channel.
func (p *Pool) Changes() <-chan Member { return p.changes }

// Nudges delivers when this member was nudged. Nudges that come faster than
// they are read become one. Close closes the channel.
func (p *Pool) Nudges() <-chan struct{} { return p.nudges }

// Nudge tells the member with the given id that its desired state changed. It
// reaches the member if it is alive, mostly within a second, perhaps never:
// who is nudged asks the controller, who is not asks later.
func (p *Pool) Nudge(id string) error {
	if !isName(id) {
		return fmt.Errorf("nudge %q: not an id", id)
	}
	return p.send(id)
}

// NudgeAll nudges every member.
func (p *Pool) NudgeAll() error { return p.send(everyone) }

func (p *Pool) send(to string) error {
	if err := p.serf.UserEvent(nudge, []byte(to), false); err != nil {
		return fmt.Errorf("nudge %s: %w", to, err)
	}
	return nil
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

// listen drains serf's events. It must not call serf: serf may hold its lock
// while it waits for room in the channel.
func (p *Pool) listen(ctx context.Context) {
	defer close(p.nudges)
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-p.events:
			switch e := e.(type) {
			case serf.MemberEvent:
				signal(p.wake)
			case serf.UserEvent:
				if to := string(e.Payload); e.Name == nudge && (to == p.id || to == everyone) {
					signal(p.nudges)
				}
			}
		}
	}
}

// signal leaves a mark in a channel of capacity one.
func signal(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// tell delivers changes: the differences between what the reader was told and
// what is. Events only wake it, so many in a row cost one look, and it looks by
// itself too, so one that serf drops in a rush does no harm.
func (p *Pool) tell(ctx context.Context) {
	defer close(p.changes)
	review := time.NewTicker(p.timing.review)
	defer review.Stop()
	told := map[string]Member{}
	for {
		for _, change := range differences(told, p.members()) {
			select {
			case p.changes <- change:
			case <-ctx.Done():
				return
			}
			if change.Status == StatusReaped {
				delete(told, change.Name)
			} else {
				told[change.Name] = change
			}
		}
		select {
		case <-p.wake:
		case <-review.C:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(p.timing.settle):
		case <-ctx.Done():
			return
		}
	}
}

// differences lists what is new in the members against what was told.
func differences(told map[string]Member, members []Member) []Member {
	var changes []Member
	known := make(map[string]bool, len(members))
	for _, m := range members {
		known[m.Name] = true
		if told[m.Name] != m {
			changes = append(changes, m)
		}
	}
	for name, m := range told {
		if !known[name] {
			m.Status = StatusReaped
			changes = append(changes, m)
		}
	}
	return changes
}
