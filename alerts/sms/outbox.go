package sms

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"mailfleet/inventory"
)

// When a message is tried again, and when no more.
const (
	FirstDelay = 5 * time.Second // after the first failed attempt; it doubles each time
	MaxDelay   = 5 * time.Minute // between two attempts, give or take a fifth
	Life       = 24 * time.Hour  // after which a message is given up: about 290 attempts
	AlertLife  = 6 * time.Hour   // after which the text of an alert is: nobody wants old news by then

	sendTimeout = 30 * time.Second       // of one attempt
	grace       = 5 * time.Second        // for attempts under way when Run is to end
	readPause   = 200 * time.Millisecond // between two reads of the queue
	retryPause  = 5 * time.Second        // after the queue failed
	concurrency = 4                      // attempts at a time
)

// Entry is a queued message and how much haste it has.
type Entry struct {
	*inventory.SMS
	Severity inventory.Severity // of its alert; empty: no alert
}

// Queue keeps the messages.
type Queue interface {
	// Queued returns all messages whose state is queued.
	Queued(ctx context.Context) ([]Entry, error)
	// Update changes one message in a transaction: it is read, given to change
	// and stored durably, unless change returns an error, which Update returns.
	// change may run more than once. inventory.NotFound: there is no such message.
	Update(ctx context.Context, id inventory.ID, change func(*inventory.SMS) error) error
	// Wait blocks until messages have changed after index, or ctx ends, and
	// returns the index of the newest change.
	Wait(ctx context.Context, after uint64) uint64
}

// Outbox sends what is queued, most urgent first. It counts an attempt in the
// queue before it makes it, so that a crash never sends in a loop, and notes the
// outcome after. A message is sent once, unless the gateway takes it and its
// answer is lost, or the program dies between the two: then it is sent again,
// for an alert told twice is better than one never told. A gateway that can tell
// by Message.ID and Attempt does not send it twice then either.
//
// What is said to one phone about one alert is sent in the order it was queued:
// "resolved" never overtakes "firing".
type Outbox struct {
	queue   Queue
	gateway Gateway
	log     *slog.Logger
}

// NewOutbox returns an outbox over queue and gateway.
func NewOutbox(queue Queue, gateway Gateway, log *slog.Logger) *Outbox {
	return &Outbox{queue: queue, gateway: gateway, log: log.With("component", "sms", "gateway", gateway.Name())}
}

// round is what Run knows between two looks at the queue.
type round struct {
	ready []Entry                   // due, most urgent first
	busy  map[inventory.ID]struct{} // being sent
	dirty bool                      // the queue may have changed
	read  time.Time                 // when the queue may be read again
	wake  time.Time                 // when the next message is due; zero: none waits
}

// outcome is the end of one attempt.
type outcome struct {
	id  inventory.ID
	err error // the queue's, when there was no attempt because of it
}

// Run sends until ctx ends, and then returns nil once the attempts under way
// have ended or had five seconds to.
func (o *Outbox) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	changed := make(chan struct{}, 1)
	wg.Go(func() { o.watch(ctx, changed) })

	done := make(chan outcome, concurrency)
	r := round{busy: make(map[inventory.ID]struct{}), dirty: true}
	for ctx.Err() == nil {
		if r.dirty && !time.Now().Before(r.read) {
			o.look(ctx, &r)
		}
		for len(r.ready) > 0 && len(r.busy) < concurrency {
			id := r.ready[0].ID
			r.ready = r.ready[1:]
			r.busy[id] = struct{}{}
			wg.Go(func() { done <- outcome{id, o.attempt(ctx, id)} })
		}
		select {
		case <-ctx.Done():
		case <-changed:
			r.dirty = true
		case <-r.alarm():
			r.dirty = true
		case end := <-done:
			delete(r.busy, end.id)
			r.dirty = true // plans leave out what is busy
			if end.err != nil && ctx.Err() == nil {
				o.log.Error("cannot take a text message from the queue", "sms", end.id, "err", end.err)
				r.ready, r.read = nil, time.Now().Add(retryPause)
			}
		}
	}
	return nil
}

// watch tells Run of changes.
func (o *Outbox) watch(ctx context.Context, changed chan<- struct{}) {
	for index := uint64(0); ctx.Err() == nil; {
		index = o.queue.Wait(ctx, index)
		select {
		case changed <- struct{}{}:
		default:
		}
	}
}

// look reads the queue and plans what to do next.
func (o *Outbox) look(ctx context.Context, r *round) {
	now := time.Now()
	entries, err := o.queue.Queued(ctx)
	if err != nil {
		if ctx.Err() == nil {
			o.log.Error("cannot read the queue of text messages", "err", err)
		}
		r.read = now.Add(retryPause)
		return
	}
	r.dirty, r.read = false, now.Add(readPause)
	r.ready, r.wake = plan(entries, r.busy, now)
}

// alarm rings when the queue should be looked at even if nothing changes.
func (r *round) alarm() <-chan time.Time {
	at := r.wake
	if r.dirty {
		at = r.read
	}
	if at.IsZero() {
		return nil
	}
	return time.After(time.Until(at))
}

// plan returns the messages to send now, most urgent and then oldest first, and
// when the next of the others is due.
func plan(entries []Entry, busy map[inventory.ID]struct{}, now time.Time) (ready []Entry, wake time.Time) {
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.ID, b.ID) })
	type topic struct {
		alert inventory.ID
		to    string
	}
	open := make(map[topic]struct{})
	for _, e := range entries {
		t := topic{e.Alert, e.To}
		if _, behind := open[t]; behind && e.Alert != "" {
			continue // an older text about the same alert is still to be sent
		}
		open[t] = struct{}{}
		if _, sending := busy[e.ID]; sending {
			continue
		}
		if due(e.SMS, now) {
			ready = append(ready, e)
		} else if wake.IsZero() || e.Next.Before(wake) {
			wake = e.Next
		}
	}
	slices.SortStableFunc(ready, func(a, b Entry) int { return cmp.Compare(haste(a.Severity), haste(b.Severity)) })
	return ready, wake
}

func haste(s inventory.Severity) int {
	switch s {
	case inventory.Critical:
		return 0
	case inventory.Info:
		return 2
	default:
		return 1
	}
}

// due reports whether s may be tried. A time further off than any delay comes
// from a clock that has been set back since, and does not count.
func due(s *inventory.SMS, now time.Time) bool {
	return !s.Next.After(now) || s.Next.After(now.Add(2*MaxDelay+sendTimeout))
}

// errSettled stops a change to a message that needs none any more.
var errSettled = errors.New("sms: nothing to do")

// attempt tries to send one message and notes what came of it. An error means
// that the queue did not give the message.
func (o *Outbox) attempt(ctx context.Context, id inventory.ID) error {
	m, err := o.claim(ctx, id)
	if errors.Is(err, errSettled) || inventory.Is(err, inventory.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	sendCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })()

	receipt, err := o.gateway.Send(sendCtx, m)
	log := o.log.With("sms", id, "attempt", m.Attempt)
	switch {
	case err == nil:
		log.Info("text message sent", "parts", m.Parts, "answer", receipt.Answer)
	case IsPermanent(err):
		log.Error("the gateway refuses a text message", "err", err)
	default:
		log.Warn("a text message could not be sent yet", "err", err)
	}
	o.settle(ctx, id, err)
	return nil
}

// claim counts an attempt and returns the message to send; errSettled when it
// is not to be sent, because somebody else was faster or it is too old.
func (o *Outbox) claim(ctx context.Context, id inventory.ID) (Message, error) {
	var m Message
	var tooOld bool
	err := o.queue.Update(ctx, id, func(s *inventory.SMS) error {
		now := time.Now().UTC()
		if s.State != inventory.SMSQueued || !due(s, now) {
			return errSettled
		}
		if reason := stale(s, now); !reason.None() {
			tooOld = true
			s.State = inventory.SMSFailed
			tell(s, reason)
			return nil
		}
		s.Attempts++
		s.Gateway = o.gateway.Name()
		s.Next = now.Add(sendTimeout + delay(s.Attempts)) // if no outcome is ever noted
		m = Message{ID: s.ID, To: s.To, Text: s.Text, Encoding: Encoding(s.Encoding), Parts: s.Parts, Attempt: s.Attempts}
		return nil
	})
	if err == nil && tooOld {
		o.log.Error("a text message is given up", "sms", id)
		return m, errSettled
	}
	return m, err
}

// stale says why s is not worth another attempt; nothing: it is.
func stale(s *inventory.SMS, now time.Time) inventory.Sentence {
	life := Life
	if s.Alert != "" {
		life = AlertLife
	}
	if now.Sub(s.Created) < life {
		return inventory.Sentence{}
	}
	if s.Attempts == 0 {
		return inventory.Say("given up: it waited %d hours and was not tried", int(life.Hours()))
	}
	last := inventory.Read(s.Error, s.Said)
	if last.None() {
		last = inventory.Say("no answer")
	}
	return inventory.Say("given up after %d hours and %d attempts; the last: %s", int(life.Hours()), s.Attempts, last)
}

// tell makes a sentence the message's error.
func tell(s *inventory.SMS, why inventory.Sentence) { s.Error, s.Said = why.String(), why.Beside() }

// delay is the pause after so many attempts.
func delay(attempts int) time.Duration {
	d := MaxDelay
	if attempts < 8 {
		d = min(FirstDelay<<(attempts-1), MaxDelay)
	}
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}

// settle notes the outcome of an attempt, and does not give up before ctx ends:
// what the gateway has taken must not be sent again because the queue was away.
func (o *Outbox) settle(ctx context.Context, id inventory.ID, sendErr error) {
	change := func(s *inventory.SMS) error {
		now := time.Now().UTC()
		switch {
		case s.State != inventory.SMSQueued:
			return errSettled // a delivery report was faster
		case sendErr == nil:
			s.State, s.Sent = inventory.SMSSent, now
			tell(s, inventory.Sentence{})
		case IsPermanent(sendErr):
			s.State = inventory.SMSFailed
			tell(s, inventory.Say("%s", sendErr))
		default:
			s.Next = now.Add(delay(s.Attempts))
			tell(s, inventory.Say("%s", sendErr))
		}
		return nil
	}
	for {
		updateCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		err := o.queue.Update(updateCtx, id, change)
		cancel()
		if err == nil || errors.Is(err, errSettled) || inventory.Is(err, inventory.NotFound) {
			return
		}
		o.log.Error("cannot store what came of a text message", "sms", id, "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryPause):
		}
	}
}
