package domainkey

import (
	"slices"
	"time"
)

// Rotation says how long a key stays in each state.
type Rotation struct {
	Publish time.Duration // at least this long published before it signs
	Use     time.Duration // signs this long before another takes over; 0: until it is changed by hand
	Keep    time.Duration // stays published this long after its last signature
}

// DefaultRotation replaces keys twice a year. Publish outlives the caches' memory
// that there was no such record; Keep outlives a message's five days in queues.
var DefaultRotation = Rotation{Publish: 72 * time.Hour, Use: 180 * 24 * time.Hour, Keep: 14 * 24 * time.Hour}

// Step is a change that is due.
type Step struct {
	Algorithm Algorithm
	Selector  string // "" for a key to be made
	To        State  // what it becomes; "" for removed
}

// Due are the steps that are due for a domain's keys, in the order they are to be
// taken. published tells whether a key's record can be seen in the DNS: a key that
// cannot be seen does not become active, because what it signs would fail. A new domain
// gets its keys as active ones at once, for it has none to sign with meanwhile.
func (r Rotation) Due(keys []Key, now time.Time, published func(Key) bool) []Step {
	var steps []Step
	for _, a := range Algorithms {
		steps = append(steps, r.due(a, keys, now, published)...)
	}
	return steps
}

func (r Rotation) due(a Algorithm, keys []Key, now time.Time, published func(Key) bool) (steps []Step) {
	var active, next *Key
	for i, k := range keys {
		switch {
		case k.Algorithm != a:
		case k.State == Active:
			active = &keys[i]
		case k.State == Next:
			next = &keys[i]
		case now.Sub(k.Since) >= r.Keep:
			steps = append(steps, Step{a, k.Selector, ""})
		}
	}
	switch {
	case active == nil && next == nil:
		return append(steps, Step{a, "", Active})
	case next == nil:
		if r.Use > 0 && now.Sub(active.Since) >= r.Use-r.Publish {
			steps = append(steps, Step{a, "", Next})
		}
		return steps
	case active != nil && (now.Sub(next.Since) < r.Publish || r.Use > 0 && now.Sub(active.Since) < r.Use || !published(*next)):
		return steps
	}
	steps = append(steps, Step{a, next.Selector, Active})
	if active != nil {
		steps = append(steps, Step{a, active.Selector, Retired})
	}
	return steps
}

// Signing are the keys that sign now.
func Signing(keys []Key) []Key {
	return slices.DeleteFunc(slices.Clone(keys), func(k Key) bool { return k.State != Active })
}
