package state

import (
	"mailfleet/inventory"
)

// Settle finds out how an order went that the agent did not see the end of,
// from how its service is now and what is wanted of it. It returns unknown
// while that does not tell; when the service has changed it may be asked again.
func Settle(step Step, want inventory.Want, s inventory.ServiceStatus) (state inventory.OperationState, message inventory.Sentence) {
	if s.State == inventory.ServiceCrashed && step.Order.Kind != inventory.OpServiceStop {
		return inventory.OpFailed, inventory.Say("after the agent was back the service had crashed: %s", s.Exit)
	}
	running := s.State == inventory.ServiceRunning
	// The supervisor is still on its way to what is wanted.
	if running != (want == inventory.WantRunning) || !running && s.State != inventory.ServiceStopped {
		return inventory.OpUnknown, step.Report.Told()
	}
	// A service that was on its way up when the order came may be running only
	// since then, without having been restarted: its process tells.
	since := running && !s.Since.Before(step.Report.Started) && (step.PID == 0 || s.PID != step.PID)
	switch step.Order.Kind {
	case inventory.OpServiceStart:
		if running {
			return inventory.OpSucceeded, inventory.Say("the service was found running after the agent was back")
		}
		return inventory.OpFailed, inventory.Say("the service was found stopped after the agent was back")
	case inventory.OpServiceStop:
		if !running || since {
			return inventory.OpSucceeded, inventory.Say("found done after the agent was back")
		}
		return inventory.OpFailed, inventory.Say("the service was found still running after the agent was back")
	case inventory.OpServiceRestart:
		if since {
			return inventory.OpSucceeded, inventory.Say("the service was found restarted after the agent was back")
		}
		return inventory.OpFailed, inventory.Say("the service was found not restarted after the agent was back")
	default:
		return inventory.OpUnknown, step.Report.Told()
	}
}
