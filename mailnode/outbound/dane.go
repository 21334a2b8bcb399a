package outbound

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"

	"mailfleet/mailnode/resolve"
)

// The values of TLSA records that mail uses (RFC 7672 §3.1).
const (
	daneTA = 2
	daneEE = 3
)

// usable are the records that a server can be checked with.
func usable(records []resolve.TLSA) (good []resolve.TLSA) {
	for _, r := range records {
		if (r.Usage == daneTA || r.Usage == daneEE) && r.Selector <= 1 && r.Matching <= 2 && len(r.Data) > 0 {
			good = append(good, r)
		}
	}
	return good
}

var errDANE = errors.New("its certificate is not the one the domain publishes (DANE)")

// checkDANE proves a server's certificate by TLSA records (RFC 7672 §3).
func checkDANE(state tls.ConnectionState, records []resolve.TLSA, names []string) error {
	chain := state.PeerCertificates
	if len(chain) == 0 {
		return errDANE
	}
	for _, r := range records {
		if r.Usage == daneEE {
			// Neither name nor dates count: the record alone binds them (§3.1.1).
			if matches(r, chain[0]) {
				return nil
			}
			continue
		}
		if proves(r, chain, names) {
			return nil
		}
	}
	return errDANE
}

// proves tells whether a trust anchor named by a record vouches for the server.
func proves(r resolve.TLSA, chain []*x509.Certificate, names []string) bool {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	found := false
	for _, c := range chain {
		if matches(r, c) {
			roots.AddCert(c)
			found = true
		}
		between.AddCert(c)
	}
	if !found && r.Selector == 0 && r.Matching == 0 { // the record is the certificate itself
		if c, err := x509.ParseCertificate(r.Data); err == nil {
			roots.AddCert(c)
			found = true
		}
	}
	if !found {
		return false
	}
	for _, name := range names {
		if _, err := chain[0].Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: between}); err == nil {
			return true
		}
	}
	return false
}

func matches(r resolve.TLSA, c *x509.Certificate) bool {
	data := c.Raw
	if r.Selector == 1 {
		data = c.RawSubjectPublicKeyInfo
	}
	switch r.Matching {
	case 1:
		sum := sha256.Sum256(data)
		return bytes.Equal(sum[:], r.Data)
	case 2:
		sum := sha512.Sum512(data)
		return bytes.Equal(sum[:], r.Data)
	}
	return bytes.Equal(data, r.Data)
}
