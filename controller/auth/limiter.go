package auth

import (
	"time"

	"mailfleet/inventory"
	"mailfleet/inventory/throttle"
)

// Limiter is a token bucket for each address. It is safe for concurrent use.
type Limiter struct{ buckets *throttle.Limiter }

// NewLimiter allows each address a burst, then one more in every.
func NewLimiter(burst int, every time.Duration) *Limiter {
	return &Limiter{throttle.NewLimiter(burst, every)}
}

// Take spends one of the address's goes; TooMany when it has none left.
func (l *Limiter) Take(address string) error {
	if wait := l.buckets.Take(address); wait > 0 {
		return inventory.Errorf(inventory.TooMany, "too many attempts from your address; try again in %s", throttle.RoundUp(wait))
	}
	return nil
}

// Return gives back a go that need not count.
func (l *Limiter) Return(address string) { l.buckets.Return(address) }
