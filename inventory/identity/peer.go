package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Kind is the kind of a member of the fleet.
type Kind string

const (
	KindServer     Kind = "server"
	KindController Kind = "controller"
)

// Peer is the member of the fleet at the other end of a connection.
type Peer struct {
	Kind     Kind
	ID       string // the server's id; of a controller its name
	Name     string
	Serial   string // as in Issued
	NotAfter time.Time
}

// ErrNoCertificate says that the other end of a connection has shown no
// certificate of the fleet, as browsers do.
var ErrNoCertificate = errors.New("no certificate of the fleet was presented")

// PeerOf says who is at the other end of a connection made with ServerConfig.
// It returns ErrNoCertificate for an anonymous one.
func PeerOf(cs *tls.ConnectionState) (Peer, error) {
	if cs == nil || len(cs.VerifiedChains) == 0 {
		return Peer{}, ErrNoCertificate
	}
	return peerOf(cs.VerifiedChains[0])
}

// peerOf reads the identity from a verified chain, which begins with the
// peer's certificate and ends with the fleet's root.
func peerOf(chain []*x509.Certificate) (Peer, error) {
	leaf, root := chain[0], chain[len(chain)-1]
	if len(leaf.URIs) != 1 || len(root.URIs) != 1 {
		return Peer{}, errors.New("the certificate carries no identity of the fleet")
	}
	id, fleet := leaf.URIs[0], root.URIs[0].Host
	kind, name, _ := strings.Cut(strings.TrimPrefix(id.Path, "/"), "/")
	known := Kind(kind) == KindServer || Kind(kind) == KindController
	if !known || !isPathSegment(name) || *id != *spiffeID(fleet, Kind(kind), name) {
		return Peer{}, fmt.Errorf("the certificate's identity %q is not one of this fleet", id.Redacted())
	}
	return Peer{
		Kind:     Kind(kind),
		ID:       name,
		Name:     leaf.Subject.CommonName,
		Serial:   serialText(leaf.SerialNumber),
		NotAfter: leaf.NotAfter,
	}, nil
}

func (r *Root) spiffeID(kind Kind, id string) *url.URL { return spiffeID(r.fleet, kind, id) }

// spiffeID names a member within the fleet's trust domain (SPIFFE-ID §2).
func spiffeID(fleet string, kind Kind, id string) *url.URL {
	return &url.URL{Scheme: "spiffe", Host: fleet, Path: "/" + string(kind) + "/" + id}
}

// isPathSegment tells whether s can stand between two slashes of a SPIFFE ID
// (SPIFFE-ID §2.2): 1 to 64 letters, digits, dots, dashes and underscores.
func isPathSegment(s string) bool {
	if s == "" || len(s) > 64 || s == "." || s == ".." {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '-' || r == '_')
	})
}
