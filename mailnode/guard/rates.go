package guard

import (
	"net/netip"
	"time"

	"mailfleet/inventory/throttle"
)

// limiters are the token buckets of the rates.
type limiters struct{ connections, messages, recipients, errors *limiter }

func newLimiters(r Rates) limiters {
	return limiters{newLimiter(r.Connections), newLimiter(r.Messages), newLimiter(r.Recipients), newLimiter(r.Errors)}
}

// limiter bounds one thing by address and by neighbourhood. nil is no limit.
type limiter struct{ near, far *throttle.Limiter }

// neighbours is how much more may come from a whole neighbourhood.
const neighbours = 10

func newLimiter(r Rate) *limiter {
	if r.N <= 0 {
		return nil
	}
	every := r.Per / time.Duration(r.N)
	return &limiter{throttle.NewLimiter(r.N, every), throttle.NewLimiter(neighbours*r.N, every/neighbours)}
}

// take spends n goes; it returns how long to wait when there is one missing.
func (l *limiter) take(a netip.Addr, n int) time.Duration {
	if l == nil {
		return 0
	}
	for range n {
		if wait := l.near.Take(a.String()); wait > 0 {
			return wait
		}
		if wait := l.far.Take(throttle.Neighbourhood(a.String())); wait > 0 {
			l.near.Return(a.String())
			return wait
		}
	}
	return 0
}

// left is how long to wait until a go is there, which it leaves there.
func (l *limiter) left(a netip.Addr) time.Duration {
	wait := l.take(a, 1)
	if l != nil && wait == 0 {
		l.near.Return(a.String())
		l.far.Return(throttle.Neighbourhood(a.String()))
	}
	return wait
}

// mistakes are the recent errors of a peer.
type mistakes struct {
	n  float64 // as of at; half of them are forgotten in each forgetting
	at time.Time
}

const forgetting = 5 * time.Minute

func (m *mistakes) age(now time.Time) {
	for ; m.n > 0.1 && now.Sub(m.at) >= forgetting; m.at = m.at.Add(forgetting) {
		m.n /= 2
	}
	if m.n <= 0.1 {
		m.n, m.at = 0, now
	}
}

// Erred is told of each error a peer makes: a recipient that does not exist, a command
// that is none, a message refused.
func (g *Guard) Erred(address netip.Addr) {
	address = address.Unmap().WithZone("")
	set, limits := g.settings()
	if !address.IsValid() || contains(set.Allow, address) {
		return
	}
	limits.errors.take(address, 1)
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.errs.At(throttle.Customer(address.String()))
	m.age(time.Now())
	m.n++
}

// wait is how long a peer has to wait for what it did.
func (g *Guard) wait(address netip.Addr, t Tarpit) time.Duration {
	if t.Step <= 0 {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.errs.Get(throttle.Customer(address.String()))
	if m == nil {
		return 0
	}
	m.age(time.Now())
	return min(time.Duration(int(m.n))*t.Step, t.Most)
}
