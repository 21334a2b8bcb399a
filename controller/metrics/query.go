package metrics

import (
	"fmt"
	"iter"
	"time"
)

// minStep is the smallest Step of a Query other than 0.
const minStep = time.Second

// rateGap is the longest time between two samples that a rate is taken over; a
// longer silence leaves a gap in the rate instead of a flat line.
const rateGap = time.Hour

// Aggregates of a Query.
const (
	Avg  = "avg" // the default
	Min  = "min"
	Max  = "max"
	Sum  = "sum"
	Last = "last"
	// Rate is the increase a second of a counter. A counter that falls was
	// reset, and counts again from zero.
	Rate = "rate"
)

// Query asks for the points of some series in From ≤ time < To.
//
// With a Step, one point stands for all samples of a bucket that begins at a
// multiple of Step since 1970 and carries the bucket's begin as its time. From
// is rounded down and To up to such a multiple, so a bucket has the same value
// in every query. Buckets without samples are left out. Without a Step every
// stored sample is a bucket of its own.
type Query struct {
	Selector
	From, To  time.Time
	Step      time.Duration
	Aggregate string
}

// Validate returns ErrInvalid or ErrTooLarge for a query that cannot be answered.
func (q Query) Validate() error {
	switch q.Aggregate {
	case "", Avg, Min, Max, Sum, Last, Rate:
	default:
		return fmt.Errorf("%w: aggregate %.20q is not one of avg, min, max, sum, last, rate", ErrInvalid, q.Aggregate)
	}
	if !q.To.After(q.From) {
		return fmt.Errorf("%w: the end of the time range is not after its begin", ErrInvalid)
	}
	if q.Step != 0 && (q.Step < minStep || q.Step%time.Millisecond != 0) {
		return fmt.Errorf("%w: the step must be 0 or at least %v, in whole milliseconds", ErrInvalid, minStep)
	}
	if from, to := q.buckets(); q.Step > 0 && (to-from)/q.Step.Milliseconds() > MaxPoints {
		return fmt.Errorf("%w: the time range has more than %d steps of %v, take a larger step", ErrTooLarge, MaxPoints, q.Step)
	}
	return q.Selector.Validate()
}

// Span is the time range a store has to read to answer: the buckets in full,
// and for a rate what comes before the first one.
func (q Query) Span() (from, to time.Time) {
	first, end := q.buckets()
	from, to = time.UnixMilli(first), time.UnixMilli(end)
	if q.Aggregate == Rate {
		from = from.Add(-rateGap)
	}
	return from, to
}

// buckets gives the first bucket's begin and the last one's end, in
// milliseconds since 1970.
func (q Query) buckets() (first, end int64) {
	step := q.stepMillis()
	to := q.To.Add(time.Millisecond - 1).UnixMilli()
	return floor(q.From.UnixMilli(), step), floor(to+step-1, step)
}

// stepMillis is the width of a bucket: times are kept to the millisecond, so
// one millisecond gives every sample its own.
func (q Query) stepMillis() int64 { return max(q.Step.Milliseconds(), 1) }

// floor rounds t down to a multiple of step, before 1970 too.
func floor(t, step int64) int64 {
	rest := t % step
	if rest < 0 {
		rest += step
	}
	return t - rest
}

// Fold turns the stored points of one series, in order of time and at least
// those of the query's Span, into the points that the query asks for. It
// returns ErrTooLarge when they are too many.
func (q Query) Fold(stored iter.Seq[Point]) ([]Point, error) {
	var (
		points     []Point
		b          bucket
		begin      int64
		previous   Point
		first, end = q.buckets()
		step       = q.stepMillis()
	)
	flush := func() error {
		value, ok := b.value(q.Aggregate)
		if !ok {
			return nil
		}
		if len(points) == MaxPoints {
			return fmt.Errorf("%w: a series has more than %d points in the time range, take a larger step", ErrTooLarge, MaxPoints)
		}
		points = append(points, Point{Time: time.UnixMilli(begin), Value: value})
		return nil
	}
	for p := range stored {
		t := p.Time.UnixMilli()
		if t >= end {
			break
		}
		if t >= first {
			if at := floor(t, step); at != begin || b.count == 0 {
				if err := flush(); err != nil {
					return nil, err
				}
				b, begin = bucket{}, at
			}
			b.add(previous, p)
		}
		previous = p
	}
	return points, flush()
}

// bucket gathers the samples of one step.
type bucket struct {
	count               int
	sum, low, high, end float64
	increase            float64       // of the counter, over elapsed
	elapsed             time.Duration // zero if no sample has a usable predecessor
}

func (b *bucket) add(previous, p Point) {
	if b.count == 0 {
		b.low, b.high = p.Value, p.Value
	}
	b.count++
	b.sum += p.Value
	b.low, b.high, b.end = min(b.low, p.Value), max(b.high, p.Value), p.Value

	gap := p.Time.Sub(previous.Time)
	if previous.Time.IsZero() || gap > rateGap {
		return
	}
	b.elapsed += gap
	if p.Value < previous.Value { // reset: it counts from zero again
		b.increase += p.Value
	} else {
		b.increase += p.Value - previous.Value
	}
}

func (b *bucket) value(aggregate string) (value float64, ok bool) {
	if b.count == 0 {
		return 0, false
	}
	switch aggregate {
	case Min:
		return b.low, true
	case Max:
		return b.high, true
	case Sum:
		return b.sum, true
	case Last:
		return b.end, true
	case Rate:
		return b.increase / b.elapsed.Seconds(), b.elapsed > 0
	default:
		return b.sum / float64(b.count), true
	}
}
