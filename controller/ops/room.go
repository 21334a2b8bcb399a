package ops

import (
	"slices"
	"strings"

	"mailfleet/inventory"
)

// Names of refusals that an operator can pass over.
const (
	refuseController  = "controller"   // the controller itself runs there
	refuseLastReplica = "last-replica" // nothing else serves what it serves
	refuseUnavailable = "unavailable"  // more is unavailable than is allowed, already
)

// room is how much a rolling operation may still take out of service.
type room struct {
	away  map[inventory.Target]bool // what the operation covers and is not serving, or is in somebody's hands
	all   int                       // how much it covers
	most  int                       // may be away at once; 0: no limit
	pools []poolRoom
}

// poolRoom is the same of one pool that targets are members of.
type poolRoom struct {
	pool   *inventory.Pool
	away   map[inventory.ID]bool
	region map[inventory.ID]string // of every member
}

// roomOf measures what an operation may take.
func roomOf(f *snapshot, op *inventory.Operation) *room {
	r := &room{away: make(map[inventory.Target]bool)}
	if op.Rolling == nil || !op.Kind.Interrupts() && !op.Rolling.Drain {
		return r
	}
	r.most = op.Rolling.MaxUnavailable
	units := covered(f, op)
	r.all = len(units)
	for _, u := range units {
		if f.isAway(op, u) {
			r.away[u] = true
		}
	}
	if !slices.Contains(op.Override, refuseLastReplica) {
		r.pools = poolsOf(f, op)
	}
	return r
}

// covered is all that an operation's selector covers, in whatever state it is;
// its targets when it has none.
func covered(f *snapshot, op *inventory.Operation) []inventory.Target {
	if op.Selector != "" {
		if sel, err := parseSelector(op.Selector); err == nil {
			return sel.lasting().find(f, op.Kind)
		}
	}
	return op.Targets
}

// isAway tells whether a unit does not serve now, or may stop serving at any
// moment. What the operation itself took away for good does not count.
func (f *snapshot) isAway(op *inventory.Operation, unit inventory.Target) bool {
	mine := false
	for i := range op.Steps {
		s := &op.Steps[i]
		if unitOf(op, s) != unit {
			continue
		}
		if begun(s) || s.State == inventory.OpUnknown {
			return true
		}
		mine = mine || s.State == inventory.OpSucceeded && s.Kind == ""
	}
	if mine && (op.Kind == inventory.OpServiceStop || op.Kind == inventory.OpServiceDrain || op.Kind == inventory.OpServerShutdown || op.Kind == inventory.OpServerRemove) {
		return false
	}
	return !f.ailing(unit).None() || f.holder(op, unit) != nil
}

// take counts a unit as away.
func (r *room) take(unit inventory.Target) {
	r.away[unit] = true
	for _, p := range r.pools {
		if _, ok := p.region[unit.Server]; ok {
			p.away[unit.Server] = true
		}
	}
}

// refuses tells why a unit cannot be taken now; empty: it can. What is away
// already can always be: it makes nothing worse.
func (r *room) refuses(f *snapshot, op *inventory.Operation, unit inventory.Target) (why inventory.Sentence) {
	if r.away[unit] {
		return why
	}
	if r.most > 0 && len(r.away) >= r.most && !slices.Contains(op.Override, refuseUnavailable) {
		return inventory.Say("%d of %d may be unavailable and %d are: %s", r.most, r.all, len(r.away), f.some(r.away))
	}
	for _, p := range r.pools {
		if why = p.refuses(f, unit.Server); !why.None() {
			return why
		}
	}
	return why
}

// some names a few targets.
func (f *snapshot) some(targets map[inventory.Target]bool) inventory.Sentence {
	var names []string
	for t := range targets {
		names = append(names, f.title(t).String())
	}
	slices.Sort(names)
	return list(names)
}

// mostNamed are named of many.
const mostNamed = 5

// list joins names, the first few of many.
func list(names []string) inventory.Sentence {
	if len(names) > mostNamed {
		return inventory.Say("%s and %d more", strings.Join(names[:mostNamed], ", "), len(names)-mostNamed)
	}
	return inventory.Say("%s", strings.Join(names, ", "))
}

// poolsOf are the pools of the operation's targets.
func poolsOf(f *snapshot, op *inventory.Operation) (pools []poolRoom) {
	for _, p := range f.pools {
		concerns := slices.ContainsFunc(op.Targets, func(t inventory.Target) bool {
			return (t.Service == "" || t.Service == p.Service) && isMember(p, t.Server)
		})
		if !concerns {
			continue
		}
		r := poolRoom{pool: p, away: make(map[inventory.ID]bool), region: make(map[inventory.ID]string)}
		for _, m := range p.Members {
			if s := f.servers[m.Server]; s != nil {
				r.region[m.Server] = s.Region
			}
			t := inventory.Target{Server: m.Server, Service: p.Service}
			unit := t
			if !op.Kind.OnServices() {
				unit.Service = ""
			}
			if m.Weight == 0 || !f.ailing(t).None() || f.isAway(op, unit) {
				r.away[m.Server] = true
			}
		}
		pools = append(pools, r)
	}
	return pools
}

// refuses tells why one more member cannot be taken out of service.
func (p poolRoom) refuses(f *snapshot, server inventory.ID) (why inventory.Sentence) {
	region, member := p.region[server]
	if !member || p.away[server] {
		return why
	}
	if p.pool.MaxUnavailable > 0 && len(p.away) >= p.pool.MaxUnavailable {
		return inventory.Say("pool %s may have %d members out of service and has %d", p.pool.Name, p.pool.MaxUnavailable, len(p.away))
	}
	left := -1
	for id, r := range p.region {
		if r == region && !p.away[id] {
			left++
		}
	}
	if left < p.pool.PerRegion {
		return inventory.Say("pool %s must keep %d members in service in region %q; without %s there are %d", p.pool.Name, p.pool.PerRegion, region, f.name(server), left)
	}
	return why
}

// obstacle tells what forbids to begin with a unit now.
func (f *snapshot) obstacle(op *inventory.Operation, unit inventory.Target, r *room) inventory.Sentence {
	if !quiet(op.Kind) {
		if other := f.holder(op, unit); other != nil {
			return waitsFor(f, unit, other)
		}
	}
	return r.refuses(f, op, unit)
}

func waitsFor(f *snapshot, unit inventory.Target, other *inventory.Operation) inventory.Sentence {
	return inventory.Say("operation %s (%s) has %s in hand", other.ID, other.Kind, f.title(unit))
}
