package steward

import (
	"context"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
	mailnodeapi "mailfleet/mailnode/api"
)

// queueLimit is how long an act on a large queue may take.
const queueLimit = 6 * time.Minute

// onQueue are the executors of acts on the mailnode's queue. What an agent that was
// killed over one has done is not known: entries change state by themselves, too.
func (s *Steward) onQueue() map[inventory.OperationKind]Executor {
	all := make(map[inventory.OperationKind]Executor)
	for _, kind := range []inventory.OperationKind{
		inventory.OpQueueHold, inventory.OpQueueRelease, inventory.OpQueueRetry, inventory.OpQueueDelete, inventory.OpQueueReroute,
	} {
		act := kind.OnQueue()
		all[kind] = Executor{Limit: queueLimit, Beside: true, Do: func(ctx context.Context, o api.Order, _ func(inventory.Sentence)) (inventory.OperationState, inventory.Sentence) {
			if o.Params.Queue == nil {
				return inventory.OpFailed, inventory.Say("the order does not say which entries of the queue are meant")
			}
			n, err := mailnodeapi.Dial(s.mailnode.socket()).ActOnQueue(ctx, act, *o.Params.Queue)
			if err != nil {
				return inventory.OpFailed, inventory.Say("%s", err)
			}
			return inventory.OpSucceeded, inventory.Say("%d entries of the queue: %s", n, done[act])
		}}
	}
	return all
}

// done says what became of entries by an act.
var done = map[inventory.QueueAct]inventory.Sentence{
	inventory.ActHold: inventory.Say("held"), inventory.ActRelease: inventory.Say("released"), inventory.ActRetry: inventory.Say("tried again"),
	inventory.ActDelete: inventory.Say("deleted"), inventory.ActReroute: inventory.Say("rerouted"),
}
