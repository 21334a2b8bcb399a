package ops

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

const (
	maxTargets    = 1000
	defaultHealth = 5 * time.Second
	maxHealth     = time.Hour
)

// draft is an operation asked for, as it would be, and what it would do.
type draft struct {
	op     *inventory.Operation
	fleet  *snapshot
	impact api.Impact
}

// draft checks a request against the fleet and makes the operation of it. With
// write it makes the server of server.add too.
func (o *Ops) draft(tx inventory.Tx, actor inventory.Actor, req api.NewOperation, now time.Time, write bool) (*draft, error) {
	op, err := blank(req, now)
	if err != nil {
		return nil, err
	}
	list, err := Open(tx)
	if err != nil {
		return nil, err
	}
	if req.Kind == inventory.OpServerAdd {
		if err := o.addServer(tx, actor, op, req, write); err != nil {
			return nil, err
		}
	} else if err := findTargets(tx, op, req); err != nil {
		return nil, err
	}
	whole := op.Selector != "" || req.Rolling != nil || !write
	if req.Kind.Interrupts() && !whole {
		n, err := tx.Pools().Count(inventory.Query{})
		if err != nil {
			return nil, err
		}
		whole = n > 0
	}
	f, err := o.look(tx, append(slices.Clone(list), op), whole, now)
	if err != nil {
		return nil, err
	}
	f.open = list
	if op.Selector != "" {
		if err := selectTargets(f, op); err != nil {
			return nil, err
		}
	}
	if op.Rolling, err = rolling(f, req); err != nil {
		return nil, err
	}
	if err := checkParams(tx, f, op, req); err != nil {
		return nil, err
	}
	steps(f, op)
	if req.Window == nil && (op.Kind.Interrupts() || op.Kind == inventory.OpServerPowerOn) || req.Window != nil && *req.Window {
		op.Window = inventory.NewID()
	}
	d := &draft{op: op, fleet: f}
	if d.impact, err = o.impact(tx, f, op); err != nil {
		return nil, err
	}
	if d.impact.Approval || req.Approval {
		op.Approval = &inventory.Approval{Expires: now.Add(approvalExpiry)}
	}
	return d, nil
}

// blank is an operation without targets.
func blank(req api.NewOperation, now time.Time) (*inventory.Operation, error) {
	if !slices.Contains(inventory.OperationKinds, req.Kind) {
		return nil, inventory.FieldErrorf("kind", "there is no operation %q", req.Kind)
	}
	expiry := time.Duration(req.Expires)
	switch {
	case expiry == 0 && req.Kind == inventory.OpServerAdd:
		expiry = joinExpiry
	case expiry == 0:
		expiry = defaultExpiry
	case expiry < 0 || expiry > maxExpiry:
		return nil, inventory.FieldErrorf("expires", "an operation can wait for at most %s", maxExpiry)
	}
	for i, name := range req.Override {
		if !slices.Contains([]string{refuseController, refuseLastReplica, refuseUnavailable}, name) {
			return nil, inventory.FieldErrorf(fmt.Sprintf("override[%d]", i), "there is no refusal %q: there are %s, %s and %s", name, refuseController, refuseLastReplica, refuseUnavailable)
		}
	}
	return &inventory.Operation{
		Meta: inventory.Meta{Created: now}, // given again when it is kept
		Kind: req.Kind, State: inventory.OpQueued, Reason: req.Reason, Expires: now.Add(expiry),
		Targets: []inventory.Target{}, Steps: []inventory.Step{}, Override: req.Override,
	}, nil
}

// addServer makes the server of server.add its target.
func (o *Ops) addServer(tx inventory.Tx, actor inventory.Actor, op *inventory.Operation, req api.NewOperation, write bool) error {
	switch {
	case len(req.Targets) > 0 || req.Selector != "":
		return inventory.FieldErrorf("targets", "server.add makes its server: it has no targets")
	case req.Params.Server == nil:
		return inventory.FieldErrorf("params.server", "server.add needs the server to make")
	case o.Fleet == nil:
		return inventory.Errorf(inventory.Unavailable, "this controller cannot add servers")
	case !write:
		return inventory.CheckName("params.server.name", req.Params.Server.Name)
	}
	s, err := o.Fleet.AddIn(tx, actor, *req.Params.Server)
	if err != nil {
		return err
	}
	op.Targets = []inventory.Target{{Server: s.ID}}
	return nil
}

// findTargets finds the targets named, or reads the selector.
func findTargets(tx inventory.Tx, op *inventory.Operation, req api.NewOperation) error {
	switch {
	case len(req.Targets) > 0 && req.Selector != "":
		return inventory.FieldErrorf("selector", "name targets or write a selector, not both")
	case req.Selector != "":
		sel, err := parseSelector(req.Selector)
		if err != nil {
			return inventory.FieldErrorf("selector", "%s", err)
		}
		op.Selector = sel.String()
		for _, name := range sel.names("pool") {
			if err := poolExists(tx, name); err != nil {
				return err
			}
		}
		return nil
	case len(req.Targets) == 0:
		return inventory.FieldErrorf("targets", "an operation needs at least one target")
	}
	seen := make(map[inventory.Target]bool, len(req.Targets))
	for i, t := range req.Targets {
		target, err := resolve(tx, op.Kind, fmt.Sprintf("targets[%d]", i), t)
		if err != nil {
			return err
		}
		if seen[target] {
			return inventory.FieldErrorf(fmt.Sprintf("targets[%d]", i), "%s is named twice", strings.TrimSpace(t.Server+" "+t.Service))
		}
		seen[target] = true
		op.Targets = append(op.Targets, target)
	}
	return nil
}

func poolExists(tx inventory.Tx, name string) error {
	_, err := tx.Pools().Find("name", name)
	if inventory.Is(err, inventory.NotFound) {
		_, err = tx.Pools().Get(inventory.ID(name))
	}
	if inventory.Is(err, inventory.NotFound) {
		return inventory.FieldErrorf("selector", "there is no pool %q", name)
	}
	return err
}

// selectTargets makes what the selector covers the operation's targets.
func selectTargets(f *snapshot, op *inventory.Operation) error {
	sel, err := parseSelector(op.Selector)
	if err != nil {
		return inventory.FieldErrorf("selector", "%s", err)
	}
	op.Targets = sel.find(f, op.Kind)
	switch {
	case len(op.Targets) == 0:
		return inventory.FieldErrorf("selector", "nothing fits the selector %s", op.Selector)
	case len(op.Targets) > maxTargets:
		return inventory.FieldErrorf("selector", "the selector covers %d targets, at most %d are allowed", len(op.Targets), maxTargets)
	}
	return nil
}

// resolve turns names into a target that exists.
func resolve(tx inventory.Tx, kind inventory.OperationKind, field string, t api.NewTarget) (inventory.Target, error) {
	s, err := tx.Servers().Get(inventory.ID(t.Server))
	if inventory.Is(err, inventory.NotFound) {
		s, err = tx.Servers().Find("name", t.Server)
	}
	if inventory.Is(err, inventory.NotFound) || err == nil && s.State == inventory.ServerRemoved {
		return inventory.Target{}, inventory.FieldErrorf(field+".server", "there is no server %q", t.Server)
	}
	if err != nil {
		return inventory.Target{}, err
	}
	if !kind.OnServices() {
		if t.Service != "" {
			return inventory.Target{}, inventory.FieldErrorf(field+".service", "%s acts on servers: name no service", kind)
		}
		return inventory.Target{Server: s.ID}, nil
	}
	if t.Service == "" {
		return inventory.Target{}, inventory.FieldErrorf(field+".service", "name the service")
	}
	if _, err := tx.Services().Find("server/name", string(s.ID)+"/"+t.Service); err != nil {
		if inventory.Is(err, inventory.NotFound) {
			return inventory.Target{}, inventory.FieldErrorf(field+".service", "%s has no service %q", s.Name, t.Service)
		}
		return inventory.Target{}, err
	}
	return inventory.Target{Server: s.ID, Service: t.Service}, nil
}

// rolling fills in how to go over the targets. nil: all at once.
func rolling(f *snapshot, req api.NewOperation) (*inventory.Rolling, error) {
	r := req.Rolling
	if r == nil {
		return nil, nil
	}
	if req.Kind == inventory.OpServerAdd || req.Kind == inventory.OpServerRemove || req.Kind == inventory.OpQueueExport {
		return nil, inventory.FieldErrorf("rolling", "%s does not roll", req.Kind)
	}
	out := &inventory.Rolling{
		Batch: max(1, r.Batch), MaxUnavailable: r.MaxUnavailable, Health: r.Health,
		Drain: req.Kind.Interrupts(), Compensate: true,
	}
	if h := time.Duration(r.Health); h < 0 || h > maxHealth {
		return nil, inventory.FieldErrorf("rolling.health", "a batch can be watched for at most %s", maxHealth)
	}
	if r.Health == 0 {
		out.Health = inventory.Duration(defaultHealth)
	}
	if r.Drain != nil {
		if *r.Drain && !req.Kind.Interrupts() {
			return nil, inventory.FieldErrorf("rolling.drain", "%s does not interrupt a service: there is nothing to drain", req.Kind)
		}
		out.Drain = *r.Drain
	}
	if r.Compensate != nil {
		out.Compensate = *r.Compensate
	}
	if out.MaxUnavailable == 0 {
		out.MaxUnavailable = out.Batch
		if sel, err := parseSelector(req.Selector); err == nil {
			for _, p := range f.pools {
				if names := sel.names("pool"); slices.Contains(names, p.Name) || slices.Contains(names, string(p.ID)) {
					out.MaxUnavailable = max(1, p.MaxUnavailable)
				}
			}
		}
	}
	out.Batch = min(out.Batch, out.MaxUnavailable)
	return out, nil
}

// checkParams checks and sets what some kinds need besides targets.
func checkParams(tx inventory.Tx, f *snapshot, op *inventory.Operation, req api.NewOperation) error {
	if act := op.Kind.OnQueue(); act != "" {
		return checkQueue(op, act, req.Params.Queue)
	}
	switch op.Kind {
	case inventory.OpServiceUpgrade, inventory.OpAgentUpgrade:
		return checkUpgrade(tx, f, op, req)
	case inventory.OpServerTune:
		if len(req.Params.Fixes) == 0 {
			return inventory.FieldErrorf("params.fixes", "name the checks whose fixes are to be applied")
		}
		op.Params.Fixes = req.Params.Fixes
	case inventory.OpConfigApply:
		return checkConfig(f, op, req.Params.Config)
	case inventory.OpServerPowerOn, inventory.OpServerPowerCycle:
		for i, t := range op.Targets {
			p := f.powers[t.Server]
			if p == nil || p.Kind == inventory.PowerNone {
				return inventory.FieldErrorf(fmt.Sprintf("targets[%d].server", i), "%s has no power driver", f.name(t.Server))
			}
			if op.Kind == inventory.OpServerPowerCycle && p.Kind == inventory.PowerWake {
				return inventory.FieldErrorf(fmt.Sprintf("targets[%d].server", i), "the power of %s is switched by Wake-on-LAN, which can only switch it on", f.name(t.Server))
			}
		}
	}
	return nil
}

// checkQueue checks and sets which queued mail is meant.
func checkQueue(op *inventory.Operation, act inventory.QueueAct, o *inventory.QueueOrder) error {
	if o == nil {
		return inventory.FieldErrorf("params.queue", "say which entries of the queue are meant")
	}
	if err := o.Check(act); err != nil {
		if e, ok := errors.AsType[*inventory.Error](err); ok {
			e.Field = "params.queue." + e.Field
		}
		return err
	}
	op.Params.Queue = o
	return nil
}

// checkUpgrade checks and sets what is to be run: a release, or a command.
func checkUpgrade(tx inventory.Tx, f *snapshot, op *inventory.Operation, req api.NewOperation) error {
	id, c := req.Params.Release, req.Params.Config
	if c != nil && op.Kind == inventory.OpServiceUpgrade {
		return checkCommand(f, op, id, c)
	}
	if id == "" {
		return inventory.FieldErrorf("params.release", "%s needs a release", op.Kind)
	}
	r, err := tx.Releases().Get(inventory.ID(id))
	if inventory.Is(err, inventory.NotFound) {
		return inventory.FieldErrorf("params.release", "there is no release %q", id)
	}
	if err != nil {
		return err
	}
	op.Params.Release = r.ID
	if op.Kind == inventory.OpAgentUpgrade && r.Program != inventory.ProgramAgent {
		return inventory.FieldErrorf("params.release", "release %s is of %s, not of %s", r.Number, r.Program, inventory.ProgramAgent)
	}
	for i, t := range op.Targets {
		v := f.service(t)
		if v == nil || op.Kind != inventory.OpServiceUpgrade {
			continue
		}
		if v.Kind == inventory.KindUnit {
			return inventory.FieldErrorf(fmt.Sprintf("targets[%d].service", i), "%s is a systemd unit, which the system that installed it upgrades", f.title(t))
		}
		if r.Program != v.Program() {
			return inventory.FieldErrorf("params.release", "release %s is of %s, not of %s, which %s runs", r.Number, r.Program, v.Program(), f.title(t))
		}
	}
	return nil
}

// checkCommand checks an upgrade to another command that the site has installed itself.
func checkCommand(f *snapshot, op *inventory.Operation, release string, c *inventory.ServiceConfig) error {
	if release != "" {
		return inventory.FieldErrorf("params.config", "name a release or a command, not both")
	}
	only := inventory.ServiceConfig{Command: c.Command}
	if b, err := json.Marshal(c); err != nil || len(c.Command) == 0 {
		return inventory.FieldErrorf("params.config", "service.upgrade takes the command of config and nothing else: use config.apply for other settings")
	} else if a, err := json.Marshal(only); err != nil || string(a) != string(b) {
		return inventory.FieldErrorf("params.config", "service.upgrade takes the command of config and nothing else: use config.apply for other settings")
	}
	if err := only.Check(inventory.KindCommand); err != nil {
		return inventory.FieldErrorf("params.config.command", "%s", err)
	}
	for i, t := range op.Targets {
		if v := f.service(t); v != nil && v.Kind != inventory.KindCommand {
			return inventory.FieldErrorf(fmt.Sprintf("targets[%d].service", i), "%s is not a command: its command cannot be set", f.title(t))
		}
	}
	op.Params.Config = &only
	return nil
}

func checkConfig(f *snapshot, op *inventory.Operation, c *inventory.ServiceConfig) error {
	if c == nil {
		return nil // the settings there are
	}
	if c.Release != "" {
		return inventory.FieldErrorf("params.config.release", "another release is run by service.upgrade")
	}
	if b, err := json.Marshal(c); err != nil || string(b) == "{}" {
		return inventory.FieldErrorf("params.config", "no setting is set")
	}
	for i, t := range op.Targets {
		v := f.service(t)
		if v == nil {
			continue
		}
		field := fmt.Sprintf("targets[%d].service", i)
		switch {
		case len(c.Command) > 0 && v.Kind != inventory.KindCommand:
			return inventory.FieldErrorf(field, "%s is not a command: its command cannot be set", f.title(t))
		case c.Unit != "" && v.Kind != inventory.KindUnit:
			return inventory.FieldErrorf(field, "%s is not a systemd unit", f.title(t))
		case c.Ports != nil && v.Kind != inventory.KindMailnode:
			return inventory.FieldErrorf(field, "%s is not a mailnode: its ports cannot be set", f.title(t))
		case c.Mail != nil && v.Kind != inventory.KindMailnode:
			return inventory.FieldErrorf(field, "%s is not a mailnode: how mail comes and goes cannot be set", f.title(t))
		}
	}
	op.Params.Config = c
	return nil
}

// steps makes an operation's steps: for each target what it takes, in batches.
func steps(f *snapshot, op *inventory.Operation) {
	add := func(batch int, t inventory.Target, kind inventory.OperationKind) {
		op.Steps = append(op.Steps, inventory.Step{ID: inventory.NewID(), Target: t, Kind: kind, Batch: batch, State: inventory.OpQueued})
	}
	for i, t := range op.Targets {
		batch := 0
		var drains []inventory.Target
		if op.Rolling != nil {
			batch = i / op.Rolling.Batch
			if op.Rolling.Drain {
				drains = f.parts(t)
			}
		}
		for _, d := range drains {
			add(batch, d, inventory.OpServiceDrain)
		}
		if op.Kind == inventory.OpServerRemove && f.up(t.Server) && f.linked(t.Server) {
			for _, v := range f.servicesOf(t.Server) {
				if v.Want == inventory.WantRunning {
					add(batch, inventory.Target{Server: t.Server, Service: v.Name}, inventory.OpServiceStop)
				}
			}
		}
		add(batch, t, "")
		for _, d := range drains {
			add(batch, d, inventory.OpServiceUndrain)
		}
	}
}

// parts are the services of a target.
func (f *snapshot) parts(t inventory.Target) (out []inventory.Target) {
	if t.Service != "" {
		return []inventory.Target{t}
	}
	for _, v := range f.servicesOf(t.Server) {
		out = append(out, inventory.Target{Server: t.Server, Service: v.Name})
	}
	return out
}

// check refuses what the impact says must be refused, or confirmed, first.
func (d *draft) check(req api.NewOperation) error {
	if err := d.current(req.Versions); err != nil {
		return err
	}
	for _, r := range d.impact.Refusals {
		if !slices.Contains(req.Override, r.Name) {
			return inventory.FieldErrorf("override", "%s; to do it all the same send override: [%q]", r.Message, r.Name)
		}
	}
	if want := d.impact.Confirm; want != "" && req.Confirm != want {
		what := "the server's name"
		if len(d.op.Targets) > 1 {
			what = "the number of targets"
		}
		return inventory.FieldErrorf("confirm", "%s must be confirmed with %s, %q; nothing was done", d.op.Kind, what, want)
	}
	return nil
}

// StaleError tells that an operation was asked for on another version of a
// target than the current one.
type StaleError struct {
	Target  string
	Current uint64
}

func (e *StaleError) Error() string { return "stale version of " + e.Target }

// current checks the versions of targets that the client has seen.
func (d *draft) current(seen map[string]uint64) error {
	if len(seen) == 0 {
		return nil
	}
	for _, t := range d.op.Targets {
		version := d.impact.Versions[key(t)]
		byName := key(inventory.Target{Server: inventory.ID(d.fleet.name(t.Server)), Service: t.Service})
		for _, k := range []string{key(t), byName} {
			if v, ok := seen[k]; ok && v != 0 && v != version {
				e := inventory.Wrap(inventory.Stale, &StaleError{k, version},
					"%s was changed meanwhile: look at it again (its version is now %d); nothing was done", d.fleet.title(t), version)
				e.Field = "versions"
				return e
			}
		}
	}
	return nil
}

// key is how a target is named among versions.
func key(t inventory.Target) string {
	if t.Service == "" {
		return string(t.Server)
	}
	return string(t.Server) + "/" + t.Service
}

// confirmation is what must be typed for an operation.
func confirmation(f *snapshot, op *inventory.Operation) string {
	switch {
	case !op.Kind.Destructive() && op.Kind != inventory.OpQueueDelete: // deleted mail does not come back either
		return ""
	case len(op.Targets) == 1:
		return f.name(op.Targets[0].Server)
	default:
		return strconv.Itoa(len(op.Targets))
	}
}
