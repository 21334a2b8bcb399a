package ops

import (
	"cmp"
	"slices"
	"time"

	"mailfleet/inventory"
)

// snapshot is the fleet at one moment, as far as planning needs it. All that
// decides what happens next is a pure function of it.
type snapshot struct {
	now      time.Time
	servers  map[inventory.ID]*inventory.Server
	services map[inventory.ID][]*inventory.Service // by server
	pools    []*inventory.Pool
	powers   map[inventory.ID]*inventory.Power // by server
	releases map[inventory.ID]string           // version numbers
	linked   func(inventory.ID) bool           // whether a server's agent holds a link
	open     []*inventory.Operation            // that have not ended, oldest first
	sorted   []*inventory.Server
	hands    map[inventory.ID]map[inventory.Target]bool // by operation; dropped when it changes
}

// look reads the fleet: all of it, or what the operations are about. open are
// the operations that have not ended.
func (o *Ops) look(tx inventory.Tx, open []*inventory.Operation, whole bool, now time.Time) (*snapshot, error) {
	f := &snapshot{
		now: now, linked: o.linked, open: open,
		servers: make(map[inventory.ID]*inventory.Server), services: make(map[inventory.ID][]*inventory.Service),
		powers: make(map[inventory.ID]*inventory.Power), releases: make(map[inventory.ID]string),
		hands: make(map[inventory.ID]map[inventory.Target]bool),
	}
	for _, op := range open {
		whole = whole || wantsWhole(op)
	}
	var err error
	if whole {
		err = f.readAll(tx)
	} else {
		err = f.readTargets(tx, open)
	}
	if err != nil {
		return nil, err
	}
	for _, op := range open {
		if err := f.readParams(tx, op); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// wantsWhole tells whether what an operation may do next depends on more than
// its targets.
func wantsWhole(op *inventory.Operation) bool {
	if op.Rolling != nil {
		return true
	}
	switch op.Kind {
	case inventory.OpServerPowerOn, inventory.OpServerPowerCycle, inventory.OpServerReboot, inventory.OpServerShutdown:
		return true // any server may have to switch the power
	default:
		return false
	}
}

func (f *snapshot) readAll(tx inventory.Tx) error {
	servers, _, err := tx.Servers().List(inventory.Query{})
	if err != nil {
		return err
	}
	for _, s := range servers {
		f.servers[s.ID] = s
	}
	services, _, err := tx.Services().List(inventory.Query{})
	if err != nil {
		return err
	}
	for _, s := range services {
		f.services[s.Server] = append(f.services[s.Server], s)
	}
	if f.pools, _, err = tx.Pools().List(inventory.Query{}); err != nil {
		return err
	}
	powers, _, err := tx.Powers().List(inventory.Query{})
	for _, p := range powers {
		f.powers[p.Server] = p
	}
	return err
}

func (f *snapshot) readTargets(tx inventory.Tx, list []*inventory.Operation) error {
	var ids []string
	for _, op := range list {
		for _, t := range op.Targets {
			ids = append(ids, string(t.Server))
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	for some := range slices.Chunk(ids, 500) {
		servers, _, err := tx.Servers().List(inventory.Query{Where: map[string][]string{"id": some}})
		if err != nil {
			return err
		}
		for _, s := range servers {
			f.servers[s.ID] = s
		}
		services, _, err := tx.Services().List(inventory.Query{Where: map[string][]string{"server": some}})
		if err != nil {
			return err
		}
		for _, s := range services {
			f.services[s.Server] = append(f.services[s.Server], s)
		}
	}
	return nil
}

func (f *snapshot) readParams(tx inventory.Tx, op *inventory.Operation) error {
	if op.Params.Release == "" {
		return nil
	}
	r, err := tx.Releases().Get(op.Params.Release)
	if inventory.Is(err, inventory.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	f.releases[r.ID] = r.Number
	return nil
}

// byName are the servers in order of their names.
func (f *snapshot) byName() []*inventory.Server {
	if len(f.sorted) != len(f.servers) {
		f.sorted = f.sorted[:0]
		for _, s := range f.servers {
			f.sorted = append(f.sorted, s)
		}
		slices.SortFunc(f.sorted, func(a, b *inventory.Server) int { return cmp.Compare(a.Name, b.Name) })
		for _, list := range f.services {
			slices.SortFunc(list, func(a, b *inventory.Service) int { return cmp.Compare(a.Name, b.Name) })
		}
	}
	return f.sorted
}

func (f *snapshot) servicesOf(server inventory.ID) []*inventory.Service { return f.services[server] }

func (f *snapshot) service(t inventory.Target) *inventory.Service {
	for _, s := range f.services[t.Server] {
		if s.Name == t.Service {
			return s
		}
	}
	return nil
}

func (f *snapshot) name(id inventory.ID) string {
	if s := f.servers[id]; s != nil {
		return s.Name
	}
	return string(id)
}

// title names a target in a sentence.
func (f *snapshot) title(t inventory.Target) inventory.Sentence {
	if t.Service == "" {
		return inventory.Say("%s", f.name(t.Server))
	}
	return inventory.Say("%s on %s", t.Service, f.name(t.Server))
}

func (f *snapshot) up(id inventory.ID) bool { return f.down(id).None() }

// down tells that a server is not up; empty: it is.
func (f *snapshot) down(id inventory.ID) inventory.Sentence {
	s := f.servers[id]
	switch {
	case s == nil || s.State == inventory.ServerRemoved:
		return inventory.Say("%s is not in the fleet", f.name(id))
	case s.State != inventory.ServerUp:
		return inventory.Say("%s is %s", f.name(id), s.State)
	default:
		return inventory.Sentence{}
	}
}

// ailing tells what is wrong with a target; empty: nothing, it serves. A server
// serves when all its services that are wanted running do.
func (f *snapshot) ailing(t inventory.Target) (why inventory.Sentence) {
	if why = f.down(t.Server); !why.None() {
		return why
	}
	if t.Service != "" {
		v := f.service(t)
		if v == nil {
			return inventory.Say("%s is not there", f.title(t))
		}
		return f.unwell(v)
	}
	for _, v := range f.services[t.Server] {
		if v.Want != inventory.WantRunning {
			continue
		}
		if why = f.unwell(v); !why.None() {
			return why
		}
	}
	return why
}

// unwell tells why a service gets no work done; empty: it does.
func (f *snapshot) unwell(v *inventory.Service) inventory.Sentence {
	title := f.title(inventory.Target{Server: v.Server, Service: v.Name})
	switch {
	case v.State != inventory.ServiceRunning:
		return inventory.Say("%s is %s", title, v.State)
	case v.Health != "":
		return inventory.Say("%s is unwell: %s", title, v.Health)
	case v.Drained:
		return inventory.Say("%s is drained", title)
	default:
		return inventory.Sentence{}
	}
}

// meet tells whether two targets are, or hold, the same thing.
func meet(a, b inventory.Target) bool {
	return a.Server == b.Server && (a.Service == "" || b.Service == "" || a.Service == b.Service)
}

// kindOf is what a step does.
func kindOf(op *inventory.Operation, s *inventory.Step) inventory.OperationKind {
	if s.Kind != "" {
		return s.Kind
	}
	return op.Kind
}

// unitOf is the target a step belongs to: of an operation on servers the steps
// on a server's services are parts of the work on it.
func unitOf(op *inventory.Operation, s *inventory.Step) inventory.Target {
	if op.Kind.OnServices() {
		return s.Target
	}
	return inventory.Target{Server: s.Target.Server}
}

// begun tells whether a step's turn has come and it has not ended, nor got lost.
func begun(s *inventory.Step) bool {
	return !s.Turn.IsZero() && !s.State.Final() && s.State != inventory.OpUnknown
}

// inHand are the units an operation is at work on: from the first step's turn
// to the last step's end.
func inHand(op *inventory.Operation) map[inventory.Target]bool {
	turned := make(map[inventory.Target]bool)
	for i := range op.Steps {
		if s := &op.Steps[i]; !s.Turn.IsZero() {
			turned[unitOf(op, s)] = true
		}
	}
	held := make(map[inventory.Target]bool)
	for i := range op.Steps {
		s := &op.Steps[i]
		u := unitOf(op, s)
		if begun(s) || s.State == inventory.OpQueued && turned[u] {
			held[u] = true
		}
	}
	return held
}

// holder is the operation, other than op, that has something of a target in hand.
func (f *snapshot) holder(op *inventory.Operation, t inventory.Target) *inventory.Operation {
	for _, other := range f.open {
		if other.ID == op.ID || quiet(other.Kind) {
			continue
		}
		held, ok := f.hands[other.ID]
		if !ok {
			held = inHand(other)
			f.hands[other.ID] = held
		}
		for u := range held {
			if meet(u, t) {
				return other
			}
		}
	}
	return nil
}

// quiet tells whether a kind disturbs nothing, so that it may go on beside others.
func quiet(k inventory.OperationKind) bool {
	return k == inventory.OpServerPreflight || k == inventory.OpQueueExport
}
