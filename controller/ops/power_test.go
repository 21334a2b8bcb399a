package ops

import (
	"strings"
	"testing"

	"mailfleet/inventory"
)

func TestTheRelayIsTheNearestServerThatIsUpAndNeverTheTarget(t *testing.T) {
	server := func(id inventory.ID, region string, state inventory.ServerState) *inventory.Server {
		return &inventory.Server{Meta: inventory.Meta{ID: id}, Name: "name-" + string(id), Region: region, State: state}
	}
	const up, down = inventory.ServerUp, inventory.ServerDown
	target := server("t", "hk", up)
	all := []*inventory.Server{
		target, server("z", "hk", up), server("n", "hk", up), server("d", "hk", down), server("a", "cn", up), server("away", "hk", up),
	}
	linked := func(id inventory.ID) bool { return id != "away" }
	for _, c := range []struct {
		via     inventory.ID
		servers []*inventory.Server
		want    inventory.ID
		why     string
	}{
		{"", all, "n", ""},
		{"a", all, "a", ""},
		{"d", all, "", "the agent of name-d"},
		{"away", all, "", "the agent of name-away"},
		{"gone", all, "", "no longer in the fleet"},
		{"", []*inventory.Server{target, all[3], all[4], all[5]}, "a", ""},
		{"", []*inventory.Server{target, all[3], all[5]}, "", "no other server is up"},
	} {
		got, why := Relay(&inventory.Power{Via: c.via}, target, c.servers, linked)
		if c.want == "" && (got != nil || !strings.Contains(why, c.why)) || c.want != "" && (got == nil || got.ID != c.want) {
			t.Errorf("via %q of %d: %v, %q; want %q %q", c.via, len(c.servers), got, why, c.want, c.why)
		}
	}
}
