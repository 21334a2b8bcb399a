package credential

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
)

// The letters of an application password: 32 of them, none taken for another.
const (
	letters  = "abcdefghijkmnpqrstuvwxyz23456789"
	appGroup = 4
	appTotal = 24 // letters: 120 random bits
)

// NewApp makes an application password, such as "abcd-efgh-jkmn-pqrs-tuvw-xyz2".
func NewApp() string {
	var random [appTotal]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand aborts the program instead
	var secret []byte
	for i, b := range random {
		if i > 0 && i%appGroup == 0 {
			secret = append(secret, '-')
		}
		secret = append(secret, letters[int(b)%len(letters)])
	}
	return string(secret)
}

const appScheme = "$sha256$"

// HashApp is what is kept of an application password. It has too many random bits
// to be guessed, so one plain SHA-256 is enough.
func HashApp(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return appScheme + base64.RawStdEncoding.EncodeToString(sum[:])
}

// MatchesApp reports whether secret is the application password that was hashed.
func MatchesApp(secret, hash string) bool {
	return subtle.ConstantTimeCompare([]byte(HashApp(secret)), []byte(hash)) == 1
}
