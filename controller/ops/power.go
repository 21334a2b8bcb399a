package ops

import (
	"fmt"

	"mailfleet/inventory"
)

// Relay chooses among the fleet's servers the one whose agent switches the
// power of another: the one the driver names, else one of the same region, else
// any; among equals the first by name. It must be up and have a link, and is
// never the target itself, which goes down with its power. Without one, why
// says so.
func Relay(p *inventory.Power, target *inventory.Server, servers []*inventory.Server, linked func(inventory.ID) bool) (relay *inventory.Server, why string) {
	fit := func(s *inventory.Server) bool { return s.State == inventory.ServerUp && linked(s.ID) }
	better := func(s *inventory.Server) bool {
		near, nearest := s.Region == target.Region, relay != nil && relay.Region == target.Region
		return relay == nil || near && !nearest || near == nearest && s.Name < relay.Name
	}
	for _, s := range servers {
		switch {
		case p.Via != "" && s.ID == p.Via && fit(s):
			return s, ""
		case p.Via != "" && s.ID == p.Via:
			return nil, fmt.Sprintf("the agent of %s, which switches the power of %s, is away", s.Name, target.Name)
		case p.Via == "" && s.ID != target.ID && fit(s) && better(s):
			relay = s
		}
	}
	switch {
	case relay != nil:
		return relay, ""
	case p.Via != "":
		return nil, fmt.Sprintf("the server whose agent switches the power of %s is no longer in the fleet", target.Name)
	default:
		return nil, fmt.Sprintf("no other server is up whose agent could switch the power of %s", target.Name)
	}
}
