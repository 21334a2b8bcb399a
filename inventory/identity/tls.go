package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// AgentProtocol is the ALPN name (RFC 7301) by which an agent asks for its
// connection on the port that also serves browsers.
const AgentProtocol = "mailfleet-agent/1"

// ErrRevoked says that a certificate of the fleet has been revoked.
var ErrRevoked = errors.New("the certificate has been revoked")

// ServerConfig is for the controller's one listener. Whoever offers
// AgentProtocol gets it, needs TLS 1.3 and a server's certificate. Everybody
// else speaks h2 or http/1.1 on TLS 1.2 or later and may present a certificate
// of the fleet. A certificate that is foreign, expired, not for clients or
// revoked ends the handshake in either case.
//
// revoked is asked about every presented certificate, by serial as in Issued,
// at every handshake, resumed sessions included. A connection that is already
// up is not cut by a revocation; its owner does that.
func ServerConfig(root *Root, certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error), revoked func(serial string) bool) *tls.Config {
	browsers := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: certificate,
		ClientAuth:     tls.VerifyClientCertIfGiven,
		ClientCAs:      root.Pool(),
		VerifyConnection: func(cs tls.ConnectionState) error {
			_, err := admit(cs, revoked)
			if errors.Is(err, ErrNoCertificate) {
				return nil
			}
			return err
		},
	}
	agents := browsers.Clone()
	agents.MinVersion = tls.VersionTLS13
	agents.NextProtos = []string{AgentProtocol}
	agents.ClientAuth = tls.RequireAndVerifyClientCert
	agents.VerifyConnection = func(cs tls.ConnectionState) error {
		peer, err := admit(cs, revoked)
		if err == nil && peer.Kind != KindServer {
			err = fmt.Errorf("a %s's certificate was presented where a server's is needed", peer.Kind)
		}
		return err
	}
	browsers.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(hello.SupportedProtos, AgentProtocol) {
			return agents, nil
		}
		return nil, nil // the configuration this function belongs to
	}
	return browsers
}

// admit says who has connected, unless the certificate was revoked.
func admit(cs tls.ConnectionState, revoked func(serial string) bool) (Peer, error) {
	peer, err := PeerOf(&cs)
	if err == nil && revoked(peer.Serial) {
		err = ErrRevoked
	}
	return peer, err
}

// AgentConfig is for a server that dials a controller. The controller is
// known by its identity in the fleet, whatever name or address was dialled.
// For plain HTTP calls, clone it and set NextProtos.
func AgentConfig(root *Root, certificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{
		MinVersion:           tls.VersionTLS13,
		NextProtos:           []string{AgentProtocol},
		GetClientCertificate: certificate,
		// The default check is of a name; verifyController's is stricter.
		InsecureSkipVerify: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			return verifyController(cs, root, time.Now())
		},
	}
}

// PinnedConfig is for the join call of a server that knows nothing of the
// fleet but the fingerprint in its join token. The controller must present
// the CA's certificate along with its own, as Self does.
func PinnedConfig(ca Fingerprint) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// There is no root to check against before the handshake.
		InsecureSkipVerify: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			for _, cert := range cs.PeerCertificates {
				root, err := newRoot(cert)
				if err == nil && root.Fingerprint() == ca {
					return verifyController(cs, root, time.Now())
				}
			}
			return errors.New("the other end does not belong to the fleet that made the join token")
		},
	}
}

// verifyController checks that the other end is, at now, a controller of
// root's fleet.
func verifyController(cs tls.ConnectionState, root *Root, now time.Time) error {
	chains, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots:       root.Pool(),
		CurrentTime: now,
		KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return fmt.Errorf("the other end is not a controller of this fleet: %w", err)
	}
	peer, err := peerOf(chains[0])
	if err != nil {
		return err
	}
	if peer.Kind != KindController {
		return fmt.Errorf("the other end is a %s of this fleet, not a controller", peer.Kind)
	}
	return nil
}
