package seal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func open(t *testing.T, file string) *Key {
	t.Helper()
	k, err := Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestWhatIsSealedOpensAfterARestartForItsPurposeOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "seal.key")
	secret := []byte("correct horse")
	sealed := open(t, file).Seal("power/1", secret)
	if bytes.Contains(sealed, secret) {
		t.Fatal("the secret can be read")
	}
	k := open(t, file)
	if got, err := k.Unseal("power/1", sealed); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("opened as %q, %v", got, err)
	}
	if bytes.Equal(sealed, k.Seal("power/1", secret)) {
		t.Error("equal secrets are seen to be equal")
	}
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	for name, open := range map[string]func() ([]byte, error){
		"another purpose": func() ([]byte, error) { return k.Unseal("power/2", sealed) },
		"changed":         func() ([]byte, error) { return k.Unseal("power/1", changed) },
		"cut short":       func() ([]byte, error) { return k.Unseal("power/1", sealed[:5]) },
		"another version": func() ([]byte, error) { return k.Unseal("power/1", append([]byte{9}, sealed[1:]...)) },
		"another key": func() ([]byte, error) {
			return openOther(t).Unseal("power/1", sealed)
		},
	} {
		if got, err := open(); !errors.Is(err, ErrSealed) || got != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func openOther(t *testing.T) *Key { return open(t, filepath.Join(t.TempDir(), "other.key")) }

func TestNoSecretIsNothingSealed(t *testing.T) {
	k := openOther(t)
	if sealed := k.Seal("x", nil); sealed != nil {
		t.Errorf("sealed %x", sealed)
	}
	if got, err := k.Unseal("x", nil); got != nil || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestTheKeyIsForItsOwnerOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "seal.key")
	open(t, file)
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("made with mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key others can read: %v", err)
	}
	if err := os.WriteFile(file, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file); err == nil || !strings.Contains(err.Error(), "32 octets") {
		t.Errorf("a key cut short: %v", err)
	}
}

func TestKeysMadeAtOnceAreOne(t *testing.T) {
	file := filepath.Join(t.TempDir(), "seal.key")
	keys := make([]*Key, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() { keys[i], _ = Open(file) })
	}
	wg.Wait()
	for _, k := range keys {
		if k == nil {
			t.Fatal("one could not open it")
		}
		if _, err := keys[0].Unseal("x", k.Seal("x", []byte("y"))); err != nil {
			t.Fatal("they have different keys")
		}
	}
	left, _ := filepath.Glob(file + ".*")
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
