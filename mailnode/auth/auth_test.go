package auth

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/argon2id"

	"mailfleet/inventory"
	"mailfleet/inventory/credential"
	"mailfleet/mailnode/api"
	"mailfleet/mailnode/directory"
)

const (
	phone  = "aaaa-bbbb-cccc-dddd-eeee-ffff" // application passwords of one@a.test
	tablet = "gggg-hhhh-jjjj-kkkk-mmmm-nnnn" // for IMAP only
	old    = "pppp-qqqq-rrrr-ssss-tttt-uuuu" // expired
)

func hashed(t testing.TB, password string, memory uint32) string {
	t.Helper()
	h, err := argon2id.CreateHash(password, &argon2id.Params{Memory: memory, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// keys are SCRAM keys at a cost for tests, all with one salt.
func keys(t testing.TB, password string) string {
	t.Helper()
	s, err := credential.SCRAM{Iterations: 4096, Salt: []byte("salt and pepper")}.Derive(password)
	if err != nil {
		t.Fatal(err)
	}
	return s.String()
}

// memory remembers sign-ins.
type memory struct {
	mu      sync.Mutex
	signIns map[string][]inventory.MailSignIn
	places  map[string]bool
}

func (m *memory) Add(account string, s inventory.MailSignIn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.signIns == nil {
		m.signIns = map[string][]inventory.MailSignIn{}
	}
	m.signIns[account] = append(m.signIns[account], s)
}

func (m *memory) Known(account, place string) bool { return m.places[account+" "+place] }

func (m *memory) last(account string) inventory.MailSignIn {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.signIns[account]
	if len(list) == 0 {
		return inventory.MailSignIn{}
	}
	return list[len(list)-1]
}

func options(t testing.TB, cost uint32) Options {
	app := func(id, secret string, expires time.Time, protocols ...api.Protocol) api.AppPassword {
		return api.AppPassword{ID: id, Hash: credential.HashApp(secret), SCRAM: keys(t, secret), Protocols: protocols, Expires: expires}
	}
	return Options{Key: make([]byte, 32), Accounts: directory.New(directory.NewTable([]string{"a.test"}, []directory.Account{
		{ID: "1", Address: "one@a.test", PasswordHash: hashed(t, "secret 一", cost), SCRAM: keys(t, "secret 一"), AppPasswords: []api.AppPassword{
			app("phone", phone, time.Time{}), app("tablet", tablet, time.Time{}, "imap"), app("old", old, time.Unix(1, 0)),
		}},
		{ID: "2", Address: "two@a.test", PasswordHash: hashed(t, "secret", cost), SCRAM: keys(t, "secret"), Suspended: true},
		{ID: "3", Address: "three@a.test"},
		{ID: "4", Address: "four@a.test", PasswordHash: hashed(t, "secret", cost)}, // from before there was SCRAM
	}, ""))}
}

func local(address string) *Peer { return &Peer{Protocol: api.POP3, Address: address, Local: true} }

func TestPassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t, 64)
		h := &memory{}
		o.History = h
		a := New(o)
		for i, test := range []struct {
			address, password string
			want              error
			credential        inventory.ID
		}{
			{"one@a.test", "secret 一", nil, ""},
			{"ONE@A.test", "secret 一", nil, ""},
			{"one@a.test", phone, nil, "phone"},
			{"one@a.test", tablet, ErrRefused, ""},
			{"one@a.test", old, ErrRefused, ""},
			{"one@a.test", "secret", ErrRefused, ""},
			{"one@a.test", "", ErrRefused, ""},
			{"one@a.test", strings.Repeat("x", maxPassword+1), ErrRefused, ""},
			{"one+x@a.test", "secret 一", ErrRefused, ""},
			{"nobody@a.test", "secret 一", ErrRefused, ""},
			{"nobody@a.test", "secret", ErrRefused, ""},
			{"two@a.test", "secret", ErrSuspended, ""},
			{"two@a.test", "wrong", ErrRefused, ""},
			{"three@a.test", "", ErrRefused, ""},
			{"three@a.test", "secret", ErrRefused, ""},
			{"four@a.test", phone, ErrRefused, ""},
			{"four@a.test", "secret", nil, ""},
		} {
			before := a.Counts(api.POP3)
			id, err := a.Password(t.Context(), local("192.0.2.1"), "USER", test.address, test.password)
			if !errors.Is(err, test.want) || id.Credential != test.credential || (err == nil) != (id.Account.ID != "") {
				t.Errorf("%d: %s %q: got %+v, %v", i, test.address, test.password, id, err)
			}
			after := a.Counts(api.POP3)
			var causes int64
			for cause, n := range after.Why {
				if !slices.Contains(api.LoginFailureCauses, cause) {
					t.Errorf("%q is no cause", cause)
				}
				causes += n
			}
			if causes != after.Failed {
				t.Errorf("of %d failures the causes tell of %d", after.Failed, causes)
			}
			if after.OK-before.OK+after.Failed-before.Failed != 1 || (after.OK > before.OK) != (err == nil) {
				t.Errorf("%d: counted %+v after %+v", i, after, before)
			}
		}
		last := h.last("4")
		if !last.OK || last.Address != "192.0.2.1" || last.Mechanism != "USER" || last.Protocol != "pop3" {
			t.Errorf("remembered %+v", last)
		}
		if s := h.signIns["1"]; s[2].Credential != "phone" || s[4].OK || !strings.Contains(s[4].Reason, "expired") || s[5].Reason != "wrong password" {
			t.Errorf("remembered %+v", s)
		}
	})
}

func TestNobodySignsInInTheClear(t *testing.T) {
	a := New(options(t, 64))
	peer := &Peer{Protocol: api.POP3, Address: "127.0.0.1"}
	if _, err := a.Password(t.Context(), peer, "USER", "one@a.test", "secret 一"); !errors.Is(err, ErrClear) {
		t.Errorf("a password: %v", err)
	}
	if m := a.Mechanisms(peer); len(m) != 0 {
		t.Errorf("mechanisms: %q", m)
	}
	for _, m := range []string{Plain, Login, ScramSHA256, ScramSHA256Plus, OAuthBearer} {
		if _, err := a.Start(t.Context(), peer, m); !errors.Is(err, ErrClear) {
			t.Errorf("%s: %v", m, err)
		}
	}
}

func TestNobodyIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New(Options{Accounts: directory.New(directory.NewTable(nil, nil, ""))})
		if _, err := a.Password(t.Context(), local("::1"), "USER", "one@a.test", "secret"); !errors.Is(err, ErrRefused) {
			t.Errorf("got %v", err)
		}
	})
	params, _, _, err := argon2id.DecodeHash(noAccount)
	if err != nil || params.Memory != 64<<10 {
		t.Errorf("the hash for nobody costs %+v, %v", params, err)
	}
}

func TestUnknownUserTakesAsLongAsAKnownOne(t *testing.T) {
	a := New(options(t, 32<<10))
	fastest := func(address string) time.Duration {
		best := time.Hour
		for range 5 {
			start := time.Now()
			if match, err := a.attempt(local("::1"), "USER", address).matches(t.Context(), "wrong"); match || err != nil {
				t.Fatal(match, err)
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

func TestPasswordWaitsForItsTurnNoLongerThanItsContext(t *testing.T) {
	a := New(options(t, 64))
	for a.slots.TryAcquire(1) {
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Password(ctx, local("::1"), "USER", "one@a.test", "secret 一"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// A password that was right is not hashed again, until it is another one.
func TestARightPasswordIsHashedOnce(t *testing.T) {
	o := options(t, 64)
	a := New(o)
	sign := func(password string) error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := a.Password(ctx, local("::1"), "USER", "one@a.test", password)
		return err
	}
	if err := sign("secret 一"); err != nil {
		t.Fatal(err)
	}
	for a.slots.TryAcquire(1) { // nothing is hashed from now on
	}
	if err := sign("secret 一"); err != nil {
		t.Error(err)
	}
	account, _ := o.Accounts.Account("one@a.test")
	account.PasswordHash = hashed(t, "other", 64)
	a.accounts.(*directory.Directory).Replace(directory.NewTable([]string{"a.test"}, []directory.Account{account}, ""))
	if err := sign("secret 一"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the old password: %v", err)
	}
}

// "smtp" in an application password means submission, on either of its ports.
func TestApplicationPasswordForSubmission(t *testing.T) {
	for _, p := range []api.Protocol{api.Submission, api.Submissions} {
		x := &attempt{peer: &Peer{Protocol: p}}
		if !x.allows(api.AppPassword{Protocols: []api.Protocol{api.SMTP}}) || x.allows(api.AppPassword{Protocols: []api.Protocol{api.IMAP}}) {
			t.Error(p)
		}
	}
}
