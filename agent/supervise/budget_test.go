package supervise

import (
	"testing"
	"time"
)

func TestBudget(t *testing.T) {
	p := defaultPolicy
	now := time.Unix(1_700_000_000, 0)
	about := func(got, want time.Duration) bool { return got >= want*9/10 && got <= want*11/10 }

	t.Run("ends at once each time", func(t *testing.T) {
		var b budget
		at := now
		for i := range p.restarts {
			d, ok := b.spend(p, at, 0)
			if !ok || !about(d, 500*time.Millisecond<<i) {
				t.Fatalf("restart %d: %v, %v", i, d, ok)
			}
			at = at.Add(d)
		}
		if _, ok := b.spend(p, at, 0); ok {
			t.Fatal("one restart too many")
		}
	})
	t.Run("runs for a while each time", func(t *testing.T) {
		var b budget
		at := now
		for i := range 20 {
			d, ok := b.spend(p, at, 40*time.Second)
			if !ok || !about(d, min(500*time.Millisecond<<i, 30*time.Second)) {
				t.Fatalf("restart %d: %v, %v", i, d, ok)
			}
			at = at.Add(d + 40*time.Second)
		}
	})
	t.Run("runs stably in between", func(t *testing.T) {
		var b budget
		for i := range p.restarts {
			ran := time.Duration(0)
			if i == 3 {
				ran = p.stable
			}
			d, ok := b.spend(p, now, ran)
			if want := 500 * time.Millisecond << (i % 3); !ok || !about(d, want) {
				t.Fatalf("restart %d: %v, %v, want %v", i, d, ok, want)
			}
		}
		if d, ok := b.spend(p, now.Add(p.window), p.stable); !ok || !about(d, p.firstDelay) {
			t.Fatalf("when the window is over: %v, %v", d, ok)
		}
	})
}
