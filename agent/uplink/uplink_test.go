package uplink

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// outage is a controller that goes away from all its agents at once, and the
// times at which it takes their links again.
type outage struct {
	mu     sync.Mutex
	away   bool
	broken chan struct{} // closed when it goes away
	links  []time.Time
}

func (o *outage) hold(ctx context.Context) error {
	o.mu.Lock()
	away, broken := o.away, o.broken
	if !away {
		o.links = append(o.links, time.Now())
	}
	o.mu.Unlock()
	if away {
		return errors.New("connection refused")
	}
	select {
	case <-broken:
		return errors.New("the link broke")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// goes takes the controller away from everybody.
func (o *outage) goes() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.away, o.links = true, nil
	close(o.broken)
}

// comes brings it back.
func (o *outage) comes() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.away, o.broken = false, make(chan struct{})
}

// most is the largest number of links taken in any span of time.
func (o *outage) most(span time.Duration) (most int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	first := 0
	for last := range o.links { // they are in order
		for o.links[last].Sub(o.links[first]) >= span {
			first++
		}
		most = max(most, last-first+1)
	}
	return most
}

func (o *outage) back() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.links)
}

// TestAFleetDoesNotComeBackAllAtOnce lets the real loop of every agent of a
// fleet run through an outage.
func TestAFleetDoesNotComeBackAllAtOnce(t *testing.T) {
	for _, c := range []struct {
		name   string
		agents int
		spread time.Duration // as the controller tells a fleet of this size
		away   time.Duration
		rate   int           // most links taken in a second
		within time.Duration // all are back
	}{
		{"200 agents, links cut", 200, time.Second, 0, 200, 2 * time.Second},
		{"200 agents, a minute away", 200, time.Second, time.Minute, 60, 16 * time.Second},
		{"5,000 agents, links cut", 5000, 16 * time.Second, 0, 420, 17 * time.Second},
		{"5,000 agents, controller restarted", 5000, 16 * time.Second, 2 * time.Second, 420, 50 * time.Second},
		{"5,000 agents, ten minutes away", 5000, 16 * time.Second, 10 * time.Minute, 420, 35 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				o := &outage{broken: make(chan struct{})}
				var agents sync.WaitGroup
				for range c.agents {
					u := &Uplink{log: slog.New(slog.DiscardHandler), hold: o.hold}
					u.ComeBackWithin(c.spread)
					agents.Go(func() { u.keep(ctx) })
				}
				time.Sleep(time.Hour + rand.N(time.Second)) // of the bubble's clock
				if n := o.back(); n != c.agents {
					t.Fatalf("%d of %d were linked to begin with", n, c.agents)
				}
				o.goes()
				time.Sleep(c.away)
				o.comes()
				back := time.Now()
				for o.back() < c.agents && time.Since(back) < time.Hour {
					time.Sleep(10 * time.Millisecond)
				}
				if took := time.Since(back); took > c.within {
					t.Errorf("all are back after %s, not %s", took, c.within)
				}
				if most := o.most(time.Second); most > c.rate {
					t.Errorf("%d links in a second, want at most %d", most, c.rate)
				}
				if most, fair := o.most(100*time.Millisecond), c.rate/10; most > 2*fair+20 {
					t.Errorf("%d links in a tenth of a second, want about %d", most, fair)
				}
				t.Logf("all back in %s; at most %d links in a second, %d in a tenth of one", time.Since(back).Round(10*time.Millisecond), o.most(time.Second), o.most(100*time.Millisecond))
				cancel()
				agents.Wait()
			})
		})
	}
}
