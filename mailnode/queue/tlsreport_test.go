package queue

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"slices"
	"strings"
	"testing"

	"mailfleet/mailnode/outbound"
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
	r := &TLSReports{
		Queue: w.Queue, From: "tlsrpt@here.test", Organization: "Here", Contact: "postmaster@here.test",
		Take: func(before string) []outbound.Result {
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
