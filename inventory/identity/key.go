package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// ErrBadCSR is wrapped by every error that says a certificate signing request
// is at fault, not the fleet.
var ErrBadCSR = errors.New("bad certificate signing request")

// NewKey makes a private key of the fleet's kind, ECDSA P-256.
func NewKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return key, nil
}

// KeyPEM encodes a private key as PKCS #8 in PEM, as tls.X509KeyPair reads it.
func KeyPEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// CSR makes a certificate signing request (RFC 2986) in PEM. It carries the
// public key and proves possession of the private one; names are not the
// requester's to choose.
func CSR(key crypto.Signer) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate signing request: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// publicKeyOf returns the public key of a signing request after checking that
// it is strong enough and that the requester holds its private half. Nothing
// else in the request is looked at. Its errors wrap ErrBadCSR.
func publicKeyOf(csrPEM []byte) (crypto.PublicKey, error) {
	der, err := decodePEM(csrPEM, "CERTIFICATE REQUEST")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadCSR, err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadCSR, err)
	}
	if err := checkStrength(csr.PublicKey); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadCSR, err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("%w: its signature does not match its key", ErrBadCSR)
	}
	return csr.PublicKey, nil
}

// checkStrength accepts ECDSA on P-256 or P-384, Ed25519, and RSA of 2048 to
// 8192 bits; the upper bound keeps the signature check cheap.
func checkStrength(key crypto.PublicKey) error {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() || key.Curve == elliptic.P384() {
			return nil
		}
		return fmt.Errorf("ECDSA on %s is not accepted, use P-256 or P-384", key.Params().Name)
	case ed25519.PublicKey:
		return nil
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < 2048 || bits > 8192 {
			return fmt.Errorf("an RSA key of %d bits is not accepted, use 2048 to 8192", bits)
		}
		return nil
	default:
		return errors.New("its key is not ECDSA, Ed25519 or RSA")
	}
}

// Renewal is when the holder of cert should renew it: at half of its lifetime,
// up to a twentieth of the lifetime earlier or later, the same for every call
// so that a restart does not move it, and different between certificates so
// that a fleet does not renew in step.
//
// received is when the holder got the certificate, on its own clock (after a
// restart: the modification time of its file). Both the certificate's dates
// and the time since receipt are looked at and the earlier wins, so a clock
// that is wrong never makes the holder late; at least a seventy-second of the
// lifetime (an hour of three days) passes after receipt, so a clock far ahead
// does not make it renew all the time. A receipt after now means that the
// clock was set back since; then the certificate's dates alone count.
func Renewal(cert *x509.Certificate, received, now time.Time) time.Time {
	received, now = received.Round(0), now.Round(0) // wall clock, as the certificate's dates are
	life := cert.NotAfter.Sub(cert.NotBefore)
	sum := sha256.Sum256(cert.Raw)
	jitter := float64(binary.BigEndian.Uint32(sum[:])) / (1 << 32)
	due := life/2 - life/20 + time.Duration(jitter*float64(life/10))

	at := cert.NotBefore.Add(due)
	if received.After(now) {
		return at
	}
	if byReceipt := received.Add(due); byReceipt.Before(at) {
		at = byReceipt
	}
	if floor := received.Add(life / 72); at.Before(floor) {
		at = floor
	}
	return at
}
