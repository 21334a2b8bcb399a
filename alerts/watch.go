package alerts

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"mailfleet/inventory"
)

// GoneAfter is how long a series must be absent for its alert to resolve.
const GoneAfter = 5 * time.Minute

// maxStep is the most time that one evaluation counts, so that hours in which
// nobody looked, or a clock set forward, do not fire alerts.
const maxStep = time.Minute

// Reading is the value of one series, taken now.
type Reading struct {
	Metric string            // measurement_field
	Tags   map[string]string // device, mount, interface; nil when the metric is one series
	Value  float64           // of a counter: the total, as it is sampled
}

// Transition is a change of state of one alert. The controller is told of it
// in the same words (api.AlertReport).
type Transition struct {
	ID     inventory.ID // of the episode
	Rule   inventory.ID
	Metric string
	Tags   map[string]string
	State  inventory.AlertState
	Value  float64   // last seen; of a counter: its increase per second
	Since  time.Time // the condition first held; never after Time
	Time   time.Time // of this change
}

// Watch holds the alerts of one server between evaluations. The zero Watch has
// none. It is not safe for concurrent use.
//
// It marshals to JSON. Its owner writes it to disk together with the
// transitions it has not delivered yet, in one write, before delivering them:
// then a restart neither repeats nor forgets one.
type Watch struct {
	evaluated time.Time
	episodes  map[series]*episode
	totals    map[series]total // of counters; not saved
}

// series names what an episode is about.
type series struct {
	rule   inventory.ID
	metric string
	tags   string // tagKey
}

// watch names the rule and metric without the tags.
func (s series) watch() series { return series{rule: s.rule, metric: s.metric} }

func (s series) compare(o series) int {
	return cmp.Or(cmp.Compare(s.rule, o.rule), cmp.Compare(s.metric, o.metric), cmp.Compare(s.tags, o.tags))
}

// terms are what a rule judges by.
type terms struct {
	Comparison inventory.Comparison `json:"comparison"`
	Threshold  float64              `json:"threshold"`
	Clear      float64              `json:"clear"`
}

func termsOf(r inventory.Rule) terms {
	return terms{Comparison: r.Comparison, Threshold: r.Value, Clear: r.Clear}
}

// holds reports whether the condition is satisfied.
func (t terms) holds(value float64) bool { return compare(t.Comparison, value, t.Threshold) }

// Holds reports whether a value satisfies a rule's condition.
func Holds(rule inventory.Rule, value float64) bool { return termsOf(rule).holds(value) }

// cleared reports whether value is on the good side of the clear value.
func (t terms) cleared(value float64) bool { return !compare(t.Comparison, value, t.Clear) }

func compare(c inventory.Comparison, a, b float64) bool {
	switch c {
	case inventory.Above:
		return a > b
	case inventory.AtLeast:
		return a >= b
	case inventory.Below:
		return a < b
	case inventory.AtMost:
		return a <= b
	}
	return false // a comparison of a newer controller: never holds
}

// inactive is the state of an episode that begins.
const inactive inventory.AlertState = ""

// episode is an alert that is pending or firing.
type episode struct {
	ID     inventory.ID         `json:"id"`
	Rule   inventory.ID         `json:"rule"`
	Metric string               `json:"metric"`
	Tags   map[string]string    `json:"tags,omitempty"`
	State  inventory.AlertState `json:"state"`
	Value  float64              `json:"value"`
	Since  time.Time            `json:"since"`
	Held   inventory.Duration   `json:"held"`   // how long the condition has been seen to hold
	Absent inventory.Duration   `json:"absent"` // how long it has been without a reading
	Terms  terms                `json:"terms"`  // it was last judged by
}

// Evaluate judges readings by rules and returns what changed, ordered by rule,
// metric and tags. It is made to be called every 10 s; a longer pause counts as
// one minute at most towards a rule's For, and a clock set back counts nothing.
func (w *Watch) Evaluate(rules []inventory.Rule, readings []Reading, now time.Time) []Transition {
	step := w.step(now)
	watched, seen := match(rules, w.perSecond(readings, now))
	now = now.Round(0) // without the monotonic clock, as it will be stored
	if w.episodes == nil {
		w.episodes = make(map[series]*episode)
	}
	keys := slices.AppendSeq(slices.Collect(maps.Keys(w.episodes)), maps.Keys(seen))
	slices.SortFunc(keys, series.compare)

	var changes []Transition
	for _, key := range slices.Compact(keys) {
		rule, isWatched := watched[key.watch()]
		reading, isSeen := seen[key]
		e := w.episodes[key]
		if e == nil {
			if !termsOf(rule).holds(reading.Value) {
				continue
			}
			e = begin(rule, reading, now)
			w.episodes[key] = e
		}
		state := e.State
		switch {
		case !isWatched:
			state = inventory.AlertResolved
		case isSeen:
			state = e.judge(rule, reading.Value, step)
		case len(readings) > 0:
			state = e.miss(step)
		}
		if state != e.State {
			e.State = state
			changes = append(changes, e.transition(now))
		}
		if state == inventory.AlertResolved {
			delete(w.episodes, key)
		}
	}
	return changes
}

// step returns the time since the last evaluation, between 0 and maxStep.
func (w *Watch) step(now time.Time) time.Duration {
	last := w.evaluated
	w.evaluated = now
	if last.IsZero() {
		return 0
	}
	return min(max(now.Sub(last), 0), maxStep)
}

// match finds the rules in force, by what they watch, and the readings of the
// series they watch. Of two readings of a series the last counts.
func match(rules []inventory.Rule, readings []Reading) (watched map[series]inventory.Rule, seen map[series]Reading) {
	watched, seen = make(map[series]inventory.Rule), make(map[series]Reading)
	for _, rule := range rules {
		if !rule.Enabled {
			continue
		}
		watched[series{rule: rule.ID, metric: rule.Metric}] = rule
		for _, r := range readings {
			if r.Metric == rule.Metric && finite(r.Value) {
				seen[series{rule.ID, r.Metric, tagKey(r.Tags)}] = r
			}
		}
	}
	return watched, seen
}

// begin makes the episode of a series whose condition holds for the first time.
func begin(rule inventory.Rule, r Reading, now time.Time) *episode {
	return &episode{
		ID: inventory.NewID(), Rule: rule.ID, Metric: r.Metric, Tags: validTags(r.Tags),
		State: inactive, Since: now, Terms: termsOf(rule),
	}
}

// judge carries the episode on with a new value, seen step after the last
// evaluation, and returns the state it should now have.
func (e *episode) judge(rule inventory.Rule, value float64, step time.Duration) inventory.AlertState {
	t := termsOf(rule)
	sameTerms := t == e.Terms
	e.Value, e.Terms, e.Absent = value, t, 0
	switch {
	case t.holds(value):
		if e.State != inactive {
			e.Held += inventory.Duration(step)
		}
		if e.State == inventory.AlertFiring || e.Held >= rule.For {
			return inventory.AlertFiring
		}
		return inventory.AlertPending
	case e.State == inventory.AlertFiring && sameTerms && !t.cleared(value):
		return inventory.AlertFiring
	default:
		return inventory.AlertResolved
	}
}

// miss notes an evaluation without the series, step after the last, and returns
// the state that follows.
func (e *episode) miss(step time.Duration) inventory.AlertState {
	e.Absent += inventory.Duration(step)
	if e.Absent >= inventory.Duration(GoneAfter) {
		return inventory.AlertResolved
	}
	return e.State
}

func (e *episode) transition(now time.Time) Transition {
	if e.Since.After(now) { // the clock was set back meanwhile
		e.Since = now.Add(-time.Duration(e.Held))
	}
	return Transition{
		ID: e.ID, Rule: e.Rule, Metric: e.Metric, Tags: maps.Clone(e.Tags),
		State: e.State, Value: e.Value, Since: e.Since, Time: now,
	}
}

// validTags copies tags as they will be after a way through JSON, which makes
// U+FFFD of every byte that is not UTF-8.
func validTags(tags map[string]string) map[string]string {
	if len(tags) == 0 {
		return nil
	}
	valid := make(map[string]string, len(tags))
	for name, value := range tags {
		valid[string([]rune(name))] = string([]rune(value))
	}
	return valid
}

// tagKey is an unambiguous name of a set of tags, the same before and after validTags.
func tagKey(tags map[string]string) string {
	valid := validTags(tags)
	var key []byte
	for _, name := range slices.Sorted(maps.Keys(valid)) {
		key = strconv.AppendQuote(key, name)
		key = strconv.AppendQuote(key, valid[name])
	}
	return string(key)
}
