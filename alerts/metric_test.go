package alerts

import (
	"math"
	"testing"

	"mailfleet/inventory"
)

func TestMetricsAreWhollyNamed(t *testing.T) {
	seen := make(map[string]bool)
	for _, m := range Metrics() {
		if m.Chinese == "" || m.English == "" || seen[m.Name] {
			t.Errorf("%+v lacks a name or is there twice", m)
		}
		seen[m.Name] = true
		rule := inventory.Rule{Name: "r", Metric: m.Name, Comparison: ">", Severity: inventory.Info}
		if err := Check(&rule); err != nil {
			t.Error(err)
		}
		if Describe(m.Name) != m {
			t.Errorf("Describe(%q) is %+v", m.Name, Describe(m.Name))
		}
	}
}

func TestMetricsCannotBeChangedFromOutside(t *testing.T) {
	Metrics()[0].Chinese = "changed"
	if Metrics()[0].Chinese == "changed" {
		t.Error("the catalogue changed")
	}
}

func TestDescribeUnknownMetric(t *testing.T) {
	for name, want := range map[string]Metric{
		"queue_used_percent": gauge("queue_used_percent", "queue_used_percent", "queue used percent", Percent),
		"smtp_bytes_in":      gauge("smtp_bytes_in", "smtp_bytes_in", "smtp bytes in", Bytes),
		"smtp_sessions":      gauge("smtp_sessions", "smtp_sessions", "smtp sessions", ""),
	} {
		if got := Describe(name); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestUnitFormat(t *testing.T) {
	for _, c := range []struct {
		unit   Unit
		value  float64
		digits int
		want   string
	}{
		{Percent, 97.31, 1, "97.3%"},
		{Percent, 90, 1, "90%"},
		{Percent, 100, 0, "100%"},
		{Percent, -0.01, 1, "0%"},
		{Bytes, 0, 1, "0 B"},
		{Bytes, 1023, 1, "1023 B"},
		{Bytes, 1024, 1, "1 KiB"},
		{Bytes, 1.5 * (1 << 30), 1, "1.5 GiB"},
		{Bytes, -2048, 1, "-2 KiB"},
		{Bytes, 1 << 60, 1, "1 EiB"},
		{Count, 1200, 1, "1200"},
		{BytesPerSecond, 20 * (1 << 20), 1, "20 MiB/s"},
		{PerSecond, 0.55, 1, "0.6/s"},
		{"", 0.256, 2, "0.26"},
		{"", 100, 2, "100"},
		{"", 1e30, 1, "1e+30"},
		{"", math.MaxFloat64, 1, "1.798e+308"},
	} {
		if got := c.unit.Format(c.value, c.digits); got != c.want {
			t.Errorf("%v %s: got %q, want %q", c.value, c.unit, got, c.want)
		}
	}
}
