// Package seal encrypts what the controller must be able to read again but
// nobody who gets hold of its database may: passwords of management
// controllers, secrets of second factors.
//
// fleet, auth, rest and app import it.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const (
	// keySize is of AES-256.
	keySize = 32
	// version is the first octet of everything sealed; a random nonce and the
	// AES-256-GCM ciphertext follow.
	version = 1
)

// ErrSealed says that something cannot be opened: it was sealed with another
// key or for another purpose, or was changed since.
var ErrSealed = errors.New("the secret cannot be opened: it was sealed with another key, or is damaged")

// Key seals and opens secrets. It is safe for concurrent use.
type Key struct{ aead cipher.AEAD }

// Open reads the key in file, making it when there is none. A key that other
// users of the machine can read is refused.
func Open(file string) (*Key, error) {
	key, err := read(file)
	if errors.Is(err, os.ErrNotExist) {
		if err = create(file); err == nil {
			key, err = read(file)
		}
	}
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &Key{aead}, nil
}

func read(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("read the key of sealed secrets: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the key of sealed secrets %s can be read by others: chmod 600 it", file)
	}
	key, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the key of sealed secrets: %w", err)
	}
	if len(key) != keySize {
		return nil, fmt.Errorf("the key of sealed secrets %s must hold %d octets, not %d", file, keySize, len(key))
	}
	return key, nil
}

// create makes a key that is whole and on the disk before it has its name. Of
// two who make one at once, both find the first's.
func create(file string) error {
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return fmt.Errorf("make the key of sealed secrets: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	_, err = f.Write(key)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		if err = os.Link(f.Name(), file); errors.Is(err, os.ErrExist) {
			return nil
		}
	}
	if err == nil {
		err = syncDir(filepath.Dir(file))
	}
	if err != nil {
		return fmt.Errorf("keep the key of sealed secrets: %w", err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

// Seal encrypts a secret for one purpose, such as "power/" and an id: only
// Unseal with the same purpose opens it, so that nobody who can write to the
// database can pass one thing's secret off as another's. An empty secret gives nil.
func (k *Key) Seal(purpose string, secret []byte) []byte {
	if len(secret) == 0 {
		return nil
	}
	return k.aead.Seal([]byte{version}, nil, secret, []byte(purpose))
}

// Unseal opens what Seal made; ErrSealed.
func (k *Key) Unseal(purpose string, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	if sealed[0] != version {
		return nil, ErrSealed
	}
	secret, err := k.aead.Open(nil, nil, sealed[1:], []byte(purpose))
	if err != nil {
		return nil, ErrSealed
	}
	return secret, nil
}
