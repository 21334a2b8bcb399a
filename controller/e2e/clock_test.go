package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailfleet/agent/uplink"
	"mailfleet/controller/api"
	"mailfleet/controller/e2e/fleettest"
)

// hand is an agent's link held by the test, to say what no true agent would.
func hand(t *testing.T, s script, name string) *uplink.Uplink {
	t.Helper()
	made := s.do(http.StatusCreated, http.MethodPost, "/api/v1/servers", map[string]any{"name": name, "address": "127.9.9.8", "mailnode": false})
	dir := t.TempDir()
	if _, err := uplink.Join(t.Context(), dir, s.f.Info.Console, str(made, "token"), name); err != nil {
		t.Fatal(err)
	}
	u, err := uplink.Open(dir, http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = u.Run(ctx) }()
	t.Cleanup(func() {
		s.do(http.StatusNoContent, http.MethodDelete, "/api/v1/servers/"+name, nil)
		cancel()
		<-done
	})
	select {
	case <-u.Up():
	case <-time.After(time.Minute):
		t.Fatal("no link")
	}
	return u
}

func TestAnAgentWhoseClockIsOffByHoursIsStoredAtItsTimeAndShown(t *testing.T) {
	s := script{t, theFleet(t)}
	u := hand(t, s, "skewed")
	for _, off := range []time.Duration{3 * time.Hour, -5 * time.Hour} {
		theirs := time.Now().Add(off)
		if err := u.Client().Report(t.Context(), api.Report{Time: theirs, BootID: "b", Version: "test"}); err != nil {
			t.Fatal(err)
		}
		if skew := num(s.get("/api/v1/servers/skewed"), "clock_skew"); skew < off.Seconds()-30 || skew > off.Seconds()+30 {
			t.Errorf("off by %s the skew shown is %v s", off, skew)
		}
		line := fmt.Sprintf("load load1=%d %d\n", int(off.Hours()), theirs.UnixNano())
		res, err := u.HTTP().Post("http://controller/api/v2/write?org=o&bucket=b", "text/plain", strings.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		fleettest.Drain(res.Body)
		if res.StatusCode != http.StatusNoContent {
			t.Fatalf("write: %s", res.Status)
		}
		answer := s.get(fmt.Sprintf("/api/v1/servers/skewed/samples?metric=load_load1&from=%d&to=%d&step=1s&aggregate=last", theirs.Unix()-2, theirs.Unix()+2))
		series, _ := answer["series"].([]any)
		if len(series) != 1 {
			t.Fatalf("off by %s: no sample at the agent's time: %v", off, answer)
		}
	}
	if err := u.Client().Report(t.Context(), api.Report{Time: time.Now(), BootID: "b", Version: "test"}); err != nil {
		t.Fatal(err)
	}
	if skew := num(s.get("/api/v1/servers/skewed"), "clock_skew"); skew < -30 || skew > 30 {
		t.Errorf("its clock is right again and the skew shown is %v s", skew)
	}
}

func TestARemovedServersCertificateIsRefused(t *testing.T) {
	s := script{t, theFleet(t)}
	made := s.do(http.StatusCreated, http.MethodPost, "/api/v1/servers", map[string]any{"name": "revoked", "address": "127.9.9.7", "mailnode": false})
	dir := t.TempDir()
	if _, err := uplink.Join(t.Context(), dir, s.f.Info.Console, str(made, "token"), ""); err != nil {
		t.Fatal(err)
	}
	s.do(http.StatusNoContent, http.MethodDelete, "/api/v1/servers/revoked", nil)
	u, err := uplink.Open(dir, http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	_ = u.Run(ctx)
	select {
	case <-u.Up():
		t.Error("it has a link")
	default:
	}
}

func TestAMailCertificateIsIssuedOnceAndKept(t *testing.T) {
	s := script{t, theFleet(t)}
	u := hand(t, s, "certified")
	file := filepath.Join(t.TempDir(), "mail.pem")
	for i, want := range []bool{true, false} {
		if replaced, err := u.MailCertificate(t.Context(), file); err != nil || replaced != want {
			t.Errorf("time %d: replaced %v, %v", i+1, replaced, err)
		}
	}
}
