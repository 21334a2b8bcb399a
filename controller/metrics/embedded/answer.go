package embedded

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"mailfleet/controller/metrics"
)

// answer gathers series within the limits of one answer.
type answer struct {
	series []metrics.Series
	points int
	read   int // stored samples
}

func (a *answer) add(ctx context.Context, name labels.Labels, points []metrics.Point) error {
	if a.read > metrics.MaxRead {
		return fmt.Errorf("%w: more than %d samples are to be read, ask for fewer series or a shorter time", metrics.ErrTooLarge, metrics.MaxRead)
	}
	if err := ctx.Err(); err != nil || len(points) == 0 {
		return err
	}
	if len(a.series) == metrics.MaxSeries {
		return fmt.Errorf("%w: more than %d series match, ask for fewer", metrics.ErrTooLarge, metrics.MaxSeries)
	}
	if a.points += len(points); a.points > metrics.MaxTotalPoints {
		return fmt.Errorf("%w: the answer has more than %d points, ask for fewer series or a larger step", metrics.ErrTooLarge, metrics.MaxTotalPoints)
	}
	series := metrics.Series{Tags: make(map[string]string, name.Len()), Points: points}
	name.Range(func(label labels.Label) {
		if label.Name == nameLabel {
			series.Metric = label.Value
		} else {
			series.Tags[label.Name] = label.Value
		}
	})
	a.series = append(a.series, series)
	return nil
}

// stored runs through the samples of a series, adding to count.
func stored(iterator chunkenc.Iterator, count *int) iter.Seq[metrics.Point] {
	return func(yield func(metrics.Point) bool) {
		for iterator.Next() == chunkenc.ValFloat {
			*count++
			if t, value := iterator.At(); !yield(metrics.Point{Time: time.UnixMilli(t), Value: value}) {
				return
			}
		}
	}
}

// newestReader finds the newest point of a series, reusing its memory from one
// to the next.
type newestReader struct {
	chunks   []chunks.Meta
	iterator chunks.Iterator
	samples  chunkenc.Iterator
}

// read decodes the last chunk, and others only if they reach beyond its end
// (out-of-order samples, chunks still open).
func (r *newestReader) read(series storage.ChunkSeries) (metrics.Point, error) {
	r.chunks = r.chunks[:0]
	r.iterator = series.Iterator(r.iterator)
	for r.iterator.Next() {
		r.chunks = append(r.chunks, r.iterator.At())
	}
	if err := r.iterator.Err(); err != nil {
		return metrics.Point{}, err
	}
	best, value := int64(math.MinInt64), 0.0
	for _, chunk := range slices.Backward(r.chunks) {
		if chunk.MaxTime <= best {
			continue
		}
		r.samples = chunk.Chunk.Iterator(r.samples)
		for r.samples.Next() == chunkenc.ValFloat {
			if t, v := r.samples.At(); t > best {
				best, value = t, v
			}
		}
		if err := r.samples.Err(); err != nil {
			return metrics.Point{}, err
		}
	}
	return metrics.Point{Time: time.UnixMilli(best), Value: value}, nil
}
