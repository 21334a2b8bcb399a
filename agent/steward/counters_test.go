package steward

import (
	"testing"

	"mailfleet/agent/collect"
	"mailfleet/alerts"
	"mailfleet/inventory"
	mailnodeapi "mailfleet/mailnode/api"
)

// An alert's rule knows the samples of held accounts by the names of alerts.
func TestEachHeldAccountIsASeries(t *testing.T) {
	status := &mailnodeapi.Status{
		Held:     []inventory.MailHold{{Address: "a@x.test", Sent: 412}, {Address: "b@x.test"}}, // b's from before bursts were counted
		Released: []string{"c@x.test"},
	}
	got := map[string]float64{}
	for _, r := range collect.Readings(bursts(status)) {
		if r.Metric != alerts.AccountBurst || len(r.Tags) != 1 {
			t.Errorf("a reading is %+v", r)
		}
		got[r.Tags[alerts.AccountTag]] = r.Value
	}
	if len(got) != 3 || got["a@x.test"] != 412 || got["b@x.test"] != 1 || got["c@x.test"] != 0 {
		t.Errorf("got %v", got)
	}
}
