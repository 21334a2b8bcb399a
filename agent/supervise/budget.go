package supervise

import (
	"math/rand/v2"
	"time"
)

// policy is how a service is treated. defaultPolicy is what agents use.
type policy struct {
	firstDelay time.Duration // before the first restart; doubles with each
	maxDelay   time.Duration
	stable     time.Duration // having run so long, the delay starts over
	restarts   int           // allowed within window; then the service is crashed
	window     time.Duration

	lock     time.Duration // for another agent to give up the directory
	ready    time.Duration // for a service to become ready
	settle   time.Duration // that one without a probe must live to count as running
	logSize  int64         // of one output file, in bytes
	logFiles int           // older ones kept
	logCheck time.Duration // between looks at the size
}

var defaultPolicy = policy{
	firstDelay: 500 * time.Millisecond,
	maxDelay:   30 * time.Second,
	stable:     time.Minute,
	restarts:   5,
	window:     2 * time.Minute,
	lock:       5 * time.Second,
	ready:      30 * time.Second,
	settle:     500 * time.Millisecond,
	logSize:    8 << 20,
	logFiles:   3,
	logCheck:   time.Second,
}

// budget is what a service has used up of its restarts.
type budget struct {
	restarts []time.Time // within the window, oldest first
	streak   int         // since it last ran stably
}

// spend decides about a service that ended at now and had been running for ran:
// it is restarted after delay, or not any more.
func (b *budget) spend(p policy, now time.Time, ran time.Duration) (delay time.Duration, ok bool) {
	for len(b.restarts) > 0 && now.Sub(b.restarts[0]) >= p.window {
		b.restarts = b.restarts[1:]
	}
	if len(b.restarts) >= p.restarts {
		return 0, false
	}
	if ran >= p.stable {
		b.streak = 0
	}
	delay = min(p.firstDelay<<min(b.streak, 16), p.maxDelay)
	b.streak++
	b.restarts = append(b.restarts, now)
	return delay*9/10 + rand.N(delay/5+1), true // a tenth either way
}
