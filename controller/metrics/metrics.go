// Package metrics is the controller's sample store: what a sample is, the small
// interface every store meets, and the InfluxDB v2 write endpoint that feeds
// it. Package embedded beside it is the default store; storetest holds the
// suite that every store passes. Only the controller's rest and app import it.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of one query, and of the names in one sample.
const (
	MaxPoints      = 11_000     // points of one series in an answer
	MaxSeries      = 50_000     // series in an answer
	MaxTotalPoints = 2_000_000  // points in an answer
	MaxRead        = 50_000_000 // stored samples read for an answer

	maxMetrics = 1_000 // metric names in a Selector
	maxTags    = 32    // tags of a sample
	maxName    = 256   // bytes of a metric name or a tag key
	maxValue   = 1_024 // bytes of a tag value
)

// ServerTag is the tag that names the server a sample belongs to.
const ServerTag = "server"

// Errors of a Store, to be told apart with errors.Is. Their text, with what
// wraps them, is one sentence for the user.
var (
	// ErrInvalid says that a query or a request makes no sense.
	ErrInvalid = errors.New("invalid request")
	// ErrTooLarge says that a query or a request asks for more than is allowed.
	ErrTooLarge = errors.New("request too large")
	// ErrUnavailable says that the store cannot serve now; the same call may
	// succeed later.
	ErrUnavailable = errors.New("sample store unavailable")
)

// Sample is one measured value. Metric is measurement_field ("cpu_user"). Times
// are kept to the millisecond. Samples of one line share their Tags, so a
// receiver must not change them.
type Sample struct {
	Metric string
	Tags   map[string]string
	Time   time.Time
	Value  float64
}

// Point is a value at a time. In JSON it is [unix seconds, value]; a value that
// is not finite is null.
type Point struct {
	Time  time.Time
	Value float64
}

// Series is a metric with one set of tags, its points in order of time.
type Series struct {
	Metric string            `json:"metric"`
	Tags   map[string]string `json:"tags"`
	Points []Point           `json:"points"`
}

// Selector names the series that a reading is about. What is empty selects all.
type Selector struct {
	Metrics []string          // any of these metrics
	Server  string            // of this server
	Tags    map[string]string // with each of these tags
}

// Store keeps samples. Every method may be called from many goroutines.
type Store interface {
	// Write stores samples; when it returns, they outlive the death of the
	// process. A point written before is left as it is, and that is no error.
	// Samples that cannot be kept are named by a *RejectedError while all
	// others are stored. After any other error none may be taken as stored,
	// and the whole call can be repeated.
	Write(ctx context.Context, samples []Sample) error
	// Names lists the metrics stored for a server (all servers if empty), sorted.
	Names(ctx context.Context, server string) ([]string, error)
	// Latest gives the newest point of each series that has one in the last 24
	// hours, ordered by metric and tags.
	Latest(ctx context.Context, selector Selector) ([]Series, error)
	// Range gives the points that query asks for, ordered by metric and tags.
	// A series without points is left out.
	Range(ctx context.Context, query Query) ([]Series, error)
	// Close releases the store; nothing that Write acknowledged is lost.
	Close() error
}

// Rejection says why one sample of a Write was not stored.
type Rejection struct {
	Index  int // in the slice given to Write
	Reason string
}

// RejectedError lists the samples of a Write that were refused for good; the
// others of the call are stored.
type RejectedError struct {
	Rejections []Rejection // in order of Index, at least one
}

// Error names the first refused sample.
func (e *RejectedError) Error() string {
	first := e.Rejections[0]
	return fmt.Sprintf("%d samples refused; the first, at index %d: %s", len(e.Rejections), first.Index, first.Reason)
}

// Validate tells what makes a sample impossible to store, in any store.
func (s Sample) Validate() error {
	if err := validName("metric name", s.Metric); err != nil {
		return err
	}
	if math.IsNaN(s.Value) || math.IsInf(s.Value, 0) {
		return errors.New("the value is not a finite number")
	}
	if len(s.Tags) > maxTags {
		return fmt.Errorf("it has %d tags, at most %d are allowed", len(s.Tags), maxTags)
	}
	for key, value := range s.Tags {
		if err := validName("tag key", key); err != nil {
			return err
		}
		if strings.HasPrefix(key, "__") {
			return fmt.Errorf("tag key %q begins with __, which is reserved", key)
		}
		if value == "" || len(value) > maxValue || !utf8.ValidString(value) {
			return fmt.Errorf("the value of tag %q must be 1 to %d bytes of UTF-8", key, maxValue)
		}
	}
	return nil
}

func validName(what, name string) error {
	if name == "" || len(name) > maxName || !utf8.ValidString(name) {
		return fmt.Errorf("a %s must be 1 to %d bytes of UTF-8", what, maxName)
	}
	return nil
}

// Validate returns ErrTooLarge for a selector that names too much.
func (s Selector) Validate() error {
	if len(s.Metrics) > maxMetrics {
		return fmt.Errorf("%w: %d metrics are named, at most %d are allowed", ErrTooLarge, len(s.Metrics), maxMetrics)
	}
	if len(s.Tags) > maxTags {
		return fmt.Errorf("%w: %d tags are named, at most %d are allowed", ErrTooLarge, len(s.Tags), maxTags)
	}
	return nil
}

// MarshalJSON encodes the point as [unix seconds, value].
func (p Point) MarshalJSON() ([]byte, error) {
	b := append(make([]byte, 0, 40), '[')
	if ms := p.Time.UnixMilli(); ms%1000 == 0 {
		b = strconv.AppendInt(b, ms/1000, 10)
	} else {
		b = strconv.AppendFloat(b, float64(ms)/1000, 'f', -1, 64)
	}
	b = append(b, ',')
	if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendFloat(b, p.Value, 'g', -1, 64)
	}
	return append(b, ']'), nil
}
