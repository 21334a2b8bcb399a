package guard

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

func braking(t *testing.T, s BrakeSettings) (*Brake, *time.Time) {
	t.Helper()
	now := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	b := NewBrake(s, newStore(t), quiet)
	b.memo.now = func() time.Time { return now }
	return b, &now
}

func (b *Brake) send(t *testing.T, account string, recipients int, p Plan) Allowance {
	t.Helper()
	a, err := b.Message(t.Context(), account, recipients, p)
	if err != nil {
		t.Fatal(err)
	}
	if a.Refusal != nil && !a.Refusal.Valid() {
		t.Errorf("the refusal %v is none", a.Refusal)
	}
	return a
}

func (b *Brake) accounts() (held []string) {
	for _, h := range b.AllHeld() {
		held = append(held, h.Account)
	}
	return held
}

func TestABurstIsHeld(t *testing.T) {
	b, now := braking(t, BrakeSettings{})
	for range 100 {
		if a := b.send(t, "ann", 1, Plan{}); a.Hold || a.Refusal != nil {
			t.Fatalf("%+v within the floor", a)
		}
	}
	for range 2 {
		if !b.send(t, "ann", 1, Plan{}).Hold {
			t.Error("a burst is not held")
		}
	}
	if held := b.accounts(); !slices.Equal(held, []string{"ann"}) {
		t.Errorf("held are %v", held)
	}
	if b.send(t, "bob", 100, Plan{}).Hold {
		t.Error("another account is held")
	}
	*now = now.Add(48 * time.Hour)
	if !b.send(t, "ann", 1, Plan{}).Hold {
		t.Error("time released what nobody has looked at")
	}
	if held, err := b.Held(t.Context(), "ann"); err != nil || !held {
		t.Errorf("%v, %v", held, err)
	}
	if err := b.Release(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	if b.send(t, "ann", 50, Plan{}).Hold {
		t.Error("held after the release")
	}
	if held := b.AllHeld(); len(held) != 0 {
		t.Errorf("held are %v", held)
	}
}

// What an operator is told of a burst is all of it, however long it went on.
func TestAHoldTellsOfTheWholeBurst(t *testing.T) {
	b, now := braking(t, BrakeSettings{})
	for range 40 {
		b.send(t, "ann", 20, Plan{})
		*now = now.Add(time.Hour)
	}
	began := *now
	for range 206 {
		b.send(t, "ann", 2, Plan{})
		*now = now.Add(3 * time.Second)
	}
	held := b.AllHeld()
	if len(held) != 1 {
		t.Fatalf("held are %v", held)
	}
	h := held[0]
	if h.Sent != 412 || h.Over != 205*3*time.Second || math.Round(h.Usual) != 20 || !h.Since.Equal(began.Add(99*3*time.Second)) {
		t.Errorf("told was %+v", h)
	}
	*now = now.Add(2 * time.Hour)
	b.send(t, "ann", 8, Plan{})
	if h := b.AllHeld()[0]; h.Sent != 420 || h.Over < 2*time.Hour || math.Round(h.Usual) != 20 {
		t.Errorf("hours later %+v", h)
	}
	if err := b.Release(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	if got := b.Released(); !slices.Equal(got, []string{"ann"}) || len(b.AllHeld()) != 0 {
		t.Errorf("released are %v", got)
	}
	*now = now.Add(releasedKept + time.Second)
	if got := b.Released(); len(got) != 0 {
		t.Errorf("released are still %v", got)
	}
}

func TestLimitsOfAnHour(t *testing.T) {
	b, now := braking(t, BrakeSettings{})
	*now = now.Add(20 * time.Minute)
	p := Plan{MessagesAnHour: 3, SentAnHour: 10}
	next := time.Date(2026, 11, 27, 11, 0, 0, 0, time.UTC)
	refused := func(what string, a Allowance, text string) {
		t.Helper()
		if r := a.Refusal; r == nil || r.Code != 450 || r.Enhanced != "4.7.1" || r.Text != text || !a.Until.Equal(next) {
			t.Errorf("%s: %+v", what, a)
		}
	}
	b.send(t, "ann", 8, p)
	refused("a message to too many", b.send(t, "ann", 3, p), "you may write to 10 recipients an hour and have written to 8: send the rest after 2026-11-27 11:00 UTC")
	for range 2 {
		if a := b.send(t, "ann", 1, p); a.Refusal != nil { // what was refused did not count
			t.Errorf("the rest of the hour: %+v", a)
		}
	}
	few := Plan{MessagesAnHour: 3}
	refused("a message too many", b.send(t, "ann", 1, few), "you may send 3 messages an hour and have sent 3: send the rest after 2026-11-27 11:00 UTC")
	a, err := b.Recipient(t.Context(), "ann", 0, few)
	if err != nil {
		t.Fatal(err)
	}
	refused("its first recipient", a, "you may send 3 messages an hour and have sent 3: send the rest after 2026-11-27 11:00 UTC")
	if a := b.send(t, "bob", 1, p); a.Refusal != nil {
		t.Errorf("another account: %+v", a)
	}
	*now = next
	if a := b.send(t, "ann", 10, p); a.Refusal != nil {
		t.Errorf("the next hour: %+v", a)
	}
}

func TestWhoIsUsedToMuchMayMuch(t *testing.T) {
	b, now := braking(t, BrakeSettings{})
	for n := 100; n <= 5000; n = n * 3 / 2 { // a list that grows
		for range 10 {
			if b.send(t, "list", n, Plan{}).Hold {
				t.Fatalf("%d recipients are held", n)
			}
			*now = now.Add(24 * time.Hour)
		}
	}
	if held := b.AllHeld(); len(held) != 0 {
		t.Errorf("held are %v", held)
	}
	*now = now.Add(300 * 24 * time.Hour) // it rests
	if b.send(t, "list", 5000, Plan{}).Hold {
		t.Error("a habit was forgotten")
	}
	*now = now.Add(time.Hour)
	if !b.send(t, "list", 60_000, Plan{}).Hold {
		t.Error("ten times as much is not held")
	}
	off, _ := braking(t, BrakeSettings{Off: true})
	if off.send(t, "x", 1_000_000, Plan{}).Hold {
		t.Error("held though it is off")
	}
}

func TestLimitsOfThePlan(t *testing.T) {
	b, now := braking(t, BrakeSettings{})
	p := Plan{Recipients: 3, SentADay: 5}
	for already, want := range map[int]bool{0: true, 2: true, 3: false} {
		a, err := b.Recipient(t.Context(), "ann", already, p)
		if err != nil || (a.Refusal == nil) != want {
			t.Errorf("after %d: %+v, %v", already, a, err)
		}
	}
	b.send(t, "ann", 3, p)
	if a := b.send(t, "ann", 3, p); a.Refusal == nil || !a.Until.Equal(time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)) || !a.Refusal.Temporary() {
		t.Errorf("over the day's limit: %+v", a)
	}
	if a, err := b.Recipient(t.Context(), "ann", 2, p); err != nil || a.Refusal == nil {
		t.Errorf("%+v, %v", a, err)
	}
	if a := b.send(t, "ann", 2, p); a.Refusal != nil { // what was refused did not count
		t.Errorf("the rest of the day: %+v", a)
	}
	*now = now.Add(14 * time.Hour)
	if a := b.send(t, "ann", 3, p); a.Refusal != nil {
		t.Errorf("the next day: %+v", a)
	}
	if a := b.send(t, "ann", 1000, Plan{}); a.Refusal != nil {
		t.Errorf("without limits: %+v", a)
	}
}

func TestHabitsAreWrittenAndRead(t *testing.T) {
	h := habit{
		hour: 1, day: 2, inHour: 3, inDay: 4, allowed: 5, average: 6.5, held: true, messages: 7, first: 8, since: 9, began: 10, last: 11, burst: 12,
	}
	if got, ok := readHabit(h.encode()); !ok || got != h {
		t.Errorf("%+v", got)
	}
	old := append([]byte{1}, h.encode()[1:38]...)
	h.messages, h.first, h.since, h.began, h.last, h.burst = 0, 0, 0, 0, 0, 0
	if got, ok := readHabit(old); !ok || got != h {
		t.Errorf("of the first form came %+v", got)
	}
	if _, ok := readHabit([]byte{1}); ok {
		t.Error("half a habit was read")
	}
}

func TestHabitsOutliveARestart(t *testing.T) {
	b, now := braking(t, BrakeSettings{})
	b.send(t, "ann", 101, Plan{})
	for i := range 100 {
		b.send(t, fmt.Sprint(i), 1, Plan{})
	}
	if err := b.memo.write(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := NewBrake(BrakeSettings{}, b.memo.st, quiet)
	again.memo.now = func() time.Time { return *now }
	if held, err := again.Held(t.Context(), "ann"); err != nil || !held {
		t.Errorf("%v, %v", held, err)
	}
	running, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- again.Run(running) }()
	for deadline := time.Now().Add(time.Minute); !slices.Equal(again.accounts(), []string{"ann"}); {
		if time.Now().After(deadline) {
			t.Fatalf("held are %v", again.AllHeld())
		}
		<-time.After(time.Millisecond)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func FuzzStored(f *testing.F) {
	f.Add(habit{inHour: 1}.encode())
	f.Add(append([]byte{1}, habit{inHour: 1}.encode()[1:38]...))
	f.Add([]byte(newGreyEntry(time.Unix(1, 0), time.Unix(2, 0), 3)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, ok := readHabit(b); ok && !math.IsNaN(h.average) && string(h.encode()[2:len(b)]) != string(b[2:]) {
			t.Errorf("%x became %x", b, h.encode())
		}
		greyEntry(b).expired(Greylist{Window: time.Hour, Keep: time.Hour}, time.Unix(1_800_000_000, 0))
	})
}
