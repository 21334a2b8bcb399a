package alerts_test

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailfleet/alerts"
	"mailfleet/alerts/sms"
	"mailfleet/inventory"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) {
	time.Local = time.FixedZone("CST", 8*60*60) // texts give the local time
	os.Exit(m.Run())
}

// fired is an alert that fired at 14:05 local time, and over one that was over at 14:25.
func fired(severity inventory.Severity, metric, mount string, value float64, c inventory.Comparison, threshold float64) inventory.Alert {
	a := inventory.Alert{
		ServerName: "mail-hk-1", Severity: severity, Metric: metric, Value: value, Comparison: c, Threshold: threshold,
		State: inventory.AlertFiring, Since: time.Date(2026, 3, 1, 6, 4, 0, 0, time.UTC), Fired: time.Date(2026, 3, 1, 6, 5, 0, 0, time.UTC),
	}
	if mount != "" {
		a.Tags = map[string]string{"server": "mail-hk-1", "device": "/dev/sda1", "mount": mount}
	}
	return a
}

func over(a inventory.Alert, value float64) inventory.Alert {
	a.State, a.Value, a.Resolved = inventory.AlertResolved, value, a.Fired.Add(20*time.Minute)
	return a
}

func TestTextGolden(t *testing.T) {
	disk := fired(inventory.Critical, "disk_used_percent", "/var", 97.31, inventory.Above, 90)
	pending := disk
	pending.State, pending.Fired = inventory.AlertPending, time.Time{}
	network := fired(inventory.Info, "net_bytes_recv", "", 123456789, inventory.AtLeast, 100<<20)
	network.Tags = map[string]string{"interface": "eth0", "server": "mail-hk-1"}
	longNames := fired(inventory.Warning, "disk_inodes_used_percent", "/srv/mail/stores/primary/very/deep/down/volume-0017/data", 99.9, inventory.AtLeast, 99)
	longNames.ServerName = "mail-storage-0017.rack-12.row-4.dc-hong-kong-2.asia.example.net"
	strange := fired(inventory.Critical, "disk_used_percent", "/mnt/备份\n`~{盘}\xff", 91, inventory.Above, 90)
	held := fired(inventory.Critical, alerts.AccountBurst, "", 412, inventory.AtLeast, 1)
	held.Tags = map[string]string{alerts.AccountTag: "user1@example.test"}
	heldLong := held
	heldLong.ServerName = longNames.ServerName
	heldLong.Tags = map[string]string{alerts.AccountTag: "customer-relations-department@mail.subsidiary.hong-kong.example.com.hk"}
	unknown := fired("", "mailnode_queue_length", "", 12000, inventory.Above, 10000)

	var got strings.Builder
	for _, c := range []struct {
		name  string
		alert inventory.Alert
	}{
		{"critical, firing", disk},
		{"critical, resolved", over(disk, 71.2)},
		{"critical, closed", over(disk, 97.3)},
		{"pending reads as firing, since its start", pending},
		{"warning, below, bytes", fired(inventory.Warning, "mem_free", "", 800<<20, inventory.Below, 1<<30)},
		{"warning, below, bytes, resolved", over(fired(inventory.Warning, "mem_free", "", 800<<20, inventory.Below, 1<<30), 3.25*(1<<30))},
		{"info, an interface", network},
		{"at most, count", fired(inventory.Warning, "disk_inodes_free", "/", 1000, inventory.AtMost, 1000)},
		{"load", fired(inventory.Warning, "load_load1", "", 12.34, inventory.Above, 8)},
		{"close to the threshold", fired(inventory.Warning, "cpu_user", "", 90.04, inventory.Above, 90)},
		{"unknown metric and severity", unknown},
		{"long names", longNames},
		{"long names, resolved", over(longNames, 42)},
		{"strange names", strange},
		{"an account is held", held},
		{"an account was let go", over(held, 0)},
		{"an account is held no more, nobody knows why", over(held, 412)},
		{"an account with a long address", heldLong},
	} {
		fmt.Fprintf(&got, "%s\n  %s\n  %s\n", c.name, alerts.Text(c.alert, "zh"), alerts.Text(c.alert, "en"))
	}
	many := alerts.Together{
		Severity: inventory.Critical, Region: "hk", Servers: []string{"mail-hk-2", "mail-hk-1", "mail-hk-10", "mail-hk-3"},
		At: time.Date(2026, 3, 1, 6, 5, 0, 0, time.UTC),
	}
	manyLong := many
	manyLong.Servers = []string{longNames.ServerName, longNames.ServerName + "2", longNames.ServerName + "3"}
	wide := many
	wide.Region = "hong-kong-kowloon-east-building-7"
	for i := range 400 {
		wide.Servers = append(wide.Servers, fmt.Sprintf("mail-hk-%03d", i))
	}
	for _, c := range []struct {
		name string
		of   alerts.Together
	}{{"a region is down", many}, {"a large region is down", wide}, {"long names together", manyLong}, {"servers without a region", alerts.Together{Servers: many.Servers, At: many.At}}} {
		up := c.of
		up.Up = true
		for _, t := range []alerts.Together{c.of, up} {
			fmt.Fprintf(&got, "%s, up again: %v\n  %s\n  %s\n", c.name, t.Up, alerts.TogetherText(t, "zh"), alerts.TogetherText(t, "en"))
		}
	}
	path := filepath.Join("testdata", "texts.golden")
	if *update {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("go test -update writes the golden file; got\n%s\nwant\n%s", got.String(), want)
	}
}

func TestTextInAnotherLanguageIsChinese(t *testing.T) {
	a := fired(inventory.Critical, "mem_used_percent", "", 97, inventory.Above, 90)
	if got, want := alerts.Text(a, ""), alerts.Text(a, alerts.Chinese); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzTextFitsOneMessage(f *testing.F) {
	f.Add("mail-1", "disk_used_percent", "/var", 97.3, 90.0, uint8(0))
	f.Add(strings.Repeat("😀", 90), strings.Repeat("磁", 90), strings.Repeat("~", 300), math.MaxFloat64, -math.MaxFloat64, uint8(5))
	f.Add(strings.Repeat("s", 253), "m_"+strings.Repeat("x", 98), strings.Repeat("{what}", 50), 1e-300, 1e15, uint8(11))
	f.Fuzz(func(t *testing.T, server, metric, mount string, value, threshold float64, form uint8) {
		comparisons := []inventory.Comparison{inventory.Above, inventory.AtLeast, inventory.Below, inventory.AtMost}
		severities := []inventory.Severity{inventory.Info, inventory.Warning, inventory.Critical}
		a := fired(severities[form%3], metric, mount, value, comparisons[form%4], threshold)
		a.ServerName = server
		hold := a
		hold.Metric, hold.Tags = alerts.AccountBurst, map[string]string{alerts.AccountTag: mount}
		for _, alert := range []inventory.Alert{a, over(a, value), over(a, threshold), hold, over(hold, 0), over(hold, value)} {
			zh, en := alerts.Text(alert, "zh"), alerts.Text(alert, "en")
			if _, parts := sms.Encode(zh); parts != 1 {
				t.Errorf("%d parts: %q", parts, zh)
			}
			if encoding, parts := sms.Encode(en); parts != 1 || encoding != sms.GSM7 {
				t.Errorf("%s, %d parts: %q", encoding, parts, en)
			}
		}
		many := alerts.Together{Severity: severities[form%3], Region: metric, Servers: []string{server, mount, metric}, Up: form%2 == 0, At: a.Since}
		zh, en := alerts.TogetherText(many, "zh"), alerts.TogetherText(many, "en")
		if _, parts := sms.Encode(zh); parts != 1 {
			t.Errorf("%d parts: %q", parts, zh)
		}
		if encoding, parts := sms.Encode(en); parts != 1 || encoding != sms.GSM7 {
			t.Errorf("%s, %d parts: %q", encoding, parts, en)
		}
	})
}
