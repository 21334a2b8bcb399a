package steward

import (
	"cmp"
	"context"
	"maps"
	"time"

	"mailfleet/agent/state"
	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// orderLimit is how long one order may take when its executor does not say.
const orderLimit = 2 * time.Minute

// Executor carries out the orders of one kind. It is called at most once for
// an order, after the order is in the journal.
type Executor struct {
	// Do carries the order out and tells how it went: succeeded, failed, or
	// running when it has been set going and only Settle can tell how it ends (a
	// reboot). The message is one sentence. say adds a line to the step's log.
	Do func(ctx context.Context, o api.Order, say func(line inventory.Sentence)) (inventory.OperationState, inventory.Sentence)
	// Settle finds out how an order went that Do left running, or that an
	// earlier agent was killed over; unknown or running while that cannot be
	// told, then it is asked again. nil: it stays unknown.
	Settle func(step state.Step) (inventory.OperationState, inventory.Sentence)
	// Resume sees to an order that an earlier agent was killed over: it is called
	// once, when this agent begins, and ends the order. nil: Settle is asked.
	Resume func(ctx context.Context, step state.Step, say func(line inventory.Sentence)) (inventory.OperationState, inventory.Sentence)
	Limit  time.Duration // how long Do may take; 0: 2 min
	Beside bool          // it disturbs nothing and waits for nothing
}

// executors are what a Steward can do by itself; Options.Executors come to them.
func (s *Steward) executors() map[inventory.OperationKind]Executor {
	all := map[inventory.OperationKind]Executor{
		inventory.OpServiceStart:   {Do: onService(s.Services.Start, inventory.Say("started")), Settle: s.settleService},
		inventory.OpServiceStop:    {Do: onService(s.Services.Stop, inventory.Say("stopped")), Settle: s.settleService},
		inventory.OpServiceRestart: {Do: onService(s.Services.Restart, inventory.Say("restarted")), Settle: s.settleService},
		inventory.OpServiceReload:  {Do: onService(s.Services.Reload, inventory.Say("told to read its configuration again"))},
		inventory.OpServiceUpgrade: {Do: s.upgradeService, Resume: s.resumeUpgrade, Limit: upgradeLimit},
		inventory.OpConfigApply:    {Do: s.applyConfig},
	}
	maps.Copy(all, s.onQueue())
	maps.Copy(all, s.Executors)
	return all
}

// onService makes an act on one service an executor's Do.
func onService(act func(context.Context, string) error, done inventory.Sentence) func(context.Context, api.Order, func(inventory.Sentence)) (inventory.OperationState, inventory.Sentence) {
	return func(ctx context.Context, o api.Order, _ func(inventory.Sentence)) (inventory.OperationState, inventory.Sentence) {
		if err := act(ctx, o.Service); err != nil {
			return inventory.OpFailed, inventory.Say("%s", err)
		}
		return inventory.OpSucceeded, done
	}
}

// execute carries out the orders not taken before, those that would disturb
// each other in the order given; an order in hand is finished even when the
// agent is told to stop.
func (s *Steward) execute(ctx context.Context, orders []api.Order) {
	for _, o := range orders {
		fresh, err := s.Journal.Begin(o, s.BootID, s.processOf(o.Service))
		if err != nil {
			s.log.Error("order not taken: it cannot be written down first", "order", o.ID, "err", err)
			continue
		}
		if !fresh {
			s.reportSoon() // it asks because it has not heard
			continue
		}
		inHand := time.AfterFunc(unhurried, s.reportSoon) // that it goes on
		received := time.Now()
		x := s.kinds[o.Kind]
		s.inLine(x, o, func() (inventory.OperationState, inventory.Sentence) {
			defer inHand.Stop()
			return s.act(context.WithoutCancel(ctx), x, o, received)
		})
	}
}

// processOf is the process of a service; 0: there is none.
func (s *Steward) processOf(service string) int {
	for _, v := range s.Services.Status() {
		if v.Name == service {
			return v.PID
		}
	}
	return 0
}

// inLine carries an order out when those before it that it would disturb have ended.
func (s *Steward) inLine(x Executor, o api.Order, act func() (inventory.OperationState, inventory.Sentence)) {
	before, done := s.lines.join(reachOf(o, x))
	s.inHand.Add(1)
	s.orders.Go(func() {
		defer done()
		for _, other := range before {
			<-other
		}
		state, message := act()
		s.log.Info("order carried out", "order", o.ID, "kind", o.Kind, "service", o.Service, "state", state, "message", message)
		if err := s.Journal.Finish(o.ID, state, message); err != nil {
			s.log.Error("the end of an order is not on disk", "order", o.ID, "err", err)
		}
		if s.inHand.Add(-1) == 0 {
			s.reportNow()
		} else {
			s.reportSoon()
		}
	})
}

// resume sees to the orders that an earlier agent was killed over.
func (s *Steward) resume(ctx context.Context) {
	for _, step := range s.Journal.Unsettled() {
		x := s.kinds[step.Order.Kind]
		if x.Resume == nil {
			continue
		}
		s.inLine(x, step.Order, func() (inventory.OperationState, inventory.Sentence) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(x.Limit, orderLimit))
			defer cancel()
			return x.Resume(ctx, step, s.sayer(step.Order.ID))
		})
	}
}

// sayer adds lines to a step's log.
func (s *Steward) sayer(id inventory.ID) func(inventory.Sentence) {
	return func(line inventory.Sentence) {
		s.Journal.Say(id, line)
		s.reportSoon()
	}
}

// act does what an order says, unless its time is over. Its remaining time is
// measured by the controller's clock when it was sent and ours since.
func (s *Steward) act(ctx context.Context, x Executor, o api.Order, received time.Time) (inventory.OperationState, inventory.Sentence) {
	if time.Since(received) > o.Expires.Sub(o.Now) {
		return inventory.OpExpired, inventory.Say("it came too late; nothing was done")
	}
	if x.Do == nil {
		return inventory.OpFailed, inventory.Say("this agent does not know %q: it may need an upgrade", o.Kind)
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(x.Limit, orderLimit))
	defer cancel()
	return x.Do(ctx, o, s.sayer(o.ID))
}

// settle finds out how orders went that nobody is at.
func (s *Steward) settle() {
	for _, step := range s.Journal.Unsettled() {
		x := s.kinds[step.Order.Kind]
		if x.Settle == nil {
			continue
		}
		to, message := x.Settle(step)
		if !to.Final() {
			continue
		}
		if err := s.Journal.Finish(step.Order.ID, to, message); err != nil {
			s.log.Error("the end of an order is not on disk", "order", step.Order.ID, "err", err)
		}
	}
}

// settleService finds out how an order on a service went from how the service is.
func (s *Steward) settleService(step state.Step) (inventory.OperationState, inventory.Sentence) {
	d, _ := s.Desired()
	var want inventory.Want
	for _, v := range d.Services {
		if v.Name == step.Order.Service {
			want = v.Want
		}
	}
	for _, v := range s.Services.Status() {
		if v.Name == step.Order.Service {
			return state.Settle(step, want, v.ServiceStatus)
		}
	}
	return inventory.OpUnknown, step.Report.Told()
}
