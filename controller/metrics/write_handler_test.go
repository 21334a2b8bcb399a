package metrics_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"
	influxhttp "github.com/influxdata/influxdb-client-go/v2/api/http"
	"github.com/influxdata/influxdb-client-go/v2/api/write"

	"mailfleet/controller/metrics"
	"mailfleet/controller/metrics/embedded"
	"mailfleet/controller/metrics/storetest"
)

// endpoint is a write endpoint over a real store. The token "agent-NAME" is an
// agent's, "script" that of a trusted writer.
type endpoint struct {
	*httptest.Server
	store *embedded.Store

	mu      sync.Mutex
	written []string // what OnWrite was told
}

func newEndpoint(t testing.TB) *endpoint {
	t.Helper()
	store, err := embedded.Open(embedded.Options{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	e := &endpoint{store: store}
	e.Server = httptest.NewServer(metrics.WriteHandler(metrics.WriteOptions{
		Store: store,
		Server: func(r *http.Request) (string, bool) {
			token := strings.TrimPrefix(r.Header.Get("Authorization"), "Token ")
			server, agent := strings.CutPrefix(token, "agent-")
			if agent {
				return server, true
			}
			return "", token == "script"
		},
		OnWrite: func(server string, samples []metrics.Sample) {
			e.mu.Lock()
			defer e.mu.Unlock()
			for _, s := range samples {
				e.written = append(e.written, fmt.Sprintf("%s %s %v", server, s.Metric, s.Value))
			}
		},
		Logger: slog.New(slog.DiscardHandler),
	}))
	t.Cleanup(func() {
		e.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// told returns what OnWrite was told, sorted, and forgets it.
func (e *endpoint) told() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	told := e.written
	e.written = nil
	slices.Sort(told)
	return told
}

// answer is what the endpoint replied.
type answer struct {
	status  int
	header  http.Header
	problem struct {
		Code, Message string
		Line          int
	}
}

func (e *endpoint) send(t testing.TB, method, token, query string, body []byte, header ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, e.URL+"/api/v2/write?org=o&bucket=b"+query, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Token "+token)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := e.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := answer{status: response.StatusCode, header: response.Header}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &got.problem); err != nil {
			t.Fatalf("answer %q: %v", text, err)
		}
	}
	return got
}

func (e *endpoint) values(t testing.TB, server, metric string) []float64 {
	t.Helper()
	var values []float64
	for _, series := range storetest.MustRange(t, e.store, storetest.All(server, metric)) {
		for _, p := range series.Points {
			values = append(values, p.Value)
		}
	}
	return values
}

func packed(t testing.TB, body []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestInfluxClientWrites(t *testing.T) {
	e := newEndpoint(t)
	for _, gzipped := range []bool{false, true} {
		options := influxdb2.DefaultOptions().SetUseGZip(gzipped).SetPrecision(time.Millisecond).SetHTTPClient(e.Client())
		client := influxdb2.NewClientWithOptions(e.URL, "agent-a", options)
		defer client.Close()
		writer := client.WriteAPIBlocking("org", "bucket")
		at := storetest.Base()
		if gzipped {
			at = at.Add(time.Second)
		}
		err := writer.WritePoint(t.Context(),
			write.NewPoint("cpu", map[string]string{"server": "somebody else"}, map[string]any{"user": 1.5, "system": int64(2)}, at),
			write.NewPoint("disk", map[string]string{"mount": "/a b,c=d"}, map[string]any{"free": uint64(3), "ok": true, "type": "ext4"}, at))
		if err != nil {
			t.Fatal(err)
		}
		if err := writer.WriteRecord(t.Context(), fmt.Sprintf("mem used=4 %d\nmem used=5 %d\nbad line", at.UnixMilli(), at.UnixMilli()+1)); err == nil {
			t.Error("a bad line was accepted")
		} else if problem, ok := errors.AsType[*influxhttp.Error](err); !ok || problem.StatusCode != http.StatusBadRequest || problem.Code != "invalid" || !strings.Contains(problem.Message, "line 3") {
			t.Errorf("got error %#v, want 400 invalid that names line 3", err)
		}
	}
	for metric, want := range map[string][]float64{"cpu_user": {1.5, 1.5}, "cpu_system": {2, 2}, "disk_free": {3, 3}, "disk_ok": {1, 1}, "mem_used": {4, 5, 4, 5}} {
		if got := e.values(t, "a", metric); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", metric, got, want)
		}
	}
	if got := e.values(t, "somebody else", "cpu_user"); got != nil {
		t.Errorf("agent a wrote %v for another server", got)
	}
	disk := storetest.MustRange(t, e.store, storetest.All("a", "disk_free"))[0]
	if disk.Tags["mount"] != "/a b,c=d" {
		t.Errorf("got tags %v", disk.Tags)
	}
}

func TestInfluxClientIsToldToWaitWhileTheStoreCannotWrite(t *testing.T) {
	e := newEndpoint(t)
	if err := e.store.Close(); err != nil {
		t.Fatal(err)
	}
	client := influxdb2.NewClientWithOptions(e.URL, "agent-a", influxdb2.DefaultOptions().SetHTTPClient(e.Client()))
	defer client.Close()
	err := client.WriteAPIBlocking("org", "bucket").WriteRecord(t.Context(), "m v=1")
	problem, ok := errors.AsType[*influxhttp.Error](err)
	if !ok || problem.StatusCode != http.StatusServiceUnavailable || problem.RetryAfter == 0 || problem.Code != "unavailable" {
		t.Errorf("got %#v, want 503 with Retry-After", err)
	}
	if told := e.told(); told != nil {
		t.Errorf("OnWrite was told of %v", told)
	}
}

func TestWriteAnswers(t *testing.T) {
	e := newEndpoint(t)
	big := bytes.Repeat([]byte("m v=1\n"), 10<<20/6+1)
	old := time.Now().AddDate(-1, 0, 0).UnixNano()
	for _, c := range []struct {
		name, method, token, query string
		body                       []byte
		header                     []string
		status, line               int
		code, message              string
		stored                     []string
	}{
		{name: "all good", body: []byte("m v1=1\n"), status: 204, stored: []string{"a m_v1 1"}},
		{name: "gzip", body: packed(t, []byte("m v2=2\n")), header: []string{"Content-Encoding", "gzip"}, status: 204, stored: []string{"a m_v2 2"}},
		{name: "text left out", body: []byte("m v3=3,s=\"text\"\nm s=\"text\""), status: 204, stored: []string{"a m_v3 3"}},
		{name: "nothing", body: nil, status: 204},
		{name: "GET", method: "GET", status: 405, code: "method not allowed"},
		{name: "a stranger", token: "stolen", body: []byte("m v1=1"), status: 401, code: "unauthorized", message: "unauthorized"},
		{name: "precision", query: "&precision=h", body: []byte("m v1=1"), status: 400, code: "invalid", message: "precision"},
		{name: "bad lines", body: []byte("m v4=4\nbad\nm v5=5\nm v=\nm w=6"), status: 400, code: "invalid", line: 2, message: "line 4", stored: []string{"a m_v4 4", "a m_v5 5", "a m_w 6"}},
		{name: "too old", body: fmt.Appendf(nil, "m v7=7\nm v8=8,w=8 %d\nbad", old), status: 400, code: "invalid", line: 2, message: "ago", stored: []string{"a m_v7 7"}},
		{name: "only bad lines", body: []byte("bad"), status: 400, code: "invalid", line: 1, message: "line 1"},
		{name: "script without server", token: "script", body: []byte("m,server=x v9=9\nm v9=9\nm,server=y v9=9"), status: 400, code: "invalid", line: 2, message: "server", stored: []string{"x m_v9 9", "y m_v9 9"}},
		{name: "script", token: "script", body: []byte("m,server=x v10=10"), status: 204, stored: []string{"x m_v10 10"}},
		{name: "too large", body: big, status: 413, code: "request too large"},
		{name: "zip bomb", body: packed(t, make([]byte, 64<<20)), header: []string{"Content-Encoding", "gzip"}, status: 413, code: "request too large"},
		{name: "no gzip", body: []byte("m v=1, which is no gzip"), header: []string{"Content-Encoding", "gzip"}, status: 400, code: "invalid", message: "gzip"},
		{name: "cut gzip", body: packed(t, []byte("m v1=1"))[:12], header: []string{"Content-Encoding", "gzip"}, status: 400, code: "invalid"},
		{name: "zstd", body: []byte("m v1=1"), header: []string{"Content-Encoding", "zstd"}, status: 415, code: "unsupported media type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			method, token := c.method, c.token
			if method == "" {
				method = "POST"
			}
			if token == "" {
				token = "agent-a"
			}
			got := e.send(t, method, token, c.query, c.body, c.header...)
			if got.status != c.status || got.problem.Code != c.code || got.problem.Line != c.line || !strings.Contains(got.problem.Message, c.message) {
				t.Errorf("got %d %+v, want %d %q line %d with %q", got.status, got.problem, c.status, c.code, c.line, c.message)
			}
			if told := e.told(); !slices.Equal(told, c.stored) {
				t.Errorf("OnWrite was told of %v, want %v", told, c.stored)
			}
			for _, sample := range c.stored {
				var server, metric string
				var value float64
				if _, err := fmt.Sscan(sample, &server, &metric, &value); err != nil {
					t.Fatal(err)
				}
				if got := e.values(t, server, metric); !slices.Equal(got, []float64{value}) {
					t.Errorf("%s of %s: the store has %v, want %v", metric, server, got, value)
				}
			}
		})
	}
}

func TestTooLargeIsRefusedByItsAnnouncedSize(t *testing.T) {
	e := newEndpoint(t)
	request := httptest.NewRequest(http.MethodPost, "/api/v2/write", unread{t})
	request.ContentLength = 1 << 40
	request.Header.Set("Authorization", "Token agent-a")
	recorder := httptest.NewRecorder()
	e.Config.Handler.ServeHTTP(recorder, request)
	if recorder.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d, want 413", recorder.Code)
	}
}

func TestTooLargeIsRefusedWithoutAnAnnouncedSize(t *testing.T) {
	e := newEndpoint(t)
	request := httptest.NewRequest(http.MethodPost, "/api/v2/write", io.MultiReader(bytes.NewReader(make([]byte, 10<<20)), strings.NewReader("!")))
	request.Header.Set("Authorization", "Token agent-a")
	recorder := httptest.NewRecorder()
	e.Config.Handler.ServeHTTP(recorder, request)
	if recorder.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d, want 413", recorder.Code)
	}
}

// unread is a body that fails the test if it is read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}
