package state

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

var discard = slog.New(slog.DiscardHandler)

func TestDesiredIsKeptWithoutItsOrders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "desired.json")
	if _, ok, err := LoadDesired(path); ok || err != nil {
		t.Fatalf("before any: %v, %v", ok, err)
	}
	d := api.Desired{
		Index:    7,
		Server:   api.DesiredServer{ID: inventory.NewID(), Name: "mx1", Address: "127.0.0.1"},
		Interval: inventory.Duration(5 * time.Minute),
		Services: []api.DesiredService{{Name: "mailnode", Kind: inventory.KindMailnode, Want: inventory.WantRunning}},
		Rules:    []inventory.Rule{{Name: "memory", Metric: "mem_used_percent", Comparison: inventory.Above, Value: 90}},
	}
	withOrders := d
	withOrders.Orders = []api.Order{{ID: inventory.NewID(), Kind: inventory.OpServiceStop}}
	if err := SaveDesired(path, withOrders); err != nil {
		t.Fatal(err)
	}
	got, ok, err := LoadDesired(path)
	if err != nil || !ok || !reflect.DeepEqual(got, d) {
		t.Fatalf("got %+v, %v, %v", got, ok, err)
	}
	if len(withOrders.Orders) != 1 {
		t.Fatal("the caller's orders were taken away")
	}
}

func TestDesiredDamagedIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "desired.json")
	if err := os.WriteFile(path, []byte(`{"index":7,"ser`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := LoadDesired(path); ok || err == nil || got.Index != 0 {
		t.Fatalf("got %+v, %v, %v", got, ok, err)
	}
}
