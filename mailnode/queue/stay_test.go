package queue

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/outbound"
)

// Parts of one message whose attempts end at one moment are settled in common changes,
// and none is lost count of.
func TestPartsSettledTogether(t *testing.T) {
	w := newWorld(t)
	const each = 40
	release := make(chan struct{})
	w.answer = func(domain string, m *outbound.Message) []outbound.Outcome {
		<-release
		if slow, now := strings.HasPrefix(domain, "slow"), w.clock(); slow && now.Minute() == 0 {
			return []outbound.Outcome{later}
		}
		if strings.HasPrefix(domain, "bad") {
			return []outbound.Outcome{never}
		}
		return []outbound.Outcome{taken}
	}
	var to []envelope.Recipient
	for i := range each {
		for _, kind := range []string{"good", "slow", "bad"} {
			to = append(to, rcpt(fmt.Sprintf("u@%s%d.test", kind, i)))
		}
	}
	w.put(from("alice@here.test"), to...)
	w.await("all are being tried", func() bool { return len(w.list(Filter{State: StateActive})) == 3*each })
	close(release)
	w.await("some are deferred", func() bool { return w.idle() && len(w.list(Filter{})) == each })
	if list := w.list(Filter{Last: "not now"}); len(list) != each {
		t.Errorf("%d are deferred", len(list))
	}
	w.pass(10 * time.Minute)
	w.empty()
	if len(w.sent) != 2*each || len(w.inbox()) != each {
		t.Errorf("%d were sent and %d reported", len(w.sent), len(w.inbox()))
	}
	if sent := w.Counters.Sent.Load(); sent != 2*each {
		t.Errorf("%d were counted", sent)
	}
}

// ways notes by whose leave each message was sent.
type ways struct {
	*world
	users map[string]string // by address
}

// SendAll implements Sender.
func (w ways) SendAll(_ context.Context, domain string, route *outbound.Route, s outbound.Series) {
	for m := s.Next(); m != nil; m = s.Next() {
		w.mu.Lock()
		w.users[m.To[0].Address] = route.User
		w.mu.Unlock()
		s.Done(m, w.send(domain, route, m))
	}
}

// Users of one smart host share a lane, and none sends in the name of another.
func TestOneWayAtATime(t *testing.T) {
	w := newWorld(t)
	w.o.Routes = func(from, _ string) *outbound.Route {
		return &outbound.Route{Host: "smart.test", Port: 25, User: from}
	}
	sender := ways{w, map[string]string{}}
	w.o.Sender = sender
	w.Configure(Settings{PerDestination: 1})
	for i := range 30 {
		w.put(from(fmt.Sprintf("a@d%d.test", i%3)), rcpt(fmt.Sprintf("x%d@far.test", i)))
	}
	w.empty()
	for i := range 30 {
		if user, want := sender.users[fmt.Sprintf("x%d@far.test", i)], fmt.Sprintf("d%d.test", i%3); user != want {
			t.Errorf("message %d of %s was sent by leave of %q", i, want, user)
		}
	}
}

// Those who wait for the only worker are served in turns, not when a destination has
// nothing more.
func TestDestinationsTakeTurns(t *testing.T) {
	w := newWorld(t)
	w.Configure(Settings{Concurrency: 1})
	release := make(chan struct{})
	w.answer = func(domain string, m *outbound.Message) []outbound.Outcome {
		<-release
		return always(taken)(domain, m)
	}
	const each = 20
	for i := range 2 * each {
		w.put(from("a@here.test"), rcpt(fmt.Sprintf("x@d%d.test", i%2)))
	}
	close(release)
	w.empty()
	run, longest, last := 0, 0, ""
	for _, s := range w.sent {
		domain, _, _ := strings.Cut(s, " ")
		if domain != last {
			run, last = 0, domain
		}
		run++
		longest = max(longest, run)
	}
	if longest > 3 {
		t.Errorf("one destination was served %d times in a row", longest)
	}
}

// A queue that stops ends what is under way, and begins nothing.
func TestStopBetweenMessages(t *testing.T) {
	w := newWorld(t)
	trying, release := make(chan struct{}, 100), make(chan struct{})
	w.answer = func(domain string, m *outbound.Message) []outbound.Outcome {
		trying <- struct{}{}
		<-release
		return always(taken)(domain, m)
	}
	w.Configure(Settings{PerDestination: 1})
	const pile = 20
	for i := range pile {
		w.put(from("a@here.test"), rcpt(fmt.Sprintf("x%d@far.test", i)))
	}
	<-trying
	ended := make(chan struct{})
	go func() { w.end(); close(ended) }()
	w.await("it stops", func() bool { w.Queue.mu.Lock(); defer w.Queue.mu.Unlock(); return !w.running })
	close(release)
	<-ended
	if len(w.sent) != 1 {
		t.Errorf("%d were sent", len(w.sent))
	}
	if list := w.list(Filter{}); len(list) != pile-1 {
		t.Errorf("%d are left", len(list))
	}
}

// A part that is planned twice, as it is when it comes while the queue is being read at the
// start, is sent once. What was read ahead is not used when it is no longer so.
func TestPlannedTwice(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	w.answer = func(domain string, m *outbound.Message) []outbound.Outcome {
		<-release
		if w.clock().Minute() == 0 {
			return []outbound.Outcome{later}
		}
		return []outbound.Outcome{taken}
	}
	const pile = 60
	for i := range pile {
		ticket := w.put(from("a@here.test"), rcpt(fmt.Sprintf("x%d@far.test", i)))
		ticket.Plan()
		if i%3 == 0 {
			ticket.Plan()
		}
	}
	close(release)
	w.await("all are deferred", func() bool { return w.idle() && len(w.list(Filter{Last: "not now"})) == pile })
	if w.attempts != pile {
		t.Errorf("%d attempts were made", w.attempts)
	}
	w.pass(10 * time.Minute)
	w.empty()
	if len(w.sent) != pile {
		t.Errorf("%d were sent", len(w.sent))
	}
}

// What an operator does to parts that were read ahead counts.
func TestOperatorMeetsWhatWasReadAhead(t *testing.T) {
	odd, ctx := Filter{Recipient: "odd"}, t.Context()
	for name, x := range map[string]struct {
		act  func(w *world) (int, error)
		left int
	}{
		"hold":    {func(w *world) (int, error) { return w.Hold(ctx, odd) }, 20},
		"delete":  {func(w *world) (int, error) { return w.Delete(ctx, odd, false) }, 0},
		"reroute": {func(w *world) (int, error) { return w.Reroute(ctx, odd, &outbound.Route{Host: "smart.test"}) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Configure(Settings{PerDestination: 1})
			trying, release := make(chan struct{}, 100), make(chan struct{})
			w.answer = func(domain string, m *outbound.Message) []outbound.Outcome {
				trying <- struct{}{}
				<-release
				if odd := strings.HasPrefix(m.To[0].Address, "odd"); odd != (domain == "far.test by smart.test") {
					t.Errorf("the message for %s went to %s", m.To[0].Address, domain)
				}
				return always(taken)(domain, m)
			}
			w.put(from("a@here.test"), rcpt("first@far.test"))
			<-trying
			for i := range 20 {
				w.put(from("a@here.test"), rcpt(fmt.Sprintf("even%d@far.test", i)))
				w.put(from("a@here.test"), rcpt(fmt.Sprintf("odd%d@far.test", i)))
			}
			release <- struct{}{}
			<-trying // and with it others were read
			if n, err := x.act(w); n != 20 || err != nil {
				t.Errorf("done was %d, %v", n, err)
			}
			close(release)
			w.await("the rest is sent", func() bool { return w.idle() && len(w.list(Filter{})) <= x.left })
		})
	}
}
