package alerts

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mailfleet/inventory"
)

func TestWatchJudgesCountersByTheirRate(t *testing.T) {
	const mib = 1 << 20
	rule := inventory.Rule{Meta: inventory.Meta{ID: "rule"}, Metric: "net_bytes_recv", Comparison: inventory.Above, Value: 10 * mib, Clear: 5 * mib, Enabled: true}
	below := rule
	below.Comparison, below.Value, below.Clear = inventory.Below, 1, 2
	type look struct {
		after time.Duration
		total float64 // NaN: no reading
	}
	for name, c := range map[string]struct {
		rule  inventory.Rule
		looks []look
		want  string // number of the look, state and rate in MiB/s
	}{
		"a high total alone is nothing":     {rule, []look{{0, 1e15}, {tick, 1e15}}, ""},
		"fires and resolves":                {rule, []look{{0, 0}, {tick, 200 * mib}, {2 * tick, 270 * mib}, {3 * tick, 310 * mib}}, "1 firing 20, 3 resolved 4"},
		"the first look knows no rate":      {below, []look{{0, 5}}, ""},
		"no increase is a rate of nothing":  {below, []look{{0, 5}, {tick, 5}}, "1 firing 0"},
		"a counter that starts over":        {below, []look{{0, 100 * mib}, {tick, 0}, {2 * tick, 0}}, "2 firing 0"},
		"a clock that is set back":          {below, []look{{time.Hour, 0}, {0, 0}, {tick, 0}}, "2 firing 0"},
		"after a gap the rate is not known": {rule, []look{{0, 0}, {tick, missing}, {10 * tick, 2000 * mib}, {11 * tick, 2200 * mib}}, "3 firing 20"},
		"too soon: the rate of before":      {rule, []look{{0, 0}, {tick, 200 * mib}, {tick + time.Millisecond, 200 * mib}, {2 * tick, 400 * mib}}, "1 firing 20"},
		"sampling failed: it goes on":       {rule, []look{{0, 0}, {tick, -1}, {2 * tick, 400 * mib}}, "2 firing 20"},
	} {
		t.Run(name, func(t *testing.T) {
			var w Watch
			var got []string
			for i, l := range c.looks {
				readings := []Reading{other, {Metric: "net_bytes_recv", Tags: map[string]string{"interface": "eth0"}, Value: l.total}}
				if l.total < 0 {
					readings = nil
				}
				for _, change := range w.Evaluate([]inventory.Rule{c.rule}, readings, start.Add(l.after)) {
					got = append(got, fmt.Sprint(i, " ", change.State, " ", change.Value/mib))
				}
			}
			if s := strings.Join(got, ", "); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
		})
	}
}

func TestWatchKeepsCountersOfInterfacesApart(t *testing.T) {
	rule := inventory.Rule{Meta: inventory.Meta{ID: "rule"}, Metric: "net_bytes_recv", Comparison: inventory.Above, Value: 10, Clear: 10, Enabled: true}
	counters := func(eth0, eth1 float64) []Reading {
		return []Reading{
			{Metric: "net_bytes_recv", Tags: map[string]string{"interface": "eth0"}, Value: eth0},
			{Metric: "net_bytes_recv", Tags: map[string]string{"interface": "eth1"}, Value: eth1},
		}
	}
	var w Watch
	w.Evaluate([]inventory.Rule{rule}, counters(0, 1e6), start)
	got := w.Evaluate([]inventory.Rule{rule}, counters(1000, 1e6), start.Add(tick))
	if len(got) != 1 || got[0].Tags["interface"] != "eth0" || got[0].Value != 100 {
		t.Errorf("got %+v", got)
	}
}
