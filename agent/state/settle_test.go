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
	}{
		{start, up, running, before, ok},
		{start, up, running, after, ok},
		{start, up, inventory.ServiceStarting, after, unknown},
		{start, up, inventory.ServiceBackoff, after, unknown},
		{start, up, inventory.ServiceCrashed, after, failed},
		{start, up, stopped, after, unknown},
		{start, down, stopped, after, failed},
		{stop, down, stopped, after, ok},
		{stop, down, inventory.ServiceStopping, after, unknown},
		{stop, down, running, before, unknown},
		{stop, up, running, before, failed},
		{stop, up, running, after, ok},
		{stop, down, inventory.ServiceCrashed, before, unknown},
		{restart, up, running, after, ok},
		{restart, up, running, before, failed},
		{restart, up, inventory.ServiceStarting, after, unknown},
		{restart, up, inventory.ServiceCrashed, after, failed},
		{restart, down, stopped, after, failed},
		{"server.reboot", up, running, after, unknown},
	} {
		step := Step{
			Order:  api.Order{Kind: c.kind},
			Report: api.StepReport{Started: begun, Message: "as before"},
		}
		out, message := Settle(step, c.want, inventory.ServiceStatus{State: c.state, Since: c.since, Exit: "exit status 1"})
		if out != c.out || message == "" {
			t.Errorf("%s, wanted %s, %s since %s: %s %q, want %s", c.kind, c.want, c.state, c.since.Format(time.TimeOnly), out, message, c.out)
		}
	}
}
