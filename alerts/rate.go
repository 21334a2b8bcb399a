package alerts

import (
	"math"
	"time"
)

// shortestRate is the least time a rate is taken over: over less it is noise.
const shortestRate = time.Second

// total is a counter as it was last read.
type total struct {
	value float64
	at    time.Time
	rate  float64 // per second at that time; NaN: not known yet
}

// perSecond puts the increase per second in place of the total in each reading
// of a counter. It is NaN, which is no reading, the first time, and after the
// counter or the clock went back.
func (w *Watch) perSecond(readings []Reading, now time.Time) []Reading {
	if len(readings) == 0 {
		return nil
	}
	totals := make(map[series]total)
	rates := make([]Reading, 0, len(readings))
	for _, r := range readings {
		if Describe(r.Metric).Counter && finite(r.Value) {
			key := series{metric: r.Metric, tags: tagKey(r.Tags)}
			t := next(w.totals[key], r.Value, now)
			totals[key] = t
			r.Value = t.rate
		}
		rates = append(rates, r)
	}
	w.totals = totals
	return rates
}

// next returns the counter as it is now, known to have been last before; the
// zero total says that it was not known.
func next(last total, value float64, now time.Time) total {
	elapsed := now.Sub(last.at)
	switch {
	case last.at.IsZero() || elapsed < 0 || value < last.value:
		return total{value: value, at: now, rate: math.NaN()}
	case elapsed < shortestRate:
		return last
	default:
		return total{value: value, at: now, rate: (value - last.value) / elapsed.Seconds()}
	}
}
