package steward

import (
	"context"
	"fmt"
	"time"

	"mailfleet/agent/state"
	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// orderLimit is how long one order may take.
const orderLimit = 2 * time.Minute

// execute carries out the orders not taken before. Those for one service run
// one after the other, in the order given; an order in hand is finished even
// when the agent is told to stop.
func (s *Steward) execute(ctx context.Context, orders []api.Order) {
	for _, o := range orders {
		fresh, err := s.Journal.Begin(o)
		if err != nil {
			s.log.Error("order not taken: it cannot be written down first", "order", o.ID, "err", err)
			continue
		}
		if !fresh {
			s.reportSoon() // it asks because it has not heard
			continue
		}
		s.reportSoon()
		received := time.Now()
		before, done := s.turn(o.Service)
		s.orders.Go(func() {
			defer close(done)
			if before != nil {
				<-before
			}
			limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), orderLimit)
			defer cancel()
			state, message := s.act(limited, o, received)
			s.log.Info("order carried out", "order", o.ID, "kind", o.Kind, "service", o.Service, "state", state, "message", message)
			if err := s.Journal.Finish(o.ID, state, message); err != nil {
				s.log.Error("the end of an order is not on disk", "order", o.ID, "err", err)
			}
			s.reportSoon()
		})
	}
}

// turn puts an order in the line of its service: it may begin when before is
// closed (nil: at once) and closes done.
func (s *Steward) turn(service string) (before <-chan struct{}, done chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, done = s.line[service], make(chan struct{})
	s.line[service] = done
	return before, done
}

// act does what an order says, unless its time is over. Its remaining time is
// measured by the controller's clock when it was sent and ours since.
func (s *Steward) act(ctx context.Context, o api.Order, received time.Time) (inventory.OperationState, string) {
	if time.Since(received) > o.Expires.Sub(o.Now) {
		return inventory.OpExpired, "it came too late; nothing was done"
	}
	var err error
	done := ""
	switch o.Kind {
	case inventory.OpServiceStart:
		err, done = s.Services.Start(ctx, o.Service), "started"
	case inventory.OpServiceStop:
		err, done = s.Services.Stop(ctx, o.Service), "stopped"
	case inventory.OpServiceRestart:
		err, done = s.Services.Restart(ctx, o.Service), "restarted"
	default:
		err = fmt.Errorf("this agent does not know %q: it may need an upgrade", o.Kind)
	}
	if err != nil {
		return inventory.OpFailed, err.Error()
	}
	return inventory.OpSucceeded, done
}

// settle finds out how orders went that an earlier agent left in the middle.
func (s *Steward) settle() {
	unknown := s.Journal.Unknown()
	if len(unknown) == 0 {
		return
	}
	d, _ := s.Desired()
	want := make(map[string]inventory.Want)
	for _, v := range d.Services {
		want[v.Name] = v.Want
	}
	status := make(map[string]inventory.ServiceStatus)
	for _, v := range s.Services.Status() {
		status[v.Name] = v.ServiceStatus
	}
	for _, step := range unknown {
		now, ok := status[step.Order.Service]
		if !ok {
			continue
		}
		if to, message := state.Settle(step, want[step.Order.Service], now); to != inventory.OpUnknown {
			if err := s.Journal.Finish(step.Order.ID, to, message); err != nil {
				s.log.Error("the end of an order is not on disk", "order", step.Order.ID, "err", err)
			}
		}
	}
}
