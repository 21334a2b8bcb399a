package state

import (
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

func TestSettle(t *testing.T) {
	begun := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	const (
		start, stop, restart = inventory.OpServiceStart, inventory.OpServiceStop, inventory.OpServiceRestart
		running, stopped     = inventory.ServiceRunning, inventory.ServiceStopped
		up, down             = inventory.WantRunning, inventory.WantStopped
		ok, failed, unknown  = inventory.OpSucceeded, inventory.OpFailed, inventory.OpUnknown
	)
	before, after := begun.Add(-time.Hour), begun.Add(time.Second)
	for _, c := range []struct {
		kind  inventory.OperationKind
		want  inventory.Want
		state inventory.ServiceState
		since time.Time
		out   inventory.OperationState
		pid   int // when the order came; now it is 8
	}{
		{start, up, running, before, ok, 0},
		{start, up, running, after, ok, 0},
		{start, up, inventory.ServiceStarting, after, unknown, 0},
		{start, up, inventory.ServiceBackoff, after, unknown, 0},
		{start, up, inventory.ServiceCrashed, after, failed, 0},
		{start, up, stopped, after, unknown, 0},
		{start, down, stopped, after, failed, 0},
		{stop, down, stopped, after, ok, 0},
		{stop, down, inventory.ServiceStopping, after, unknown, 0},
		{stop, down, running, before, unknown, 0},
		{stop, up, running, before, failed, 0},
		{stop, up, running, after, ok, 0},
		{stop, down, inventory.ServiceCrashed, before, unknown, 0},
		{restart, up, running, after, ok, 0},
		{restart, up, running, before, failed, 0},
		{restart, up, inventory.ServiceStarting, after, unknown, 0},
		{restart, up, inventory.ServiceCrashed, after, failed, 0},
		{restart, down, stopped, after, failed, 0},
		{"server.reboot", up, running, after, unknown, 0},
		{restart, up, running, after, failed, 8}, // it was on its way up when the order came
		{restart, up, running, after, ok, 7},
	} {
		step := Step{
			Order: api.Order{Kind: c.kind}, PID: c.pid,
			Report: api.StepReport{Started: begun, Message: "as before"},
		}
		out, message := Settle(step, c.want, inventory.ServiceStatus{State: c.state, Since: c.since, PID: 8, Exit: "exit status 1"})
		if out != c.out || message.None() {
			t.Errorf("%s, wanted %s, %s since %s: %s %q, want %s", c.kind, c.want, c.state, c.since.Format(time.TimeOnly), out, message, c.out)
		}
	}
}
