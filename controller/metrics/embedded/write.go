package embedded

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"mailfleet/controller/metrics"
)

// nameLabel is the engine's label for the metric.
const nameLabel = "__name__"

// Write stores samples as metrics.Store says. It refuses those of more than
// seven days ago or a day ahead, and new series over the quota.
func (s *Store) Write(ctx context.Context, samples []metrics.Sample) error {
	if err := ctx.Err(); err != nil || len(samples) == 0 {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.ready(); err != nil {
		return err
	}
	s.trap.seen.Store(false)
	rejections, err := s.commit(ctx, samples)
	if err == nil && s.trap.seen.Load() {
		err = errors.New("its engine met an error while writing")
	}
	if err != nil {
		return s.fail(err)
	}
	if len(rejections) > 0 {
		return &metrics.RejectedError{Rejections: rejections}
	}
	return nil
}

// ready makes sure that the disk has room and that the engine can be trusted.
func (s *Store) ready() error {
	if err := s.checkRoom(0); err != nil {
		return fmt.Errorf("%w: %w", metrics.ErrUnavailable, err)
	}
	if s.failure != nil {
		return s.reopen()
	}
	return nil
}

// commit stores what can be kept; after an error the engine is spoilt.
func (s *Store) commit(ctx context.Context, samples []metrics.Sample) (rejections []metrics.Rejection, err error) {
	now := time.Now()
	s.widenWindow(now)
	app := s.db.Appender(ctx)
	var label labelMaker
	for i, sample := range samples {
		refusal := sample.Validate()
		if refusal == nil {
			refusal = checkTime(sample.Time, now)
		}
		if refusal == nil {
			refusal, err = add(app, label.of(sample), sample)
		}
		if err != nil {
			return nil, errors.Join(err, app.Rollback())
		}
		if refusal != nil {
			rejections = append(rejections, metrics.Rejection{Index: i, Reason: refusal.Error()})
		}
	}
	if err := app.Commit(); err != nil {
		return nil, err
	}
	return rejections, s.syncLogs()
}

// add gives one sample to the engine: refusal is the sample's fault, err the
// engine's. A second value for a point is dropped, so that a repeated call
// changes nothing.
func add(app storage.Appender, series labels.Labels, sample metrics.Sample) (refusal, err error) {
	var ref storage.SeriesRef
	var known labels.Labels
	if index, ok := app.(storage.GetRef); ok {
		ref, known = index.GetRef(series, series.Hash())
	}
	if ref == 0 {
		known = series.Copy()
	}
	_, err = app.Append(ref, known, sample.Time.UnixMilli(), sample.Value)
	switch {
	case errors.Is(err, storage.ErrDuplicateSampleForTimestamp):
		return nil, nil
	case errors.Is(err, storage.ErrTooOldSample), errors.Is(err, storage.ErrOutOfBounds), errors.Is(err, storage.ErrOutOfOrderSample):
		return err, nil
	}
	if over, ok := errors.AsType[*quotaError](err); ok {
		return over, nil
	}
	return nil, err
}

// widenWindow lets the engine take everything that checkTime takes: it counts
// its window back from the newest sample it holds, which may be from a time
// when the controller's own clock was far ahead.
func (s *Store) widenWindow(now time.Time) {
	head := s.db.Head()
	newest := now.Add(futureWindow).UnixMilli()
	if head.MinTime() != math.MaxInt64 { // it holds samples
		newest = max(newest, head.MaxTime())
	}
	head.SetOutOfOrderTimeWindow(newest-now.Add(-pastWindow).UnixMilli(), nil)
}

// labelMaker builds the engine's labels for samples one after the other,
// reusing their memory.
type labelMaker struct {
	builder labels.ScratchBuilder
	labels  labels.Labels
}

// of returns labels that are valid until the next call.
func (m *labelMaker) of(sample metrics.Sample) labels.Labels {
	m.builder.Reset()
	m.builder.Add(nameLabel, sample.Metric)
	for key, value := range sample.Tags {
		m.builder.Add(key, value)
	}
	m.builder.Sort()
	m.builder.Overwrite(&m.labels)
	return m.labels
}
