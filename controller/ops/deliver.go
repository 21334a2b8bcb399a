package ops

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// Orders are an operation's steps that agents must be told of, by the server
// whose agent acts. An unknown step is among them: its agent's journal
// resolves it. power finds how a server's power is switched; nil when it is not.
func Orders(op *inventory.Operation, name func(inventory.ID) string, power func(inventory.ID) *inventory.Power) map[inventory.ID][]api.Order {
	out := make(map[inventory.ID][]api.Order)
	for i := range op.Steps {
		s := &op.Steps[i]
		if s.State.Final() || s.Turn.IsZero() || s.Index > 0 || ours(kindOf(op, s)) {
			continue
		}
		o := api.Order{
			ID: s.ID, Operation: op.ID, Kind: kindOf(op, s), Service: s.Target.Service, Expires: s.Turn.Add(life(op)),
			Params: inventory.Params{Release: op.Params.Release, Fixes: op.Params.Fixes, Queue: op.Params.Queue},
		}
		if o.Kind == inventory.OpServiceUpgrade {
			o.Params.Config = op.Params.Config
		}
		if s.Agent != "" {
			o.Target = name(s.Target.Server)
			if p := power(s.Target.Server); p != nil {
				o.Power = &api.OrderPower{Kind: p.Kind, Address: p.Address, User: p.User, MAC: p.MAC, Command: p.Command, TLSPin: p.TLSPin}
			}
		}
		out[acting(s)] = append(out[acting(s)], o)
	}
	return out
}

// ours tells whether the controller carries a kind out itself.
func ours(k inventory.OperationKind) bool {
	switch k {
	case inventory.OpServerAdd, inventory.OpServerRemove, inventory.OpServiceDrain, inventory.OpServiceUndrain, inventory.OpQueueExport:
		return true
	default:
		return false
	}
}

// Undelivered are the servers whose agents have not been handed a step of the
// operation whose turn has come.
func Undelivered(op *inventory.Operation) (servers []inventory.ID) {
	for i := range op.Steps {
		if s := &op.Steps[i]; s.State == inventory.OpQueued && !s.Turn.IsZero() && kindOf(op, s) != inventory.OpQueueExport {
			servers = append(servers, acting(s))
		}
	}
	return servers
}

// Deliver marks the servers' steps whose turn has come as delivered, to be
// called before they are handed to their agents, and makes what they want of
// services the wanted state. From here on a silent step is unknown; before, it
// was certainly not done.
func Deliver(tx inventory.Tx, servers map[inventory.ID]bool, now time.Time) error {
	now = now.UTC()
	list, err := openFor(tx, servers)
	if err != nil {
		return err
	}
	for _, op := range list {
		var due []*inventory.Step
		for i := range op.Steps {
			s := &op.Steps[i]
			if servers[acting(s)] && s.State == inventory.OpQueued && !s.Turn.IsZero() && !now.After(s.Turn.Add(life(op))) && kindOf(op, s) != inventory.OpQueueExport {
				due = append(due, s)
			}
		}
		if len(due) == 0 {
			continue
		}
		services, err := servicesOf(tx, op, due)
		if err != nil {
			return err
		}
		for _, s := range due {
			s.State = inventory.OpDelivered
			if switches(kindOf(op, s)) {
				if target, err := tx.Servers().Get(s.Target.Server); err == nil {
					s.BootID = target.BootID
				} else if !inventory.Is(err, inventory.NotFound) {
					return err
				}
			}
			if err := want(tx, op, s, services[s.Target]); err != nil {
				return err
			}
		}
		if err := save(tx, op, now); err != nil {
			return err
		}
	}
	return nil
}

// servicesOf reads, at once, the services of which steps want something.
func servicesOf(tx inventory.Tx, op *inventory.Operation, steps []*inventory.Step) (map[inventory.Target]*inventory.Service, error) {
	var on []string
	for _, s := range steps {
		if wants(kindOf(op, s)) {
			on = append(on, string(s.Target.Server))
		}
	}
	out := make(map[inventory.Target]*inventory.Service)
	for some := range slices.Chunk(on, 500) {
		list, _, err := tx.Services().List(inventory.Query{Where: map[string][]string{"server": some}})
		if err != nil {
			return nil, err
		}
		for _, v := range list {
			out[inventory.Target{Server: v.Server, Service: v.Name}] = v
		}
	}
	return out, nil
}

// wants tells whether a kind's delivery changes what is wanted of its service.
func wants(k inventory.OperationKind) bool {
	switch k {
	case inventory.OpServiceStart, inventory.OpServiceStop, inventory.OpServiceRestart, inventory.OpConfigApply:
		return true
	default:
		return false
	}
}

func openFor(tx inventory.Tx, servers map[inventory.ID]bool) ([]*inventory.Operation, error) {
	const few = 100 // more are not worth looking for one by one
	q := inventory.Query{Where: map[string][]string{"state": open}}
	if len(servers) <= few {
		for id := range servers {
			q.Where["server"] = append(q.Where["server"], string(id))
		}
	}
	list, _, err := tx.Operations().List(q)
	return list, err
}

// want makes a step's aim what is wanted of its service.
func want(tx inventory.Tx, op *inventory.Operation, s *inventory.Step, v *inventory.Service) error {
	kind := kindOf(op, s)
	if !wants(kind) || v == nil { // removed since: the agent will say so
		return nil
	}
	before, wanted := v.ServiceConfig, v.Want
	switch kind {
	case inventory.OpServiceStop:
		v.Want = inventory.WantStopped
	case inventory.OpServiceStart, inventory.OpServiceRestart:
		v.Want = inventory.WantRunning
	case inventory.OpConfigApply:
		v.ServiceConfig = merged(v.ServiceConfig, op.Params.Config)
	}
	if kind != inventory.OpConfigApply && v.Want == wanted {
		return nil // a command to a whole fleet need not write all its services
	}
	if err := tx.Services().Update(v); err != nil {
		return err
	}
	if kind != inventory.OpConfigApply {
		return nil
	}
	s.Needs = v.Version
	if op.Params.Config == nil {
		return nil
	}
	return auditConfig(tx, op, v, before)
}

// upgradedService makes what a service was upgraded to what is wanted of it: only
// now, so that until then every start is on what was proven.
func upgradedService(tx inventory.Tx, op *inventory.Operation, s *inventory.Step) error {
	v, err := tx.Services().Find("server/name", string(s.Target.Server)+"/"+s.Target.Service)
	if inventory.Is(err, inventory.NotFound) {
		return nil // removed since
	}
	if err != nil {
		return err
	}
	before := v.ServiceConfig
	v.Release = op.Params.Release
	if op.Params.Config != nil {
		v.Command = op.Params.Config.Command
	}
	if err := tx.Services().Update(v); err != nil {
		return err
	}
	return auditConfig(tx, op, v, before)
}

func auditConfig(tx inventory.Tx, op *inventory.Operation, v *inventory.Service, before inventory.ServiceConfig) error {
	entry := inventory.Actor{Name: op.Actor}.Entry("service.update", inventory.Services, string(v.ID))
	entry.Reason = op.Reason
	for text, config := range map[*string]inventory.ServiceConfig{&entry.Before: before, &entry.After: v.ServiceConfig} {
		b, err := json.Marshal(config)
		if err != nil {
			return fmt.Errorf("encode for the audit log: %w", err)
		}
		*text = string(b)
	}
	return tx.Audit().Append(entry)
}

// merged is a service's configuration with what is set in another in its place.
func merged(c inventory.ServiceConfig, with *inventory.ServiceConfig) inventory.ServiceConfig {
	if with == nil {
		return c
	}
	b, err := json.Marshal(with) // leaves out what is not set
	if err == nil {
		// A map is replaced whole, not filled up.
		if with.Env != nil {
			c.Env = nil
		}
		if with.Ports != nil {
			c.Ports = nil
		}
		if with.Limits != (inventory.ProcessLimits{}) {
			c.Limits = inventory.ProcessLimits{}
		}
		if with.Mail != nil {
			c.Mail = nil
		}
		c.Probe = cloneProbe(c.Probe, with.Probe)
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		panic("ops: a service's configuration is not JSON: " + err.Error()) // it came as JSON
	}
	return c
}

// cloneProbe is the probe to read another one's JSON into: none of it stays.
func cloneProbe(old, with *inventory.Probe) *inventory.Probe {
	if with != nil {
		return nil
	}
	return old
}

// Told is what a server's agent tells of its steps, and the index of the
// desired state it told from.
type Told struct {
	Applied uint64
	Steps   []api.StepReport
}

// Apply takes what servers' agents tell of their steps. Steps only move
// forward; telling the same again changes nothing.
func Apply(tx inventory.Tx, reports map[inventory.ID]Told, now time.Time) error {
	now = now.UTC()
	told := make(map[inventory.ID]api.StepReport)
	from := make(map[inventory.ID]inventory.ID)
	servers := make(map[inventory.ID]bool)
	for server, all := range reports {
		for _, r := range all.Steps {
			told[r.ID], from[r.ID], servers[server] = r, server, true
		}
	}
	if len(told) == 0 {
		return nil
	}
	list, err := openFor(tx, servers)
	if err != nil {
		return err
	}
	for _, op := range list {
		changed := false
		for i := range op.Steps {
			s := &op.Steps[i]
			r, ok := told[s.ID]
			if !ok || acting(s) != from[s.ID] {
				continue
			}
			took, err := take(tx, op, s, r, reports[from[s.ID]].Applied, now)
			if err != nil {
				return err
			}
			changed = changed || took
		}
		if changed {
			if err := save(tx, op, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// take takes what an agent that has applied an index tells of a step; it tells
// whether that was new.
func take(tx inventory.Tx, op *inventory.Operation, s *inventory.Step, r api.StepReport, index uint64, now time.Time) (bool, error) {
	if s.State.Final() {
		return false, nil
	}
	state, message, err := judged(tx, op, s, r, index)
	if err != nil {
		return false, err
	}
	lines := mergeLines(s.Log, r.Log)
	spoke := len(lines) != len(s.Log)
	s.Log = lines
	if !forward(s.State, state) {
		if state == s.State && message.String() != s.Message && !message.None() {
			tell(s, message)
			spoke = true
		}
		return spoke, nil
	}
	tell(s, message)
	s.State, s.Started = state, r.Started.UTC()
	if s.State.Final() {
		if s.Ended = r.Ended.UTC(); r.Ended.IsZero() {
			s.Ended = now
		}
	}
	if s.State == inventory.OpSucceeded && kindOf(op, s) == inventory.OpServiceUpgrade {
		return true, upgradedService(tx, op, s)
	}
	return true, nil
}

// judged is what an agent's word means for a step: what the fleet itself must
// prove goes on until it does.
func judged(tx inventory.Tx, op *inventory.Operation, s *inventory.Step, r api.StepReport, index uint64) (inventory.OperationState, inventory.Sentence, error) {
	kind := kindOf(op, s)
	switch {
	case kind == inventory.OpAgentUpgrade && r.State == inventory.OpSucceeded:
		return upgraded(tx, op, s, r)
	case kind == inventory.OpConfigApply && r.State == inventory.OpSucceeded:
		return applied(tx, s, r, index)
	case !switches(kind):
		return r.State, reported(r), nil
	case s.State == inventory.OpUnknown && r.State != inventory.OpFailed:
		return s.State, told(s), nil // what was seen, or not seen, of the server counts
	case r.State == inventory.OpSucceeded:
		return inventory.OpRunning, reported(r), nil // a boot id, a link or its absence proves it
	case r.State == inventory.OpUnknown && s.Agent == "":
		return inventory.OpRunning, reported(r), nil // its own agent went down with it, as it should
	default:
		return r.State, reported(r), nil
	}
}

// upgraded believes an agent that it was upgraded when it is the new one.
func upgraded(tx inventory.Tx, op *inventory.Operation, s *inventory.Step, r api.StepReport) (inventory.OperationState, inventory.Sentence, error) {
	release, err := tx.Releases().Get(op.Params.Release)
	if inventory.Is(err, inventory.NotFound) {
		return r.State, reported(r), nil
	}
	if err != nil {
		return "", none, err
	}
	server, err := tx.Servers().Get(s.Target.Server)
	if err != nil {
		return "", none, err
	}
	if server.AgentVersion != release.Number {
		return inventory.OpFailed, inventory.Say("the agent came back as %s, not %s", server.AgentVersion, release.Number), nil
	}
	return r.State, reported(r), nil
}

// applied believes an agent that settings are in force when it has applied the
// desired state they are in.
func applied(tx inventory.Tx, s *inventory.Step, r api.StepReport, index uint64) (inventory.OperationState, inventory.Sentence, error) {
	server, err := tx.Servers().Get(s.Target.Server)
	if err != nil {
		return "", none, err
	}
	// What is stored of it may be older than what it tells.
	if index = max(index, server.Applied); index < s.Needs {
		return inventory.OpFailed, inventory.Say("the agent says that the settings are in force, and has applied only index %d of %d", index, s.Needs), nil
	}
	return r.State, reported(r), nil
}

// mergeLines adds an agent's lines, all of which it sends each time, to a
// step's log.
func mergeLines(log, told []inventory.StepLine) []inventory.StepLine {
	out := slices.Clip(log)
	for _, l := range told[max(0, len(told)-maxLines):] {
		text := bounded(l.Text, l.Said)
		l = inventory.StepLine{Time: l.Time.UTC().Truncate(time.Microsecond), Text: text.String(), Said: text.Beside()}
		if !slices.ContainsFunc(out, l.Same) {
			out = append(out, l)
		}
	}
	if len(out) == len(log) {
		return log
	}
	slices.SortStableFunc(out, func(a, b inventory.StepLine) int { return a.Time.Compare(b.Time) })
	return out[max(0, len(out)-maxLines):]
}

// forward tells whether an agent's word moves a step on. Nothing leaves a
// final state; what agents cannot say (queued, delivered, cancelled) is ignored.
func forward(from, to inventory.OperationState) bool {
	switch to {
	case inventory.OpSucceeded, inventory.OpFailed, inventory.OpExpired:
		return !from.Final()
	case inventory.OpRunning:
		return from == inventory.OpQueued || from == inventory.OpDelivered || from == inventory.OpUnknown
	case inventory.OpUnknown:
		return !from.Final() && from != inventory.OpUnknown
	default:
		return false
	}
}

// reported is the message of an agent's report.
func reported(r api.StepReport) inventory.Sentence { return bounded(r.Message, r.Said) }

// bounded is what an agent said, as far as it is kept.
func bounded(text string, said *inventory.Sentence) inventory.Sentence {
	if short := clip(text); short != text {
		return inventory.Say("%s", short)
	}
	return inventory.Read(text, said)
}

// clip bounds what an agent can make the controller keep.
func clip(s string) string {
	const most = 1000
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
