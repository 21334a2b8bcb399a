package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
)

// tokenPrefix begins every join token and carries its version.
const tokenPrefix = "mfj1"

// errToken never repeats the text it complains about: it may be a secret.
var errToken = errors.New("not a join token: it must look like " + tokenPrefix + ".<43 characters>.<43 characters>")

// JoinToken is what an operator carries from the controller to a new server:
// a secret that lets it join once, and the fingerprint of the CA, by which it
// knows the true controller. Keep it out of logs; it prints as nothing.
type JoinToken struct {
	secret [32]byte
	ca     Fingerprint
}

// NewJoinToken makes a token with a random 256-bit secret. The controller
// keeps only the hash and looks the token up by it.
func NewJoinToken(ca Fingerprint) (token string, hash []byte) {
	t := JoinToken{ca: ca}
	_, _ = rand.Read(t.secret[:]) // never fails
	parts := []string{tokenPrefix, tokenEncoding.EncodeToString(t.secret[:]), tokenEncoding.EncodeToString(ca[:])}
	return strings.Join(parts, "."), t.Hash()
}

// ParseJoinToken reads a pasted token; white space around it does not matter.
func ParseJoinToken(s string) (JoinToken, error) {
	parts := strings.SplitN(strings.TrimSpace(s), ".", 4)
	if len(parts) != 3 || parts[0] != tokenPrefix {
		return JoinToken{}, errToken
	}
	var t JoinToken
	if !decode32(t.secret[:], parts[1]) || !decode32(t.ca[:], parts[2]) {
		return JoinToken{}, errToken
	}
	return t, nil
}

// Hash is the SHA-256 of the secret. A fast hash is enough for 256 random bits.
func (t JoinToken) Hash() []byte {
	sum := sha256.Sum256(t.secret[:])
	return sum[:]
}

// Matches tells in constant time whether hash is that of the token.
func (t JoinToken) Matches(hash []byte) bool {
	return subtle.ConstantTimeCompare(t.Hash(), hash) == 1
}

// CA is the fingerprint of the CA whose controller made the token.
func (t JoinToken) CA() Fingerprint { return t.ca }

// String keeps the secret out of every print and log.
func (t JoinToken) String() string { return tokenPrefix + ".…" }

var tokenEncoding = base64.RawURLEncoding.Strict()

func decode32(dst []byte, s string) bool {
	if len(s) != tokenEncoding.EncodedLen(len(dst)) {
		return false
	}
	n, err := tokenEncoding.Decode(dst, []byte(s))
	return err == nil && n == len(dst)
}
