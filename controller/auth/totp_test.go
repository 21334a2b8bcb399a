package auth

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pquerna/otp/totp"

	"mailfleet/controller/api"
	"mailfleet/controller/seal"
	"mailfleet/inventory"
)

// factor is a second factor that a person enrolled.
type factor struct {
	*fixture
	secret   string
	recovery []string
}

func enrolled(t *testing.T) *factor {
	t.Helper()
	f := newFixture(t)
	key, err := seal.Open(filepath.Join(t.TempDir(), "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	f.Seal(key)
	_, p := f.mustSignIn("192.0.2.1")
	made, err := f.EnrolTOTP(t.Context(), inventory.Actor{Address: "192.0.2.1"}, p)
	if err != nil || !strings.HasPrefix(made.URL, "otpauth://totp/Mailfleet:alice?") {
		t.Fatalf("%+v %v", made, err)
	}
	x := &factor{fixture: f, secret: made.Secret}
	if _, err := f.ConfirmTOTP(t.Context(), inventory.Actor{Address: "192.0.2.1"}, p, "000000"); !inventory.Is(err, inventory.Invalid) {
		t.Fatalf("a wrong code confirms: %v", err)
	}
	if x.recovery, err = f.ConfirmTOTP(t.Context(), inventory.Actor{Address: "192.0.2.1"}, p, x.code()); err != nil || len(x.recovery) != recoveryCodes {
		t.Fatalf("%v %v", x.recovery, err)
	}
	time.Sleep(totpStep * time.Second) // the code is used up
	return x
}

// code is what the device shows now.
func (x *factor) code() string {
	x.t.Helper()
	code, err := totp.GenerateCode(x.secret, time.Now())
	if err != nil {
		x.t.Fatal(err)
	}
	return code
}

func (x *factor) with(code string) error {
	_, _, err := x.SignIn(x.t.Context(), SignIn{From: inventory.Actor{Address: "192.0.2.1"}, Name: "alice", Password: password, Code: code})
	return err
}

func TestASecondFactorIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := enrolled(t)
		for range 20 { // asking is no failure: the password was right
			if err := x.with(""); err == nil || err.Error() != errNoCode.Error() {
				t.Fatalf("without a code: %v", err)
			}
		}
		if err := x.with("123"); !inventory.Is(err, inventory.Unauthorized) {
			t.Errorf("a wrong code: %v", err)
		}
		code := x.code()
		if err := x.with(code[:3] + " " + code[3:]); err != nil {
			t.Errorf("the code: %v", err)
		}
		if err := x.with(code); !inventory.Is(err, inventory.Unauthorized) {
			t.Errorf("the code again: %v", err)
		}
		time.Sleep(time.Minute)
		code = x.code()
		time.Sleep(totpStep * time.Second) // a clock may be a step behind, no more
		if err := x.with(code); err != nil {
			t.Errorf("the code of a step ago: %v", err)
		}
		time.Sleep(3 * totpStep * time.Second)
		code = x.code()
		time.Sleep(2 * totpStep * time.Second)
		if err := x.with(code); !inventory.Is(err, inventory.Unauthorized) {
			t.Errorf("the code of two steps ago: %v", err)
		}
	})
}

func TestWrongCodesLockAsWrongPasswordsDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := enrolled(t)
		var last error
		for range 6 {
			last = x.with("000000")
		}
		if !inventory.Is(last, inventory.TooMany) {
			t.Errorf("after six wrong codes: %v", last)
		}
	})
}

func TestARecoveryCodeStandsForTheDeviceOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := enrolled(t)
		if err := x.with(strings.ToUpper(x.recovery[3])); err != nil {
			t.Errorf("a recovery code: %v", err)
		}
		if err := x.with(x.recovery[3]); !inventory.Is(err, inventory.Unauthorized) {
			t.Errorf("the same again: %v", err)
		}
		if err := x.with(strings.ReplaceAll(x.recovery[4], "-", "")); err != nil {
			t.Errorf("another: %v", err)
		}
	})
}

func TestAPolicyMakesRolesEnrol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := enrolled(t)
		x.person("bob", inventory.RoleOperator)
		x.update(func(tx inventory.Tx) error {
			p := DefaultPolicy()
			p.TOTPRoles = []inventory.Role{inventory.RoleOperator}
			_, err := WritePolicy(tx, p)
			return err
		})
		_, p, err := x.signIn("192.0.2.1", "bob", password)
		x.wants("", err)
		if p.Must != MustEnrol {
			t.Errorf("bob must %q", p.Must)
		}
		alice, _, err := x.SignIn(t.Context(), SignIn{From: inventory.Actor{Address: "192.0.2.1"}, Name: "alice", Password: password, Code: x.code()})
		x.wants("", err)
		her, err := x.Session(t.Context(), alice)
		x.wants("", err)
		time.Sleep(time.Minute)
		if err := x.RemoveTOTP(t.Context(), inventory.Actor{Address: "192.0.2.1"}, her, x.code()); !inventory.Is(err, inventory.Forbidden) {
			t.Errorf("alice takes hers away: %v", err)
		}
		x.update(func(tx inventory.Tx) error { _, err := WritePolicy(tx, DefaultPolicy()); return err })
		if err := x.RemoveTOTP(t.Context(), inventory.Actor{Address: "192.0.2.1"}, her, "000000"); !inventory.Is(err, inventory.Invalid) {
			t.Errorf("with a wrong code: %v", err)
		}
		if err := x.RemoveTOTP(t.Context(), inventory.Actor{Address: "192.0.2.1"}, her, x.code()); err != nil {
			t.Errorf("then: %v", err)
		}
		if err := x.with(""); err != nil {
			t.Errorf("without one: %v", err)
		}
	})
}

func TestThePolicyOfPasswords(t *testing.T) {
	policy := api.Policy{PasswordLength: 10}
	for password, wrong := range map[string]string{
		"short":                     "10 characters",
		"春眠不觉晓处处闻啼鸟":                "", // ten characters, thirty octets
		"abcdefghijkl":              "first that are tried",
		"9876543210":                "first that are tried",
		"passwordpassword":          "first that are tried",
		"xyxyxyxyxyxy":              "first that are tried",
		"password2024!":             "first that are tried",
		"my-li.lei-is-here":         "hold the name",
		"about hanmeimei 1":         "hold the name",
		"correct horse":             "",
		strings.Repeat("长a密b码", 40): "256 octets",
	} {
		err := checkPassword(policy, "password", "li.lei", "hanmeimei@example.test", password)
		if (wrong == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("%.20q: %v, want %q", password, err, wrong)
		}
	}
}

func TestAPasswordThatIsTooOldMustBeChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.update(func(tx inventory.Tx) error {
			p := DefaultPolicy()
			p.PasswordAge = inventory.Duration(90 * 24 * time.Hour)
			_, err := WritePolicy(tx, p)
			return err
		})
		if _, p := f.mustSignIn("192.0.2.1"); p.Must != "" {
			t.Errorf("must %q at once", p.Must)
		}
		time.Sleep(91 * 24 * time.Hour)
		secret, p := f.mustSignIn("192.0.2.1")
		if p.Must != MustChange {
			t.Errorf("after 91 days must %q", p.Must)
		}
		her, err := f.Session(t.Context(), secret)
		f.wants("", err)
		if err := f.ChangePassword(t.Context(), inventory.Actor{Address: "192.0.2.1"}, her, password, "another horse battery"); err != nil {
			t.Fatal(err)
		}
		if _, p, err := f.signIn("192.0.2.1", "alice", "another horse battery"); err != nil || p.Must != "" {
			t.Errorf("then: %q, %v", p.Must, err)
		}
		if log := f.audited(); !slices.Contains(log, "person.password") && !slices.Contains(log, "person.change-password") {
			t.Errorf("audited: %v", log)
		}
	})
}
