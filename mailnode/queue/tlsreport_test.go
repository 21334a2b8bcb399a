package queue

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"mailfleet/mailnode/outbound"
	"mailfleet/mailnode/resolve/resolvetest"
	"mailfleet/mailnode/store"
)

func TestTLSReports(t *testing.T) {
	w := newWorld(t)
	var text string
	w.answer = func(_ string, m *outbound.Message) []outbound.Outcome {
		b, err := io.ReadAll(m.Open())
		if err != nil {
			t.Error(err)
		}
		w.mu.Lock()
		text = string(b)
		w.mu.Unlock()
		return slices.Repeat([]outbound.Outcome{taken}, len(m.To))
	}
	asked := ""
	var forgotten []string
	r := &TLSReports{
		Queue: w.Queue, From: "tlsrpt@here.test", Organization: "Here", Contact: "postmaster@here.test",
		Off: func() bool { return false },
		Forget: func(results []outbound.Result, change func(func(*store.Tx) error) error) error {
			for _, f := range results {
				forgotten = append(forgotten, f.Domain)
			}
			return change(func(*store.Tx) error { return nil })
		},
		Results: func(before string) []outbound.Result {
			asked = before
			return []outbound.Result{
				{Day: "2026-01-30", Domain: "far.test", PolicyType: "sts", Policy: []string{"version: STSv1", "mode: enforce"}, MX: []string{"*.far.test"}, Success: 7,
					Failures: []outbound.Failure{{Type: "certificate-expired", Host: "mx.far.test", Address: "192.0.2.1", Text: "expired", Sessions: 3}}},
				{Day: "2026-01-30", Domain: "silent.test", PolicyType: "no-policy-found", Success: 1},
			}
		},
		Texts: func(_ context.Context, name string) ([]string, error) {
			if name == "_smtp._tls.far.test" {
				return []string{"v=TLSRPTv1; rua=https://x.test/r, mailto:tls%2Breports@far.test"}, nil
			}
			return nil, nil
		},
		Sign: func(_ context.Context, m []byte) ([]byte, error) { return []byte("DKIM-Signature: x\r\n"), nil },
	}
	r.Send(t.Context())
	w.empty()
	if asked != "2026-01-31" || !slices.Equal(w.sent, []string{"far.test tlsrpt@here.test tls+reports@far.test"}) {
		t.Fatalf("asked for days before %s, sent %q", asked, w.sent)
	}
	if !slices.Equal(forgotten, []string{"far.test", "silent.test"}) {
		t.Errorf("forgotten were %q", forgotten)
	}
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if m.Header.Get("TLS-Report-Domain") != "far.test" || m.Header.Get("DKIM-Signature") != "x" {
		t.Errorf("the header is %v", m.Header)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || params["report-type"] != "tlsrpt" {
		t.Fatalf("its type is %v, %v", params, err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	if _, err := parts.NextPart(); err != nil {
		t.Fatal(err)
	}
	p, err := parts.NextPart()
	if err != nil {
		t.Fatal(err)
	}
	if p.FileName() != "here.test!far.test!1769731200!1769817599.json.gz" || p.Header.Get("Content-Type") != "application/tlsrpt+gzip" {
		t.Errorf("the part is %v", p.Header)
	}
	b, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, p))
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var report map[string]any
	if err := json.NewDecoder(z).Decode(&report); err != nil {
		t.Fatal(err)
	}
	delete(report, "report-id")
	got, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"contact-info":"postmaster@here.test","date-range":{"end-datetime":"2026-01-30T23:59:59Z","start-datetime":"2026-01-30T00:00:00Z"},"organization-name":"Here","policies":[{"failure-details":[{"failed-session-count":3,"failure-reason-code":"expired","receiving-ip":"192.0.2.1","receiving-mx-hostname":"mx.far.test","result-type":"certificate-expired"}],"policy":{"mx-host":["*.far.test"],"policy-domain":"far.test","policy-string":["version: STSv1","mode: enforce"],"policy-type":"sts"},"summary":{"total-failure-session-count":3,"total-successful-session-count":7}}]}`
	if string(got) != want {
		t.Errorf("the report is %s", got)
	}
}

// Wherever the power goes while reports are made, each day's counts are there or their
// report is in the queue, and never both.
func TestTLSReportsSurvivePowerLoss(t *testing.T) {
	const domains = 12
	yesterday := time.Now().Add(-24 * time.Hour).UTC().Format(time.DateOnly)
	texts := func(ctx context.Context, name string) ([]string, error) {
		return []string{"v=TLSRPTv1; rua=mailto:tls@" + strings.TrimPrefix(name, "_smtp._tls.")}, nil
	}
	fs := vfs.NewCrashableMem()
	st, r := reporting(t, fs, texts)
	if err := st.Update(t.Context(), nil, func(tx *store.Tx) error {
		var failed error
		for i := range domains {
			row, err := json.Marshal(outbound.Result{Day: yesterday, Domain: fmt.Sprintf("d%d.test", i), PolicyType: "sts", Success: 1})
			failed = errors.Join(failed, err, tx.Set(st.Table("outbound"), fmt.Appendf(nil, "r%s\x00d%d.test\x00sts", yesterday, i), row))
		}
		return failed
	}); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	st, r = reporting(t, fs, texts)
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	done := make(chan struct{})
	go func() { defer close(done); r.Send(t.Context()) }()
	rng := rand.New(rand.NewPCG(1, 2))
	var after []*vfs.MemFS
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		after = append(after, fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng}))
	}
	halfway := 0
	step := max(1, len(after)/100)
	for i := 0; i < len(after); i += step {
		if counts, reports := tlsReportsLeft(t, after[i], texts); counts > 0 && reports > 0 {
			halfway++
		}
	}
	if counts, reports := tlsReportsLeft(t, after[len(after)-1], texts); counts != 0 || reports != domains {
		t.Errorf("in the end there are %d counts and %d reports", counts, reports)
	}
	if halfway == 0 {
		t.Errorf("none of %d power cuts came halfway", len(after))
	}
}

// reporting is a client with its memory in a store, and the reports of what it counted.
func reporting(t *testing.T, fs vfs.FS, texts func(context.Context, string) ([]string, error)) (*store.Store, *TLSReports) {
	t.Helper()
	st, err := store.Open("/s", store.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	c := outbound.New(outbound.Settings{Hostname: "mx.here.test"}, resolvetest.New(t).Resolver(t), slog.New(slog.DiscardHandler))
	t.Cleanup(c.Close)
	if err := c.Recall(t.Context(), st); err != nil {
		t.Fatal(err)
	}
	q := New(Options{Store: st, Logger: slog.New(slog.DiscardHandler), Settings: Settings{Hostname: "mx.here.test"}})
	return st, &TLSReports{
		Queue: q, From: "tlsrpt@here.test", Organization: "Here", Contact: "postmaster@here.test",
		Results: c.Results, Forget: c.Forget, Texts: texts, Off: func() bool { return false },
	}
}

// tlsReportsLeft proves of a disk after a power cut that each domain has its counts or its
// report, and one of each after the reports are made once more.
func tlsReportsLeft(t *testing.T, fs vfs.FS, texts func(context.Context, string) ([]string, error)) (counts, reports int) {
	t.Helper()
	st, r := reporting(t, fs, texts)
	found := func() map[string]int { // domain → reports in the queue
		n := map[string]int{}
		for row, err := range st.Table("queue").Scan(t.Context(), []byte{rowPart}, []byte{rowPart + 1}) {
			if err != nil {
				t.Fatal(err)
			}
			p, err := decodePart(row.Value)
			if err != nil {
				t.Fatal(err)
			}
			n[p.Destination]++
		}
		return n
	}
	queued := found()
	left := r.Results("9999")
	for _, c := range left {
		if queued[c.Domain] != 0 {
			t.Errorf("%s has its counts and %d reports", c.Domain, queued[c.Domain])
		}
	}
	r.Send(t.Context())
	for domain, n := range found() {
		if n != 1 {
			t.Errorf("%s has %d reports", domain, n)
		}
	}
	if n := len(found()); n != 12 {
		t.Errorf("of %d domains there are reports: %d had their counts, %d a report", n, len(left), len(queued))
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	return len(left), len(queued)
}

// A domain whose DNS does not answer is asked again, for days and not for ever; counts of
// one that wants no reports, or when none are sent, are forgotten.
func TestTLSReportsAreTriedAgain(t *testing.T) {
	w := newWorld(t)
	left := []outbound.Result{{Day: "2026-01-30", Domain: "dead.test", PolicyType: "sts"}, {Day: "2026-01-30", Domain: "silent.test", PolicyType: "sts"}}
	off := false
	r := &TLSReports{
		Queue: w.Queue, From: "tlsrpt@here.test", Off: func() bool { return off },
		Results: func(string) []outbound.Result { return slices.Clone(left) },
		Forget: func(results []outbound.Result, change func(func(*store.Tx) error) error) error {
			return change(func(*store.Tx) error {
				left = slices.DeleteFunc(left, func(o outbound.Result) bool { return o.Domain == results[0].Domain })
				return nil
			})
		},
		Texts: func(_ context.Context, name string) ([]string, error) {
			if name == "_smtp._tls.dead.test" {
				return nil, errors.New("no answer")
			}
			return nil, nil
		},
	}
	r.Send(t.Context())
	if len(left) != 1 || left[0].Domain != "dead.test" {
		t.Errorf("left are %+v", left)
	}
	w.pass(48 * time.Hour)
	r.Send(t.Context())
	if len(left) != 1 {
		t.Error("after two days it is given up")
	}
	w.pass(24 * time.Hour)
	if r.Send(t.Context()); len(left) != 0 {
		t.Errorf("after three days left are %+v", left)
	}
	left, off = []outbound.Result{{Day: "2026-02-03", Domain: "far.test", PolicyType: "sts"}}, true
	if r.Send(t.Context()); len(left) != 0 {
		t.Errorf("with reports off left are %+v", left)
	}
	w.empty()
	if len(w.sent) != 0 {
		t.Errorf("sent were %q", w.sent)
	}
}

func TestAddressees(t *testing.T) {
	for text, want := range map[string][]string{
		"v=TLSRPTv1;rua=mailto:a@b.test":                             {"a@b.test"},
		"v=TLSRPTv1; rua=mailto:a@b.test, mailto:c@d.test":           {"a@b.test", "c@d.test"},
		"v=TLSRPTv2;rua=mailto:a@b.test":                             nil,
		"v=TLSRPTv1;rua=mailto:a@b.test%0d%0aRCPT:x@y.test":          nil,
		"v=TLSRPTv1;rua=https://b.test/":                             nil,
		"v=TLSRPTv1;rua=" + strings.Repeat("mailto:a@b.test,", 1000): slices.Repeat([]string{"a@b.test"}, 5),
	} {
		if got := addressees([]string{text}); !slices.Equal(got, want) {
			t.Errorf("%.60q: got %q", text, got)
		}
	}
}
