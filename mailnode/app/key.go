package app

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

const keyLength = 32

// secretKey returns the random key in a file. It makes one when there is none, or
// only a part of it, as a crash may leave.
func secretKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the key: %w", err)
	}
	if len(key) == keyLength {
		return key, nil
	}
	key = make([]byte, keyLength)
	_, _ = rand.Read(key) // never fails: crypto/rand aborts the program instead
	if err := os.WriteFile(path, key, 0o600); err != nil {
		return nil, fmt.Errorf("the key: %w", err)
	}
	return key, nil
}
