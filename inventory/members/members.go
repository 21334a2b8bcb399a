// Package members says who is alive: agents and controllers gossip with each
// other in one encrypted pool, notice within seconds when a member dies, and know
// how far apart they are.
// It is the only importer of hashicorp/serf; the controller and the agent
// import it, and it imports nothing of ours.
//
// Gossip carries no truth and no commands: what it says is a hint to look.
//
// # Timings
//
// Every 800 ms each member probes another one. Without an answer within 400 ms
// three others and TCP are tried; after 800 ms it suspects the other. The
// other is failed unless it refutes the suspicion, after 2.4 s × max(1,
// log10(members)) if a second member confirms it: 2.4 s up to 10 members, 5.5 s
// at 200, 8.9 s at 5,000. Unconfirmed it takes three times as long; where
// there is none to confirm, in a pool of two, it takes the shorter time. From
// death to verdict that makes 3 to 8 s in a small pool (10 s when most of it is
// dead already) and 6.5 to 8.5 s at 200 members, as measured. A member that
// notices that it is itself slow probes more slowly; no false verdict was seen
// with 20 members on two cores under a load of 12.
//
// A failed member is looked for every 10 s. Members that failed or left are
// forgotten after 24 hours. A member may return from another address under its
// name as soon as it has left, or 5 s after it was declared failed; until
// then, and as long as a live member has the name, the newcomer is refused
// and both say so in their logs. The newcomer keeps asking and is let in
// within 15 s (a minute at 200 members) after the name is free.
package members

import (
	"net/netip"
	"time"
)

// Port is the default port, for UDP and TCP.
const Port = 7946

// Role is what a member is.
type Role string

const (
	RoleAgent      Role = "agent"
	RoleController Role = "controller"
)

// Status is what the pool thinks of a member.
type Status string

const (
	StatusAlive  Status = "alive"
	StatusFailed Status = "failed" // died or became unreachable
	StatusLeft   Status = "left"   // said goodbye
)

// Member is one member of the pool, the local one included.
type Member struct {
	Name   string
	ID     string // the server's id; of a controller its name
	Role   Role
	Addr   netip.AddrPort
	Status Status
	// RTT is the estimated round-trip time from here. Zero: not known yet.
	RTT time.Duration
}
