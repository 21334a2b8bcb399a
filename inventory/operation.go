package inventory

import (
	"strings"
	"time"
)

// OperationState is where an operation, or one of its steps, stands.
type OperationState string

// The states of an operation and of its steps.
const (
	OpQueued    OperationState = "queued"    // written down, nobody has it
	OpDelivered OperationState = "delivered" // handed to the agent, which has not told of it yet
	OpRunning   OperationState = "running"   // the agent is at it
	OpSucceeded OperationState = "succeeded"
	OpFailed    OperationState = "failed"
	OpExpired   OperationState = "expired"   // not delivered in time; it will not be done
	OpUnknown   OperationState = "unknown"   // delivered, outcome not known (yet)
	OpCancelled OperationState = "cancelled" // by a person, before it was delivered
)

// Said is the state in a sentence.
func (s OperationState) Said() Sentence { return Word(string(s)) }

// Final reports whether nothing can change the state any more. Unknown is not
// final: the agent's journal may still tell.
func (s OperationState) Final() bool {
	switch s {
	case OpSucceeded, OpFailed, OpExpired, OpCancelled:
		return true
	default:
		return false
	}
}

// OperationKind names an act.
type OperationKind string

// The kinds of operation.
const (
	OpServerAdd        OperationKind = "server.add"        // make it and wait for its agent
	OpServerRemove     OperationKind = "server.remove"     // stop its services, revoke, take it from the fleet
	OpServerReboot     OperationKind = "server.reboot"     // ends with another boot id
	OpServerShutdown   OperationKind = "server.shutdown"   // ends when the agent is gone
	OpServerPowerOn    OperationKind = "server.poweron"    // ends when the agent is back
	OpServerPowerCycle OperationKind = "server.powercycle" // off and on by the power driver; ends with another boot id
	OpServerPreflight  OperationKind = "server.preflight"  // look at the server now
	OpServerTune       OperationKind = "server.tune"       // apply the fixes named in Params
	OpServiceStart     OperationKind = "service.start"
	OpServiceStop      OperationKind = "service.stop"
	OpServiceRestart   OperationKind = "service.restart"
	OpServiceReload    OperationKind = "service.reload" // have it read its configuration again
	OpServiceDrain     OperationKind = "service.drain"  // give it no new work
	OpServiceUndrain   OperationKind = "service.undrain"
	OpServiceUpgrade   OperationKind = "service.upgrade" // run another release, or command, and go back when that does not do well
	OpAgentUpgrade     OperationKind = "agent.upgrade"   // run another release of the agent, and go back when that does not come up
	OpConfigApply      OperationKind = "config.apply"    // change services' settings and put them in force
	OpQueueHold        OperationKind = "queue.hold"      // keep queued mail from being tried
	OpQueueRelease     OperationKind = "queue.release"   // take a hold back
	OpQueueRetry       OperationKind = "queue.retry"     // try queued mail now
	OpQueueDelete      OperationKind = "queue.delete"    // take mail out of the queue
	OpQueueReroute     OperationKind = "queue.reroute"   // send queued mail to another host
	OpQueueExport      OperationKind = "queue.export"    // hand queued mail out; begins when it is fetched
)

// OperationKinds lists every kind.
var OperationKinds = []OperationKind{
	OpServerAdd, OpServerRemove, OpServerReboot, OpServerShutdown, OpServerPowerOn, OpServerPowerCycle, OpServerPreflight, OpServerTune,
	OpServiceStart, OpServiceStop, OpServiceRestart, OpServiceReload, OpServiceDrain, OpServiceUndrain, OpServiceUpgrade,
	OpAgentUpgrade, OpConfigApply, OpQueueHold, OpQueueRelease, OpQueueRetry, OpQueueDelete, OpQueueReroute, OpQueueExport,
}

// Said is the kind in a sentence.
func (k OperationKind) Said() Sentence { return Word(string(k)) }

// OnQueue is what the kind does with queued mail; empty: nothing.
func (k OperationKind) OnQueue() QueueAct {
	act, _ := strings.CutPrefix(string(k), "queue.")
	if act == string(k) {
		return ""
	}
	return QueueAct(act)
}

// OnServices reports whether the kind's targets are services; otherwise they are servers.
func (k OperationKind) OnServices() bool {
	switch k {
	case OpServiceStart, OpServiceStop, OpServiceRestart, OpServiceReload, OpServiceDrain, OpServiceUndrain, OpServiceUpgrade, OpConfigApply:
		return true
	default:
		return false
	}
}

// Destructive reports whether the kind takes something from its users while
// it lasts, so that it shows its impact first and wants its target's name typed.
func (k OperationKind) Destructive() bool {
	switch k {
	case OpServerRemove, OpServerReboot, OpServerShutdown, OpServerPowerCycle:
		return true
	default:
		return false
	}
}

// Interrupts reports whether the kind takes a running service away for a while
// or for good.
func (k OperationKind) Interrupts() bool {
	switch k {
	case OpServiceStop, OpServiceRestart, OpServiceUpgrade, OpConfigApply:
		return true
	default:
		return k.Destructive()
	}
}

// Target names what an operation acts on.
type Target struct {
	Server  ID     `json:"server"`
	Service string `json:"service,omitempty"`
}

// Operation is a recorded act on servers or services: one step for each target.
type Operation struct {
	Meta
	Kind    OperationKind  `json:"kind"`
	State   OperationState `json:"state"`
	Actor   string         `json:"actor"`
	Reason  string         `json:"reason"`
	Targets []Target       `json:"targets"`
	Steps   []Step         `json:"steps"`

	Selector string   `json:"selector,omitempty"` // that found the targets
	Override []string `json:"override,omitempty"` // refusals passed over

	Expires time.Time `json:"expires"` // not delivered by then: expired
	Ended   time.Time `json:"ended"`   // zero while it goes on

	Params   Params    `json:"params,omitzero"`
	Rolling  *Rolling  `json:"rolling,omitempty"`  // nil: all steps at once
	Approval *Approval `json:"approval,omitempty"` // nil: none needed
	Window   ID        `json:"window,omitempty"`   // of maintenance, open from its first step to its end
	Stopped  string    `json:"stopped,omitempty"`  // why no further step began
	Said     *Sentence `json:"said,omitempty" doc:"Stopped, for another language"`

	IdempotencyKey string `json:"-"` // unique per actor
	RequestHash    string `json:"-"` // of what was asked with that key
}

// Params are what an operation of some kinds needs besides its targets.
type Params struct {
	Release ID             `json:"release,omitempty"` // service.upgrade, agent.upgrade
	Fixes   []string       `json:"fixes,omitempty"`   // server.tune: names of checks
	Queue   *QueueOrder    `json:"queue,omitempty"`   // queue.*: which entries, and how
	Config  *ServiceConfig `json:"config,omitempty"`  // config.apply: what is set replaces; service.upgrade: the command, instead of a release
}

// Rolling says how an operation goes over its targets.
type Rolling struct {
	Batch          int      `json:"batch"`           // targets at once; at least 1
	MaxUnavailable int      `json:"max_unavailable"` // of all that the selector covers, down or in hand for whatever reason; at least 1
	Health         Duration `json:"health"`          // how long a batch must be well before the next begins
	Drain          bool     `json:"drain"`           // drain each target first and undrain it after
	Compensate     bool     `json:"compensate"`      // on failure undo what was opened (undrain, start again)
}

// Approval is the consent of a second person.
type Approval struct {
	By      string    `json:"by,omitempty"` // empty: still waited for
	At      time.Time `json:"at"`
	Expires time.Time `json:"expires"` // not given by then: the operation expires
}

// StepLine is a line of a step's log.
type StepLine struct {
	Time time.Time `json:"time"`
	Text string    `json:"text"`
	Said *Sentence `json:"said,omitempty" doc:"Text, for another language"`
}

// Same reports whether two lines are one.
func (l StepLine) Same(o StepLine) bool { return l.Time.Equal(o.Time) && l.Text == o.Text }

// Step is an operation on one target. Its ID is what the agent journals.
type Step struct {
	ID      ID             `json:"id"`
	Target  Target         `json:"target"`
	Kind    OperationKind  `json:"kind,omitempty"`    // when it is another than the operation's: drain before, undrain after
	Agent   ID             `json:"agent,omitempty"`   // server whose agent acts; empty: the target's own
	Batch   int            `json:"batch"`             // steps of a batch begin when all before are done and well
	Undo    bool           `json:"undo,omitempty"`    // compensates for a failure
	BootID  string         `json:"boot_id,omitempty"` // of the target when the step began
	Log     []StepLine     `json:"log,omitempty"`     // newest last, bounded
	State   OperationState `json:"state"`
	Message string         `json:"message,omitempty"` // why it failed, what was done, or what it waits for
	Said    *Sentence      `json:"said,omitempty" doc:"Message, for another language"`
	Turn    time.Time      `json:"turn,omitzero"`   // when it could begin; zero: it waits for its turn
	Index   uint64         `json:"index,omitempty"` // of the desired state that does it, once its agent has applied that
	Needs   uint64         `json:"needs,omitempty"` // index its agent must have applied to be believed that it is done
	Was     string         `json:"was,omitempty"`   // how the target was: drained, running or stopped; empty: not known
	Started time.Time      `json:"started"`
	Ended   time.Time      `json:"ended"`
}

// Outcome is the state of an operation that has these steps: the first step
// still open tells it; when all have ended the worst end does.
func Outcome(steps []Step) OperationState {
	rank := map[OperationState]int{
		OpSucceeded: 0, OpCancelled: 1, OpExpired: 2, OpFailed: 3, OpUnknown: 4, OpQueued: 5, OpDelivered: 6, OpRunning: 7,
	}
	worst := OpSucceeded
	for _, s := range steps {
		if rank[s.State] > rank[worst] {
			worst = s.State
		}
	}
	return worst
}
