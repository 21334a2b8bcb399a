package credential

import (
	"encoding/base64"
	"strings"
	"testing"
)

// The exchange of RFC 7677 §3: user "user", password "pencil".
func TestKeysAreThoseOfRFC7677(t *testing.T) {
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	s, err := SCRAM{Iterations: 4096, Salt: salt}.Derive("pencil")
	if err != nil {
		t.Fatal(err)
	}
	const messages = "n=user,r=rOprNGfwEbeRWgbNEkqO," +
		"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096," +
		"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	proof, err := base64.StdEncoding.DecodeString("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
	if err != nil {
		t.Fatal(err)
	}
	if !s.Proves(proof, messages) {
		t.Error("the client's proof is not taken")
	}
	if got := base64.StdEncoding.EncodeToString(s.Signature(messages)); got != "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" {
		t.Errorf("the server's signature is %s", got)
	}
	proof[0] ^= 1
	if s.Proves(proof, messages) || s.Proves(proof[:31], messages) || s.Proves(nil, messages) {
		t.Error("a wrong proof is taken")
	}
}

func TestSCRAMIsReadAsWritten(t *testing.T) {
	s, err := NewSCRAM("密码 pass")
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseSCRAM(s.String())
	if err != nil || again.String() != s.String() {
		t.Fatalf("%s became %s, %v", s, again, err)
	}
	if same, err := again.Derive("密码 pass"); err != nil || same.StoredKey != s.StoredKey {
		t.Errorf("the same password has other keys: %v", err)
	}
	if other, err := again.Derive("other"); err != nil || other.StoredKey == s.StoredKey {
		t.Errorf("another password has the same keys: %v", err)
	}
	if fresh, err := NewSCRAM("密码 pass"); err != nil || fresh.StoredKey == s.StoredKey {
		t.Errorf("the salt is not fresh: %v", err)
	}
}

func TestPasswordsArePreparedAsClientsDo(t *testing.T) {
	for password, want := range map[string]string{
		"I\u00adX":       "IX",     // RFC 4013 §3
		"\u2168":         "IX",     // RFC 4013 §3
		"a\u00a0b":       "a b",    // RFC 4013 §2.1
		"Ａ密":             "A密",     // NFKC
		"bell\a":         "bell\a", // not allowed: as it is
		"\u0627\u0031":   "\u0627\u0031",
		"plain password": "plain password",
	} {
		if got := Prepare(password); got != want {
			t.Errorf("%q became %q, want %q", password, got, want)
		}
	}
}

func TestBadSCRAMIsRefused(t *testing.T) {
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))
	good := "SCRAM-SHA-256$4096:c2FsdA==$" + key + ":" + key
	if _, err := ParseSCRAM(good); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"", "SCRAM-SHA-1" + good[13:], strings.Replace(good, "4096", "4095", 1), strings.Replace(good, "4096", "99999999999", 1),
		strings.Replace(good, "4096", "+4096", 1), strings.Replace(good, "c2FsdA==", "", 1), strings.Replace(good, "c2FsdA==", "c2FsdA", 1),
		good + "=", good[:len(good)-4], strings.Replace(good, ":"+key, "", 1),
	} {
		if s, err := ParseSCRAM(bad); err == nil {
			t.Errorf("%q became %v", bad, s)
		}
	}
}

func FuzzParseSCRAM(f *testing.F) {
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))
	f.Add("SCRAM-SHA-256$4096:c2FsdA==$" + key + ":" + key)
	f.Add("SCRAM-SHA-256$4096:$:")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := ParseSCRAM(text); err == nil && s.String() != text {
			t.Fatalf("%q became %q", text, s)
		}
	})
}

func TestApplicationPasswords(t *testing.T) {
	secret, other := NewApp(), NewApp()
	if len(secret) != 29 || strings.Trim(secret, letters+"-") != "" || secret == other {
		t.Errorf("made %q and %q", secret, other)
	}
	hash := HashApp(secret)
	if !MatchesApp(secret, hash) || MatchesApp(other, hash) || MatchesApp("", hash) || MatchesApp(secret, "") {
		t.Errorf("%q and %q do not compare as they should", secret, hash)
	}
	if Prepare(secret) != secret {
		t.Errorf("%q is prepared to something else", secret)
	}
}
