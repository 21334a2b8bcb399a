package auth

import (
	"context"
	"time"

	"github.com/alexedwards/argon2id"

	"mailfleet/inventory"
)

// Hashing one password takes 19 MiB and two passes on one lane (OWASP's choice
// for argon2id), so only a few run at once and nobody waits long for a place.
const (
	hashings    = 2
	hashingWait = 10 * time.Second
)

type hasher struct {
	params argon2id.Params
	places chan struct{}
}

func newHasher() hasher {
	return hasher{
		params: argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32},
		places: make(chan struct{}, hashings),
	}
}

// place waits for leave to hash; the caller frees it.
func (h hasher) place(ctx context.Context) (free func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, hashingWait)
	defer cancel()
	select {
	case h.places <- struct{}{}:
		return func() { <-h.places }, nil
	case <-ctx.Done():
		return nil, inventory.Errorf(inventory.Unavailable, "too many people are signing in; try again in a moment")
	}
}

func (h hasher) hash(ctx context.Context, password string) (string, error) {
	free, err := h.place(ctx)
	if err != nil {
		return "", err
	}
	defer free()
	hash, err := argon2id.CreateHash(password, &h.params)
	if err != nil {
		return "", inventory.Wrap(inventory.Internal, err, "the password could not be hashed")
	}
	return hash, nil
}

// matches compares a password with a hash; an empty hash costs as much and never matches.
func (h hasher) matches(ctx context.Context, password, hash string) (bool, error) {
	if hash == "" {
		_, err := h.hash(ctx, password)
		return false, err
	}
	free, err := h.place(ctx)
	if err != nil {
		return false, err
	}
	defer free()
	ok, err := argon2id.ComparePasswordAndHash(password, hash)
	if err != nil {
		return false, inventory.Wrap(inventory.Internal, err, "the stored password hash is not readable")
	}
	return ok, nil
}

// Hash returns the argon2id hash of a password, in the PHC string form
// ($argon2id$v=19$m=19456,t=2,p=1$salt$key). At most two are made at once.
func (g *Gate) Hash(ctx context.Context, password string) (string, error) {
	return g.hasher.hash(ctx, password)
}
