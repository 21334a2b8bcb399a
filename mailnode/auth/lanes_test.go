package auth

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// throttled runs a test in its own time, with a function that tries a password.
func throttled(t *testing.T, f func(t *testing.T, a *Auth, h *memory, try func(from, address, password string) error)) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t, 64)
		h := &memory{}
		o.History = h
		a := New(o)
		f(t, a, h, func(from, address, password string) error {
			_, err := a.Password(t.Context(), local(from), "USER", address, password)
			return err
		})
	})
}

func isThrottled(err error) bool {
	_, ok := errors.AsType[*ThrottledError](err)
	return ok
}

// botnet guesses from addresses all over the world until it is refused.
func botnet(t *testing.T, try func(from, address, password string) error, address string) (guesses int) {
	t.Helper()
	for i := range 1000 {
		err := try(fmt.Sprintf("10.%d.%d.1", i/250, i%250), address, fmt.Sprint("guess ", i))
		if isThrottled(err) {
			return i
		}
		if !errors.Is(err, ErrRefused) {
			t.Fatal(err)
		}
	}
	t.Fatal("the botnet guesses for ever")
	return 0
}

func TestABotnetDoesNotLockTheUserOut(t *testing.T) {
	throttled(t, func(t *testing.T, _ *Auth, h *memory, try func(from, address, password string) error) {
		if err := try("192.0.2.1", "one@a.test", "secret 一"); err != nil {
			t.Fatal(err)
		}
		if n := botnet(t, try, "one@a.test"); n != strangers.After {
			t.Errorf("the botnet had %d guesses", n)
		}
		for from, want := range map[string]bool{"192.0.2.1": true, "192.0.2.99": true, "198.51.100.1": false} {
			if err := try(from, "one@a.test", "secret 一"); (err == nil) != want || !want && !isThrottled(err) {
				t.Errorf("from %s: %v", from, err)
			}
		}
		if err := try("198.51.100.1", "one@a.test", phone); err != nil {
			t.Errorf("an application password from elsewhere: %v", err)
		}
		if got := h.signIns["1"]; !strings.Contains(fmt.Sprint(got), "throttled") {
			t.Errorf("remembered %v", got)
		}
		time.Sleep(strangers.First)
		if err := try("198.51.100.1", "one@a.test", "secret 一"); err != nil {
			t.Errorf("after the lock: %v", err)
		}
	})
}

// A place that is remembered from before a restart is known at once.
func TestHistoryTellsWhereTheUserHasBeen(t *testing.T) {
	throttled(t, func(t *testing.T, _ *Auth, h *memory, try func(from, address, password string) error) {
		h.places = map[string]bool{"1 192.0.2.0/24": true}
		botnet(t, try, "one@a.test")
		if err := try("192.0.2.77", "one@a.test", "secret 一"); err != nil {
			t.Error(err)
		}
	})
}

func TestAnUnknownNameLocksLikeAnAccount(t *testing.T) {
	throttled(t, func(t *testing.T, _ *Auth, _ *memory, try func(from, address, password string) error) {
		known, unknown := botnet(t, try, "one@a.test"), botnet(t, try, "Nobody@a.test")
		if known != unknown || !isThrottled(try("198.51.100.1", "nobody@A.test", "x")) {
			t.Errorf("%d guesses at an account, %d at an unknown name", known, unknown)
		}
	})
}

func TestLocksGrowAndAreForgotten(t *testing.T) {
	throttled(t, func(t *testing.T, _ *Auth, _ *memory, try func(from, address, password string) error) {
		botnet(t, try, "one@a.test")
		time.Sleep(strangers.First)
		if err := try("10.9.9.9", "one@a.test", "one more guess"); !errors.Is(err, ErrRefused) {
			t.Fatal(err)
		}
		time.Sleep(strangers.First)
		if err := try("10.9.9.8", "one@a.test", "yet another"); !isThrottled(err) {
			t.Fatalf("the second lock is no longer than the first: %v", err)
		}
		time.Sleep(forgetAfter)
		if n := botnet(t, try, "one@a.test"); n != strangers.After {
			t.Errorf("after some quiet the botnet had %d guesses", n)
		}
	})
}

// A device that keeps trying an old password does not lock out the others.
func TestARepeatedPasswordIsOneGuess(t *testing.T) {
	throttled(t, func(t *testing.T, _ *Auth, _ *memory, try func(from, address, password string) error) {
		for _, address := range []string{"one@a.test", "nobody@a.test"} {
			for i := range 100 {
				if err := try("192.0.2.1", address, "old password"); !errors.Is(err, ErrRefused) {
					t.Fatalf("%s: attempt %d: %v", address, i, err)
				}
			}
		}
		if err := try("192.0.2.1", "one@a.test", "secret 一"); err != nil {
			t.Error(err)
		}
	})
}

func TestOneAddressDoesNotGuessAtManyAccounts(t *testing.T) {
	throttled(t, func(t *testing.T, _ *Auth, _ *memory, try func(from, address, password string) error) {
		if err := try("2001:db8::1", "one@a.test", "secret 一"); err != nil {
			t.Fatal(err)
		}
		n := 0
		for ; ; n++ {
			err := try(fmt.Sprintf("2001:db8::%x", n+2), fmt.Sprintf("user%d@a.test", n), "123456")
			if isThrottled(err) {
				break
			}
			if n > 1000 {
				t.Fatal("it goes on for ever")
			}
		}
		if n < guessBurst || n > guessBurst+5 {
			t.Errorf("it had %d guesses", n)
		}
		if err := try("2001:db8::1", "one@a.test", "secret 一"); err != nil {
			t.Errorf("who has been there before is refused: %v", err)
		}
		if err := try("2001:db8::3", "four@a.test", "secret"); !isThrottled(err) {
			t.Errorf("who has not is let in: %v", err)
		}
		time.Sleep(guessEvery)
		if err := try("2001:db8::3", "four@a.test", "secret"); err != nil {
			t.Errorf("later: %v", err)
		}
	})
}

func TestAnswersToGuessesComeLaterEachTime(t *testing.T) {
	throttled(t, func(t *testing.T, _ *Auth, _ *memory, try func(from, address, password string) error) {
		for i, want := range []time.Duration{1, 2, 4, 8, 8} {
			start := time.Now()
			if err := try("192.0.2.1", "one@a.test", fmt.Sprint("guess ", i)); !errors.Is(err, ErrRefused) {
				t.Fatal(err)
			}
			if d := time.Since(start); d != want*time.Second {
				t.Errorf("answer %d came after %v, want %d s", i+1, d, want)
			}
		}
		if err := try("192.0.2.1", "one@a.test", "secret 一"); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_ = try("192.0.2.1", "one@a.test", "guess") // refused
		if d := time.Since(start); d != time.Second {
			t.Errorf("after a success an answer came after %v", d)
		}
	})
}

func TestFailuresAreLoggedWithoutSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		o := options(t, 64)
		o.Logger = slog.New(slog.NewTextHandler(&b, nil))
		a := New(o)
		for _, address := range []string{"one@a.test", "my password typed as a name"} {
			if _, err := a.Password(t.Context(), local("192.0.2.1"), "USER", address, "hunter2"); !errors.Is(err, ErrRefused) {
				t.Fatal(err)
			}
		}
		for _, want := range []string{"account=1 mechanism=USER address=192.0.2.1 reason=\"wrong password\"", "account=unknown", "protocol=pop3"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%q is not in the log:\n%s", want, b.String())
			}
		}
		for _, secret := range []string{"hunter2", "typed"} {
			if strings.Contains(b.String(), secret) {
				t.Errorf("%q is in the log:\n%s", secret, b.String())
			}
		}
	})
}
