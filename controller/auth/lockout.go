package auth

import (
	"sync"
	"time"

	"mailfleet/inventory"
	"mailfleet/inventory/throttle"
)

// After lockAfter failures in a row nobody gets in for lockFirst; each further
// failure doubles that, up to lockMost.
const (
	lockAfter = 5
	lockFirst = time.Minute
	lockMost  = 15 * time.Minute
)

// A person who has signed in from an address within knownFor is let try from
// there although strangers have locked the name.
const (
	knownFor = 30 * 24 * time.Hour
	maxLanes = 10_000
)

// lane counts failures in a row and says until when no attempt is taken.
type lane struct{ throttle.Lane }

// fail counts one more and reports whether it locked the lane.
func (l *lane) fail(now time.Time) bool {
	return l.Fail(now, throttle.Lock{After: lockAfter, First: lockFirst, Most: lockMost})
}

// open is TooMany while the lane is locked.
func (l *lane) open(now time.Time) error {
	wait := l.Wait(now)
	if wait == 0 {
		return nil
	}
	return inventory.Errorf(inventory.TooMany, "too many failed sign-ins; try again in %s", throttle.RoundUp(wait))
}

// lanes are those that are not kept with a person: one for each unknown name,
// so that it locks as a known one does, and one for each address a person is
// known at, so that strangers who lock the name do not lock out the person.
// A restart forgets them. Safe for concurrent use.
type lanes struct {
	mu   sync.Mutex
	byID *throttle.Recent[string, memory]
}

type memory struct {
	lane
	known time.Time // of the last sign-in from there
}

func newLanes() *lanes { return &lanes{byID: throttle.NewRecent[string, memory](maxLanes)} }

func place(person inventory.ID, address string) string {
	return string(person) + " " + throttle.Customer(address)
}

// with runs fn on the lane that key names.
func (ls *lanes) with(key string, fn func(*lane)) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	fn(&ls.byID.At(key).lane)
}

// known reports whether the person has lately signed in from the address.
func (ls *lanes) known(person inventory.ID, address string, now time.Time) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	m := ls.byID.Get(place(person, address))
	return m != nil && now.Sub(m.known) < knownFor
}

// welcome remembers that the person has signed in from the address.
func (ls *lanes) welcome(person inventory.ID, address string, now time.Time) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	*ls.byID.At(place(person, address)) = memory{known: now}
}
