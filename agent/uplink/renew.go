package uplink

import (
	"context"
	"crypto/tls"
	"fmt"
	"path/filepath"
	"time"

	"mailfleet/agent/durable"
	"mailfleet/controller/api"
	"mailfleet/inventory/identity"
)

const (
	renewCheck = time.Minute
	renewLimit = 30 * time.Second
)

// renew replaces the agent's certificate at half its life. The link in use
// keeps the old one until it is dialled again.
func (u *Uplink) renew(ctx context.Context) {
	file := filepath.Join(u.dir, certFile)
	for pause(ctx, renewCheck) {
		u.mu.Lock()
		due := identity.Renewal(u.cert.Leaf, u.received, time.Now())
		u.mu.Unlock()
		if time.Now().Before(due) {
			continue
		}
		cert, err := u.obtain(ctx, identity.ProfileAgent, file)
		if err != nil {
			u.log.Warn("certificate not renewed, will try again", "expires", u.CertExpires(), "err", err)
			continue
		}
		u.mu.Lock()
		u.cert, u.received = cert, time.Now()
		u.mu.Unlock()
		u.log.Info("certificate renewed", "expires", cert.Leaf.NotAfter)
	}
}

// MailCertificate makes sure that file holds a certificate for the server's
// mail listeners, with its key, that has at least half its life left, and tells
// whether it had to be replaced. While the controller is away an older one stays.
func (u *Uplink) MailCertificate(ctx context.Context, file string) (replaced bool, err error) {
	if cert, received, err := loadCertificate(file); err == nil &&
		time.Now().Before(identity.Renewal(cert.Leaf, received, time.Now())) {
		return false, nil
	}
	_, err = u.obtain(ctx, identity.ProfileMail, file)
	return err == nil, err
}

// obtain has a fresh key certified and writes both into one file, so that they
// always fit each other.
func (u *Uplink) obtain(ctx context.Context, profile identity.Profile, file string) (*tls.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, renewLimit)
	defer cancel()
	key, err := identity.NewKey()
	if err != nil {
		return nil, err
	}
	csr, err := identity.CSR(key)
	if err != nil {
		return nil, err
	}
	issued, err := u.Client().Certificate(ctx, api.CertificateRequest{Profile: string(profile), CSR: string(csr)})
	if err != nil {
		return nil, fmt.Errorf("have a %s certificate issued: %w", profile, err)
	}
	keyPEM, err := identity.KeyPEM(key)
	if err != nil {
		return nil, err
	}
	both := append([]byte(issued.Certificate), keyPEM...)
	cert, err := tls.X509KeyPair(both, both)
	if err != nil {
		return nil, fmt.Errorf("the issued certificate does not fit: %w", err)
	}
	return &cert, durable.WriteFile(file, both)
}
