package auth

import (
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
	"mailfleet/inventory/dbstore"
)

const password = "correct horse battery"

// fixture is a gate over a real store with one operator, alice.
type fixture struct {
	*Gate
	t *testing.T
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	store, err := dbstore.Open(t.Context(), dbstore.Options{Path: filepath.Join(t.TempDir(), "inventory.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	f := &fixture{New(store), t}
	f.hasher.params.Memory = 64 // KiB: what is tested here is not argon2id
	f.person("alice", inventory.RoleOperator)
	return f
}

func (f *fixture) person(name string, role inventory.Role) {
	f.t.Helper()
	hash, err := f.Hash(f.t.Context(), password)
	if err != nil {
		f.t.Fatal(err)
	}
	f.update(func(tx inventory.Tx) error {
		return tx.People().Create(&inventory.Person{Name: name, Role: role, Password: hash})
	})
}

func (f *fixture) update(fn func(inventory.Tx) error) {
	f.t.Helper()
	if err := f.store.Update(f.t.Context(), fn); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) signIn(address, name, password string) (string, Principal, error) {
	return f.SignIn(f.t.Context(), SignIn{
		From: inventory.Actor{Address: address, RequestID: "r"}, Agent: "test", Name: name, Password: password,
	})
}

// mustSignIn signs alice in and returns the cookie's secret.
func (f *fixture) mustSignIn(address string) (string, Principal) {
	f.t.Helper()
	secret, p, err := f.signIn(address, "alice", password)
	if err != nil {
		f.t.Fatal(err)
	}
	return secret, p
}

// wants checks an attempt's outcome by code; empty: let in.
func (f *fixture) wants(code inventory.Code, err error) {
	f.t.Helper()
	if code == "" && err != nil || code != "" && !inventory.Is(err, code) {
		f.t.Fatalf("got %v, want code %q", err, code)
	}
}

// audited returns the actions in the audit log, oldest first.
func (f *fixture) audited() []string {
	f.t.Helper()
	var actions []string
	err := f.store.View(f.t.Context(), func(tx inventory.Tx) error {
		entries, _, err := tx.Audit().List(inventory.Query{})
		for _, e := range entries {
			actions = append(actions, e.Action)
		}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return actions
}

func TestFirstStartMakesOneOperatorOnce(t *testing.T) {
	store, err := dbstore.Open(t.Context(), dbstore.Options{Path: filepath.Join(t.TempDir(), "inventory.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	f := &fixture{New(store), t}
	first, created, err := f.FirstStart(t.Context())
	if err != nil || !created || len(first) != 23 {
		t.Fatalf("got %q, %v, %v", first, created, err)
	}
	if _, again, err := f.FirstStart(t.Context()); again || err != nil {
		t.Fatalf("a second start made somebody: %v, %v", again, err)
	}
	_, p, err := f.signIn("192.0.2.1", FirstPerson, first)
	if err != nil || p.Role != inventory.RoleOperator {
		t.Fatalf("got %+v, %v", p, err)
	}
	if got := f.audited(); !slices.Equal(got, []string{"person.create", "signin"}) {
		t.Fatalf("audited %v", got)
	}
}

func TestPasswordHashesAreOWASPsChoiceOfArgon2id(t *testing.T) {
	f := &fixture{New(nil), t}
	hash, err := f.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	if want := "$argon2id$v=19$m=19456,t=2,p=1$"; hash[:len(want)] != want {
		t.Fatalf("got %s", hash)
	}
	if ok, err := f.hasher.matches(t.Context(), password, hash); !ok || err != nil {
		t.Fatalf("its own password does not match: %v", err)
	}
	if ok, err := f.hasher.matches(t.Context(), "other", hash); ok || err != nil {
		t.Fatalf("another password matches: %v", err)
	}
}

func TestAtMostTwoHashAtOnceAndNobodyWaitsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHasher()
		var frees []func()
		for range hashings {
			free, err := h.place(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			frees = append(frees, free)
		}
		if _, err := h.place(t.Context()); !inventory.Is(err, inventory.Unavailable) {
			t.Fatalf("a third got a place: %v", err)
		}
		frees[0]()
		if _, err := h.place(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFiveFailuresLockTheNameAndLocksDouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		fail := func(code inventory.Code) {
			t.Helper()
			_, _, err := f.signIn("192.0.2.1", "alice", "wrong")
			f.wants(code, err)
		}
		for range lockAfter {
			fail(inventory.Unauthorized)
		}
		for _, lock := range []time.Duration{1, 2, 4, 8, 15, 15} {
			_, _, err := f.signIn("192.0.2.1", "alice", password)
			f.wants(inventory.TooMany, err)
			time.Sleep(lock*time.Minute - time.Second)
			_, _, err = f.signIn("192.0.2.1", "alice", password)
			f.wants(inventory.TooMany, err)
			time.Sleep(time.Second)
			fail(inventory.Unauthorized)
		}
		time.Sleep(lockMost)
		f.mustSignIn("192.0.2.1")
		fail(inventory.Unauthorized) // counting begins anew
		f.mustSignIn("192.0.2.1")
		actions := f.audited()
		if n := count(actions, "signin.locked"); n != 7 {
			t.Errorf("%d lockouts are audited, want 7", n)
		}
		if n := count(actions, "signin.failed"); n != lockAfter+6+12+1 {
			t.Errorf("%d failures are audited, want %d", n, lockAfter+6+12+1)
		}
		if n := count(actions, "signin"); n != 2 {
			t.Errorf("%d sign-ins are audited, want 2", n)
		}
	})
}

func count(list []string, s string) (n int) {
	for _, v := range list {
		if v == s {
			n++
		}
	}
	return n
}

func TestUnknownNamesLockAsKnownOnesDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		for range lockAfter {
			_, _, err := f.signIn("192.0.2.1", "nobody", "wrong")
			f.wants(inventory.Unauthorized, err)
		}
		_, _, err := f.signIn("192.0.2.1", "nobody", "wrong")
		f.wants(inventory.TooMany, err)
		_, _, err = f.signIn("192.0.2.1", "nobody else", "wrong")
		f.wants(inventory.Unauthorized, err)
	})
}

func TestStrangersCannotLockOutAPersonAtAKnownAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.mustSignIn("192.0.2.1")
		for range lockAfter {
			_, _, err := f.signIn("198.51.100.7", "alice", "guess")
			f.wants(inventory.Unauthorized, err)
		}
		_, _, err := f.signIn("203.0.113.9", "alice", password)
		f.wants(inventory.TooMany, err) // a stranger's address, even with the password
		f.mustSignIn("192.0.2.1")

		for range lockAfter {
			_, _, err := f.signIn("192.0.2.1", "alice", "guess")
			f.wants(inventory.Unauthorized, err)
		}
		_, _, err = f.signIn("192.0.2.1", "alice", password)
		f.wants(inventory.TooMany, err) // the known address locks for itself
	})
}

func TestAnAddressHasOnlySoManyFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		for i := range failureBurst {
			_, _, err := f.signIn("2001:db8::1", string(rune('a'+i)), "wrong")
			f.wants(inventory.Unauthorized, err)
		}
		audited := len(f.audited())
		_, _, err := f.signIn("2001:db8::2", "alice", password) // same /64
		f.wants(inventory.TooMany, err)
		if len(f.audited()) != audited {
			t.Error("a refused address still writes to the audit log")
		}
		f.mustSignIn("2001:db8:0:1::1")
		time.Sleep(failureEvery)
		f.mustSignIn("2001:db8::2")
		for range 3 * failureBurst { // success does not count
			f.mustSignIn("2001:db8:0:1::1")
		}
	})
}

func TestASessionEndsWhenIdleAndAfterTwelveHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		idle, _ := f.mustSignIn("192.0.2.1")
		busy, _ := f.mustSignIn("192.0.2.1")
		start := time.Now()
		index := f.store.Wait(t.Context(), 0, inventory.Sessions)
		writes := 0
		for time.Since(start) < SessionLife-time.Second {
			if _, err := f.Session(t.Context(), busy); err != nil {
				t.Fatalf("after %s: %v", time.Since(start), err)
			}
			if now := f.store.Wait(t.Context(), 0, inventory.Sessions); now != index {
				index = now
				writes++
			}
			if time.Since(start) == sessionIdle {
				_, err := f.Session(t.Context(), idle)
				f.wants(inventory.Unauthorized, err)
			}
			time.Sleep(time.Minute)
		}
		if most := int(SessionLife / sessionTouch); writes == 0 || writes > most {
			t.Errorf("%d writes in 12 h of use, want 1 to %d", writes, most)
		}
		_, err := f.Session(t.Context(), busy)
		f.wants(inventory.Unauthorized, err)
	})
}

func TestLookingWhetherASessionStillIsDoesNotProlongIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		_, p := f.mustSignIn("192.0.2.1")
		for range 59 {
			time.Sleep(time.Minute)
			f.wants("", f.Still(t.Context(), p))
		}
		time.Sleep(time.Minute)
		f.wants(inventory.Unauthorized, f.Still(t.Context(), p))
	})
}

func TestSignOutEndsTheSession(t *testing.T) {
	f := newFixture(t)
	secret, p := f.mustSignIn("192.0.2.1")
	f.wants("", f.SignOut(t.Context(), inventory.Actor{Name: p.Actor()}, p))
	_, err := f.Session(t.Context(), secret)
	f.wants(inventory.Unauthorized, err)
	f.wants(inventory.Unauthorized, f.Still(t.Context(), p))
	if got := f.audited(); !slices.Equal(got, []string{"signin", "signout"}) {
		t.Fatalf("audited %v", got)
	}
}

func TestAPersonHasOnlySoManySessions(t *testing.T) {
	f := newFixture(t)
	first, _ := f.mustSignIn("192.0.2.1")
	second, _ := f.mustSignIn("192.0.2.1")
	for range sessionsMost - 1 {
		f.mustSignIn("192.0.2.1")
	}
	_, err := f.Session(t.Context(), first)
	f.wants(inventory.Unauthorized, err)
	_, err = f.Session(t.Context(), second)
	f.wants("", err)
}

func TestSecretsAreNotInTheStore(t *testing.T) {
	f := newFixture(t)
	secret, p := f.mustSignIn("192.0.2.1")
	token, err := f.CreateToken(t.Context(), inventory.Actor{Name: p.Actor()}, p, api.NewToken{Name: "ci"})
	f.wants("", err)
	f.update(func(tx inventory.Tx) error {
		s, err := tx.Sessions().Get(p.Session)
		if err != nil {
			return err
		}
		k, err := tx.Tokens().Get(token.ID)
		if s.Hash == secret || s.Hash != digest(secret) || k.Hash != digest(token.Secret) {
			t.Error("the store does not hold just the digest")
		}
		return err
	})
}

func TestChangingThePasswordEndsOtherSessions(t *testing.T) {
	f := newFixture(t)
	other, _ := f.mustSignIn("192.0.2.1")
	mine, p := f.mustSignIn("192.0.2.1")
	actor := inventory.Actor{Name: p.Actor(), Address: "192.0.2.1"}
	f.wants(inventory.Invalid, f.ChangePassword(t.Context(), actor, p, "wrong", "a new long password"))
	f.wants("", f.ChangePassword(t.Context(), actor, p, password, "a new long password"))
	_, err := f.Session(t.Context(), other)
	f.wants(inventory.Unauthorized, err)
	_, err = f.Session(t.Context(), mine)
	f.wants("", err)
	_, _, err = f.signIn("192.0.2.1", "alice", password)
	f.wants(inventory.Unauthorized, err)
	_, _, err = f.signIn("192.0.2.1", "alice", "a new long password")
	f.wants("", err)
	if got := f.audited(); !slices.Contains(got, "person.password") {
		t.Fatalf("audited %v", got)
	}
}

func TestGuessingTheCurrentPasswordLocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		_, p := f.mustSignIn("192.0.2.1")
		actor := inventory.Actor{Name: p.Actor(), Address: "192.0.2.1"}
		for range lockAfter {
			f.wants(inventory.Invalid, f.ChangePassword(t.Context(), actor, p, "wrong", "a new long password"))
		}
		f.wants(inventory.TooMany, f.ChangePassword(t.Context(), actor, p, password, "a new long password"))
	})
}

func TestATokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		short, err := f.CreateToken(t.Context(), inventory.Actor{Name: "controller"}, Controller(), api.NewToken{
			Name: "short", Role: inventory.RoleOperator, Expires: api.Expiry{For: time.Hour},
		})
		f.wants("", err)
		usual, err := f.CreateToken(t.Context(), inventory.Actor{Name: "controller"}, Controller(), api.NewToken{Name: "usual"})
		f.wants("", err)
		p, err := f.Token(t.Context(), short.Secret)
		f.wants("", err)
		if p.Actor() != "token:short" || p.Role != inventory.RoleOperator {
			t.Errorf("got %+v", p)
		}
		time.Sleep(time.Hour)
		_, err = f.Token(t.Context(), short.Secret)
		f.wants(inventory.Unauthorized, err)
		f.wants(inventory.Unauthorized, f.Still(t.Context(), p))
		p, err = f.Token(t.Context(), usual.Secret)
		f.wants("", err)
		if p.Role != inventory.RoleViewer {
			t.Errorf("a token is %s when it does not say", p.Role)
		}
		time.Sleep(tokenLife)
		_, err = f.Token(t.Context(), usual.Secret)
		f.wants(inventory.Unauthorized, err)
		for _, none := range []string{"", "mft_", "mft_" + secret(), usual.Secret[len(tokenPrefix):]} {
			_, err := f.Token(t.Context(), none)
			f.wants(inventory.Unauthorized, err)
		}
	})
}
