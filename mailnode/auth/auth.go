// Package auth proves who signs in: it compares passwords with argon2id hashes. The
// faces that take passwords use it (pop3d; later imapd, smtpd and the HTTP face).
package auth

import (
	"context"
	"errors"
	"hash/maphash"
	"runtime"

	"github.com/alexedwards/argon2id"
	"golang.org/x/sync/semaphore"

	"mailfleet/mailnode/directory"
)

// ErrRefused is a wrong address or a wrong password; it is not said which, and
// both take the same time. ErrSuspended comes only after the right password.
var (
	ErrRefused   = errors.New("auth: wrong address or password")
	ErrSuspended = errors.New("auth: the account is suspended")
)

// Accounts finds the account that signs in.
type Accounts interface {
	Account(address string) (directory.Account, bool)
	Accounts() []directory.Account
}

// Verifier compares passwords, as many at once as there are processors: a
// comparison takes one processor and some 64 MiB for a tenth of a second.
type Verifier struct {
	accounts Accounts
	slots    *semaphore.Weighted
	seed     maphash.Seed
}

// New returns a verifier for the accounts.
func New(accounts Accounts) *Verifier {
	return &Verifier{
		accounts: accounts,
		slots:    semaphore.NewWeighted(int64(runtime.GOMAXPROCS(0))),
		seed:     maphash.MakeSeed(),
	}
}

// maxPassword bounds what is hashed.
const maxPassword = 1024

// Verify returns the account that has this address and this password. It fails
// with ErrRefused, ErrSuspended or, while it waits for its turn, ctx's error.
func (v *Verifier) Verify(ctx context.Context, address, password string) (directory.Account, error) {
	if err := v.slots.Acquire(ctx, 1); err != nil {
		return directory.Account{}, err
	}
	defer v.slots.Release(1)
	a, known := v.accounts.Account(address)
	hash := a.PasswordHash
	if hash == "" || len(password) > maxPassword {
		known, hash, password = false, v.decoy(address), ""
	}
	match, err := argon2id.ComparePasswordAndHash(password, hash)
	switch {
	case err != nil, !match, !known:
		return directory.Account{}, ErrRefused
	case a.Suspended:
		return directory.Account{}, ErrSuspended
	}
	return a, nil
}

// decoy is a hash that costs what a real one costs: the one of some account, always
// the same for the same address, so that nobody can tell by the time taken which
// addresses exist. Its outcome is not used.
func (v *Verifier) decoy(address string) string {
	accounts := v.accounts.Accounts()
	if len(accounts) > 0 {
		if hash := accounts[maphash.String(v.seed, address)%uint64(len(accounts))].PasswordHash; hash != "" {
			return hash
		}
	}
	return noAccount
}

// noAccount is a hash of an unknown password at the usual cost.
const noAccount = "$argon2id$v=19$m=65536,t=1,p=2$bm9ib2R5a25vd3NpdA$4yf3YHdmSGDv5SNT9KaYXkQuYQnEE1m8kbZLtCFFG4E"
