// Package push sends samples to the controller as InfluxDB line protocol. They
// go to a bounded spool on disk first and from there in order, each with the
// time it was taken, so that neither the controller's absence nor a restart of
// the agent leaves a gap in the charts.
//
// Only the agent's app imports it.
package push

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"
	"github.com/influxdata/influxdb-client-go/v2/api"
	influxhttp "github.com/influxdata/influxdb-client-go/v2/api/http"

	"mailfleet/agent/collect"
	"mailfleet/agent/durable"
)

const (
	// DefaultMaxBytes bounds the spool: at 300 s between samples of an ordinary
	// server, more than a month.
	DefaultMaxBytes = 64 << 20

	// maxBody is how much is sent in one request, in bytes.
	maxBody = 1 << 20
	// maxBatches is how many collections are sent in one request.
	maxBatches = 64

	sendTimeout = 30 * time.Second
	minRetry    = 500 * time.Millisecond
	maxRetry    = 30 * time.Second
)

// Options says what to send and where.
type Options struct {
	Dir      string       // of the spool, which has it alone
	MaxBytes int64        // of the spool; 0: DefaultMaxBytes
	Server   string       // the name samples are sent under
	HTTP     *http.Client // whose transport is the agent's link; the host it is asked for is "controller"
	Log      *slog.Logger
}

// Sender spools samples and sends them.
type Sender struct {
	server string
	spool  *durable.Queue[string] // of line protocol, one collection each
	write  api.WriteAPIBlocking
	log    *slog.Logger

	mu       sync.Mutex
	dropped  uint64 // of spool.Dropped, that were logged
	dropping bool   // and the log said so since samples were last taken
}

// New opens the spool. Nothing is sent before Run.
func New(o Options) (*Sender, error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	spool, err := durable.OpenQueue[string](o.Dir, o.MaxBytes, o.Log)
	if err != nil {
		return nil, err
	}
	client := influxdb2.NewClientWithOptions("http://controller", "", influxdb2.DefaultOptions().
		SetHTTPClient(o.HTTP).SetUseGZip(true))
	return &Sender{
		server: o.Server,
		spool:  spool,
		write:  client.WriteAPIBlocking("mailfleet", "samples"),
		log:    o.Log,
	}, nil
}

// Add spools samples that were taken at t. An error tells of those that cannot
// be sent at all, or that the disk refuses them: then they are held in memory.
func (s *Sender) Add(t time.Time, samples []collect.Sample) error {
	lines, err := encode(s.server, t, samples)
	if lines != "" {
		err = errors.Join(err, s.spool.Append(lines))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spool.Dropped() > s.dropped && !s.dropping {
		s.dropping = true
		s.log.Warn("the spool is full: the oldest samples are dropped until the controller takes some")
	}
	return err
}

// Run sends what is spooled and what will be, oldest first, until ctx ends.
func (s *Sender) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.spool.Added():
			s.drain(ctx)
		}
	}
}

// drain sends until the spool is empty or ctx ends.
func (s *Sender) drain(ctx context.Context) {
	for failures := 0; ; {
		body, last := s.next()
		if body == "" {
			return
		}
		err := s.send(ctx, body)
		if ctx.Err() != nil {
			return
		}
		if err == nil || refused(err) {
			s.taken(last, failures, err)
			failures = 0
			continue
		}
		if failures == 0 {
			s.log.Warn("samples wait: the controller does not take them", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryDelay(failures, err)):
		}
		failures++
	}
}

// next returns the oldest collections, as many as go into one request, and the
// number of the last of them in the spool.
func (s *Sender) next() (body string, last uint64) {
	var b strings.Builder
	for _, item := range s.spool.Peek(maxBatches) {
		if b.Len() > 0 && b.Len()+len(item.Value) > maxBody {
			break
		}
		b.WriteString(item.Value)
		last = item.Seq
	}
	return b.String(), last
}

func (s *Sender) send(ctx context.Context, body string) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	return s.write.WriteRecord(ctx, body)
}

// taken removes what was sent up to last. refusal says which lines the
// controller did not want.
func (s *Sender) taken(last uint64, failures int, refusal error) {
	if refusal != nil {
		s.log.Warn("the controller refused some samples, which are lost", "err", refusal)
	}
	if err := s.spool.Ack(last); err != nil {
		s.log.Warn("samples will be sent again after a restart", "err", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if failures > 0 {
		s.log.Info("the controller takes samples again", "waiting", s.spool.Len(), "dropped", s.spool.Dropped()-s.dropped)
	}
	s.dropped, s.dropping = s.spool.Dropped(), false
}

// refused reports whether sending the same again is of no use: the controller
// has read it, stored its good lines and found fault with others.
func refused(err error) bool {
	answer, ok := errors.AsType[*influxhttp.Error](err)
	if !ok {
		return false
	}
	switch answer.StatusCode {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	default:
		return false
	}
}

// retryDelay doubles with every failure, and varies so that the agents of a
// fleet do not come all at once when the controller is back; the controller may
// ask for more.
func retryDelay(failures int, err error) time.Duration {
	d := min(minRetry<<min(failures, 16), maxRetry)
	d = d/2 + rand.N(d)
	if answer, ok := errors.AsType[*influxhttp.Error](err); ok {
		d += time.Duration(min(answer.RetryAfter, 600)) * time.Second
	}
	return d
}

// Close closes the spool, after Run has returned. What is in it is sent after
// the next start.
func (s *Sender) Close() error { return s.spool.Close() }
