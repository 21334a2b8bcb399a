package embedded

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"mailfleet/controller/metrics"
	"mailfleet/controller/metrics/storetest"
)

func TestTimesOutsideTheWindowAreRefusedAndTheRestKept(t *testing.T) {
	store := open(t, t.TempDir())
	now := time.Now().Truncate(time.Second)
	err := store.Write(t.Context(), []metrics.Sample{
		storetest.Sample("a", "load_1", now.Add(-8*24*time.Hour), 1),
		storetest.Sample("a", "load_1", now.Add(-6*24*time.Hour), 2),
		storetest.Sample("a", "load_1", now.Add(25*time.Hour), 3),
		storetest.Sample("a", "load_1", now.Add(23*time.Hour), 4),
		storetest.Sample("a", "load_1", time.Unix(0, 0), 5),
		storetest.Sample("a", "load_1", time.Time{}, 6),
		storetest.Sample("a", "load_1", now.AddDate(12, 0, 0), 7),
		storetest.Sample("a", "load_1", now, 8),
	})
	rejected, ok := errors.AsType[*metrics.RejectedError](err)
	if !ok {
		t.Fatalf("got %v, want a RejectedError", err)
	}
	var refused []int
	for _, r := range rejected.Rejections {
		refused = append(refused, r.Index)
		t.Log(r.Reason)
	}
	if want := []int{0, 2, 4, 5, 6}; len(refused) != 5 || [5]int(refused) != [5]int(want) {
		t.Errorf("refused %v, want %v", refused, want)
	}
	storetest.WantPoints(t, storetest.MustRange(t, store, storetest.All("a", "load_1")), now, -6*24*3600, 2, 0, 8, 23*3600, 4)
}

// A clock that is ahead moves the engine's notion of the present; all others
// must go on being stored, through compactions and restarts.
func TestClockAheadDoesNotStopOthers(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]time.Duration{"by hours": 5 * time.Hour, "by a day": 23 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			store := openAt(t, dir)
			start := time.Now().Add(-6 * time.Hour).Truncate(time.Minute)
			var want []float64
			for i := range 72 { // every five minutes for six hours
				at := start.Add(time.Duration(i) * 5 * time.Minute)
				storetest.MustWrite(t, store, storetest.Sample("ahead", "load_1", at.Add(ahead), float64(i)))
				storetest.MustWrite(t, store, storetest.Sample("right", "load_1", at, float64(i)))
				want = append(want, float64(i*300), float64(i))
				if i%24 == 23 {
					if err := store.chores(at); err != nil {
						t.Fatal(err)
					}
				}
				if i == 40 {
					closeStore(t, store)
					store = openAt(t, dir)
				}
			}
			defer closeStore(t, store)
			storetest.WantPoints(t, storetest.MustRange(t, store, storetest.All("right", "load_1")), start, want...)
			storetest.WantPoints(t, storetest.MustRange(t, store, storetest.All("ahead", "load_1")), start.Add(ahead), want...)
		})
	}
}

// The controller's own clock was weeks ahead for a while, and its samples with it.
func TestStoreOutlivesItsOwnClockHavingBeenAhead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := openAt(t, dir)
	now := time.Now().Truncate(time.Second)
	storetest.MustWrite(t, store, storetest.Sample("a", "load_1", now.Add(-time.Hour), 1))
	app := store.db.Appender(t.Context())
	var label labelMaker
	future := storetest.Sample("self", "load_1", now.AddDate(0, 0, 20), 1)
	if _, err := add(app, label.of(future), future); err != nil {
		t.Fatal(err)
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		storetest.MustWrite(t, store, storetest.Sample("a", "load_1", now.Add(time.Duration(i)*time.Second), float64(i)))
		if err := store.chores(now.Add(time.Duration(i) * 3 * time.Hour)); err != nil {
			t.Fatal(err)
		}
		closeStore(t, store)
		store = openAt(t, dir)
	}
	defer closeStore(t, store)
	storetest.WantPoints(t, storetest.MustRange(t, store, storetest.All("a", "load_1")), now, -3600, 1, 0, 0, 1, 1, 2, 2)
}

func TestSamplesPastRetentionAreDropped(t *testing.T) {
	t.Parallel()
	store, err := Open(Options{Dir: t.TempDir(), Retention: 6 * time.Hour, Logger: open(t, t.TempDir()).log})
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, store)
	now := time.Now().Truncate(time.Second)
	for age := 30 * time.Hour; age >= 0; age -= 10 * time.Minute {
		storetest.MustWrite(t, store, storetest.Sample("a", "load_1", now.Add(-age), age.Minutes()))
	}
	if err := store.chores(now); err != nil {
		t.Fatal(err)
	}
	points := storetest.MustRange(t, store, storetest.All("a", "load_1"))[0].Points
	if oldest := now.Sub(points[0].Time); oldest < 6*time.Hour || oldest > 10*time.Hour {
		t.Errorf("the oldest sample is of %v ago, want six hours and at most two blocks", oldest)
	}
	if newest := points[len(points)-1].Time; !newest.Equal(now) {
		t.Errorf("the newest sample is of %v, want %v", newest, now)
	}
}

// Latest reads chunks in a way of its own; it must agree with reading all.
func TestLatestAgreesWithRange(t *testing.T) {
	t.Parallel()
	store := open(t, t.TempDir())
	random := rand.New(rand.NewPCG(7, 9))
	now := time.Now().Truncate(time.Millisecond)
	servers := []string{"a", "b", "c", "d", "e"}
	for round := range 12 {
		var batch []metrics.Sample
		for range 200 {
			age := time.Duration(random.Int64N(int64(10 * time.Hour)))
			if random.IntN(4) == 0 {
				age = -age
			}
			batch = append(batch, storetest.Sample(servers[random.IntN(1+round/3)], "load_1", now.Add(-age).Truncate(time.Millisecond), random.Float64()))
		}
		storetest.MustWrite(t, store, batch...)
		if round%5 == 4 {
			if err := store.chores(now.Add(time.Duration(round) * time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		latest, err := store.Latest(t.Context(), metrics.Selector{})
		if err != nil {
			t.Fatal(err)
		}
		for _, series := range latest {
			all := storetest.MustRange(t, store, storetest.All(series.Tags["server"], "load_1"))[0].Points
			if want := all[len(all)-1]; series.Points[0] != want {
				t.Fatalf("round %d, server %s: latest is %v, the last of the range %v", round, series.Tags["server"], series.Points[0], want)
			}
		}
		if len(latest) == 0 {
			t.Fatal("latest is empty")
		}
	}
}
