package auth

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"mailfleet/inventory/throttle"
)

// Guesses are held against an account for all strangers together, so that a
// botnet cannot share them out among its addresses. Those who come from where the
// account's user has signed in have a lane of their own, so that the botnet does
// not lock the user out. Application passwords cannot be guessed and are let in
// whatever the lanes say.
var (
	strangers = throttle.Lock{After: 10, First: time.Minute, Most: 15 * time.Minute}
	familiars = throttle.Lock{After: 20, First: 30 * time.Second, Most: 5 * time.Minute}
)

const (
	// A lane forgets its failures after some hours without any.
	forgetAfter = 6 * time.Hour
	// A place is known for as long after a sign-in.
	knownFor = 30 * 24 * time.Hour

	// An address may guess so many times, then once in each guessEvery.
	guessBurst = 30
	guessEvery = 30 * time.Second

	// The answer to a guess comes a second late, to the next two seconds, at most maxDelay.
	maxDelay = 8 * time.Second

	maxAccounts = 100_000 // lanes of accounts, and of places
	maxUnknown  = 10_000  // lanes of names that nobody has
	maxRepeats  = 4       // guesses a lane remembers
)

// lanes hold what has failed, in bounded memory. A restart forgets them.
type lanes struct {
	seed      maphash.Seed
	addresses *throttle.Limiter

	mu       sync.Mutex
	accounts *throttle.Recent[string, lane]
	unknown  *throttle.Recent[string, lane]
	places   *throttle.Recent[string, time.Time] // last sign-in
}

type lane struct {
	throttle.Lane
	last    time.Time
	guesses [maxRepeats]uint64 // the last ones: a device that repeats an old password does not guess
}

func newLanes() *lanes {
	return &lanes{
		seed:      maphash.MakeSeed(),
		addresses: throttle.NewLimiter(guessBurst, guessEvery),
		accounts:  throttle.NewRecent[string, lane](maxAccounts),
		unknown:   throttle.NewRecent[string, lane](maxUnknown),
		places:    throttle.NewRecent[string, time.Time](maxAccounts),
	}
}

// known reports whether the account's user has signed in from the place lately.
func (ls *lanes) known(account, place string) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	at := ls.places.Get(account + " " + place)
	return at != nil && time.Since(*at) < knownFor
}

// welcome makes a place known, and forgets what has failed there.
func (ls *lanes) welcome(account, place string) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	key := account + " " + place
	*ls.places.At(key) = time.Now()
	if l := ls.accounts.Get(key); l != nil {
		*l = lane{}
	}
}

// at returns the attempt's lane. The caller holds ls.mu.
func (ls *lanes) at(t *attempt) *lane {
	if t.exists {
		return ls.accounts.At(t.lane)
	}
	return ls.unknown.At(t.lane)
}

// wait is how long the attempt must wait; 0 when it may be made.
func (ls *lanes) wait(t *attempt) time.Duration {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.at(t).Wait(time.Now())
}

// take spends one of the address's guesses; who has none left must wait. A place
// where the user is known is not made to: it has its own lane.
func (ls *lanes) take(t *attempt) time.Duration {
	if t.known {
		return 0
	}
	return ls.addresses.Take(t.peer.Address)
}

// giveBack returns a guess that was none.
func (ls *lanes) giveBack(t *attempt) {
	if !t.known {
		ls.addresses.Return(t.peer.Address)
	}
}

// repeats reports whether the guess is one of the last ones.
func (ls *lanes) repeats(t *attempt, guess uint64) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return slices.Contains(ls.at(t).guesses[:], guess)
}

// fail counts a guess, if it is a new one, and returns how long to delay the answer.
func (ls *lanes) fail(t *attempt, guess uint64) time.Duration {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l, now := ls.at(t), time.Now()
	if now.Sub(l.last) > forgetAfter {
		*l = lane{}
	}
	if !slices.Contains(l.guesses[:], guess) {
		lock := strangers
		if t.known {
			lock = familiars
		}
		l.Fail(now, lock)
		copy(l.guesses[1:], l.guesses[:])
		l.guesses[0] = guess
	}
	l.last = now
	return min(time.Second<<min(max(l.Failures-1, 0), 10), maxDelay)
}

// guess is a number that stands for a secret given for an account as it now is.
func (ls *lanes) guess(t *attempt, secret string) uint64 {
	var h maphash.Hash
	h.SetSeed(ls.seed)
	for _, part := range []string{t.lane, t.account.PasswordHash, t.account.SCRAM, secret} {
		_, _ = h.WriteString(part) // never fails
		_ = h.WriteByte(0)
	}
	return h.Sum64() | 1 // not the empty place's 0
}
