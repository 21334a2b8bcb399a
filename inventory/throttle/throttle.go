// Package throttle slows down those who guess: it counts failures in a row and by
// address, in bounded memory. The controller's and the mailnode's auth import it, each
// with its own rule of whom a count is held against.
package throttle

import (
	"net/netip"
	"sync"
	"time"
)

// Lock says when a lane locks: after After failures in a row for First; each
// further failure doubles that, up to Most.
type Lock struct {
	After       int
	First, Most time.Duration
}

// Lane counts failures in a row and says until when no attempt is taken. The zero
// Lane is open.
type Lane struct {
	Failures int
	Until    time.Time
}

// Fail counts one more and reports whether it locked the lane.
func (l *Lane) Fail(now time.Time, k Lock) bool {
	l.Failures++
	if l.Failures < k.After {
		return false
	}
	lock := k.First
	for range min(l.Failures-k.After, 32) {
		lock = min(2*lock, k.Most)
	}
	l.Until = now.Add(lock)
	return true
}

// Wait is how long the lane stays locked; 0 when it is open.
func (l *Lane) Wait(now time.Time) time.Duration { return max(0, l.Until.Sub(now)) }

// limiterAddresses bounds how many addresses a Limiter remembers.
const limiterAddresses = 10_000

// Limiter is a token bucket for each address. It is safe for concurrent use.
type Limiter struct {
	burst float64
	every time.Duration

	mu      sync.Mutex
	buckets *Recent[string, bucket]
}

type bucket struct {
	used float64 // of the burst, as of at
	at   time.Time
}

// NewLimiter allows each address a burst, then one more in every.
func NewLimiter(burst int, every time.Duration) *Limiter {
	return &Limiter{burst: float64(burst), every: every, buckets: NewRecent[string, bucket](limiterAddresses)}
}

// Take spends one of the address's goes. It returns how long to wait when there is
// none left, else 0.
func (l *Limiter) Take(address string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(address)
	if b.used > l.burst-1 {
		return time.Duration((b.used - l.burst + 1) * float64(l.every))
	}
	b.used++
	return 0
}

// Return gives back a go that need not count.
func (l *Limiter) Return(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(address)
	b.used = max(0, b.used-1)
}

func (l *Limiter) bucket(address string) *bucket {
	now := time.Now()
	b := l.buckets.At(Customer(address))
	b.used = max(0, b.used-float64(now.Sub(b.at))/float64(l.every))
	b.at = now
	return b
}

// Customer is the address as one customer has it: an IPv4 address, or an IPv6 /64.
func Customer(address string) string { return within(address, 32, 64) }

// Neighbourhood is the network that a customer's changing addresses come from: an
// IPv4 /24, or an IPv6 /48.
func Neighbourhood(address string) string { return within(address, 24, 48) }

func within(address string, bits4, bits6 int) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	a = a.Unmap().WithZone("")
	bits := bits6
	if a.Is4() {
		if bits4 == 32 {
			return a.String()
		}
		bits = bits4
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return address
	}
	return p.String()
}

// RoundUp makes a wait one to tell: whole seconds, one at least.
func RoundUp(d time.Duration) time.Duration {
	return max(time.Second, (d + time.Second - 1).Truncate(time.Second))
}
