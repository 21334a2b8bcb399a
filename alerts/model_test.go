package alerts

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"mailfleet/inventory"
)

// The model: it remembers everything that was ever observed of a series and
// reads the alert's life off that list from the beginning, each time anew.

// observation is one evaluation of one rule on one series.
type observation struct {
	rule   *inventory.Rule // nil: not watched
	value  float64         // NaN: no reading
	failed bool            // sampling failed: no readings at all
	step   time.Duration   // since the evaluation before
}

func (o observation) seen() bool { return !math.IsNaN(o.value) && !math.IsInf(o.value, 0) }

// bad and good say on which side of the threshold and of the clear value o is.
func (o observation) bad() bool {
	switch o.rule.Comparison {
	case inventory.Above:
		return o.value > o.rule.Value
	case inventory.AtLeast:
		return o.value >= o.rule.Value
	case inventory.Below:
		return o.value < o.rule.Value
	default:
		return o.value <= o.rule.Value
	}
}

func (o observation) good() bool {
	switch o.rule.Comparison {
	case inventory.Above:
		return o.value <= o.rule.Clear
	case inventory.AtLeast:
		return o.value < o.rule.Clear
	case inventory.Below:
		return o.value >= o.rule.Clear
	default:
		return o.value > o.rule.Clear
	}
}

func (o observation) sameTerms(p observation) bool {
	return o.rule.Comparison == p.rule.Comparison && o.rule.Value == p.rule.Value && o.rule.Clear == p.rule.Clear
}

// stateAfter reads the state of a series off its whole history.
func stateAfter(history []observation) inventory.AlertState {
	opened := -1 // where the present episode began
	fired := false
	for i, o := range history {
		switch {
		case opened < 0:
			if o.rule != nil && o.seen() && o.bad() {
				opened = i
				fired = heldLongEnough(history[opened : i+1])
			}
		case over(history[opened:i+1], fired):
			opened = -1
		case o.rule != nil && o.seen() && o.bad():
			fired = fired || heldLongEnough(history[opened:i+1])
		}
	}
	switch {
	case opened < 0:
		return inactive
	case fired:
		return inventory.AlertFiring
	default:
		return inventory.AlertPending
	}
}

// heldLongEnough sums what the episode's readings add up to.
func heldLongEnough(episode []observation) bool {
	var held time.Duration
	for _, o := range episode[1:] {
		if o.seen() && !o.failed {
			held += min(max(o.step, 0), time.Minute)
		}
	}
	return held >= time.Duration(episode[len(episode)-1].rule.For)
}

// over reports whether the last observation ends the episode.
func over(episode []observation, fired bool) bool {
	last := episode[len(episode)-1]
	if last.rule == nil {
		return true
	}
	if last.failed {
		return false
	}
	if !last.seen() {
		var absent time.Duration
		for i := len(episode) - 1; i > 0 && !episode[i].seen(); i-- {
			if !episode[i].failed {
				absent += min(max(episode[i].step, 0), time.Minute)
			}
		}
		return absent >= 5*time.Minute
	}
	if last.bad() {
		return false
	}
	var before observation
	for i := len(episode) - 2; i >= 0; i-- {
		if episode[i].seen() {
			before = episode[i]
			break
		}
	}
	return !fired || last.good() || !last.sameTerms(before)
}

// dice yields small numbers: from a random source, or from a fuzzer's bytes.
type dice func(n int) int

// play runs a watch and the model side by side over a made-up history.
func play(t *testing.T, roll dice, evaluations int) {
	t.Helper()
	comparisons := []inventory.Comparison{inventory.Above, inventory.AtLeast, inventory.Below, inventory.AtMost}
	newRule := func(id string) inventory.Rule {
		r := inventory.Rule{Meta: inventory.Meta{ID: inventory.ID(id)}, Metric: "m_x", Comparison: comparisons[roll(4)], Value: float64(4 + roll(3)), Enabled: roll(10) > 0}
		r.For = inventory.Duration(roll(4)) * inventory.Duration(15*time.Second)
		r.Clear = r.Value - float64(roll(3))
		if r.Comparison == inventory.Below || r.Comparison == inventory.AtMost {
			r.Clear = r.Value + float64(roll(3))
		}
		return r
	}
	rules := []inventory.Rule{newRule("r1"), newRule("r2")}
	mounts := []string{"", "/", "/var"}
	history := make(map[string][]observation)
	ids := make(map[string]inventory.ID)
	steps := []time.Duration{tick, tick, tick, tick, 3 * tick, 0, -time.Hour, 24 * time.Hour}
	missing, gaps := 0, []int{0, 0, 0, 1, 2, gone / 2, gone, gone + 1}
	now := start
	var w Watch
	for n := range evaluations {
		step := steps[roll(len(steps))]
		if n == 0 {
			step = 0
		}
		now = now.Add(step)
		if roll(15) == 0 {
			i := roll(len(rules))
			rules[i] = newRule(string(rules[i].ID))
		}
		if roll(25) == 0 {
			w = restart(t, &w)
		}
		failed := roll(12) == 0
		var readings []Reading
		if !failed {
			readings = append(readings, Reading{Metric: "z_z", Value: 5})
		}
		if missing == 0 {
			missing = gaps[roll(len(gaps))]
		} else {
			missing--
		}
		values := make(map[string]float64)
		for i, m := range mounts {
			v := float64(roll(11))
			if failed || roll(12) == 0 || (i == 1 && missing > 0) {
				v = math.NaN()
			}
			values[m] = v
			if !failed {
				r := Reading{Metric: "m_x", Value: v}
				if m != "" {
					r.Tags = map[string]string{"mount": m}
				}
				readings = append(readings, r)
			}
		}

		got := make(map[string]Transition)
		for _, c := range w.Evaluate(rules, readings, now) {
			key := fmt.Sprint(c.Rule, c.Tags["mount"])
			if _, twice := got[key]; twice {
				t.Fatalf("evaluation %d: %s changed twice", n, key)
			}
			got[key] = c
		}
		for _, r := range rules {
			for _, m := range mounts {
				key := fmt.Sprint(r.ID, m)
				before := stateAfter(history[key])
				o := observation{value: values[m], failed: failed, step: step}
				if r.Enabled {
					o.rule = &r
				}
				history[key] = append(history[key], o)
				want := stateAfter(history[key])
				if want == inactive && before != inactive {
					want = inventory.AlertResolved
				}
				c, changed := got[key]
				delete(got, key)
				if changed != (want != before) || (changed && c.State != want) {
					t.Fatalf("evaluation %d, %s, value %v, rule %+v:\nbefore %q, model says %q, got %q", n, key, values[m], r, before, want, c.State)
				}
				if !changed {
					continue
				}
				if before == inactive {
					ids[key] = c.ID
				}
				if c.ID != ids[key] || c.Since.After(c.Time) || !c.Time.Equal(now) {
					t.Fatalf("evaluation %d, %s: %+v, id of the episode %s, now %s", n, key, c, ids[key], now)
				}
			}
		}
		if len(got) != 0 {
			t.Fatalf("evaluation %d: transitions of nothing: %+v", n, got)
		}
	}
}

func TestWatchAgreesWithTheModel(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		play(t, r.IntN, 80)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzWatch(f *testing.F) {
	f.Add([]byte(strings.Repeat("\x07\x03\x05", 200)))
	f.Add([]byte("the quick brown fox jumps over the lazy dog, again and again and again and again"))
	f.Fuzz(func(t *testing.T, data []byte) {
		const perEvaluation = 12
		evaluations := min(len(data)/perEvaluation+1, 200)
		play(t, func(n int) int {
			if len(data) == 0 {
				return n - 1
			}
			b := data[0]
			data = data[1:]
			return int(b) % n
		}, evaluations)
	})
}
