package push

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	influxhttp "github.com/influxdata/influxdb-client-go/v2/api/http"

	"mailfleet/agent/collect"
)

var epoch = time.Unix(1_700_000_000, 0)

// sample is the n-th collection, and line how the controller gets it.
func sample(n int) (time.Time, []collect.Sample) {
	return epoch.Add(time.Duration(n) * time.Minute), []collect.Sample{
		{Measurement: "load", Fields: map[string]float64{"load1": float64(n)}},
	}
}

func line(n int) string {
	return fmt.Sprintf("load,server=mx1 load1=%d %d", n, epoch.Add(time.Duration(n)*time.Minute).UnixNano())
}

func lines(from, to int) (want []string) {
	for n := from; n < to; n++ {
		want = append(want, line(n))
	}
	return want
}

// running is a Sender that runs until stop.
type running struct {
	*Sender
	stop func()
}

func start(t *testing.T, o Options) *running {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Server = "mx1"
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	r := &running{Sender: s}
	r.stop = sync.OnceFunc(func() {
		cancel()
		done.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

func (r *running) add(t *testing.T, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		if err := r.Add(sample(n)); err != nil {
			t.Fatal(err)
		}
	}
}

// eventually lets (bubble) time pass until the controller has exactly want.
func eventually(t *testing.T, c *controller, want []string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Minute); time.Now().Before(deadline); {
		synctest.Wait()
		if slices.Equal(c.taken(), want) {
			return
		}
		time.Sleep(time.Second)
	}
	t.Fatalf("the controller has %q, want %q", c.taken(), want)
}

func TestSamplesArriveAtOnce(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := newController(t)
		s := start(t, Options{Dir: dir, HTTP: c.client})
		began := time.Now()
		s.add(t, 0, 3)
		eventually(t, c, lines(0, 3))
		if time.Since(began) != 0 {
			t.Fatalf("it took %v", time.Since(began))
		}
	})
}

func TestSamplesWaitForTheControllerAndKeepTheirOrderAndTime(t *testing.T) {
	for name, failure := range map[string]func(http.ResponseWriter){
		"error":        status(http.StatusInternalServerError),
		"unavailable":  status(http.StatusServiceUnavailable),
		"unauthorized": status(http.StatusUnauthorized),
		"forbidden":    status(http.StatusForbidden),
		"not found":    status(http.StatusNotFound),
		"hang up":      hangUp,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				c := newController(t)
				c.answers(failure)
				s := start(t, Options{Dir: dir, HTTP: c.client})
				s.add(t, 0, 3)
				time.Sleep(time.Hour)
				s.add(t, 3, 5)
				synctest.Wait()
				if got := c.taken(); got != nil {
					t.Fatalf("the controller has %q", got)
				}
				c.answers(nil)
				eventually(t, c, lines(0, 5))
			})
		})
	}
}

func TestRetriesAreSparse(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := newController(t)
		c.answers(status(http.StatusInternalServerError))
		s := start(t, Options{Dir: dir, HTTP: c.client})
		s.add(t, 0, 1)
		time.Sleep(time.Hour)
		c.mu.Lock()
		defer c.mu.Unlock()
		// Half of the longest delay is the least.
		if most := int(time.Hour/(maxRetry/2)) + 10; c.requests < 60 || c.requests > most {
			t.Fatalf("%d requests in an hour", c.requests)
		}
	})
}

func TestSamplesSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := newController(t)
		c.answers(hangUp)
		s := start(t, Options{Dir: dir, HTTP: c.client})
		s.add(t, 0, 4)
		s.stop()
		tearLastFile(t, dir)

		s = start(t, Options{Dir: dir, HTTP: c.client})
		s.add(t, 4, 6)
		c.answers(nil)
		eventually(t, c, lines(0, 6))
		s.stop()

		s = start(t, Options{Dir: dir, HTTP: c.client})
		s.add(t, 6, 7)
		eventually(t, c, lines(0, 7)) // and none of those before again
	})
}

// tearLastFile puts half a record behind the last one, as a power cut would.
func tearLastFile(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	f, err := os.OpenFile(files[len(files)-1], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(`0badc0de {"seq":5,"item":"load,ser`)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestRefusedLinesDoNotHoldUpTheRest(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := newController(t)
		c.answers(status(http.StatusBadRequest))
		var log bytes.Buffer
		s := start(t, Options{Dir: dir, HTTP: c.client, Log: slog.New(slog.NewTextHandler(&log, nil))})
		s.add(t, 0, 1)
		synctest.Wait()
		c.answers(nil)
		s.add(t, 1, 2)
		eventually(t, c, lines(1, 2))
		if c.requests != 2 || !strings.Contains(log.String(), "as the test wants it") {
			t.Fatalf("%d requests, log %s", c.requests, &log)
		}
	})
}

func TestFullSpoolDropsTheOldestAndSaysSoOnce(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := newController(t)
		c.answers(hangUp)
		const bound = 8 << 10
		var log bytes.Buffer
		s := start(t, Options{Dir: dir, HTTP: c.client, MaxBytes: bound, Log: slog.New(slog.NewTextHandler(&log, nil))})
		s.add(t, 0, 200)
		if size := dirSize(t, dir); size > bound+1000 {
			t.Fatalf("%d bytes on disk", size)
		}
		c.answers(nil)
		dropped := int(s.spool.Dropped())
		if dropped == 0 || dropped > 150 {
			t.Fatalf("%d dropped of 200", dropped)
		}
		eventually(t, c, lines(dropped, 200))
		s.stop()
		if n := strings.Count(log.String(), "dropped until"); n != 1 {
			t.Fatalf("said %d times: %s", n, &log)
		}
		if !strings.Contains(log.String(), fmt.Sprintf("dropped=%d", dropped)) {
			t.Fatalf("the log does not count %d: %s", dropped, &log)
		}
	})
}

func dirSize(t *testing.T, dir string) (size int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	return size
}

func TestLongBacklogGoesInFewRequests(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := newController(t)
		s, err := New(Options{Dir: dir, Server: "mx1", HTTP: c.client, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		for n := range 2 * maxBatches {
			if err := s.Add(sample(n)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		start(t, Options{Dir: dir, HTTP: c.client})
		eventually(t, c, lines(0, 2*maxBatches))
		if c.requests != 2 {
			t.Fatalf("%d requests", c.requests)
		}
	})
}

func TestRequestsStayWithinTheLimit(t *testing.T) {
	s, err := New(Options{Dir: t.TempDir(), Server: "mx1", HTTP: &http.Client{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	half := strings.Repeat("x", maxBody/2)
	if err := s.spool.Append(half, half, "y"); err != nil {
		t.Fatal(err)
	}
	body, last := s.next()
	if len(body) != maxBody {
		t.Fatalf("%d bytes", len(body))
	}
	if err := s.spool.Ack(last); err != nil {
		t.Fatal(err)
	}
	if body, _ := s.next(); body != "y" {
		t.Fatalf("then %d bytes", len(body))
	}
}

func TestEncode(t *testing.T) {
	got, err := encode("mx 1", time.Unix(0, 1234567890123456789), []collect.Sample{
		{Measurement: "disk", Tags: map[string]string{"mount": "/var/mail box,a=b", "device": "/dev/sda1"}, Fields: map[string]float64{"used_percent": 12.5, "total": 1e15}},
		{Measurement: "disk", Tags: map[string]string{"mount": "two\nlines"}, Fields: map[string]float64{"total": 1}},
		{Measurement: "none"},
		{Measurement: "cpu", Tags: map[string]string{"server": "another"}, Fields: map[string]float64{"idle": 3, "user": math.Inf(1)}},
	})
	want := `disk,device=/dev/sda1,mount=/var/mail\ box\,a\=b,server=mx\ 1 total=1e+15,used_percent=12.5 1234567890123456789
cpu,server=mx\ 1 idle=3 1234567890123456789
`
	if got != want || err == nil || !strings.Contains(err.Error(), "two") {
		t.Fatalf("got %s\n%v\nwant %s", got, err, want)
	}
}

func TestRetryDelay(t *testing.T) {
	down := &net.OpError{Op: "dial", Err: errors.New("refused")}
	for failures := range 100 {
		d := retryDelay(failures, down)
		if d < minRetry/2 || d >= maxRetry*3/2 {
			t.Fatalf("after %d failures: %v", failures, d)
		}
		if failures > 10 && d < maxRetry/2 {
			t.Fatalf("after %d failures: %v", failures, d)
		}
	}
	if d := retryDelay(0, &influxhttp.Error{StatusCode: http.StatusTooManyRequests, RetryAfter: 7}); d < 7*time.Second {
		t.Fatalf("when asked for 7 s: %v", d)
	}
}
