package embedded

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"mailfleet/controller/metrics"
	"mailfleet/controller/metrics/storetest"
)

// victimDir is the environment variable that makes the test binary a writer to
// be killed: the store's directory.
const victimDir = "METRICS_TEST_VICTIM_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		fmt.Fprintln(os.Stderr, runVictim(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// runVictim writes batches for ever and prints the number of each one that was
// acknowledged.
func runVictim(dir string) error {
	base, err := strconv.ParseInt(os.Args[1], 10, 64)
	if err != nil {
		return err
	}
	store, err := Open(Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		if err := store.Write(context.Background(), numberedBatch(time.Unix(base, 0), n)); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// numberedBatch has samples in order, late ones, and now and then a new series.
// No series has as many late ones as make the engine flush them.
func numberedBatch(base time.Time, n int) []metrics.Sample {
	at := base.Add(time.Duration(n) * time.Second)
	return []metrics.Sample{
		storetest.Sample("a", "load_1", at, float64(n)),
		storetest.Sample("a", fmt.Sprintf("late_%d", n/30), base.Add(-time.Duration(n)*time.Second), float64(n)),
		storetest.Sample("a", fmt.Sprintf("new_%d", n/10), at, float64(n)),
	}
}

// wantBatches fails the test unless the batches before count are there, each
// sample once.
func wantBatches(t *testing.T, store *Store, base time.Time, count int) {
	t.Helper()
	values := make(map[string][]float64)
	for n := range count {
		for _, sample := range numberedBatch(base, n) {
			values[sample.Metric] = append(values[sample.Metric], sample.Value)
		}
	}
	for metric, want := range values {
		series := storetest.MustRange(t, store, storetest.All("a", metric))
		if len(series) != 1 {
			t.Errorf("%s: %d series", metric, len(series))
			continue
		}
		have := make(map[float64]int)
		for _, p := range series[0].Points {
			have[p.Value]++
		}
		for _, value := range want {
			if have[value] != 1 {
				t.Errorf("%s: sample %v is there %d times of %d points", metric, value, have[value], len(series[0].Points))
			}
		}
	}
}

func TestAcknowledgedSamplesSurviveKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	base := time.Now().Add(-2 * time.Hour).Truncate(time.Second)
	acknowledged := 0
	for round := 1; round <= 3; round++ {
		victim := exec.Command(os.Args[0], strconv.FormatInt(base.Unix(), 10))
		victim.Env = append(os.Environ(), victimDir+"="+dir)
		victim.Stderr = t.Output()
		out, err := victim.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := victim.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		last := -1
		for lines.Scan() {
			if last, err = strconv.Atoi(lines.Text()); err != nil {
				t.Fatal(err)
			}
			if last == 150*round {
				if err := victim.Process.Kill(); err != nil { // SIGKILL
					t.Fatal(err)
				}
			}
		}
		if err := victim.Wait(); err == nil || last < 150*round {
			t.Fatalf("the writer ended by itself after batch %d: %v", last, err)
		}
		acknowledged = max(acknowledged, last+1)
		store := openAt(t, dir)
		wantBatches(t, store, base, acknowledged)
		closeStore(t, store)
	}
}

func TestReopenedStoreHasEverything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	base := time.Now().Add(-3 * time.Hour).Truncate(time.Second)
	store := openAt(t, dir)
	for n := range 200 {
		storetest.MustWrite(t, store, numberedBatch(base, n)...)
		if n == 150 {
			closeStore(t, store)
			store = openAt(t, dir)
		}
	}
	closeStore(t, store)
	wantBatches(t, open(t, dir), base, 200)
}

func TestCompactionKeepsEverything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	base := time.Now().Add(-20 * time.Hour).Truncate(time.Second)
	store := openAt(t, dir)
	for n := range 300 {
		batch := numberedBatch(base, n)
		for i := range batch { // three minutes a batch: many blocks
			batch[i].Time = base.Add(180 * batch[i].Time.Sub(base))
		}
		storetest.MustWrite(t, store, batch...)
		if n%150 == 149 {
			if err := store.chores(time.Now()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(store.db.Blocks()) == 0 {
		t.Error("nothing was compacted")
	}
	wantBatches(t, store, base, 300)
	closeStore(t, store)
	wantBatches(t, open(t, dir), base, 300)
}
