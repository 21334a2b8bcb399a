package collect

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/shirou/gopsutil/v3/cpu"
)

// minStretch is the shortest time CPU shares are told of: the kernel counts in
// hundredths of a second.
const minStretch = 500 * time.Millisecond

// cpuSource tells how the CPUs' time since the previous collection was spent.
type cpuSource struct {
	at     time.Time // of before
	before cpu.TimesStat
	last   map[string]float64 // shares told last; nil: none yet
}

func newCPUSource() *cpuSource {
	s := &cpuSource{at: time.Now()}
	if times, err := cpu.Times(false); err == nil && len(times) == 1 {
		s.before = times[0]
	} // otherwise the first shares are of the time since boot
	return s
}

func (s *cpuSource) Name() string { return "cpu" }

func (s *cpuSource) Collect(ctx context.Context) ([]Sample, error) {
	if rest := minStretch - time.Since(s.at); rest > 0 {
		if s.last != nil {
			return s.samples(), nil
		}
		select {
		case <-time.After(rest):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	times, err := cpu.TimesWithContext(ctx, false)
	if err != nil {
		return nil, err
	}
	if len(times) != 1 {
		return nil, errors.New("the kernel tells no CPU times")
	}
	s.last = shares(s.before, times[0])
	s.before, s.at = times[0], time.Now()
	if s.last == nil {
		return nil, errors.New("no CPU time has passed")
	}
	return s.samples(), nil
}

func (s *cpuSource) samples() []Sample {
	return []Sample{{Measurement: "cpu", Fields: maps.Clone(s.last)}}
}

// shares tells in percent how the time of all CPUs between two readings was
// spent. Time in interrupts counts as system; guests are in user and nice
// already. A counter that went back (the kernel's idle time may) counts as 0.
func shares(before, after cpu.TimesStat) map[string]float64 {
	spent := map[string]float64{
		"user":   after.User - before.User,
		"system": after.System - before.System + after.Irq - before.Irq + after.Softirq - before.Softirq,
		"nice":   after.Nice - before.Nice,
		"idle":   after.Idle - before.Idle,
		"iowait": after.Iowait - before.Iowait,
		"steal":  after.Steal - before.Steal,
	}
	var total float64
	for name, t := range spent {
		spent[name] = max(t, 0)
		total += spent[name]
	}
	if total == 0 {
		return nil
	}
	for name := range spent {
		spent[name] *= 100 / total
	}
	return spent
}
