package auth

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"mailfleet/inventory"
	"mailfleet/inventory/identity"
)

// connect shakes hands with the controller, as mail-1 if agent, and returns
// what the controller knows of the connection.
func connect(t *testing.T, ca *identity.CA, agent bool) *tls.ConnectionState {
	t.Helper()
	self, err := ca.IssueSelf("controller", nil, []netip.Addr{netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{RootCAs: ca.Root.Pool(), ServerName: "127.0.0.1"}
	if agent {
		key, err := identity.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		csr, err := identity.CSR(key)
		if err != nil {
			t.Fatal(err)
		}
		certificate, _, err := ca.Issue(csr, identity.Request{Profile: identity.ProfileAgent, ServerID: string(inventory.NewID()), ServerName: "mail-1", Now: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		keyPEM, err := identity.KeyPEM(key)
		if err != nil {
			t.Fatal(err)
		}
		pair, err := tls.X509KeyPair(certificate, keyPEM)
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	here, there := net.Pipe()
	server := tls.Server(here, identity.ServerConfig(ca.Root, self.GetCertificate, func(string) bool { return false }))
	client := tls.Client(there, config)
	shaken := make(chan error, 1)
	go func() { shaken <- client.HandshakeContext(t.Context()) }()
	if err := server.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	state := server.ConnectionState()
	_, _ = here.Close(), there.Close()
	return &state
}

func TestAServersCertificateWritesItsOwnSamples(t *testing.T) {
	ca, err := identity.OpenCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t)
	r := httptest.NewRequest(http.MethodPost, "/api/v2/write", nil)
	r.TLS = connect(t, ca, true)
	if server, ok := f.WriteIdentity(r); !ok || server != "mail-1" {
		t.Errorf("got %q, %v", server, ok)
	}
	r.TLS = connect(t, ca, false)
	if server, ok := f.WriteIdentity(r); ok || server != "" {
		t.Errorf("without a certificate: %q, %v", server, ok)
	}
}
