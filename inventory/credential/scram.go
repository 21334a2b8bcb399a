// Package credential makes and reads the stored forms of mail passwords that are
// not argon2id hashes: SCRAM keys (RFC 5802, RFC 7677), and application passwords.
// The controller makes them where a password is set; mailnodes compare with them.
// Every program may import it.
package credential

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/xdg-go/stringprep"
)

// Iterations is the cost of new SCRAM keys. RFC 7677 §4 wants 4,096 at least, by what
// phones could do in 2015. The client pays it at each sign-in: some 30 ms in 2025.
const Iterations = 100_000

// What is taken for a stored SCRAM key. A client carries out the iterations, so
// there must be an end to them.
const (
	minIterations = 4_096
	maxIterations = 10_000_000
	saltLength    = 16
	maxSalt       = 128
)

// SCRAM is what is kept of a password for SCRAM-SHA-256: with it one can prove
// a client's knowledge of the password, and not sign in.
type SCRAM struct {
	Iterations int
	Salt       []byte
	StoredKey  [sha256.Size]byte
	ServerKey  [sha256.Size]byte
}

// NewSCRAM makes the keys of a password with a fresh salt.
func NewSCRAM(password string) (SCRAM, error) {
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt) // never fails: crypto/rand aborts the program instead
	return SCRAM{Iterations: Iterations, Salt: salt}.Derive(password)
}

// Derive makes the keys of another password with the salt and cost of s. All passwords
// of an account share them: SCRAM's server names one salt before it knows which is used.
func (s SCRAM) Derive(password string) (SCRAM, error) {
	salted, err := pbkdf2.Key(sha256.New, Prepare(password), s.Salt, s.Iterations, sha256.Size)
	if err != nil {
		return SCRAM{}, fmt.Errorf("derive SCRAM keys: %w", err)
	}
	client := sha256.Sum256(mac(salted, "Client Key"))
	return SCRAM{
		Iterations: s.Iterations, Salt: s.Salt,
		StoredKey: client, ServerKey: [sha256.Size]byte(mac(salted, "Server Key")),
	}, nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// Prepare is SASLprep (RFC 4013), by which a client prepares a password. A password
// that it does not allow stays as it is.
func Prepare(password string) string {
	prepared, err := stringprep.SASLprep.Prepare(password)
	if err != nil {
		return password
	}
	return prepared
}

// Proves reports whether proof is a client's for the messages of an exchange (RFC 5802 §3).
func (s SCRAM) Proves(proof []byte, messages string) bool {
	if len(proof) != sha256.Size {
		return false
	}
	signature := mac(s.StoredKey[:], messages)
	subtle.XORBytes(signature, signature, proof) // now the client's key, if it knows it
	key := sha256.Sum256(signature)
	return subtle.ConstantTimeCompare(key[:], s.StoredKey[:]) == 1
}

// Signature is what proves to the client that the server has the keys (RFC 5802 §3).
func (s SCRAM) Signature(messages string) []byte { return mac(s.ServerKey[:], messages) }

const scheme = "SCRAM-SHA-256$"

// String is the stored form (RFC 5803 with the name of the mechanism as scheme):
// SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey, in base64.
func (s SCRAM) String() string {
	text := base64.StdEncoding.EncodeToString
	return scheme + strconv.Itoa(s.Iterations) + ":" + text(s.Salt) + "$" + text(s.StoredKey[:]) + ":" + text(s.ServerKey[:])
}

var errSCRAM = errors.New("it is not of the form SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey, in base64")

// ParseSCRAM reads the stored form.
func ParseSCRAM(text string) (SCRAM, error) {
	rest, ok := strings.CutPrefix(text, scheme)
	cost, keys, ok2 := strings.Cut(rest, "$")
	count, salt, ok3 := strings.Cut(cost, ":")
	stored, server, ok4 := strings.Cut(keys, ":")
	if !ok || !ok2 || !ok3 || !ok4 {
		return SCRAM{}, errSCRAM
	}
	n, err := strconv.Atoi(count)
	if err != nil || strconv.Itoa(n) != count {
		return SCRAM{}, errSCRAM
	}
	if n < minIterations || n > maxIterations {
		return SCRAM{}, fmt.Errorf("SCRAM iterations must be between %d and %d", minIterations, maxIterations)
	}
	s := SCRAM{Iterations: n}
	binary := base64.StdEncoding.Strict().DecodeString
	if s.Salt, err = binary(salt); err != nil || len(s.Salt) == 0 || len(s.Salt) > maxSalt {
		return SCRAM{}, errSCRAM
	}
	for _, k := range []struct {
		text string
		key  *[sha256.Size]byte
	}{{stored, &s.StoredKey}, {server, &s.ServerKey}} {
		b, err := binary(k.text)
		if err != nil || len(b) != len(k.key) {
			return SCRAM{}, errSCRAM
		}
		copy(k.key[:], b)
	}
	return s, nil
}

// SameSalt reports whether two stored forms have one salt and cost.
func SameSalt(a, b string) bool {
	first, _, ok := strings.Cut(strings.TrimPrefix(a, scheme), "$")
	second, _, ok2 := strings.Cut(strings.TrimPrefix(b, scheme), "$")
	return ok && ok2 && first == second
}
