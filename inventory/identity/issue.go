package identity

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Profile says what a certificate is for.
type Profile string

const (
	// ProfileAgent is a server's identity, for calling and for being called.
	// Its URI is spiffe://<fleet>/server/<id>.
	ProfileAgent Profile = "agent"
	// ProfileMail is for mail listeners that users' programs connect to. It
	// cannot be used to call anybody and carries no identity within the fleet.
	ProfileMail Profile = "mail"
	// ProfileController is a controller's identity, for its listener and for
	// calling. Its URI is spiffe://<fleet>/controller/<name>.
	ProfileController Profile = "controller"
)

// Request says what to certify. Everything in it is the controller's own
// knowledge, nothing the requester's word.
type Request struct {
	Profile    Profile
	ServerID   string // required for ProfileAgent
	ServerName string // the server's or the controller's name
	DNSNames   []string
	IPs        []netip.Addr
	Now        time.Time
	TTL        time.Duration // zero: 72 hours, 30 days for ProfileController
}

// Issued is what the controller records of a certificate.
type Issued struct {
	Serial    string // lower-case hexadecimal, without leading zeros
	NotBefore time.Time
	NotAfter  time.Time
}

// Issue certifies the public key of a signing request. Of the request only
// that key is used, after its strength and the request's signature have been
// checked; an error about these wraps ErrBadCSR. Validity begins 5 minutes
// before Now (48 hours for controllers) and never outlasts the CA.
func (ca *CA) Issue(csrPEM []byte, req Request) ([]byte, Issued, error) {
	key, err := publicKeyOf(csrPEM)
	if err != nil {
		return nil, Issued{}, err
	}
	cert, err := ca.sign(key, req)
	if err != nil {
		return nil, Issued{}, err
	}
	issued := Issued{Serial: serialText(cert.SerialNumber), NotBefore: cert.NotBefore, NotAfter: cert.NotAfter}
	return encodeCertificate(cert.Raw), issued, nil
}

// sign makes the certificate req describes for a key.
func (ca *CA) sign(key crypto.PublicKey, req Request) (*x509.Certificate, error) {
	template, err := ca.template(req)
	if err != nil {
		return nil, fmt.Errorf("certificate for %q: %w", req.ServerName, err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key, ca.key)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate for %q: %w", req.ServerName, err)
	}
	return x509.ParseCertificate(der)
}

func (ca *CA) template(req Request) (*x509.Certificate, error) {
	if err := checkNames(req); err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		Subject:     pkix.Name{Organization: []string{"Mailfleet"}, CommonName: req.ServerName},
		DNSNames:    req.DNSNames,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, ip := range req.IPs {
		t.IPAddresses = append(t.IPAddresses, net.IP(ip.Unmap().AsSlice()))
	}
	ttl, backdate := 72*time.Hour, 5*time.Minute

	switch req.Profile {
	case ProfileAgent:
		if !isPathSegment(req.ServerID) {
			return nil, fmt.Errorf("server id %q cannot be part of a URI", req.ServerID)
		}
		t.URIs = []*url.URL{ca.spiffeID(KindServer, req.ServerID)}
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	case ProfileController:
		if !isPathSegment(req.ServerName) {
			return nil, fmt.Errorf("controller name %q cannot be part of a URI", req.ServerName)
		}
		t.URIs = []*url.URL{ca.spiffeID(KindController, req.ServerName)}
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
		ttl, backdate = 30*24*time.Hour, longBackdate
	case ProfileMail:
		if len(req.DNSNames)+len(req.IPs) == 0 {
			return nil, errors.New("a mail listener's certificate needs a name or an address")
		}
	default:
		return nil, fmt.Errorf("unknown profile %q", req.Profile)
	}

	if req.TTL != 0 {
		ttl = req.TTL
	}
	t.NotBefore, t.NotAfter = req.Now.Add(-backdate), req.Now.Add(ttl)
	if t.NotAfter.After(ca.cert.NotAfter) {
		t.NotAfter = ca.cert.NotAfter
	}
	if !t.NotAfter.After(t.NotBefore) {
		return nil, fmt.Errorf("it would end on %s, before it begins", t.NotAfter.UTC().Format(time.RFC3339))
	}
	return t, nil
}

// checkNames keeps texts out of a certificate that programs may misread.
func checkNames(req Request) error {
	name := req.ServerName
	if name == "" || len(name) > 64 || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return errors.New("the name must have 1 to 64 bytes and no control characters")
	}
	for _, dns := range req.DNSNames {
		if dns == "" || len(dns) > 253 || strings.Trim(strings.ToLower(dns), "abcdefghijklmnopqrstuvwxyz0123456789-_.*") != "" {
			return fmt.Errorf("%q is not a DNS name", dns)
		}
	}
	for _, ip := range req.IPs {
		if !ip.IsValid() || ip.Zone() != "" {
			return errors.New("an address is missing or has a zone")
		}
	}
	return nil
}

// serialText is the form in which serial numbers are stored and compared.
func serialText(n *big.Int) string { return n.Text(16) }
