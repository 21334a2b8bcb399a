package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/alexedwards/argon2id"

	"mailfleet/inventory"
	"mailfleet/inventory/credential"
	"mailfleet/inventory/throttle"
	"mailfleet/mailnode/api"
)

// maxPassword bounds what is hashed.
const maxPassword = 1024

// password signs in with a password: an application's, or the account's own.
func (a *Auth) password(ctx context.Context, p *Peer, mechanism, address, password string) (Identity, error) {
	t := a.attempt(p, mechanism, address)
	if id, allowed, found := t.application(password); found {
		if !allowed {
			return Identity{}, t.note("application password expired or not for "+string(p.Protocol), ErrRefused)
		}
		return t.succeed(id)
	}
	if err := t.open(); err != nil {
		return Identity{}, err
	}
	if t.exists && a.verified.has(t, password) {
		return t.succeed("")
	}
	guess := a.lanes.guess(t, password)
	if a.lanes.repeats(t, guess) {
		return Identity{}, t.guess(ctx, "wrong password again", guess)
	}
	if wait := a.lanes.take(t); wait > 0 {
		return Identity{}, t.note("throttled", &ThrottledError{wait})
	}
	match, err := t.matches(ctx, password)
	switch {
	case err != nil:
		a.lanes.giveBack(t)
		return Identity{}, err
	case !match:
		return Identity{}, t.guess(ctx, "wrong password", guess)
	}
	a.lanes.giveBack(t)
	a.verified.add(t, password)
	return t.succeed("")
}

// application finds the application password that this is, and tells whether it may
// be used here and now.
func (t *attempt) application(password string) (id inventory.ID, allowed, found bool) {
	for _, app := range t.account.AppPasswords {
		if credential.MatchesApp(password, app.Hash) {
			return inventory.ID(app.ID), t.allows(app), true
		}
	}
	return "", false, false
}

func (t *attempt) allows(app api.AppPassword) bool {
	expired := !app.Expires.IsZero() && !time.Now().Before(app.Expires)
	return !expired && (len(app.Protocols) == 0 || slices.ContainsFunc(app.Protocols, func(p api.Protocol) bool { return p.Feature() == t.peer.Protocol.Feature() }))
}

// matches compares a password with the account's, as many at once as there are
// processors: it takes one processor and some megabytes for a while. A *ThrottledError
// comes when others' guesses have locked the lane while this one waited.
func (t *attempt) matches(ctx context.Context, password string) (bool, error) {
	a := t.auth
	if err := a.slots.Acquire(ctx, 1); err != nil {
		return false, err
	}
	defer a.slots.Release(1)
	if err := t.open(); err != nil {
		return false, err
	}
	hash, possible := t.account.PasswordHash, t.exists
	if hash == "" || len(password) > maxPassword {
		possible, hash, password = false, t.decoy(), ""
	}
	match, err := argon2id.ComparePasswordAndHash(password, hash)
	return err == nil && match && possible, nil
}

// decoy is a hash that costs what a real one costs: the one of some account, always
// the same for the same name, so that nobody can tell by the time taken which
// accounts exist. Its outcome is not used.
func (t *attempt) decoy() string {
	accounts := t.auth.accounts.Accounts()
	if len(accounts) > 0 {
		if hash := accounts[maphash.String(t.auth.lanes.seed, t.lane)%uint64(len(accounts))].PasswordHash; hash != "" {
			return hash
		}
	}
	return noAccount
}

// noAccount is a hash of an unknown password at the usual cost.
const noAccount = "$argon2id$v=19$m=65536,t=1,p=2$bm9ib2R5a25vd3NpdA$4yf3YHdmSGDv5SNT9KaYXkQuYQnEE1m8kbZLtCFFG4E"

const (
	maxVerified = 100_000
	verifiedFor = time.Hour
)

// verified remembers passwords that were right: POP3 clients sign in every few
// minutes, and hashing each time would need a machine of its own. It keeps what
// only this process can make of a password, for an hour at most, and no longer than
// the account has the same one.
type verified struct {
	key [32]byte

	mu       sync.Mutex
	accounts *throttle.Recent[string, verification]
}

type verification struct {
	digest [sha256.Size]byte
	until  time.Time
}

func newVerified() *verified {
	v := &verified{accounts: throttle.NewRecent[string, verification](maxVerified)}
	_, _ = rand.Read(v.key[:]) // never fails: crypto/rand aborts the program instead
	return v
}

func (v *verified) digest(t *attempt, password string) (d [sha256.Size]byte) {
	h := hmac.New(sha256.New, v.key[:])
	for _, part := range []string{t.account.ID, t.account.PasswordHash, password} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	h.Sum(d[:0])
	return d
}

func (v *verified) add(t *attempt, password string) {
	d := v.digest(t, password)
	v.mu.Lock()
	defer v.mu.Unlock()
	*v.accounts.At(t.account.ID) = verification{d, time.Now().Add(verifiedFor)}
}

func (v *verified) has(t *attempt, password string) bool {
	d := v.digest(t, password)
	v.mu.Lock()
	defer v.mu.Unlock()
	known := v.accounts.Get(t.account.ID)
	return known != nil && time.Now().Before(known.until) && subtle.ConstantTimeCompare(known.digest[:], d[:]) == 1
}
