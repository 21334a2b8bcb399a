package ops

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// policySetting is the name of the setting that holds the fleet's api.Policy.
const policySetting = "policy"

// Preview tells what an operation would do, and does nothing.
func (o *Ops) Preview(ctx context.Context, actor inventory.Actor, req api.NewOperation) (api.Impact, error) {
	var d *draft
	err := o.Store.View(ctx, func(tx inventory.Tx) (err error) {
		if d, err = o.draft(tx, actor, req, time.Now().UTC(), false); err != nil {
			return err
		}
		return d.current(req.Versions)
	})
	if err != nil {
		return api.Impact{}, err
	}
	if d.impact.Approval = d.impact.Approval || req.Approval; o.Sessions != nil {
		o.countSessions(ctx, &d.impact, d.op)
	}
	if o.Queued != nil && d.op.Params.Queue != nil {
		o.countQueued(ctx, &d.impact, d.op)
	}
	return d.impact, nil
}

// countSessions fills in the mail connections that would end.
func (o *Ops) countSessions(ctx context.Context, impact *api.Impact, op *inventory.Operation) {
	if !op.Kind.Interrupts() {
		return
	}
	var ids []inventory.ID
	for _, t := range op.Targets {
		ids = append(ids, t.Server)
	}
	open := o.Sessions(ctx, ids)
	total, known := 0, true
	for i := range impact.Targets {
		t := &impact.Targets[i]
		if t.Sessions == 0 {
			continue // it holds none
		}
		n, ok := open[t.Server]
		if !ok {
			known = false
			continue
		}
		t.Sessions = n
		total += n
	}
	if known {
		impact.Sessions = total
	}
}

// countQueued fills in the queued mail that is meant.
func (o *Ops) countQueued(ctx context.Context, impact *api.Impact, op *inventory.Operation) {
	var ids []inventory.ID
	for _, t := range op.Targets {
		ids = append(ids, t.Server)
	}
	found := o.Queued(ctx, ids, op.Params.Queue.Filter)
	total, known := 0, true
	for i := range impact.Targets {
		t := &impact.Targets[i]
		n, ok := found[t.Server]
		if !ok {
			t.Queued, known = -1, false
			continue
		}
		t.Queued = n.Entries
		total += n.Entries
	}
	impact.Queued = -1
	if known {
		impact.Queued = total
	}
}

// impact is what an operation would do to the fleet as it is.
func (o *Ops) impact(tx inventory.Tx, f *snapshot, op *inventory.Operation) (api.Impact, error) {
	out := api.Impact{
		Targets: []api.ImpactTarget{}, Warnings: []string{}, Said: []inventory.Sentence{}, Refusals: []api.Refusal{}, Versions: map[string]uint64{},
		Sessions: -1, Queued: -1, Confirm: confirmation(f, op), Batches: 1,
	}
	if n := len(op.Steps); n > 0 {
		out.Batches = op.Steps[n-1].Batch + 1
	}
	if !op.Kind.Interrupts() {
		out.Sessions, out.Queued = 0, 0
	}
	counted := make(map[inventory.ID]bool)
	for _, t := range op.Targets {
		shown, err := f.shown(tx, op, t)
		if err != nil {
			return out, err
		}
		if !counted[t.Server] {
			out.Users += shown.Users
			counted[t.Server] = shown.Users > 0
		}
		out.Targets = append(out.Targets, shown)
		out.Versions[key(t)] = f.version(t)
	}
	for _, u := range neighbours(f, op) {
		if f.isAway(op, u) {
			out.Down++
		}
	}
	if err := o.refusals(tx, f, op, &out); err != nil {
		return out, err
	}
	warn(f, op, &out)
	kinds, err := approvalKinds(tx)
	out.Approval = slices.Contains(kinds, op.Kind)
	return out, err
}

// shown is one target as it is now.
func (f *snapshot) shown(tx inventory.Tx, op *inventory.Operation, t inventory.Target) (api.ImpactTarget, error) {
	out := api.ImpactTarget{Target: t, ServerName: f.name(t.Server)}
	if s := f.servers[t.Server]; s != nil {
		out.State = s.State
	}
	v := f.service(t)
	if v != nil {
		out.ServiceState = v.State
	}
	if !op.Kind.Interrupts() || !f.mail(t) {
		return out, nil
	}
	out.Sessions = -1
	var err error
	out.Users, err = tx.Accounts().Count(inventory.Query{Where: map[string][]string{"server": {string(t.Server)}}})
	return out, err
}

// mail tells whether a target is a mailnode, or a server with one.
func (f *snapshot) mail(t inventory.Target) bool {
	return slices.ContainsFunc(f.services[t.Server], func(v *inventory.Service) bool {
		return v.Kind == inventory.KindMailnode && (t.Service == "" || t.Service == v.Name)
	})
}

// version is the version of what a target names.
func (f *snapshot) version(t inventory.Target) uint64 {
	if t.Service != "" {
		if v := f.service(t); v != nil {
			return v.Version
		}
		return 0
	}
	if s := f.servers[t.Server]; s != nil {
		return s.Version
	}
	return 0
}

// neighbours are what the selector covers; without one, all of the fleet that
// does the same as the targets, as far as it was read.
func neighbours(f *snapshot, op *inventory.Operation) []inventory.Target {
	if op.Selector != "" {
		return covered(f, op)
	}
	var out []inventory.Target
	for _, s := range f.byName() {
		if s.State == inventory.ServerRemoved {
			continue
		}
		if !op.Kind.OnServices() {
			out = append(out, inventory.Target{Server: s.ID})
			continue
		}
		for _, v := range f.servicesOf(s.ID) {
			if slices.ContainsFunc(op.Targets, func(t inventory.Target) bool { return t.Service == v.Name }) {
				out = append(out, inventory.Target{Server: s.ID, Service: v.Name})
			}
		}
	}
	return out
}

// refusals are the reasons not to do it that must be passed over by name.
func (o *Ops) refusals(tx inventory.Tx, f *snapshot, op *inventory.Operation, out *api.Impact) error {
	refuse := func(name, format string, args ...any) {
		said := inventory.Say(format, args...)
		out.Refusals = append(out.Refusals, api.Refusal{Name: name, Message: said.String(), Said: said})
	}
	if op.Kind.Destructive() && o.Own != nil {
		for _, t := range op.Targets {
			if s := f.servers[t.Server]; s != nil && o.Own(s) {
				refuse(refuseController, "the controller itself runs on %s", s.Name)
			}
		}
	}
	if !op.Kind.Interrupts() {
		return nil
	}
	for _, why := range poolRefusals(f, op) {
		refuse(refuseLastReplica, "%s", why)
	}
	if o.Replicas != nil {
		for _, t := range op.Targets {
			if !f.mail(t) {
				continue
			}
			n, err := o.Replicas.Last(tx, t.Server)
			if err != nil {
				return err
			}
			if n > 0 {
				refuse(refuseLastReplica, "%s holds the last replica in sync of %d stores", f.name(t.Server), n)
			}
		}
	}
	if op.Rolling != nil {
		if r := roomOf(f, op); len(r.away) > r.most {
			refuse(refuseUnavailable, "%d of %d may be unavailable at once and %d are already: %s", r.most, r.all, len(r.away), f.some(r.away))
		}
	}
	return nil
}

// poolRefusals are the pools that an operation would leave with fewer members
// in service than they must keep, or with none.
func poolRefusals(f *snapshot, op *inventory.Operation) (why []inventory.Sentence) {
	for _, p := range poolsOf(f, op) {
		left := make(map[string]int)
		before := make(map[string]int)
		all, taken := 0, 0
		for id, region := range p.region {
			if p.away[id] {
				continue
			}
			before[region]++
			all++
			hit := slices.ContainsFunc(op.Targets, func(t inventory.Target) bool {
				return t.Server == id && (t.Service == "" || t.Service == p.pool.Service)
			})
			if hit {
				taken++
			} else {
				left[region]++
			}
		}
		if op.Rolling != nil { // one after the other, if need be
			for region, n := range before {
				left[region] = n - min(n-left[region], 1)
			}
			taken = min(taken, 1)
		}
		if all > 0 && taken >= all {
			why = append(why, inventory.Say("pool %s would have no member in service", p.pool.Name))
			continue
		}
		for region, n := range before {
			if p.pool.PerRegion > 0 && left[region] < p.pool.PerRegion && left[region] < n {
				why = append(why, inventory.Say("pool %s must keep %d members in service in region %q and would have %d", p.pool.Name, p.pool.PerRegion, region, left[region]))
			}
		}
	}
	slices.SortFunc(why, func(a, b inventory.Sentence) int { return cmp.Compare(a.String(), b.String()) })
	return why
}

// warn says what an operator should know before.
func warn(f *snapshot, op *inventory.Operation, out *api.Impact) {
	note := func(format string, args ...any) {
		said := inventory.Say(format, args...)
		out.Said = append(out.Said, said)
		out.Warnings = append(out.Warnings, said.String())
	}
	if op.Kind.Interrupts() && out.Users > 0 {
		note("%d accounts have their mailboxes there and no replica elsewhere: they are away while this lasts", out.Users)
	}
	type hold struct {
		target inventory.Target
		by     *inventory.Operation
	}
	var away []string
	var held []hold
	for _, t := range op.Targets {
		if !f.down(t.Server).None() && op.Kind != inventory.OpServerAdd && op.Kind != inventory.OpServerPowerOn {
			away = append(away, f.name(t.Server))
		}
		if other := f.holder(op, t); other != nil {
			held = append(held, hold{t, other})
		}
	}
	slices.Sort(away)
	if away = slices.Compact(away); len(away) > 0 {
		note("not up now: %s", list(away))
	}
	for i, o := range held {
		if i == mostNamed {
			note("it will wait for %d more", len(held)-i)
			break
		}
		note("it will wait: operation %s (%s) has %s in hand", o.by.ID, o.by.Kind, f.title(o.target))
	}
	if op.Rolling != nil {
		if r := roomOf(f, op); r.most > 0 && len(r.away) == r.most {
			note("%d of %d may be unavailable at once and are already (%s): it will wait", r.most, r.all, f.some(r.away))
		}
	}
}

// approvalKinds are the kinds that the fleet's policy wants a second person for.
func approvalKinds(tx inventory.Tx) ([]inventory.OperationKind, error) {
	s, err := tx.Settings().Find("name", policySetting)
	if inventory.Is(err, inventory.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var p api.Policy
	if err := json.Unmarshal([]byte(s.Value), &p); err != nil {
		return nil, fmt.Errorf("the setting %s is damaged: %w", policySetting, err)
	}
	return p.ApprovalKinds, nil
}
