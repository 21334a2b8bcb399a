package identity

import (
	"crypto/tls"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Self is a controller's own certificate. Its key lives in memory only and is
// replaced with every renewal. Its methods are safe for concurrent use.
type Self struct {
	ca  *CA
	req Request // all but Now

	mu       sync.Mutex
	current  *tls.Certificate
	received time.Time
}

// IssueSelf certifies the controller that holds the CA, under the DNS names
// and addresses at which browsers and scripts reach it.
func (ca *CA) IssueSelf(name string, dnsNames []string, ips []netip.Addr) (*Self, error) {
	s := &Self{ca: ca, req: Request{
		Profile:    ProfileController,
		ServerName: name,
		DNSNames:   slices.Clone(dnsNames),
		IPs:        slices.Clone(ips),
	}}
	if _, err := s.certificate(); err != nil {
		return nil, err
	}
	return s, nil
}

// GetCertificate is for tls.Config of a listener.
func (s *Self) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return s.certificate()
}

// GetClientCertificate is for tls.Config of a caller.
func (s *Self) GetClientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return s.certificate()
}

// certificate returns the current certificate and the CA's, after renewing if due.
func (s *Self) certificate() (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.current != nil && now.Before(Renewal(s.current.Leaf, s.received, now)) {
		return s.current, nil
	}
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	req := s.req
	req.Now = now
	leaf, err := s.ca.sign(key.Public(), req)
	if err != nil {
		return nil, err
	}
	s.received = now
	s.current = &tls.Certificate{
		Certificate: [][]byte{leaf.Raw, s.ca.cert.Raw},
		PrivateKey:  key,
		Leaf:        leaf,
	}
	return s.current, nil
}
