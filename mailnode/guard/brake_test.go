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
	if held := b.AllHeld(); !slices.Equal(held, []string{"ann"}) {
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
	h := habit{hour: 1, day: 2, inHour: 3, inDay: 4, allowed: 5, average: 6.5, held: true}
	if got, ok := readHabit(h.encode()); !ok || got != h {
		t.Errorf("%+v", got)
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
	for deadline := time.Now().Add(10 * time.Second); !slices.Equal(again.AllHeld(), []string{"ann"}); {
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
	f.Add([]byte(newGreyEntry(time.Unix(1, 0), time.Unix(2, 0), 3)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, ok := readHabit(b); ok && !math.IsNaN(h.average) && string(h.encode()[2:]) != string(b[2:]) {
			t.Errorf("%x became %x", b, h.encode())
		}
		greyEntry(b).expired(Greylist{Window: time.Hour, Keep: time.Hour}, time.Unix(1_800_000_000, 0))
	})
}
