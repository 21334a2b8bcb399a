package auth

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"

	"mailfleet/mailnode/directory"
)

func hash(t testing.TB, password string, memory uint32) string {
	t.Helper()
	h, err := argon2id.CreateHash(password, &argon2id.Params{Memory: memory, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func verifier(t testing.TB, memory uint32) *Verifier {
	return New(directory.New(directory.NewTable([]string{"a.test"}, []directory.Account{
		{ID: "1", Address: "one@a.test", PasswordHash: hash(t, "secret 一", memory)},
		{ID: "2", Address: "two@a.test", PasswordHash: hash(t, "secret", memory), Suspended: true},
		{ID: "3", Address: "three@a.test"},
	}, "")))
}

func TestVerify(t *testing.T) {
	v := verifier(t, 1024)
	for _, test := range []struct {
		address, password string
		want              error
	}{
		{"one@a.test", "secret 一", nil},
		{"ONE@A.test", "secret 一", nil},
		{"one@a.test", "secret", ErrRefused},
		{"one@a.test", "", ErrRefused},
		{"one@a.test", strings.Repeat("x", maxPassword+1), ErrRefused},
		{"one+x@a.test", "secret 一", ErrRefused},
		{"nobody@a.test", "secret 一", ErrRefused},
		{"nobody@a.test", "secret", ErrRefused},
		{"two@a.test", "secret", ErrSuspended},
		{"two@a.test", "wrong", ErrRefused},
		{"three@a.test", "", ErrRefused},
		{"three@a.test", "secret", ErrRefused},
	} {
		a, err := v.Verify(t.Context(), test.address, test.password)
		if !errors.Is(err, test.want) {
			t.Errorf("%s %q: got %v, want %v", test.address, test.password, err, test.want)
		}
		if (err == nil) != (a.ID == "1") {
			t.Errorf("%s %q: got account %q with %v", test.address, test.password, a.ID, err)
		}
	}
}

func TestNobodyIsThere(t *testing.T) {
	v := New(directory.New(directory.NewTable(nil, nil, "")))
	if _, err := v.Verify(t.Context(), "one@a.test", "secret"); !errors.Is(err, ErrRefused) {
		t.Errorf("got %v", err)
	}
	params, _, _, err := argon2id.DecodeHash(noAccount)
	if err != nil || params.Memory != 64<<10 {
		t.Errorf("the hash for nobody costs %+v, %v", params, err)
	}
}

func TestUnknownUserTakesAsLongAsAKnownOne(t *testing.T) {
	v := verifier(t, 32<<10)
	fastest := func(address string) time.Duration {
		best := time.Hour
		for range 5 {
			start := time.Now()
			if _, err := v.Verify(t.Context(), address, "wrong"); !errors.Is(err, ErrRefused) {
				t.Fatal(err)
			}
			best = min(best, time.Since(start))
		}
		return best
	}
	known, unknown, without := fastest("one@a.test"), fastest("nobody@a.test"), fastest("three@a.test")
	for what, d := range map[string]time.Duration{"unknown": unknown, "without a password": without} {
		if d < known/3 {
			t.Errorf("a known address takes %v, one %s %v", known, what, d)
		}
	}
}

func TestVerifyWaitsForItsTurnNoLongerThanItsContext(t *testing.T) {
	v := verifier(t, 1024)
	for v.slots.TryAcquire(1) {
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Verify(ctx, "one@a.test", "secret"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
