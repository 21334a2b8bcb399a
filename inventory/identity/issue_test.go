package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// issue certifies a new key and returns both.
func issue(t testing.TB, ca *CA, req Request) *tls.Certificate {
	t.Helper()
	key, err := NewKey()
	check(t, err)
	csr, err := CSR(key)
	check(t, err)
	certPEM, _, err := ca.Issue(csr, req)
	check(t, err)
	keyPEM, err := KeyPEM(key)
	check(t, err)
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	check(t, err)
	return &cert
}

func TestProfilesGrantExactlyTheirUses(t *testing.T) {
	ca, now := newCA(t), time.Now().Truncate(time.Second)
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, c := range []struct {
		req      Request
		uri      string
		usage    []x509.ExtKeyUsage
		from, to time.Duration // relative to now
	}{
		{Request{Profile: ProfileAgent, ServerID: "0190-aa", ServerName: "mx1.example.test"},
			"spiffe://" + ca.Fleet() + "/server/0190-aa", both, -5 * time.Minute, 72 * time.Hour},
		{Request{Profile: ProfileMail, ServerName: "mx1", DNSNames: []string{"mx1.example.test", "*.example.test"}, IPs: []netip.Addr{netip.MustParseAddr("127.0.10.1")}},
			"", both[:1], -5 * time.Minute, 72 * time.Hour},
		{Request{Profile: ProfileController, ServerName: "main", TTL: time.Hour},
			"spiffe://" + ca.Fleet() + "/controller/main", both, -48 * time.Hour, time.Hour},
		{Request{Profile: ProfileAgent, ServerID: "1", ServerName: "香港一号", TTL: 100 * 365 * 24 * time.Hour},
			"spiffe://" + ca.Fleet() + "/server/1", both, -5 * time.Minute, ca.cert.NotAfter.Sub(now)},
	} {
		c.req.Now = now
		cert := issue(t, ca, c.req).Leaf
		var uris []string
		for _, u := range cert.URIs {
			uris = append(uris, u.String())
		}
		if got := strings.Join(uris, " "); got != c.uri {
			t.Errorf("%s: URIs %q, want %q", c.req.Profile, got, c.uri)
		}
		if !slices.Equal(cert.ExtKeyUsage, c.usage) {
			t.Errorf("%s: usages %v, want %v", c.req.Profile, cert.ExtKeyUsage, c.usage)
		}
		if !cert.NotBefore.Equal(now.Add(c.from)) || !cert.NotAfter.Equal(now.Add(c.to)) {
			t.Errorf("%s: valid from %v to %v after now", c.req.Profile, cert.NotBefore.Sub(now), cert.NotAfter.Sub(now))
		}
		if !slices.Equal(cert.DNSNames, c.req.DNSNames) || len(cert.IPAddresses) != len(c.req.IPs) || cert.Subject.CommonName != c.req.ServerName {
			t.Errorf("%s: names %q %v %q", c.req.Profile, cert.DNSNames, cert.IPAddresses, cert.Subject.CommonName)
		}
		if cert.IsCA || cert.KeyUsage != x509.KeyUsageDigitalSignature {
			t.Errorf("%s: may do more than sign handshakes", c.req.Profile)
		}
	}
}

func TestIssueRefusesUnfitRequests(t *testing.T) {
	ca := newCA(t)
	key, err := NewKey()
	check(t, err)
	csr, err := CSR(key)
	check(t, err)
	now := time.Now()
	for _, req := range []Request{
		{Profile: ProfileAgent, ServerName: "a", Now: now},
		{Profile: ProfileAgent, ServerName: "a", ServerID: "../controller/main", Now: now},
		{Profile: ProfileAgent, ServerName: "a", ServerID: "..", Now: now},
		{Profile: ProfileAgent, ServerID: "1", Now: now},
		{Profile: ProfileAgent, ServerID: "1", ServerName: "a\nb", Now: now},
		{Profile: ProfileAgent, ServerID: "1", ServerName: strings.Repeat("a", 65), Now: now},
		{Profile: ProfileAgent, ServerID: "1", ServerName: "a", DNSNames: []string{"a b"}, Now: now},
		{Profile: ProfileAgent, ServerID: "1", ServerName: "a", IPs: make([]netip.Addr, 1), Now: now},
		{Profile: ProfileAgent, ServerID: "1", ServerName: "a", TTL: -time.Hour, Now: now},
		{Profile: ProfileAgent, ServerID: "1", ServerName: "a", Now: ca.cert.NotAfter.Add(time.Hour)},
		{Profile: ProfileController, ServerName: "a/b", Now: now},
		{Profile: ProfileMail, ServerName: "a", Now: now},
		{Profile: "root", ServerName: "a", Now: now},
	} {
		_, _, err := ca.Issue(csr, req)
		if err == nil || errors.Is(err, ErrBadCSR) {
			t.Errorf("%+v: got error %v, want one about the request", req, err)
		}
	}
}

func TestOnlyTheKeyOfACSRIsUsed(t *testing.T) {
	ca := newCA(t)
	key, err := NewKey()
	check(t, err)
	evil := &x509.CertificateRequest{
		Subject:     pkix.Name{CommonName: "evil", SerialNumber: "evil"},
		DNSNames:    []string{"controller.example.test"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		URIs:        []*url.URL{{Scheme: "spiffe", Host: ca.Fleet(), Path: "/controller/main"}},
		ExtraExtensions: []pkix.Extension{
			{Id: []int{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 0x03, 0x01, 0x01, 0xff}}, // CA:TRUE
		},
	}
	certPEM, issued, err := ca.Issue(signCSR(t, evil, key), Request{Profile: ProfileAgent, ServerID: "1", ServerName: "good", Now: time.Now()})
	check(t, err)
	block, _ := pem.Decode(certPEM)
	cert, err := x509.ParseCertificate(block.Bytes)
	check(t, err)
	if cert.IsCA || len(cert.DNSNames)+len(cert.IPAddresses) != 0 || len(cert.URIs) != 1 ||
		cert.URIs[0].Path != "/server/1" || cert.Subject.CommonName != "good" || cert.Subject.SerialNumber != "" {
		t.Errorf("the request's own wishes were granted: %+v", cert)
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		t.Error("not the key of the request")
	}
	if issued.Serial != cert.SerialNumber.Text(16) || !issued.NotAfter.Equal(cert.NotAfter) || !issued.NotBefore.Equal(cert.NotBefore) {
		t.Errorf("issued says %+v", issued)
	}
}

func signCSR(t testing.TB, csr *x509.CertificateRequest, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, csr, key)
	check(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func TestCSRMustBeSignedByAStrongKey(t *testing.T) {
	ca := newCA(t)
	curve := func(c elliptic.Curve) crypto.Signer {
		key, err := ecdsa.GenerateKey(c, rand.Reader)
		check(t, err)
		return key
	}
	rsaKey := func(bits int) crypto.Signer {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		check(t, err)
		return key
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	check(t, err)

	signed := func(key crypto.Signer) []byte { return signCSR(t, &x509.CertificateRequest{}, key) }
	forged := signed(curve(elliptic.P256()))
	block, _ := pem.Decode(forged)
	block.Bytes[len(block.Bytes)-1] ^= 1
	forged = pem.EncodeToMemory(block)

	for name, c := range map[string]struct {
		csr []byte
		ok  bool
	}{
		"P-256":           {signed(curve(elliptic.P256())), true},
		"P-384":           {signed(curve(elliptic.P384())), true},
		"Ed25519":         {signed(edKey), true},
		"RSA 2048":        {signed(rsaKey(2048)), true},
		"P-224":           {signed(curve(elliptic.P224())), false},
		"P-521":           {signed(curve(elliptic.P521())), false},
		"RSA 1024":        {signed(rsaKey(1024)), false},
		"bad signature":   {forged, false},
		"empty":           {nil, false},
		"not PEM":         {[]byte("hello"), false},
		"not a request":   {ca.CertPEM(), false},
		"two requests":    {append(signed(edKey), signed(edKey)...), false},
		"too long a text": {append(signed(edKey), strings.Repeat("\n", maxPEM)...), false},
	} {
		_, _, err := ca.Issue(c.csr, Request{Profile: ProfileAgent, ServerID: "1", ServerName: "a", Now: time.Now()})
		if c.ok && err != nil || !c.ok && !errors.Is(err, ErrBadCSR) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzIssue(f *testing.F) {
	ca := newCA(f)
	key, err := NewKey()
	check(f, err)
	csr, err := CSR(key)
	check(f, err)
	f.Add(csr)
	f.Add(ca.CertPEM())
	f.Fuzz(func(t *testing.T, csr []byte) {
		certPEM, _, err := ca.Issue(csr, Request{Profile: ProfileAgent, ServerID: "1", ServerName: "a", Now: time.Now()})
		if err != nil {
			if !errors.Is(err, ErrBadCSR) {
				t.Fatal(err)
			}
			return
		}
		block, _ := pem.Decode(certPEM)
		cert, err := x509.ParseCertificate(block.Bytes)
		check(t, err)
		if cert.IsCA || len(cert.URIs) != 1 || cert.URIs[0].Path != "/server/1" || len(cert.DNSNames) != 0 {
			t.Errorf("issued %+v", cert)
		}
	})
}

func TestRenewalWithRightAndWrongClocks(t *testing.T) {
	ca, now := newCA(t), time.Now().Truncate(time.Second)
	cert := issue(t, ca, Request{Profile: ProfileAgent, ServerID: "1", ServerName: "a", Now: now}).Leaf
	const hour = time.Hour
	for _, c := range []struct {
		name           string
		received, now  time.Duration // on the holder's clock, relative to the true now
		earliest, last time.Duration
	}{
		{"right clock", 0, 0, 32 * hour, 40 * hour},
		{"right clock, after a restart", 0, 30 * hour, 32 * hour, 40 * hour},
		{"forty hours behind", -40 * hour, -40 * hour, -8 * hour, 0},
		{"forty hours ahead", 40 * hour, 40 * hour, 41 * hour, 41*hour + 5*time.Minute},
		{"eighty ahead, set right since", 80 * hour, hour, 32 * hour, 40 * hour},
		{"forty behind, set right since", -40 * hour, 10 * hour, -8 * hour, 0},
	} {
		at := Renewal(cert, now.Add(c.received), now.Add(c.now))
		if got := at.Sub(now); got < c.earliest || got > c.last {
			t.Errorf("%s: renews after %v, want %v to %v", c.name, got, c.earliest, c.last)
		}
		if again := Renewal(cert, now.Add(c.received), now.Add(c.now)); !again.Equal(at) {
			t.Errorf("%s: not the same twice", c.name)
		}
	}

	seen := map[time.Time]bool{}
	for range 10 {
		cert := issue(t, ca, Request{Profile: ProfileAgent, ServerID: "1", ServerName: "a", Now: now}).Leaf
		seen[Renewal(cert, now, now)] = true
	}
	if len(seen) < 5 {
		t.Errorf("ten certificates renew at %d different times", len(seen))
	}
}
