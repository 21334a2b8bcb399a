// Package auth tells who asks and what they may do: people and their console
// sessions, API tokens, and the one table of rights. Everything that lets
// somebody in or keeps them out is in the audit log.
//
// The controller's rest, app and dev packages import it.
package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"time"

	"mailfleet/controller/seal"
	"mailfleet/inventory"
)

// How fast one address may fail to sign in: a burst, then one every failureEvery.
const (
	failureBurst = 20
	failureEvery = 6 * time.Second
)

// Gate lets people and tokens in. It is safe for concurrent use.
type Gate struct {
	store     inventory.Store
	hasher    hasher
	key       *seal.Key // nil: no second factors
	oidc      *Provider // nil: no OpenID provider
	addresses *Limiter
	lanes     *lanes
}

// New returns the gate of the people, sessions and tokens in store.
func New(store inventory.Store) *Gate {
	return &Gate{
		store:     store,
		hasher:    newHasher(),
		addresses: NewLimiter(failureBurst, failureEvery),
		lanes:     newLanes(),
	}
}

// Seal lets people enrol second factors, whose secrets key seals. It is called
// before the gate is used.
func (g *Gate) Seal(key *seal.Key) { g.key = key }

// Principal is who asks. The zero Principal is anybody who has not said.
type Principal struct {
	Name    string // sign-in name of a person, or name of a token
	Role    inventory.Role
	Scope   []inventory.Scope // where Role holds; empty: the fleet
	Session inventory.ID      // empty: not a console session
	Token   inventory.ID      // empty: not a token
	CSRF    string            // what a session's changes must carry
	Expires time.Time         // zero: never
	Must    Duty              // what is to be done before anything else
	TOTP    bool              // the session's person has a second factor

	scopes []string // of a token; they narrow Role
}

// Duty is what a person must do before anything else.
type Duty string

// The duties. Each is done in one's own session.
const (
	MustChange Duty = "password" // change the password
	MustEnrol  Duty = "totp"     // enrol a second factor
)

// Actor is the principal's name in the audit log.
func (p Principal) Actor() string {
	switch {
	case p.Token != "":
		return "token:" + p.Name
	case p.Role == "":
		return "anonymous"
	default:
		return string(p.Role) + ":" + p.Name
	}
}

// secret returns 256 random bits in the URL-safe alphabet.
func secret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: crypto/rand aborts the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// digest is what is kept of a secret. Secrets are long and random, so one plain
// SHA-256 is enough to make a stolen database useless.
func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
