package members

import (
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
)

// timing holds the intervals that tests shorten. The package comment explains them.
type timing struct {
	probe        time.Duration // between probes of one member by another, and until a probe has failed
	probeTimeout time.Duration // until help is sought for a probe
	gossip       time.Duration // between packets of news
	pushPull     time.Duration // between full exchanges with some member
	reconnect    time.Duration // between attempts to reach a failed member
	reclaim      time.Duration // until the name of a failed member may move to another address
	leave        time.Duration // for the goodbye to travel before the socket closes
	joinFirst    time.Duration // first pause between attempts to join, doubled up to…
	joinLast     time.Duration // …this while alone
	joinSettled  time.Duration // pause between looks for missing seeds when not alone
}

// lan suits members in one data centre as well as across continents (round
// trips up to 200 ms) and machines that are busy for a second or two.
func lan() timing {
	return timing{
		probe:        800 * time.Millisecond,
		probeTimeout: 400 * time.Millisecond,
		gossip:       200 * time.Millisecond,
		pushPull:     15 * time.Second,
		reconnect:    10 * time.Second,
		reclaim:      5 * time.Second,
		leave:        time.Second,
		joinFirst:    500 * time.Millisecond,
		joinLast:     15 * time.Second,
		joinSettled:  time.Minute,
	}
}

const (
	// suspicionMult 3 asks for one confirmation besides the first suspicion:
	// two witnesses.
	suspicionMult = 3
	// suspicionMaxMult is how many times longer an unconfirmed suspicion takes.
	suspicionMaxMult = 3
	// forgetAfter is how long failed and left members are remembered.
	forgetAfter = 24 * time.Hour
	// goodbye is how long Leave waits for others to have heard; when a whole
	// fleet stops there is nobody to hear.
	goodbye = 2 * time.Second
	// dialTimeout bounds an attempt to join, and so how long Close may wait.
	dialTimeout = 5 * time.Second
)

// apply puts the timings into the library's configuration.
func (t timing) apply(s *serf.Config, m *memberlist.Config) {
	m.ProbeInterval = t.probe
	m.ProbeTimeout = t.probeTimeout
	m.SuspicionMult = suspicionMult
	m.SuspicionMaxTimeoutMult = suspicionMaxMult
	m.GossipInterval = t.gossip
	m.PushPullInterval = t.pushPull
	m.DeadNodeReclaimTime = t.reclaim
	m.TCPTimeout = dialTimeout

	s.ReconnectInterval = t.reconnect
	s.ReconnectTimeout = forgetAfter
	s.TombstoneTimeout = forgetAfter
	s.LeavePropagateDelay = t.leave
	s.BroadcastTimeout = goodbye
}
