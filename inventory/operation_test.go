package inventory

import "testing"

func TestOutcome(t *testing.T) {
	for _, c := range []struct {
		steps []OperationState
		want  OperationState
	}{
		{nil, OpSucceeded},
		{[]OperationState{OpSucceeded}, OpSucceeded},
		{[]OperationState{OpSucceeded, OpCancelled}, OpCancelled},
		{[]OperationState{OpCancelled, OpExpired}, OpExpired},
		{[]OperationState{OpFailed, OpExpired, OpSucceeded}, OpFailed},
		{[]OperationState{OpFailed, OpUnknown}, OpUnknown},
		{[]OperationState{OpQueued, OpUnknown, OpFailed}, OpQueued},
		{[]OperationState{OpQueued, OpDelivered}, OpDelivered},
		{[]OperationState{OpRunning, OpDelivered, OpSucceeded}, OpRunning},
	} {
		var steps []Step
		for _, state := range c.steps {
			steps = append(steps, Step{State: state})
		}
		if got := Outcome(steps); got != c.want {
			t.Errorf("%v make %s, want %s", c.steps, got, c.want)
		}
	}
}

// An operation whose steps have all ended has ended, and no other has.
func TestOutcomeIsFinalWhenAllStepsAre(t *testing.T) {
	states := []OperationState{OpQueued, OpDelivered, OpRunning, OpSucceeded, OpFailed, OpExpired, OpUnknown, OpCancelled}
	for _, a := range states {
		for _, b := range states {
			if got, want := Outcome([]Step{{State: a}, {State: b}}).Final(), a.Final() && b.Final(); got != want {
				t.Errorf("%s and %s: final %v", a, b, got)
			}
		}
	}
}
