package embedded

import (
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"mailfleet/controller/metrics"
)

// Samples are taken from this long ago (a spool replayed after the controller
// was away) to this far ahead (an agent's clock that is off by hours).
const (
	pastWindow   = 7 * 24 * time.Hour
	futureWindow = 24 * time.Hour
)

// Series written to in the last hours that the engine may hold in memory.
const (
	maxServerSeries = 10_000
	maxSeries       = 1_000_000
)

// checkTime returns an error for a time that is not taken. The engine alone
// would take any time ahead, and then refuse the present as too old.
func checkTime(t, now time.Time) error {
	switch age := now.Sub(t); {
	case age > pastWindow:
		return fmt.Errorf("its time %s is more than %v ago", t.UTC().Format(time.RFC3339), pastWindow)
	case age < -futureWindow:
		return fmt.Errorf("its time %s is more than %v ahead", t.UTC().Format(time.RFC3339), futureWindow)
	}
	return nil
}

// quota bounds the series in the engine's memory, per server, so that no server
// takes what the others need. It is the engine's SeriesLifecycleCallback.
type quota struct {
	perServer, total int

	mu       sync.Mutex
	enforced bool
	series   map[string]int // by server
	sum      int
}

// quotaError says which limit a new series would pass.
type quotaError struct{ text string }

func (e *quotaError) Error() string { return e.text }

// reset forgets all series, and lets the engine replay what it once accepted.
func (q *quota) reset() {
	q.mu.Lock()
	defer q.mu.Unlock()
	clear(q.series)
	q.sum, q.enforced = 0, false
}

func (q *quota) enforce() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.enforced = true
}

// PreCreation refuses a series over the quota.
func (q *quota) PreCreation(series labels.Labels) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	server := series.Get(metrics.ServerTag)
	switch {
	case !q.enforced:
	case q.series[server] >= q.perServer:
		return &quotaError{fmt.Sprintf("server %q already has %d series, and no more are taken", server, q.perServer)}
	case q.sum >= q.total:
		return &quotaError{fmt.Sprintf("there are already %d series, and no more are taken", q.total)}
	}
	return nil
}

// PostCreation counts a series.
func (q *quota) PostCreation(series labels.Labels) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.series[series.Get(metrics.ServerTag)]++
	q.sum++
}

// PostDeletion gives back what idle series took.
func (q *quota) PostDeletion(gone map[chunks.HeadSeriesRef]labels.Labels) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, series := range gone {
		server := series.Get(metrics.ServerTag)
		if q.series[server]--; q.series[server] == 0 {
			delete(q.series, server)
		}
		q.sum--
	}
}
