package embedded

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"mailfleet/controller/metrics"
)

// lookback is how old the newest point of a series may be for Latest.
const lookback = 24 * time.Hour

// hold keeps the engine in place until done is called.
func (s *Store) hold() (db *tsdb.DB, done func(), err error) {
	s.engine.RLock()
	if s.db == nil {
		s.engine.RUnlock()
		return nil, nil, metrics.ErrUnavailable
	}
	return s.db, s.engine.RUnlock, nil
}

// Names lists the metrics stored for a server, all servers if it is empty.
func (s *Store) Names(ctx context.Context, server string) (names []string, err error) {
	matchers, err := matchersFor(metrics.Selector{Server: server})
	if err != nil {
		return nil, err
	}
	db, done, err := s.hold()
	if err != nil {
		return nil, err
	}
	defer done()
	querier, err := db.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		return nil, fmt.Errorf("read metric names: %w", err)
	}
	defer func() { err = errors.Join(err, querier.Close()) }()
	found, _, err := querier.LabelValues(ctx, nameLabel, nil, matchers...)
	if err != nil {
		return nil, fmt.Errorf("read metric names: %w", err)
	}
	names = make([]string, len(found))
	for i, name := range found {
		names[i] = strings.Clone(name) // it may lie in a file that goes away
	}
	slices.Sort(names)
	return names, nil
}

// Range gives the points that query asks for.
func (s *Store) Range(ctx context.Context, query metrics.Query) (series []metrics.Series, err error) {
	if err := query.Validate(); err != nil {
		return nil, err
	}
	matchers, err := matchersFor(query.Selector)
	if err != nil {
		return nil, err
	}
	db, done, err := s.hold()
	if err != nil {
		return nil, err
	}
	defer done()
	from, to := query.Span()
	querier, err := db.Querier(from.UnixMilli(), to.UnixMilli()-1)
	if err != nil {
		return nil, fmt.Errorf("read samples: %w", err)
	}
	defer func() { err = errors.Join(err, querier.Close()) }()

	found := answer{series: []metrics.Series{}}
	var iterator chunkenc.Iterator
	set := querier.Select(ctx, true, nil, matchers...)
	for set.Next() {
		iterator = set.At().Iterator(iterator)
		points, err := query.Fold(stored(iterator, &found.read))
		if err != nil {
			return nil, err
		}
		if err := iterator.Err(); err != nil {
			return nil, fmt.Errorf("read samples: %w", err)
		}
		if err := found.add(ctx, set.At().Labels(), points); err != nil {
			return nil, err
		}
	}
	if err := set.Err(); err != nil {
		return nil, fmt.Errorf("read samples: %w", err)
	}
	return found.series, nil
}

// Latest gives the newest point of each series in the last day. It reads chunks
// rather than samples, because it needs only the last chunk of each series.
func (s *Store) Latest(ctx context.Context, selector metrics.Selector) (series []metrics.Series, err error) {
	if err := selector.Validate(); err != nil {
		return nil, err
	}
	matchers, err := matchersFor(selector)
	if err != nil {
		return nil, err
	}
	db, done, err := s.hold()
	if err != nil {
		return nil, err
	}
	defer done()
	since := time.Now().Add(-lookback)
	querier, err := db.ChunkQuerier(since.UnixMilli(), math.MaxInt64)
	if err != nil {
		return nil, fmt.Errorf("read samples: %w", err)
	}
	defer func() { err = errors.Join(err, querier.Close()) }()

	found := answer{series: []metrics.Series{}}
	var newest newestReader
	hints := &storage.SelectHints{Start: since.UnixMilli(), End: math.MaxInt64, DisableTrimming: true}
	set := querier.Select(ctx, true, hints, matchers...)
	for set.Next() {
		point, err := newest.read(set.At())
		if err != nil {
			return nil, fmt.Errorf("read samples: %w", err)
		}
		if point.Time.Before(since) {
			continue
		}
		if err := found.add(ctx, set.At().Labels(), []metrics.Point{point}); err != nil {
			return nil, err
		}
	}
	if err := set.Err(); err != nil {
		return nil, fmt.Errorf("read samples: %w", err)
	}
	return found.series, nil
}

// matchersFor turns a selector into the engine's terms.
func matchersFor(selector metrics.Selector) ([]*labels.Matcher, error) {
	kind, name := labels.MatchNotEqual, "" // any
	if len(selector.Metrics) > 0 {
		quoted := make([]string, len(selector.Metrics))
		for i, metric := range selector.Metrics {
			quoted[i] = regexp.QuoteMeta(metric)
		}
		kind, name = labels.MatchRegexp, strings.Join(quoted, "|")
	}
	matcher, err := labels.NewMatcher(kind, nameLabel, name)
	if err != nil {
		return nil, fmt.Errorf("%w: metric names: %w", metrics.ErrInvalid, err)
	}
	matchers := []*labels.Matcher{matcher}
	if selector.Server != "" {
		matchers = append(matchers, labels.MustNewMatcher(labels.MatchEqual, metrics.ServerTag, selector.Server))
	}
	for key, value := range selector.Tags {
		matchers = append(matchers, labels.MustNewMatcher(labels.MatchEqual, key, value))
	}
	return matchers, nil
}
