package auth

import (
	"net/netip"
	"sync"
	"time"

	"mailfleet/inventory"
)

// limiterAddresses bounds how many addresses a Limiter remembers.
const limiterAddresses = 10_000

// Limiter is a token bucket for each address. It is safe for concurrent use.
type Limiter struct {
	burst float64
	every time.Duration

	mu      sync.Mutex
	buckets *recent[string, bucket]
}

type bucket struct {
	used float64 // of the burst, as of at
	at   time.Time
}

// NewLimiter allows each address a burst, then one more in every.
func NewLimiter(burst int, every time.Duration) *Limiter {
	return &Limiter{burst: float64(burst), every: every, buckets: newRecent[string, bucket](limiterAddresses)}
}

// Take spends one of the address's goes; TooMany when it has none left.
func (l *Limiter) Take(address string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(address)
	if b.used > l.burst-1 {
		wait := time.Duration((b.used - l.burst + 1) * float64(l.every))
		return inventory.Errorf(inventory.TooMany, "too many attempts from your address; try again in %s", roundUp(wait))
	}
	b.used++
	return nil
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
	b := l.buckets.at(network(address))
	b.used = max(0, b.used-float64(now.Sub(b.at))/float64(l.every))
	b.at = now
	return b
}

// network is the address as one customer has it: an IPv4 address, or an IPv6 /64.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Unmap().Is4() {
		return address
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return address
	}
	return p.String()
}

func roundUp(d time.Duration) time.Duration {
	return max(time.Second, (d + time.Second - 1).Truncate(time.Second))
}
