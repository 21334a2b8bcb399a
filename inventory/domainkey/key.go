// Package domainkey holds the keys a mail domain signs with (DKIM, RFC 6376 and RFC
// 8463): how they are made, named, written down, published and replaced in time. The
// controller makes and keeps them, the mailnode's origin signs with them; it knows
// nothing but the standard library.
package domainkey

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Algorithm is a signature algorithm by its name in DKIM-Signature's a= tag.
type Algorithm string

// The algorithms. Each domain signs with both: RSA for all, Ed25519 for those who
// know it.
const (
	RSA     Algorithm = "rsa-sha256"
	Ed25519 Algorithm = "ed25519-sha256"
)

// Algorithms are all of them.
var Algorithms = []Algorithm{RSA, Ed25519}

// rsaBits fits a TXT record of two strings and is what every verifier takes.
const rsaBits = 2048

// State is where a key stands in its life.
type State string

// The states, in their order.
const (
	Next    State = "next"    // published, not used yet: caches have to learn of it
	Active  State = "active"  // signs
	Retired State = "retired" // signs no more, published while mail with it is on its way
)

// Key is a key of a domain.
type Key struct {
	Selector  string
	Algorithm Algorithm
	State     State
	Since     time.Time // when it came into its state
	Signer    crypto.Signer
}

// Generate makes a key.
func Generate(a Algorithm) (crypto.Signer, error) {
	switch a {
	case RSA:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("there is no signature algorithm %q", a)
}

// Selector names a new key by its month and algorithm, such as mf202611r. When a name
// is taken already it gets a number.
func Selector(a Algorithm, now time.Time, taken []string) string {
	base := "mf" + now.UTC().Format("200601") + string(a[0])
	name := base
	for n := 2; slices.Contains(taken, name); n++ {
		name = fmt.Sprintf("%s%d", base, n)
	}
	return name
}

// Encode writes a key as PEM (PKCS #8). It is a secret.
func Encode(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("a key of type %T cannot be written", key)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Decode reads a key in PEM (PKCS #8, or PKCS #1 as other programs make it) and says
// what it signs with.
func Decode(b []byte) (crypto.Signer, Algorithm, error) {
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, "", errors.New("the key is not in PEM form")
	}
	if block.Type == "RSA PRIVATE KEY" {
		key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			return nil, "", errors.New("the RSA key cannot be read")
		}
		return checkRSA(key)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, "", errors.New("the key cannot be read: it must be PKCS #8 or PKCS #1 and not encrypted")
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return checkRSA(key)
	case ed25519.PrivateKey:
		return key, Ed25519, nil
	}
	return nil, "", errors.New("the key must be RSA or Ed25519")
}

// checkRSA keeps keys out that verifiers refuse (RFC 8301 §3.2) or that take long.
func checkRSA(key *rsa.PrivateKey) (crypto.Signer, Algorithm, error) {
	if n := key.N.BitLen(); n < 1024 || n > 4096 {
		return nil, "", fmt.Errorf("the RSA key has %d bits: it must have 1024 to 4096", n)
	}
	return key, RSA, nil
}

// TXT is the text of the record that publishes a public key (RFC 6376 §3.6.1).
func TXT(public crypto.PublicKey) (string, error) {
	switch key := public.(type) {
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			return "", errors.New("the RSA key cannot be published")
		}
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), nil
	case ed25519.PublicKey: // RFC 8463 §4: the bare key
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(key), nil
	}
	return "", fmt.Errorf("a key of type %T cannot be published", public)
}

// Name is where the record of a selector stands.
func Name(selector, domain string) string {
	return strings.ToLower(selector + "._domainkey." + domain)
}
