package release

import (
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"

	"mailfleet/inventory"
)

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := KeyPEM(key)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseKey(text)
	if err != nil || !again.Equal(key) {
		t.Fatalf("a key is not the same after its file: %v", err)
	}
	return key
}

func signed(t *testing.T, key ed25519.PrivateKey) inventory.Release {
	t.Helper()
	r := inventory.Release{Program: inventory.ProgramAgent, Number: "1.2-3-gabc", Platform: "linux/amd64", Size: 5, SHA256: strings.Repeat("ab", 32)}
	if err := Sign(&r, key); err != nil {
		t.Fatal(err)
	}
	return r
}

func grown(t *testing.T, c Chain, key ed25519.PrivateKey, keys ...string) Chain {
	t.Helper()
	longer, err := c.Append(key, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return longer
}

func TestNothingOfAReleaseCanBeChanged(t *testing.T) {
	key, other := newKey(t), newKey(t)
	chain := grown(t, nil, key, Public(key))
	good := signed(t, key)
	if err := chain.Verify(&good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*inventory.Release){
		"program":   func(r *inventory.Release) { r.Program = inventory.ProgramMailnode },
		"number":    func(r *inventory.Release) { r.Number = "1.2-3-gabd" },
		"platform":  func(r *inventory.Release) { r.Platform = "linux/arm64" },
		"size":      func(r *inventory.Release) { r.Size++ },
		"sha256":    func(r *inventory.Release) { r.SHA256 = strings.Repeat("ac", 32) },
		"signature": func(r *inventory.Release) { r.Signature = slices.Clone(r.Signature); r.Signature[9] ^= 1 },
		"no":        func(r *inventory.Release) { r.Signature = nil },
		"key":       func(r *inventory.Release) { r.Key = Public(other) },
		"signer":    func(r *inventory.Release) { *r = signed(t, other) },
		"line":      func(r *inventory.Release) { r.Number += "\nlinux/amd64" },
	} {
		r := good
		change(&r)
		if err := chain.Verify(&r); !inventory.Is(err, inventory.Invalid) {
			t.Errorf("with another %s: %v", name, err)
		}
	}
	if err := (Chain)(nil).Verify(&good); !inventory.Is(err, inventory.Forbidden) {
		t.Errorf("without a list: %v", err)
	}
}

func TestAChainIsFollowedAndNothingElse(t *testing.T) {
	first, second, third := newKey(t), newKey(t), newKey(t)
	one := grown(t, nil, first, Public(first))
	two := grown(t, one, first, Public(second))
	three := grown(t, two, second, Public(third))
	if got := one.Follow(three); len(got) != 3 || got.Keys()[0] != Public(third) {
		t.Errorf("two lists behind it trusts %v", got.Keys())
	}
	if got := three.Follow(two); len(got) != 3 {
		t.Error("it goes back to an older list")
	}
	if _, err := two.Append(first, Public(first)); err == nil {
		t.Error("a key that was left out can sign the next list")
	}
	stranger := grown(t, grown(t, nil, third, Public(third)), third, Public(third), Public(second))
	if got := one.Follow(stranger); len(got) != 1 || got.Keys()[0] != Public(first) {
		t.Error("it follows a chain that begins with other keys")
	}
	forged := slices.Clone(two)
	forged[1].Keys = []string{Public(third)}
	if got := one.Follow(forged); got.Keys()[0] != Public(first) {
		t.Error("it follows a list that was changed")
	}
	mine := signed(t, first)
	if err := three.Verify(&mine); err == nil {
		t.Error("a key that was left out is trusted")
	}
	text, err := three.Text()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(text)
	if err != nil || len(one.Follow(again)) != 3 {
		t.Errorf("a chain is not the same after its file: %v", err)
	}
	if _, err := Parse([]byte(strings.Replace(string(text), Public(third), Public(first), 1))); err == nil {
		t.Error("a changed file is read")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`[{"serial":1,"keys":["AA"],"by":"AA","signature":"AA=="}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse(text)
		if err == nil && (len(c) == 0 || len(c.Keys()) == 0) {
			t.Error("an empty chain is whole")
		}
	})
}
