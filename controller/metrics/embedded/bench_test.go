package embedded

import (
	"fmt"
	"testing"
	"time"

	"mailfleet/controller/metrics"
	"mailfleet/controller/metrics/storetest"
)

// A fleet as in the design: 60 series a server, a sample each five minutes.
const (
	benchSeries   = 60
	benchInterval = 5 * time.Minute
)

// benchNames are the metrics of a server.
var benchNames = func() (names [benchSeries]string) {
	for i := range names {
		names[i] = fmt.Sprintf("group%d_field%d", i/10, i)
	}
	return names
}()

// benchBatch is what one agent sends at once.
func benchBatch(server int, at time.Time) []metrics.Sample {
	tags := map[string]string{metrics.ServerTag: fmt.Sprintf("server-%05d", server), "region": "cn-north"}
	batch := make([]metrics.Sample, benchSeries)
	for i := range batch {
		batch[i] = metrics.Sample{Metric: benchNames[i], Tags: tags, Time: at, Value: float64(i) + float64(at.Unix()%977)/7}
	}
	return batch
}

// benchStore holds a time of samples of a fleet.
func benchStore(b *testing.B, servers int, length time.Duration) (*Store, time.Time) {
	b.Helper()
	store := open(b, b.TempDir())
	end := time.Now().Truncate(benchInterval)
	for at := end.Add(-length); at.Before(end); at = at.Add(benchInterval) {
		var all []metrics.Sample
		for server := range servers {
			all = append(all, benchBatch(server, at)...)
		}
		storetest.MustWrite(b, store, all...)
		if at.Equal(at.Truncate(2 * time.Hour)) {
			if err := store.chores(at); err != nil {
				b.Fatal(err)
			}
		}
	}
	return store, end
}

func BenchmarkWrite(b *testing.B) {
	const servers = 1_000
	store := open(b, b.TempDir())
	begin := time.Now().Add(-6 * 24 * time.Hour)
	for n := 0; b.Loop(); n++ {
		at := begin.Add(time.Duration(n/servers) * 30 * time.Second)
		storetest.MustWrite(b, store, benchBatch(n%servers, at)...)
	}
	b.ReportMetric(float64(b.N*benchSeries)/b.Elapsed().Seconds(), "samples/s")
}

func BenchmarkRange(b *testing.B) {
	store, end := benchStore(b, 50, 3*24*time.Hour)
	for name, query := range map[string]metrics.Query{
		"6series-24h-step5m": {From: end.Add(-24 * time.Hour), To: end, Step: 5 * time.Minute},
		"6series-3d-step1h":  {From: end.Add(-72 * time.Hour), To: end, Step: time.Hour},
		"6series-24h-rate":   {From: end.Add(-24 * time.Hour), To: end, Step: 15 * time.Minute, Aggregate: metrics.Rate},
	} {
		query.Server, query.Metrics = "server-00007", benchNames[10:16]
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if got := storetest.MustRange(b, store, query); len(got) != 6 {
					b.Fatalf("got %d series", len(got))
				}
			}
		})
	}
}

func BenchmarkLatest(b *testing.B) {
	const servers = 1_000
	store, _ := benchStore(b, servers, 6*time.Hour)
	for name, selector := range map[string]metrics.Selector{
		"1metric-1000servers": {Metrics: benchNames[:1]}, "10metrics-1000servers": {Metrics: benchNames[:10]}, "60metrics-1server": {Server: "server-00007"},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				got, err := store.Latest(b.Context(), selector)
				if err != nil || len(got) < 60 {
					b.Fatalf("got %d series, %v", len(got), err)
				}
			}
		})
	}
}
