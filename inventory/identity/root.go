// Package identity says who is who in the fleet: the fleet's certificate
// authority, the certificates it issues, the join tokens by which a new server
// comes to trust it, and the TLS configurations made from all of these. The
// controller, the agent and the mailnode import it; it imports only the
// standard library.
//
// # Clocks
//
// Certificates of servers are checked by the controller against the controller's
// own clock, so a server whose clock is off by hours is still admitted. In the
// other direction a server checks the controller's certificate with its own,
// possibly wrong clock: therefore the CA's certificate and those of controllers
// are valid from 48 hours before they were made, and a controller's for at least
// 14 days to come. Within these bounds a wrong clock on a server never locks
// it out, and ordinary X.509 validation needs no exceptions. Renewal is
// written so that a wrong or corrected clock cannot make a server miss its
// renewal or renew in a tight loop.
package identity

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
)

// maxPEM bounds every PEM text read from outside, in bytes.
const maxPEM = 16 << 10

// Fingerprint is the SHA-256 of a certificate's DER encoding.
type Fingerprint [sha256.Size]byte

// String is the fingerprint in lower-case hexadecimal.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// Root is the fleet's trust anchor: the public half of the CA, as every
// member of the fleet holds it. Its methods are safe for concurrent use.
type Root struct {
	cert  *x509.Certificate
	pool  *x509.CertPool
	fleet string
}

// ParseRoot reads the fleet CA's certificate, one PEM block of at most 16 KiB.
func ParseRoot(certPEM []byte) (*Root, error) {
	der, err := decodePEM(certPEM, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("not an X.509 certificate: %w", err)
	}
	return newRoot(cert)
}

func newRoot(cert *x509.Certificate) (*Root, error) {
	if !cert.BasicConstraintsValid || !cert.IsCA {
		return nil, errors.New("not a CA certificate")
	}
	if err := cert.CheckSignatureFrom(cert); err != nil {
		return nil, errors.New("the CA certificate is not signed by its own key")
	}
	if len(cert.URIs) != 1 || !isTrustDomain(cert.URIs[0]) {
		return nil, errors.New("the CA certificate names no fleet")
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &Root{cert: cert, pool: pool, fleet: cert.URIs[0].Host}, nil
}

// isTrustDomain tells whether u is a SPIFFE trust domain and nothing more
// (SPIFFE-ID §2.1): spiffe://<name>.
func isTrustDomain(u *url.URL) bool {
	return isPathSegment(u.Host) && *u == url.URL{Scheme: "spiffe", Host: u.Host}
}

// CertPEM is the CA's certificate in PEM.
func (r *Root) CertPEM() []byte { return encodeCertificate(r.cert.Raw) }

// Pool holds the CA's certificate alone. The caller must not add to it.
func (r *Root) Pool() *x509.CertPool { return r.pool }

// Fingerprint is the SHA-256 of the CA certificate's DER encoding.
func (r *Root) Fingerprint() Fingerprint { return sha256.Sum256(r.cert.Raw) }

// Fleet is the fleet's id and its SPIFFE trust domain.
func (r *Root) Fleet() string { return r.fleet }

// decodePEM returns the content of text, which must be one PEM block of the
// given type and nothing else.
func decodePEM(text []byte, blockType string) ([]byte, error) {
	if len(text) > maxPEM {
		return nil, fmt.Errorf("PEM text longer than %d bytes", maxPEM)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != blockType {
		return nil, fmt.Errorf("no PEM block of type %s", blockType)
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("something follows the PEM block of type %s", blockType)
	}
	return block.Bytes, nil
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
