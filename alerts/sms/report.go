package sms

import (
	"time"

	"mailfleet/inventory"
)

// Report is a gateway's later word on a message it took.
type Report struct {
	ID     inventory.ID
	State  inventory.SMSState // sent, delivered or failed
	Reason inventory.Sentence // why it failed
}

// Apply notes the report on its message and returns whether it says anything
// new. Reports come in any order, twice, and before the gateway's answer to the
// sending has been noted: a message that is delivered or has failed stays so,
// but that a failure of a part outweighs the delivery of another.
func (r Report) Apply(s *inventory.SMS, now time.Time) bool {
	rank := map[inventory.SMSState]int{inventory.SMSQueued: 0, inventory.SMSSent: 1, inventory.SMSDelivered: 2, inventory.SMSFailed: 3}
	if rank[r.State] <= rank[s.State] {
		return false
	}
	s.State = r.State
	tell(s, r.Reason)
	if s.Sent.IsZero() && r.State != inventory.SMSFailed {
		s.Sent = now
	}
	return true
}
