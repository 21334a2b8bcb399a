package identity

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
)

func TestJoinTokenCarriesSecretAndPin(t *testing.T) {
	ca := Fingerprint(sha256.Sum256([]byte("a CA")))
	text, hash := NewJoinToken(ca)
	token, err := ParseJoinToken("  " + text + "\r\n")
	check(t, err)
	if token.CA() != ca {
		t.Error("the fingerprint changed on its way through the token")
	}
	if !token.Matches(hash) || !bytes.Equal(token.Hash(), hash) {
		t.Error("the token does not match its own hash")
	}
	other, otherHash := NewJoinToken(ca)
	if other == text || token.Matches(otherHash) || token.Matches(nil) || token.Matches(hash[:31]) {
		t.Error("the token matches a hash that is not its own")
	}
	secret := strings.Split(text, ".")[1]
	if bytes.Contains(hash, token.secret[:]) || strings.Contains(fmt.Sprintf("%v %+v %s", token, token, token), secret) {
		t.Error("the secret shows")
	}
}

func TestParseJoinTokenRefuses(t *testing.T) {
	text, _ := NewJoinToken(Fingerprint{})
	parts := strings.Split(text, ".")
	for _, s := range []string{
		"", "mfj1", "mfj1..", "mfj2." + parts[1] + "." + parts[2], text + ".x", text + "A",
		parts[0] + "." + parts[1], "mfj1." + parts[1] + "=." + parts[2],
		"mfj1." + parts[1][:42] + "." + parts[2],
		"mfj1." + parts[1][:42] + "\n." + parts[2],
		"mfj1." + parts[1][:42] + "!." + parts[2],
		"mfj1." + parts[1] + "." + strings.Repeat("A", 42) + "B", // bits beyond the 256th
	} {
		if _, err := ParseJoinToken(s); err == nil {
			t.Errorf("%q was accepted", s)
		} else if len(parts[1]) > 10 && strings.Contains(err.Error(), parts[1][:10]) {
			t.Errorf("the error repeats the secret: %v", err)
		}
	}
}

func FuzzParseJoinToken(f *testing.F) {
	text, _ := NewJoinToken(Fingerprint{1, 2, 3})
	f.Add(text)
	f.Add("mfj1.AAAA.BBBB")
	f.Fuzz(func(t *testing.T, s string) {
		token, err := ParseJoinToken(s)
		if err != nil {
			return
		}
		// Exactly one text means one token.
		parts := []string{tokenPrefix, tokenEncoding.EncodeToString(token.secret[:]), tokenEncoding.EncodeToString(token.ca[:])}
		if again := strings.Join(parts, "."); again != strings.TrimSpace(s) {
			t.Errorf("%q was read as %q", s, again)
		}
	})
}
