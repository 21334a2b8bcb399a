// Package storetest is the one suite that every metrics.Store passes. Only
// tests of stores import it.
package storetest

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"mailfleet/controller/metrics"
)

// Run tests the stores that open makes, each of them empty.
func Run(t *testing.T, open func(t *testing.T) metrics.Store) {
	tests := map[string]func(*testing.T, metrics.Store){
		"reads back what it wrote":                readsBack,
		"takes the same points again":             takesAgain,
		"orders what comes out of order":          ordersLate,
		"stores skewed clocks at their own time":  storesSkewed,
		"refuses bad samples and keeps the rest":  refusesBad,
		"aggregates in aligned buckets":           aggregates,
		"rates a counter over a reset":            rates,
		"selects by metric, server and tags":      selects,
		"lists names by server":                   listsNames,
		"gives the newest point of every series":  givesLatest,
		"refuses queries that ask for too much":   refusesTooMuch,
		"answers an empty store with nothing":     answersEmpty,
		"is unavailable once closed":              closes,
		"serves writers and readers side by side": servesMany,
	}
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		t.Run(name, func(t *testing.T) {
			store := open(t)
			t.Cleanup(func() {
				if err := store.Close(); err != nil {
					t.Error(err)
				}
			})
			tests[name](t, store)
		})
	}
}

// Base is a time a while ago that starts an hour, so that samples around it are
// recent and fall into buckets in a known way.
func Base() time.Time { return time.Now().Add(-4 * time.Hour).Truncate(time.Hour) }

// Sample makes a sample of a server.
func Sample(server, metric string, at time.Time, value float64) metrics.Sample {
	return metrics.Sample{Metric: metric, Tags: map[string]string{metrics.ServerTag: server}, Time: at, Value: value}
}

// MustWrite writes samples or fails the test.
func MustWrite(t testing.TB, store metrics.Store, samples ...metrics.Sample) {
	t.Helper()
	if err := store.Write(t.Context(), samples); err != nil {
		t.Fatal(err)
	}
}

// MustRange answers a query or fails the test.
func MustRange(t testing.TB, store metrics.Store, query metrics.Query) []metrics.Series {
	t.Helper()
	series, err := store.Range(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	return series
}

// All asks for every stored sample of a server's metric.
func All(server, metric string) metrics.Query {
	return metrics.Query{
		Selector: metrics.Selector{Server: server, Metrics: []string{metric}},
		From:     time.Now().Add(-30 * 24 * time.Hour), To: time.Now().Add(30 * 24 * time.Hour),
	}
}

// WantPoints fails the test unless there is one series, with these points:
// seconds after base and values in turns.
func WantPoints(t testing.TB, got []metrics.Series, base time.Time, want ...float64) {
	t.Helper()
	if len(want) == 0 {
		if len(got) != 0 {
			t.Errorf("got %v, want no series", got)
		}
		return
	}
	if len(got) != 1 {
		t.Fatalf("got %d series, want one: %v", len(got), got)
	}
	var flat []float64
	for _, p := range got[0].Points {
		flat = append(flat, p.Time.Sub(base).Seconds(), p.Value)
	}
	if !slices.EqualFunc(flat, want, func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }) {
		t.Errorf("got points (seconds, value) %v, want %v", flat, want)
	}
}

func readsBack(t *testing.T, store metrics.Store) {
	base := Base()
	MustWrite(t, store, Sample("a", "cpu_user", base, 1.5), Sample("a", "cpu_user", base.Add(300*time.Second), -2))
	MustWrite(t, store, Sample("a", "cpu_user", base.Add(600*time.Second+250*time.Millisecond), 1e300))
	series := MustRange(t, store, All("a", "cpu_user"))
	WantPoints(t, series, base, 0, 1.5, 300, -2, 600.25, 1e300)
	if series[0].Metric != "cpu_user" || !maps.Equal(series[0].Tags, map[string]string{"server": "a"}) {
		t.Errorf("got series %q %v", series[0].Metric, series[0].Tags)
	}
	half := All("a", "cpu_user")
	half.From, half.To = base, base.Add(300*time.Second)
	WantPoints(t, MustRange(t, store, half), base, 0, 1.5)
}

func takesAgain(t *testing.T, store metrics.Store) {
	base := Base()
	var batch []metrics.Sample
	var want []float64
	for i := range 50 {
		batch = append(batch, Sample("a", "load_1", base.Add(time.Duration(i)*time.Second), float64(i)))
		want = append(want, float64(i), float64(i))
	}
	for range 3 {
		MustWrite(t, store, batch...)
	}
	MustWrite(t, store, append(batch[40:], batch[:40]...)...)
	WantPoints(t, MustRange(t, store, All("a", "load_1")), base, want...)

	other := batch[len(batch)-1]
	other.Value = 999 // which of the two values stays is not promised, that it is no error is
	MustWrite(t, store, other)
	if got := MustRange(t, store, All("a", "load_1")); len(got[0].Points) != 50 {
		t.Errorf("a point written twice with two values became %d points of 50", len(got[0].Points))
	}
}

func ordersLate(t *testing.T, store metrics.Store) {
	base := Base()
	order := rand.New(rand.NewPCG(1, 2)).Perm(500)
	var want []float64
	for i := range order {
		want = append(want, float64(i*10), float64(i))
	}
	for part := range slices.Chunk(order, 7) {
		var batch []metrics.Sample
		for _, i := range part {
			batch = append(batch, Sample("a", "load_1", base.Add(time.Duration(i)*10*time.Second), float64(i)))
		}
		MustWrite(t, store, batch...)
	}
	WantPoints(t, MustRange(t, store, All("a", "load_1")), base, want...)
}

func storesSkewed(t *testing.T, store metrics.Store) {
	now := time.Now().Truncate(time.Second)
	skews := map[string]time.Duration{"right": 0, "ahead": 5 * time.Hour, "far ahead": 23 * time.Hour, "behind": -9 * time.Hour, "fresh": 0}
	for step := range 10 {
		for server, skew := range skews {
			if server == "fresh" && step < 5 {
				continue // first seen when others were already ahead
			}
			at := now.Add(time.Duration(step)*time.Second + skew)
			MustWrite(t, store, Sample(server, "load_1", at, float64(step)))
		}
	}
	for server, skew := range skews {
		want := []float64{0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9}
		if server == "fresh" {
			want = want[10:]
		}
		WantPoints(t, MustRange(t, store, All(server, "load_1")), now.Add(skew), want...)
		latest, err := store.Latest(t.Context(), metrics.Selector{Server: server})
		if err != nil {
			t.Fatal(err)
		}
		WantPoints(t, latest, now.Add(skew), 9, 9)
	}
}

func refusesBad(t *testing.T, store metrics.Store) {
	base := Base()
	good := Sample("a", "load_1", base, 1)
	long := make([]byte, 2_000)
	bad := []metrics.Sample{
		Sample("a", "", base, 1),
		Sample("a", "load_1", base, math.NaN()),
		Sample("a", "load_1", base, math.Inf(-1)),
		Sample("a", "bad\xff", base, 1),
		{Metric: "load_1", Tags: map[string]string{"server": "a", "__name__": "other"}, Time: base},
		{Metric: "load_1", Tags: map[string]string{"server": ""}, Time: base},
		{Metric: "load_1", Tags: map[string]string{"server": string(long)}, Time: base},
	}
	err := store.Write(t.Context(), append([]metrics.Sample{good}, append(bad, Sample("a", "load_5", base, 5))...))
	rejected, ok := errors.AsType[*metrics.RejectedError](err)
	if !ok {
		t.Fatalf("got %v, want a RejectedError", err)
	}
	if len(rejected.Rejections) != len(bad) {
		t.Fatalf("got %d rejections, want %d: %v", len(rejected.Rejections), len(bad), rejected.Rejections)
	}
	for i, r := range rejected.Rejections {
		if r.Index != i+1 || r.Reason == "" {
			t.Errorf("got rejection %+v, want index %d and a reason", r, i+1)
		}
	}
	WantPoints(t, MustRange(t, store, All("a", "load_1")), base, 0, 1)
	WantPoints(t, MustRange(t, store, All("a", "load_5")), base, 0, 5)
}

func aggregates(t *testing.T, store metrics.Store) {
	base := Base()
	for i, value := range []float64{4, 2, 9, 1, 7} { // at 0, 20, 40, 60 and 200 seconds
		at := base.Add(time.Duration(i) * 20 * time.Second)
		if i == 4 {
			at = base.Add(200 * time.Second)
		}
		MustWrite(t, store, Sample("a", "load_1", at, value))
	}
	for aggregate, want := range map[string][]float64{
		"":           {0, 5, 60, 1, 180, 7},
		metrics.Avg:  {0, 5, 60, 1, 180, 7},
		metrics.Min:  {0, 2, 60, 1, 180, 7},
		metrics.Max:  {0, 9, 60, 1, 180, 7},
		metrics.Sum:  {0, 15, 60, 1, 180, 7},
		metrics.Last: {0, 9, 60, 1, 180, 7},
	} {
		query := All("a", "load_1")
		query.Step, query.Aggregate = time.Minute, aggregate
		// Neither end is a multiple of the step: the buckets are whole all the same.
		query.From, query.To = base.Add(30*time.Second), base.Add(190*time.Second)
		WantPoints(t, MustRange(t, store, query), base, want...)
	}
}

func rates(t *testing.T, store metrics.Store) {
	base := Base()
	values := []float64{1000, 1600, 2200, 100, 700, 700} // a reset between 2200 and 100
	for i, value := range values {
		MustWrite(t, store, Sample("a", "net_bytes_recv", base.Add(time.Duration(i)*time.Minute), value))
	}
	query := All("a", "net_bytes_recv")
	query.From, query.To, query.Aggregate = base, base.Add(time.Hour), metrics.Rate
	query.Step = time.Minute
	WantPoints(t, MustRange(t, store, query), base, 60, 10, 120, 10, 180, 100./60, 240, 10, 300, 0)
	query.Step = 2 * time.Minute
	WantPoints(t, MustRange(t, store, query), base, 0, 10, 120, (10+100./60)/2, 240, 5)
	// A bucket has the same value whatever the range begins with.
	query.From = base.Add(130 * time.Second)
	WantPoints(t, MustRange(t, store, query), base, 120, (10+100./60)/2, 240, 5)
	// Silence is a gap, not a slope.
	MustWrite(t, store, Sample("a", "net_bytes_recv", base.Add(3*time.Hour), 1e6), Sample("a", "net_bytes_recv", base.Add(3*time.Hour+time.Minute), 1e6+60))
	query.From, query.To, query.Step = base.Add(4*time.Minute), base.Add(4*time.Hour), 0
	WantPoints(t, MustRange(t, store, query), base, 240, 10, 300, 0, 10860, 1)
}

func selects(t *testing.T, store metrics.Store) {
	base := Base()
	for _, server := range []string{"a", "b"} {
		for _, device := range []string{"sda", "sdb"} {
			for _, metric := range []string{"disk_free", "disk_used", "disk.free"} {
				sample := Sample(server, metric, base, 1)
				sample.Tags["device"] = device
				MustWrite(t, store, sample)
			}
		}
	}
	for _, c := range []struct {
		selector metrics.Selector
		want     int
	}{
		{metrics.Selector{}, 12},
		{metrics.Selector{Server: "a"}, 6},
		{metrics.Selector{Server: "c"}, 0},
		{metrics.Selector{Metrics: []string{"disk.free"}}, 4}, // not a pattern
		{metrics.Selector{Metrics: []string{"disk_free", "disk_used"}}, 8},
		{metrics.Selector{Metrics: []string{"disk_free", "no_such"}, Server: "a"}, 2},
		{metrics.Selector{Tags: map[string]string{"device": "sda"}}, 6},
		{metrics.Selector{Server: "b", Metrics: []string{"disk_used"}, Tags: map[string]string{"device": "sdb"}}, 1},
		{metrics.Selector{Tags: map[string]string{"mount": "/"}}, 0},
	} {
		series := MustRange(t, store, metrics.Query{Selector: c.selector, From: base, To: base.Add(time.Second)})
		latest, err := store.Latest(t.Context(), c.selector)
		if err != nil {
			t.Fatal(err)
		}
		if len(series) != c.want || len(latest) != c.want {
			t.Errorf("%+v: range has %d series and latest %d, want %d", c.selector, len(series), len(latest), c.want)
		}
	}
}

func listsNames(t *testing.T, store metrics.Store) {
	base := Base()
	MustWrite(t, store, Sample("a", "mem_used", base, 1), Sample("a", "cpu_user", base, 1), Sample("b", "load_1", base, 1))
	for server, want := range map[string][]string{
		"a": {"cpu_user", "mem_used"}, "b": {"load_1"}, "": {"cpu_user", "load_1", "mem_used"}, "c": {},
	} {
		got, err := store.Names(t.Context(), server)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("names of %q: got %v, %v, want %v", server, got, err, want)
		}
	}
}

func givesLatest(t *testing.T, store metrics.Store) {
	now := time.Now().Truncate(time.Second)
	for i := range 400 { // more than one chunk, and some of it late
		at := now.Add(-time.Duration(i) * time.Minute)
		MustWrite(t, store, Sample("a", "load_1", at, float64(i)), Sample("b", "load_1", now.Add(-6*time.Hour).Add(time.Duration(i)*time.Second), float64(i)))
	}
	MustWrite(t, store, Sample("gone", "load_1", now.Add(-25*time.Hour), 1))
	latest, err := store.Latest(t.Context(), metrics.Selector{Metrics: []string{"load_1"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(latest) != 2 || latest[0].Tags["server"] != "a" || latest[1].Tags["server"] != "b" {
		t.Fatalf("got %v, want one series of a and one of b", latest)
	}
	WantPoints(t, latest[:1], now, 0, 0)
	WantPoints(t, latest[1:], now.Add(-6*time.Hour), 399, 399)
}

func refusesTooMuch(t *testing.T, store metrics.Store) {
	base := Base()
	var batch []metrics.Sample
	for i := range metrics.MaxPoints + 1 {
		batch = append(batch, Sample("a", "load_1", base.Add(time.Duration(i)*time.Millisecond), 1))
	}
	MustWrite(t, store, batch...)
	span := metrics.Query{From: base, To: base.Add(24 * time.Hour)}
	tooFine, tooMany, backwards, odd := span, span, span, span
	tooFine.Step = time.Second
	tooMany.Metrics = make([]string, 5_000)
	backwards.To = base.Add(-time.Second)
	odd.Aggregate = "median"
	for name, c := range map[string]struct {
		query metrics.Query
		want  error
	}{
		"raw points": {span, metrics.ErrTooLarge}, "steps": {tooFine, metrics.ErrTooLarge}, "metrics": {tooMany, metrics.ErrTooLarge},
		"a range backwards": {backwards, metrics.ErrInvalid}, "an unknown aggregate": {odd, metrics.ErrInvalid},
	} {
		if _, err := store.Range(t.Context(), c.query); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func answersEmpty(t *testing.T, store metrics.Store) {
	names, err := store.Names(t.Context(), "")
	if err != nil || len(names) != 0 {
		t.Errorf("names: got %v, %v", names, err)
	}
	latest, err := store.Latest(t.Context(), metrics.Selector{})
	if err != nil || len(latest) != 0 {
		t.Errorf("latest: got %v, %v", latest, err)
	}
	if got := MustRange(t, store, All("a", "load_1")); len(got) != 0 {
		t.Errorf("range: got %v", got)
	}
	MustWrite(t, store)
}

func closes(t *testing.T, store metrics.Store) {
	for range 2 {
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Write(t.Context(), []metrics.Sample{Sample("a", "load_1", Base(), 1)}); !errors.Is(err, metrics.ErrUnavailable) {
		t.Errorf("write: got %v, want ErrUnavailable", err)
	}
	if _, err := store.Range(t.Context(), All("a", "load_1")); !errors.Is(err, metrics.ErrUnavailable) {
		t.Errorf("range: got %v, want ErrUnavailable", err)
	}
	if _, err := store.Latest(t.Context(), metrics.Selector{}); !errors.Is(err, metrics.ErrUnavailable) {
		t.Errorf("latest: got %v, want ErrUnavailable", err)
	}
	if _, err := store.Names(t.Context(), ""); !errors.Is(err, metrics.ErrUnavailable) {
		t.Errorf("names: got %v, want ErrUnavailable", err)
	}
}

func servesMany(t *testing.T, store metrics.Store) {
	const writers, rounds = 8, 40
	base := Base()
	done := make(chan error, 2*writers)
	for w := range writers {
		server := fmt.Sprintf("s%d", w)
		go func() {
			for i := range rounds {
				if err := store.Write(t.Context(), []metrics.Sample{Sample(server, "load_1", base.Add(time.Duration(i)*time.Second), float64(i))}); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
		go func() {
			for range rounds {
				series, err := store.Range(t.Context(), All(server, "load_1"))
				if err == nil && len(series) == 1 {
					for i, p := range series[0].Points {
						if p.Value != float64(i) {
							err = fmt.Errorf("point %d of %s has value %v", i, server, p.Value)
						}
					}
				}
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 2 * writers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for w := range writers {
		if got := MustRange(t, store, All(fmt.Sprintf("s%d", w), "load_1")); len(got) != 1 || len(got[0].Points) != rounds {
			t.Errorf("server s%d: not all %d points are there", w, rounds)
		}
	}
}
