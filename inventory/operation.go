package inventory

import "time"

// OperationState is where an operation, or one of its steps, stands.
type OperationState string

// The states of an operation and of its steps.
const (
	OpQueued    OperationState = "queued"    // written down, no agent has it
	OpDelivered OperationState = "delivered" // handed to the agent, which has not told of it yet
	OpRunning   OperationState = "running"   // the agent is at it
	OpSucceeded OperationState = "succeeded"
	OpFailed    OperationState = "failed"
	OpExpired   OperationState = "expired"   // not delivered in time; it will not be done
	OpUnknown   OperationState = "unknown"   // delivered, outcome not known (yet)
	OpCancelled OperationState = "cancelled" // by a person, before it was delivered
)

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
	OpServiceStart   OperationKind = "service.start"
	OpServiceStop    OperationKind = "service.stop"
	OpServiceRestart OperationKind = "service.restart"
)

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
	Expires time.Time      `json:"expires"` // not delivered by then: expired
	Ended   time.Time      `json:"ended"`   // zero while it goes on

	IdempotencyKey string `json:"-"` // unique per actor
	RequestHash    string `json:"-"` // of what was asked with that key
}

// Step is an operation on one target. Its ID is what the agent journals.
type Step struct {
	ID      ID             `json:"id"`
	Target  Target         `json:"target"`
	State   OperationState `json:"state"`
	Message string         `json:"message,omitempty"` // why it failed, or what was done
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
