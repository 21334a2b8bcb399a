package rest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// write sends line protocol as a script does.
func (f *fixture) write(lines ...string) {
	f.t.Helper()
	res, text := f.ask(http.MethodPost, "/api/v2/write?precision=s", strings.Join(lines, "\n"), "Authorization", "Token "+f.client.Token)
	if res.StatusCode != http.StatusNoContent {
		f.t.Fatalf("%s %s", res.Status, text)
	}
}

func TestSamplesWrittenAreSamplesRead(t *testing.T) {
	f := start(t)
	f.upServer("mail-1")
	now := time.Now().Truncate(10 * time.Second)
	var lines []string
	for i := range 30 { // five minutes, and ten seconds apart
		at := now.Add(time.Duration(i-30) * 10 * time.Second).Unix()
		lines = append(lines, fmt.Sprintf("cpu,server=mail-1 user=%d,idle=50 %d", i, at),
			fmt.Sprintf("disk,server=mail-1,mount=/ used=%d %d", 100+i, at), fmt.Sprintf("disk,server=mail-1,mount=/home used=7 %d", at))
	}
	f.write(append(lines, fmt.Sprintf("cpu,server=elsewhere user=1 %d", now.Unix()))...)

	names, err := f.client.ServerSamples(t.Context(), "mail-1", api.SampleQuery{})
	f.ok(err)
	if !slices.Equal(names.Metrics, []string{"cpu_idle", "cpu_user", "disk_used"}) || len(names.Series) != 0 {
		t.Errorf("names %+v", names)
	}
	got, err := f.client.ServerSamples(t.Context(), "mail-1", api.SampleQuery{
		Metrics: []string{"cpu_user", "disk_used"}, From: fmt.Sprint(now.Add(-time.Minute).Unix()), To: now.UTC().Format(time.RFC3339),
		Step: 20 * time.Second, Aggregate: "max",
	})
	f.ok(err)
	if len(got.Series) != 3 || got.Step != 20 {
		t.Fatalf("got %+v", got)
	}
	cpu := got.Series[0]
	if cpu.Metric != "cpu_user" || cpu.Tags["server"] != "mail-1" || len(cpu.Points) == 0 || cpu.Points[len(cpu.Points)-1][1] != 29 {
		t.Errorf("series %+v", cpu)
	}
	if got.Series[1].Tags["mount"] == got.Series[2].Tags["mount"] {
		t.Errorf("series %+v", got.Series)
	}
	usual, err := f.client.ServerSamples(t.Context(), "mail-1", api.SampleQuery{Metrics: []string{"cpu_user,cpu_idle"}})
	f.ok(err)
	if len(usual.Series) != 2 || usual.Step != 12 || usual.To.Sub(usual.From) != time.Hour || len(usual.Series[0].Points) < 25 {
		t.Errorf("got %+v", usual)
	}
	raw, err := f.client.ServerSamples(t.Context(), "mail-1", api.SampleQuery{Metrics: []string{"cpu_user"}, From: "-0.5d", To: "now"})
	f.ok(err)
	if raw.Step != 144 {
		t.Errorf("step %v", raw.Step)
	}
	res, text := f.ask(http.MethodGet, "/api/v1/servers/mail-1/samples?metric=cpu_user&from=-10m&step=0s", "", "Authorization", "Bearer "+f.client.Token)
	if n := strings.Count(text, "],["); res.StatusCode != http.StatusOK || n != 29 {
		t.Errorf("as taken: %s, %d points: %s", res.Status, n+1, text)
	}

	newest := every(f, api.Readings, nil)
	if len(newest) != 4 || newest[1].Metric != "cpu_user" || newest[1].Value != 29 || newest[1].Server != "mail-1" || newest[1].Tags["server"] != "" {
		t.Errorf("newest %+v", newest)
	}
	if some := every(f, api.Readings, map[string][]string{"metric": {"disk_used"}, "server": {"mail-1"}}); len(some) != 2 || some[0].Tags["mount"] != "/" {
		t.Errorf("newest %+v", some)
	}
	f.ok(f.client.RemoveServer(t.Context(), "mail-1", 0))
	if some := every(f, api.Readings, nil); len(some) != 0 {
		t.Errorf("a removed server still has readings: %+v", some)
	}
}

func TestNotEverybodyWritesSamples(t *testing.T) {
	f := start(t)
	for _, header := range [][]string{nil, {"Authorization", "Bearer " + f.as(inventory.RoleViewer, "*").Token}, {"Authorization", "Token " + f.as(inventory.RoleOperator, "*:read").Token}} {
		res, _ := f.ask(http.MethodPost, "/api/v2/write", "cpu,server=mail-1 user=1", header...)
		if res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%v: %s", header, res.Status)
		}
	}
}

func TestMomentsAsPeopleWriteThem(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"now": now, "-1h": now.Add(-time.Hour), "-7d": now.AddDate(0, 0, -7), "-1m30s": now.Add(-90 * time.Second),
		"1770000000": time.Unix(1770000000, 0), "1770000000.5": time.UnixMilli(1770000000500), "2026-05-04T20:00:00+08:00": now,
	} {
		got, err := parseMoment("from", text, now)
		if err != nil || !got.Equal(want) {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "1h", "-", "--1h", "-1x", "NaN", "Inf", "-Infd", "-NaNd", "1e30", "0001-01-01T00:00:00Z", "-99999d", "today"} {
		if got, err := parseMoment("from", text, now); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func FuzzParseMoment(f *testing.F) {
	for _, seed := range []string{"now", "-1h", "-7d", "1770000000", "2026-05-04T12:00:00Z"} {
		f.Add(seed)
	}
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseMoment("from", text, now)
		if err == nil && (got.Year() < 1970 || got.Year() > 2200) {
			t.Errorf("%q is %v", text, got)
		}
		var s Span
		if s.UnmarshalText([]byte(text)) == nil && (s.Duration < 0 || !s.set) {
			t.Errorf("%q is %v", text, s)
		}
	})
}
