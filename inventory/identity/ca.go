package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

const (
	caLifetime = 10 * 365 * 24 * time.Hour
	// longBackdate is how far a server's clock may be behind the controller's
	// before the CA's and the controllers' certificates look not yet valid.
	longBackdate = 48 * time.Hour
)

// CA is the fleet's certificate authority. Its methods are safe for concurrent use.
type CA struct {
	*Root
	key crypto.Signer
}

// OpenCA opens the CA kept in dir as ca.crt and ca.key, or makes a new one
// (ECDSA P-256, ten years) if neither file is there. It refuses a key that
// others than its owner may read. Only one process may open a CA at a time.
//
// The key is written before the certificate. If a crash leaves a key without
// its certificate, or the certificate is lost, an equivalent certificate is
// made from the key: the fleet id follows from the key, so certificates
// issued before stay valid. The fingerprint changes, so join tokens do not.
func OpenCA(dir string) (*CA, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the CA's directory: %w", err)
	}
	keyFile, certFile := filepath.Join(dir, "ca.key"), filepath.Join(dir, "ca.crt")
	certPEM, err := os.ReadFile(certFile)
	haveCert := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the CA certificate: %w", err)
	}

	key, err := readKey(keyFile)
	switch {
	case errors.Is(err, fs.ErrNotExist) && haveCert:
		return nil, fmt.Errorf("%s is there but its key %s is missing: restore the key, or remove the certificate to begin a new fleet", certFile, keyFile)
	case errors.Is(err, fs.ErrNotExist):
		key, err = createKey(keyFile)
	}
	if err != nil {
		return nil, err
	}

	if !haveCert {
		return createCA(key, certFile)
	}
	root, err := ParseRoot(certPEM)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", certFile, err)
	}
	if !key.PublicKey.Equal(root.cert.PublicKey) {
		return nil, fmt.Errorf("%s and %s do not belong together", certFile, keyFile)
	}
	return &CA{Root: root, key: key}, nil
}

// readKey reads the CA's private key, which must be private indeed.
func readKey(file string) (*ecdsa.PrivateKey, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("read the CA key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("others may read the CA key %s (mode %04o): make it private with chmod 600", file, mode)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the CA key: %w", err)
	}
	der, err := decodePEM(text, "PRIVATE KEY")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%s: not a private key", file)
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: not an ECDSA key", file)
	}
	return ec, nil
}

func createKey(file string) (*ecdsa.PrivateKey, error) {
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	text, err := KeyPEM(key)
	if err != nil {
		return nil, err
	}
	if err := writeFile(file, text, 0o600); err != nil {
		return nil, fmt.Errorf("write the CA key: %w", err)
	}
	return key, nil
}

// createCA makes the CA's own certificate from its key and writes it to certFile.
func createCA(key *ecdsa.PrivateKey, certFile string) (*CA, error) {
	fleet, err := fleetOf(key)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"Mailfleet"}, CommonName: "Mailfleet CA " + fleet},
		URIs:                  []*url.URL{{Scheme: "spiffe", Host: fleet}},
		NotBefore:             now.Add(-longBackdate),
		NotAfter:              now.Add(caLifetime),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the CA certificate: %w", err)
	}
	certPEM := encodeCertificate(der)
	root, err := ParseRoot(certPEM)
	if err != nil {
		return nil, fmt.Errorf("make the CA certificate: %w", err)
	}
	if err := writeFile(certFile, certPEM, 0o644); err != nil {
		return nil, fmt.Errorf("write the CA certificate: %w", err)
	}
	return &CA{Root: root, key: key}, nil
}

// fleetOf derives the fleet's id from the CA's key: 80 bits of a hash of a
// random key are as random, and can be had again when only the key is left.
func fleetOf(key *ecdsa.PrivateKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return "", fmt.Errorf("encode the CA's public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:10]), nil
}

// writeFile replaces file by data so that after a crash either the old or the
// new content is there, and after it returned only the new.
func writeFile(file string, data []byte, mode fs.FileMode) error {
	dir := filepath.Dir(file)
	tmp, err := os.CreateTemp(dir, filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
