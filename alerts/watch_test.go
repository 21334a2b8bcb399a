package alerts

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"mailfleet/inventory"
)

var start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

const (
	tick = 10 * time.Second
	gone = int(GoneAfter / tick) // evaluations after which an absent series is gone
)

// above90 fires above 90 and resolves at 80 or less.
func above90(hold time.Duration) inventory.Rule {
	return inventory.Rule{
		Meta: inventory.Meta{ID: "rule", Version: 1}, Name: "disk", Metric: "disk_used_percent", Comparison: inventory.Above,
		Value: 90, Clear: 80, For: inventory.Duration(hold), Severity: inventory.Critical, Enabled: true,
	}
}

func disk(mount string, value float64) Reading {
	return Reading{Metric: "disk_used_percent", Tags: map[string]string{"mount": mount}, Value: value}
}

// other is a reading no rule of these tests watches: sampling works.
var other = Reading{Metric: "load_load1", Value: 1}

func states(changes []Transition) string {
	var s []string
	for _, c := range changes {
		s = append(s, string(c.State))
	}
	return strings.Join(s, " ")
}

var missing = math.NaN()

// repeat returns n times value.
func repeat(value float64, n int) []float64 { return slices.Repeat([]float64{value}, n) }

func TestWatchFollowsOneSeries(t *testing.T) {
	below10 := above90(0)
	below10.Comparison, below10.Value, below10.Clear = inventory.Below, 10, 20
	atLeast90, atMost10 := above90(0), below10
	atLeast90.Comparison, atMost10.Comparison = inventory.AtLeast, inventory.AtMost
	future := above90(0)
	future.Comparison = "~"

	for name, c := range map[string]struct {
		rule   inventory.Rule
		values []float64 // one each 10 s; NaN: no reading
		want   string    // evaluation number and state of each transition
	}{
		"good values do nothing":               {above90(0), []float64{10, 90, 50}, ""},
		"without for it fires at once":         {above90(0), []float64{91}, "0 firing"},
		"it fires once":                        {above90(0), []float64{91, 95, 99, 91}, "0 firing"},
		"between clear and value nothing":      {above90(0), []float64{91, 85, 80.1, 89}, "0 firing"},
		"it resolves at the clear value":       {above90(0), []float64{91, 85, 80}, "0 firing, 2 resolved"},
		"a band value alone does not fire":     {above90(0), []float64{85, 85}, ""},
		"it fires again after it resolved":     {above90(0), []float64{91, 70, 91}, "0 firing, 1 resolved, 2 firing"},
		"for: pending, then firing":            {above90(30 * time.Second), repeat(91, 4), "0 pending, 3 firing"},
		"for: a break starts over":             {above90(20 * time.Second), []float64{91, 91, 70, 91, 91, 91}, "0 pending, 2 resolved, 3 pending, 5 firing"},
		"for: the band breaks pending":         {above90(20 * time.Second), []float64{91, 85, 91, 91, 91}, "0 pending, 1 resolved, 2 pending, 4 firing"},
		"for: missing readings do not count":   {above90(20 * time.Second), []float64{91, missing, missing, 91, 91}, "0 pending, 4 firing"},
		"for: shorter than the interval":       {above90(5 * time.Second), []float64{91, 91}, "0 pending, 1 firing"},
		"missing data never fires":             {above90(0), repeat(missing, 50), ""},
		"missing data does not resolve":        {above90(0), append([]float64{91}, repeat(missing, gone-1)...), "0 firing"},
		"a series long gone resolves":          {above90(0), append([]float64{91}, repeat(missing, gone)...), "0 firing, 30 resolved"},
		"a reading ends the count of missed":   {above90(0), append(append([]float64{91}, repeat(missing, 29)...), append([]float64{91}, repeat(missing, 29)...)...), "0 firing"},
		"a pending series long gone resolves":  {above90(time.Hour), append([]float64{91}, repeat(missing, gone)...), "0 pending, 30 resolved"},
		"infinity is no reading":               {above90(0), []float64{math.Inf(1), math.Inf(1)}, ""},
		"infinity resolves nothing":            {above90(0), []float64{91, math.Inf(-1)}, "0 firing"},
		"below: fires and resolves":            {below10, []float64{10, 9.9, 15, 19, 20, 9}, "1 firing, 4 resolved, 5 firing"},
		"at least: fires at the value itself":  {atLeast90, []float64{89.9, 90, 80, 79.9}, "1 firing, 3 resolved"},
		"at most: fires at the value itself":   {atMost10, []float64{10.1, 10, 20, 20.1}, "1 firing, 3 resolved"},
		"an unknown comparison never fires":    {future, []float64{0, 91, 1000}, ""},
		"zero readings of a series are values": {below10, []float64{0}, "0 firing"},
	} {
		t.Run(name, func(t *testing.T) {
			var w Watch
			var got []string
			for i, v := range c.values {
				for _, change := range w.Evaluate([]inventory.Rule{c.rule}, []Reading{other, disk("/", v)}, start.Add(time.Duration(i)*tick)) {
					got = append(got, fmt.Sprint(i, " ", change.State))
				}
			}
			if s := strings.Join(got, ", "); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
		})
	}
}

func TestWatchTransitionSaysWhatHappened(t *testing.T) {
	var w Watch
	rules := []inventory.Rule{above90(10 * time.Second)}
	var all []Transition
	for i, v := range []float64{91, 92, 70} {
		all = append(all, w.Evaluate(rules, []Reading{disk("/var", v)}, start.Add(time.Duration(i)*tick))...)
	}
	if len(all) != 3 {
		t.Fatalf("got %d transitions: %+v", len(all), all)
	}
	id := all[0].ID
	if _, err := inventory.ParseID(string(id)); err != nil {
		t.Error(err)
	}
	want := Transition{ID: id, Rule: "rule", Metric: "disk_used_percent", Tags: map[string]string{"mount": "/var"}, Since: start}
	for i, c := range []struct {
		state inventory.AlertState
		value float64
	}{{inventory.AlertPending, 91}, {inventory.AlertFiring, 92}, {inventory.AlertResolved, 70}} {
		want.State, want.Value, want.Time = c.state, c.value, start.Add(time.Duration(i)*tick)
		if !reflect.DeepEqual(all[i], want) {
			t.Errorf("transition %d:\ngot  %+v\nwant %+v", i, all[i], want)
		}
	}
	again := w.Evaluate(rules, []Reading{disk("/var", 95)}, start.Add(time.Minute))
	if len(again) != 1 || again[0].ID == id {
		t.Errorf("a new episode must have an id of its own: %+v", again)
	}
}

func TestWatchKeepsSeriesApartAndInOrder(t *testing.T) {
	load := inventory.Rule{Meta: inventory.Meta{ID: "a-load"}, Metric: "load_load1", Comparison: inventory.AtLeast, Value: 8, Clear: 8, Enabled: true}
	rules := []inventory.Rule{above90(0), load}
	readings := []Reading{disk("/var", 95), disk("/", 50), {Metric: "load_load1", Value: 9}, disk("/home", 99), disk("/var", 96)}
	for range 20 { // maps must not decide the order
		var w Watch
		var got []string
		for _, c := range w.Evaluate(rules, readings, start) {
			got = append(got, fmt.Sprint(c.Rule, c.Tags["mount"], " ", c.Value))
		}
		if want := []string{"a-load 9", "rule/home 99", "rule/var 96"}; !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
}

func TestWatchTellsTagSetsApart(t *testing.T) {
	var w Watch
	rules := []inventory.Rule{above90(0)}
	changes := w.Evaluate(rules, []Reading{
		{Metric: "disk_used_percent", Tags: map[string]string{"a": `1"b"2`}, Value: 95},
		{Metric: "disk_used_percent", Tags: map[string]string{"a": "1", "b": "2"}, Value: 95},
		{Metric: "disk_used_percent", Value: 95},
	}, start)
	if len(changes) != 3 {
		t.Errorf("got %+v, want three alerts", changes)
	}
}

func TestWatchRuleChanges(t *testing.T) {
	changed := func(change func(*inventory.Rule)) []inventory.Rule {
		r := above90(0)
		r.Version = 2
		change(&r)
		return []inventory.Rule{r}
	}
	for name, c := range map[string]struct {
		rules []inventory.Rule
		value float64 // 95 before the change
		want  string
	}{
		"deleted":                               {nil, 95, "resolved"},
		"disabled":                              {changed(func(r *inventory.Rule) { r.Enabled = false }), 95, "resolved"},
		"given another metric":                  {changed(func(r *inventory.Rule) { r.Metric = "load_load1" }), 95, "resolved"},
		"renamed":                               {changed(func(r *inventory.Rule) { r.Name = "new" }), 95, ""},
		"renamed, value in the band":            {changed(func(r *inventory.Rule) { r.Name = "new" }), 85, ""},
		"lower value":                           {changed(func(r *inventory.Rule) { r.Value, r.Clear = 70, 60 }), 95, ""},
		"higher value, still above":             {changed(func(r *inventory.Rule) { r.Value = 94 }), 95, ""},
		"higher value, below, in the band":      {changed(func(r *inventory.Rule) { r.Value = 97 }), 95, "resolved"},
		"higher value and clear, good side":     {changed(func(r *inventory.Rule) { r.Value, r.Clear = 98, 97 }), 95, "resolved"},
		"another comparison":                    {changed(func(r *inventory.Rule) { r.Comparison, r.Clear = inventory.Below, 99 }), 95, "resolved"},
		"longer for does not unfire":            {changed(func(r *inventory.Rule) { r.For = inventory.Duration(time.Hour) }), 95, ""},
		"other value, reading missing: as was":  {changed(func(r *inventory.Rule) { r.Value = 97 }), missing, ""},
		"comparison unknown to this older code": {changed(func(r *inventory.Rule) { r.Comparison = "~" }), 95, "resolved"},
	} {
		t.Run(name, func(t *testing.T) {
			var w Watch
			first := w.Evaluate([]inventory.Rule{above90(0)}, []Reading{other, disk("/", 95)}, start)
			got := w.Evaluate(c.rules, []Reading{other, disk("/", c.value)}, start.Add(tick))
			if states(got) != c.want {
				t.Fatalf("got %q, want %q", states(got), c.want)
			}
			if len(got) == 1 && got[0].ID != first[0].ID {
				t.Error("another id")
			}
			if more := w.Evaluate(c.rules, []Reading{other, disk("/", c.value)}, start.Add(2*tick)); len(more) != 0 {
				t.Errorf("then %+v", more)
			}
		})
	}
}

func TestWatchShorterForFiresAPendingAlert(t *testing.T) {
	var w Watch
	w.Evaluate([]inventory.Rule{above90(time.Hour)}, []Reading{disk("/", 95)}, start)
	got := w.Evaluate([]inventory.Rule{above90(tick)}, []Reading{disk("/", 95)}, start.Add(tick))
	if states(got) != "firing" {
		t.Errorf("got %q", states(got))
	}
}

func TestWatchAbsenceIsNotJudgedInAnInstant(t *testing.T) {
	var w Watch
	rules := []inventory.Rule{above90(0)}
	w.Evaluate(rules, []Reading{disk("/", 95)}, start)
	for range 10 * gone { // the rules changed often: many evaluations, little time
		if got := w.Evaluate(rules, []Reading{other}, start.Add(time.Second)); len(got) != 0 {
			t.Fatalf("%+v", got)
		}
	}
	if got := w.Evaluate(rules, []Reading{other}, start.Add(24*time.Hour)); len(got) != 0 {
		t.Fatalf("one look after a day: %+v", got)
	}
}

func TestWatchFailedSamplingChangesNothing(t *testing.T) {
	var w Watch
	rules := []inventory.Rule{above90(0)}
	w.Evaluate(rules, []Reading{disk("/", 95)}, start)
	for i := range 3 * gone {
		if got := w.Evaluate(rules, nil, start.Add(time.Duration(i)*tick)); len(got) != 0 {
			t.Fatalf("evaluation %d: %+v", i, got)
		}
	}
}

func TestWatchAndTheClock(t *testing.T) {
	for name, c := range map[string]struct {
		times []time.Duration // after start, the condition always holds; For is 30 s
		want  string
	}{
		"steady":                          {[]time.Duration{0, 10 * time.Second, 20 * time.Second, 30 * time.Second}, "0 pending, 3 firing"},
		"set back an hour while pending":  {[]time.Duration{0, 10 * time.Second, -time.Hour, -time.Hour + 10*time.Second, -time.Hour + 20*time.Second}, "0 pending, 4 firing"},
		"set forward a day counts little": {[]time.Duration{0, 24 * time.Hour}, "0 pending, 1 firing"},
		"standing still":                  {[]time.Duration{0, 0, 0, 0, 0, 0}, "0 pending"},
	} {
		t.Run(name, func(t *testing.T) {
			var w Watch
			var got []string
			for i, d := range c.times {
				for _, change := range w.Evaluate([]inventory.Rule{above90(30 * time.Second)}, []Reading{disk("/", 95)}, start.Add(d)) {
					got = append(got, fmt.Sprint(i, " ", change.State))
					if change.Since.After(change.Time) {
						t.Errorf("since %s is after %s", change.Since, change.Time)
					}
				}
			}
			if s := strings.Join(got, ", "); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
		})
	}
}

func TestWatchPauseCountsAMinuteAtMost(t *testing.T) {
	var w Watch
	rules := []inventory.Rule{above90(2 * time.Minute)}
	readings := []Reading{disk("/", 95)}
	w.Evaluate(rules, readings, start)
	if got := w.Evaluate(rules, readings, start.Add(24*time.Hour)); len(got) != 0 {
		t.Errorf("a day in which nobody looked fired it: %+v", got)
	}
	if got := w.Evaluate(rules, readings, start.Add(24*time.Hour+time.Minute)); states(got) != "firing" {
		t.Errorf("got %q, want firing", states(got))
	}
}

func TestWatchSurvivesARestart(t *testing.T) {
	rules := []inventory.Rule{above90(30 * time.Second)}
	readings := []Reading{disk("/b\xffd", 95), disk("/", 95)}
	var w Watch
	var ids []inventory.ID
	want := []string{"pending pending", "", "", "firing firing", ""}
	for i := range want {
		got := w.Evaluate(rules, readings, start.Add(time.Duration(i)*tick))
		if states(got) != want[i] {
			t.Errorf("evaluation %d: got %q, want %q", i, states(got), want[i])
		}
		for _, c := range got {
			ids = append(ids, c.ID)
		}
		w = restart(t, &w)
	}
	if len(ids) == 4 && (ids[0] != ids[2] || ids[1] != ids[3]) {
		t.Errorf("ids changed: %q", ids)
	}
	if got := w.Evaluate(rules, []Reading{disk("/", 1), disk("/b\xffd", 1)}, start.Add(time.Hour)); states(got) != "resolved resolved" {
		t.Errorf("after the last restart: %q", states(got))
	}
}

// restart returns what a new process would read from what w writes.
func restart(t *testing.T, w *Watch) Watch {
	t.Helper()
	b, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	var again Watch
	if err := json.Unmarshal(b, &again); err != nil {
		t.Fatal(err)
	}
	if b2, err := json.Marshal(&again); err != nil || string(b2) != string(b) {
		t.Fatalf("written %s\nread    %s, %v", b, b2, err)
	}
	return again
}

func TestWatchStateRefusesWhatItDoesNotKnow(t *testing.T) {
	for name, doc := range map[string]string{
		"not JSON":         `{`,
		"newer version":    `{"version":2,"alerts":[]}`,
		"no version":       `{}`,
		"resolved alert":   `{"version":1,"alerts":[{"id":"a","rule":"r","metric":"m_x","state":"resolved"}]}`,
		"alert without id": `{"version":1,"alerts":[{"rule":"r","metric":"m_x","state":"firing"}]}`,
		"null alert":       `{"version":1,"alerts":[null]}`,
	} {
		t.Run(name, func(t *testing.T) {
			var w Watch
			w.Evaluate([]inventory.Rule{above90(0)}, []Reading{disk("/", 95)}, start)
			before, err := json.Marshal(&w)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.UnmarshalJSON([]byte(doc)); !inventory.Is(err, inventory.Invalid) {
				t.Errorf("got %v, want an invalid error", err)
			}
			if after, err := json.Marshal(&w); err != nil || string(after) != string(before) {
				t.Errorf("it changed to %s", after)
			}
		})
	}
}

func FuzzWatchState(f *testing.F) {
	var w Watch
	w.Evaluate([]inventory.Rule{above90(time.Minute)}, []Reading{disk("/", 95), disk("/var", 99)}, start)
	b, err := json.Marshal(&w)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"version":1,"alerts":[{"id":"a","rule":"rule","metric":"disk_used_percent","state":"firing","held":-5}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		var w Watch
		if json.Unmarshal(doc, &w) != nil {
			return
		}
		for i, v := range []float64{95, 70, missing} {
			for _, c := range w.Evaluate([]inventory.Rule{above90(0)}, []Reading{other, disk("/", v)}, start.Add(time.Duration(i)*tick)) {
				if c.ID == "" || c.Since.After(c.Time) {
					t.Errorf("%+v", c)
				}
			}
		}
		restart(t, &w)
	})
}
