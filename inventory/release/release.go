// Package release signs builds of programs and lists of the keys that may, and
// checks both.
//
// # Who is trusted, and why
//
// Whoever may say what program a server runs owns that server. So the controller
// may not: it hands out builds, and an agent runs only what an operator signed
// with a release key that is on no server and not on the controller. Who takes
// over the controller, or a token for its API, can offer an agent only builds
// that were signed once, for the program and platform they were signed for.
//
//   - A release key is an ed25519 key in a file of the operator's. It signs what a
//     release says of itself: program, version, platform, size and SHA-256.
//   - Each agent keeps, in its own directory, the list of the public keys it
//     trusts. It gets the first list when it joins, from a controller that the join
//     token proves and that an operator carried there; or by hand, as a file. After
//     that no controller can change it.
//   - Keys are changed by a further list, signed by a key of the list before. It
//     may come by any way, the controller included. All lists since the first go in
//     one chain, so that an agent that was away for some of them follows too.
//   - When all keys of a list are lost, a new first list is laid on the controller
//     and on each agent by hand.
//
// The controller checks the same signatures, by a chain in a file of its own that
// its API cannot change, so that nothing is offered which every agent would refuse.
//
// An older release is as good as a newer one: going back is something operators
// must be able to do. Who can command the controller can do it too; a key list
// without the key that signed a bad release ends that.
//
// Controller and agent import it, and the operators' command line.
package release

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"mailfleet/inventory"
)

// Bounds of a chain of lists.
const (
	maxKeys  = 100
	maxLists = 1000
	// MaxChain is the most octets a chain may have as a file.
	MaxChain = 4 << 20
)

const keyBlock = "PRIVATE KEY"

// NewKey makes a release key.
func NewKey() (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a release key: %w", err)
	}
	return key, nil
}

// KeyPEM encodes a release key for its file (PKCS #8).
func KeyPEM(key ed25519.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode the release key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der}), nil
}

// ParseKey reads a release key from its file.
func ParseKey(text []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != keyBlock {
		return nil, errors.New("this is not the file of a release key")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the release key is damaged: %w", err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("a release key is an ed25519 key, and this is another kind")
	}
	return key, nil
}

// Public is the public half of a key, as lists and releases name it.
func Public(key ed25519.PrivateKey) string {
	return base64.StdEncoding.EncodeToString(key[ed25519.SeedSize:])
}

func parsePublic(text string) (ed25519.PublicKey, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) != ed25519.PublicKeySize {
		return nil, inventory.FieldErrorf("key", "%q is not the public half of a release key", text)
	}
	return b, nil
}

func signedBy(public string, text, signature []byte) bool {
	key, err := parsePublic(public)
	return err == nil && len(signature) == ed25519.SignatureSize && ed25519.Verify(key, text, signature)
}

// Sign signs what a release says of itself.
func Sign(r *inventory.Release, key ed25519.PrivateKey) error {
	if err := r.Check(); err != nil {
		return err
	}
	r.Key, r.Signature = Public(key), ed25519.Sign(key, r.ReleaseText())
	return nil
}

// Chain are all lists of trusted keys since the first; the last is in force.
type Chain []inventory.ReleaseKeys

// NewChain is a chain with a first list of a key and others.
func NewChain(key ed25519.PrivateKey, others ...string) (Chain, error) {
	return Chain{}.Append(key, append([]string{Public(key)}, others...)...)
}

// Append is the chain with one more list, signed by key, which the list before
// must have.
func (c Chain) Append(key ed25519.PrivateKey, keys ...string) (Chain, error) {
	next := inventory.ReleaseKeys{Serial: 1, Keys: slices.Clone(keys), By: Public(key)}
	slices.Sort(next.Keys)
	next.Keys = slices.Compact(next.Keys)
	if len(c) > 0 {
		next.Serial = c[len(c)-1].Serial + 1
	}
	next.Signature = ed25519.Sign(key, next.KeysText())
	longer := append(slices.Clone(c), next)
	return longer, longer.check()
}

// Parse reads a chain from its file. That it holds together proves nothing of
// whom it comes from: see Follow.
func Parse(text []byte) (Chain, error) {
	var c Chain
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&c); err != nil || len(text) > MaxChain {
		return nil, inventory.Errorf(inventory.Invalid, "this is not a list of release keys")
	}
	return c, c.check()
}

// Text is the chain as a file.
func (c Chain) Text() ([]byte, error) {
	text, err := json.MarshalIndent(c, "", "  ")
	return append(text, '\n'), err
}

// check tells whether each list is followed by the next.
func (c Chain) check() error {
	if len(c) == 0 || len(c) > maxLists {
		return inventory.Errorf(inventory.Invalid, "a chain of release keys has between 1 and %d lists", maxLists)
	}
	for i := range c {
		list := &c[i]
		if len(list.Keys) == 0 || len(list.Keys) > maxKeys {
			return inventory.Errorf(inventory.Invalid, "list %d of release keys has not between 1 and %d keys", list.Serial, maxKeys)
		}
		for _, key := range list.Keys {
			if _, err := parsePublic(key); err != nil {
				return err
			}
		}
		believed := list.Keys // of the first list: it is believed for other reasons
		if i > 0 {
			believed = c[i-1].Keys
		}
		switch {
		case i > 0 && list.Serial != c[i-1].Serial+1:
			return inventory.Errorf(inventory.Invalid, "list %d of release keys does not come after list %d", list.Serial, c[i-1].Serial)
		case list.Serial == 0 || !signedBy(list.By, list.KeysText(), list.Signature):
			return inventory.Errorf(inventory.Invalid, "the signature of list %d of release keys does not hold", list.Serial)
		case (i > 0 || list.Serial == 1) && !slices.Contains(believed, list.By):
			return inventory.Errorf(inventory.Invalid, "list %d of release keys is signed by a key that the list before does not have", list.Serial)
		}
	}
	return nil
}

// Follow is the chain to trust from now on for one who trusts c and was shown
// other: other when it is c and more, else c.
func (c Chain) Follow(other Chain) Chain {
	if len(other) <= len(c) || other.check() != nil {
		return c
	}
	for i := range c {
		if !bytes.Equal(c[i].KeysText(), other[i].KeysText()) {
			return c
		}
	}
	return other
}

// Keys are those in force.
func (c Chain) Keys() []string {
	if len(c) == 0 {
		return nil
	}
	return c[len(c)-1].Keys
}

// Verify tells whether a release may be trusted: whether what it says of itself
// is signed by one of the keys in force.
func (c Chain) Verify(r *inventory.Release) error {
	if err := r.Check(); err != nil {
		return err
	}
	switch {
	case len(c) == 0:
		return inventory.Errorf(inventory.Forbidden, "no release key is trusted here yet")
	case !slices.Contains(c.Keys(), r.Key):
		return inventory.FieldErrorf("key", "%s is signed by a key that is not trusted", r.Title())
	case !signedBy(r.Key, r.ReleaseText(), r.Signature):
		return inventory.FieldErrorf("signature", "the signature of %s does not hold", r.Title())
	default:
		return nil
	}
}
