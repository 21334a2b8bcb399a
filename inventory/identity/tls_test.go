package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// meeting is the outcome of a handshake over loopback: what each side saw
// after one byte from the server had reached the client, or had not.
type meeting struct {
	serverErr, clientErr error
	server, client       tls.ConnectionState
}

func handshake(t *testing.T, server, client *tls.Config) meeting {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	var m meeting
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.server, m.serverErr = serveOne(ln, server)
	}()
	m.client, m.clientErr = callOne(ln.Addr().String(), client)
	<-done
	check(t, ln.Close())
	return m
}

func serveOne(ln net.Listener, config *tls.Config) (tls.ConnectionState, error) {
	raw, err := ln.Accept()
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer func() { _ = raw.Close() }()
	conn := tls.Server(raw, config)
	if err := conn.Handshake(); err != nil {
		return tls.ConnectionState{}, err
	}
	if _, err := conn.Write([]byte{'!'}); err != nil {
		return tls.ConnectionState{}, err
	}
	return conn.ConnectionState(), conn.Close()
}

func callOne(address string, config *tls.Config) (tls.ConnectionState, error) {
	raw, err := net.DialTimeout("tcp", address, time.Minute)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer func() { _ = raw.Close() }()
	config = config.Clone()
	if config.ServerName == "" {
		config.ServerName = "127.0.0.1"
	}
	conn := tls.Client(raw, config)
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		return tls.ConnectionState{}, err
	}
	return conn.ConnectionState(), nil
}

func always(cert *tls.Certificate) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
}

func noneRevoked(string) bool { return false }

// fleet is a CA with its controller and one server.
type fleet struct {
	*CA
	self    *Self
	agent   *tls.Certificate
	revoked map[string]bool
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{CA: newCA(t), revoked: map[string]bool{}}
	var err error
	f.self, err = f.IssueSelf("main", []string{"localhost"}, []netip.Addr{netip.MustParseAddr("127.0.0.1")})
	check(t, err)
	f.agent = f.server(t, time.Now())
	return f
}

func (f *fleet) server(t *testing.T, now time.Time) *tls.Certificate {
	return issue(t, f.CA, Request{Profile: ProfileAgent, ServerID: "id-1", ServerName: "server one", Now: now})
}

func (f *fleet) config() *tls.Config {
	return ServerConfig(f.Root, f.self.GetCertificate, func(serial string) bool { return f.revoked[serial] })
}

// browser verifies names as browsers do and may hold a certificate.
func (f *fleet) browser(cert *tls.Certificate) *tls.Config {
	c := &tls.Config{RootCAs: f.Pool(), NextProtos: []string{"h2", "http/1.1"}}
	if cert != nil {
		c.GetClientCertificate = always(cert)
	}
	return c
}

func TestAgentAndControllerKnowEachOther(t *testing.T) {
	f := newFleet(t)
	m := handshake(t, f.config(), AgentConfig(f.Root, always(f.agent)))
	if m.serverErr != nil || m.clientErr != nil {
		t.Fatalf("server %v, client %v", m.serverErr, m.clientErr)
	}
	if m.server.NegotiatedProtocol != AgentProtocol || m.server.Version != tls.VersionTLS13 {
		t.Errorf("negotiated %q, version %x", m.server.NegotiatedProtocol, m.server.Version)
	}
	peer, err := PeerOf(&m.server)
	check(t, err)
	want := Peer{Kind: KindServer, ID: "id-1", Name: "server one", Serial: f.agent.Leaf.SerialNumber.Text(16), NotAfter: f.agent.Leaf.NotAfter}
	if peer != want {
		t.Errorf("peer %+v, want %+v", peer, want)
	}
}

func TestServerAdmitsAndRefuses(t *testing.T) {
	f, foreign := newFleet(t), newFleet(t)
	mail := issue(t, f.CA, Request{Profile: ProfileMail, ServerName: "mx", DNSNames: []string{"mx.example.test"}, Now: time.Now()})
	controller := issue(t, f.CA, Request{Profile: ProfileController, ServerName: "second", Now: time.Now()})
	expired := f.server(t, time.Now().Add(-73*time.Hour))
	future := f.server(t, time.Now().Add(time.Hour))
	revoked := f.server(t, time.Now())
	f.revoked[revoked.Leaf.SerialNumber.Text(16)] = true
	none := &tls.Certificate{} // GetClientCertificate may not return nil

	for _, c := range []struct {
		name           string
		cert           *tls.Certificate
		agent, browser string // error of the server, "" for admitted
	}{
		{"right certificate", f.agent, "", ""},
		{"no certificate", none, "didn't provide a certificate", ""},
		{"certificate of another fleet", foreign.agent, "unknown authority", "unknown authority"},
		{"expired certificate", expired, "expired", "expired"},
		{"certificate of the future", future, "not yet valid", "not yet valid"},
		{"revoked certificate", revoked, "revoked", "revoked"},
		{"certificate of a mail listener", mail, "incompatible key usage", "incompatible key usage"},
		{"certificate of a controller", controller, "where a server's is needed", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			verdict(t, "agent", handshake(t, f.config(), AgentConfig(f.Root, always(c.cert))), c.agent)
			verdict(t, "browser", handshake(t, f.config(), f.browser(c.cert)), c.browser)
			old := f.browser(c.cert)
			old.MaxVersion = tls.VersionTLS12
			verdict(t, "browser with TLS 1.2", handshake(t, f.config(), old), c.browser)
		})
	}
}

func verdict(t *testing.T, who string, m meeting, want string) {
	t.Helper()
	switch {
	case want == "" && (m.serverErr != nil || m.clientErr != nil):
		t.Errorf("%s was refused: server %v, client %v", who, m.serverErr, m.clientErr)
	case want != "" && m.serverErr == nil:
		t.Errorf("%s was admitted", who)
	case want != "" && !strings.Contains(m.serverErr.Error(), want):
		t.Errorf("%s was refused for %v, want %q", who, m.serverErr, want)
	case want != "" && m.clientErr == nil:
		t.Errorf("%s was refused but had its answer before", who)
	}
}

func TestBrowserIsAnonymous(t *testing.T) {
	f := newFleet(t)
	m := handshake(t, f.config(), f.browser(nil))
	if m.serverErr != nil || m.clientErr != nil {
		t.Fatalf("server %v, client %v", m.serverErr, m.clientErr)
	}
	if _, err := PeerOf(&m.server); !errors.Is(err, ErrNoCertificate) {
		t.Errorf("PeerOf: %v", err)
	}
	if _, err := PeerOf(nil); !errors.Is(err, ErrNoCertificate) {
		t.Errorf("PeerOf without TLS: %v", err)
	}
}

func TestAgentProtocolNeedsTLS13(t *testing.T) {
	f := newFleet(t)
	old := AgentConfig(f.Root, always(f.agent))
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	verdict(t, "agent with TLS 1.2", handshake(t, f.config(), old), "unsupported versions")
}

func TestAgentProtocolCannotBeMixedIn(t *testing.T) {
	f := newFleet(t)
	sly := f.browser(nil)
	sly.NextProtos = []string{"h2", AgentProtocol}
	verdict(t, "browser that also offers the agents' protocol", handshake(t, f.config(), sly), "didn't provide a certificate")
}

func TestRevocationReachesResumedSessions(t *testing.T) {
	for _, c := range []struct {
		name   string
		client func(f *fleet) *tls.Config
	}{
		{"agent", func(f *fleet) *tls.Config { return AgentConfig(f.Root, always(f.agent)) }},
		{"browser", func(f *fleet) *tls.Config { return f.browser(f.agent) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFleet(t)
			server, client := f.config(), c.client(f)
			client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			for i := range 2 {
				m := handshake(t, server, client)
				verdict(t, c.name, m, "")
				if resumed := i > 0; m.server.DidResume != resumed {
					t.Fatalf("meeting %d: resumed %v", i, m.server.DidResume)
				}
				if peer, err := PeerOf(&m.server); err != nil || peer.ID != "id-1" {
					t.Errorf("meeting %d: peer %+v, %v", i, peer, err)
				}
			}
			f.revoked[f.agent.Leaf.SerialNumber.Text(16)] = true
			verdict(t, c.name, handshake(t, server, client), "revoked")
		})
	}
}

func TestBrowserSessionDoesNotOpenTheAgentsDoor(t *testing.T) {
	f := newFleet(t)
	server, client := f.config(), f.browser(nil)
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	verdict(t, "browser", handshake(t, server, client), "")
	client.NextProtos = []string{AgentProtocol}
	verdict(t, "browser's session as agent", handshake(t, server, client), "didn't provide a certificate")
}

func TestAgentKnowsTheControllerByItsIdentity(t *testing.T) {
	f, foreign := newFleet(t), newFleet(t)
	elsewhere := AgentConfig(f.Root, always(f.agent))
	elsewhere.ServerName = "an.address.that.is.not.in.the.certificate"
	verdict(t, "agent by another name", handshake(t, f.config(), elsewhere), "")

	for _, c := range []struct {
		name string
		cert func(*tls.ClientHelloInfo) (*tls.Certificate, error)
		want string
	}{
		{"controller of another fleet", foreign.self.GetCertificate, "unknown authority"},
		{"a server of the fleet", serve(f.agent), "not a controller"},
		{"a mail listener", serve(issue(t, f.CA, Request{Profile: ProfileMail, ServerName: "mx", DNSNames: []string{"localhost"}, Now: time.Now()})), "no identity"},
		{"an expired controller", serve(issue(t, f.CA, Request{Profile: ProfileController, ServerName: "main", Now: time.Now().Add(-time.Hour), TTL: time.Minute})), "expired"},
	} {
		m := handshake(t, ServerConfig(f.Root, c.cert, noneRevoked), AgentConfig(f.Root, always(f.agent)))
		if m.clientErr == nil || !strings.Contains(m.clientErr.Error(), c.want) {
			t.Errorf("%s: the agent says %v, want %q", c.name, m.clientErr, c.want)
		}
	}
}

func serve(cert *tls.Certificate) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil }
}

func TestPinnedJoin(t *testing.T) {
	f, foreign := newFleet(t), newFleet(t)
	verdict(t, "join", handshake(t, f.config(), PinnedConfig(f.Fingerprint())), "")

	impostor := issue(t, foreign.CA, Request{Profile: ProfileController, ServerName: "main", Now: time.Now()})
	impostor.Certificate = append(impostor.Certificate, f.cert.Raw) // the true root, that did not sign
	inside := *f.agent
	inside.Certificate = [][]byte{f.agent.Certificate[0], f.cert.Raw}
	for name, cert := range map[string]func(*tls.ClientHelloInfo) (*tls.Certificate, error){
		"another fleet":                        foreign.self.GetCertificate,
		"another fleet showing the true root":  serve(impostor),
		"a server posing as the controller":    serve(&inside),
		"the true controller without its root": serve(issue(t, f.CA, Request{Profile: ProfileController, ServerName: "main", Now: time.Now()})),
	} {
		if m := handshake(t, ServerConfig(f.Root, cert, noneRevoked), PinnedConfig(f.Fingerprint())); m.clientErr == nil {
			t.Errorf("%s was trusted", name)
		}
	}
}

func TestOneListenerServesHTTPAndAgents(t *testing.T) {
	f := newFleet(t)
	agents := make(chan Peer, 1)
	srv := &http.Server{
		ReadHeaderTimeout: 5 * time.Second,
		TLSConfig:         f.config(),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := PeerOf(r.TLS); !errors.Is(err, ErrNoCertificate) {
				http.Error(w, "not anonymous", http.StatusInternalServerError)
			}
		}),
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){
			AgentProtocol: func(_ *http.Server, conn *tls.Conn, _ http.Handler) {
				cs := conn.ConnectionState()
				peer, err := PeerOf(&cs)
				if err != nil {
					t.Error(err)
				}
				agents <- peer
				_, _ = conn.Write([]byte{'!'})
			},
		},
		Protocols: new(http.Protocols),
	}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetHTTP2(true)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := srv.ServeTLS(ln, "", ""); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	defer serving.Wait()
	defer func() { check(t, srv.Close()) }()

	web := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: f.Pool()}, ForceAttemptHTTP2: true}}
	defer web.CloseIdleConnections()
	resp, err := web.Get("https://" + ln.Addr().String())
	check(t, err)
	check(t, resp.Body.Close())
	if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 {
		t.Errorf("browser: %s %s", resp.Proto, resp.Status)
	}
	_, err = callOne(ln.Addr().String(), AgentConfig(f.Root, always(f.agent)))
	check(t, err)
	if peer := <-agents; peer.ID != "id-1" {
		t.Errorf("agent: %+v", peer)
	}
}

func TestSelfRenewsInMemory(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ca, err := OpenCA(dir)
		check(t, err)
		self, err := ca.IssueSelf("main", []string{"localhost"}, []netip.Addr{netip.MustParseAddr("127.0.0.1")})
		check(t, err)
		get := func() *tls.Certificate {
			cert, err := self.GetCertificate(nil)
			check(t, err)
			asClient, err := self.GetClientCertificate(nil)
			check(t, err)
			if cert != asClient {
				t.Error("two certificates at a time")
			}
			if left := time.Until(cert.Leaf.NotAfter); left < 13*24*time.Hour {
				t.Errorf("only %v left", left)
			}
			if behind := time.Since(cert.Leaf.NotBefore); behind < 48*time.Hour {
				t.Errorf("a clock %v behind cannot use it", behind)
			}
			return cert
		}
		first := get()
		time.Sleep(10 * 24 * time.Hour)
		if get() != first {
			t.Error("renewed too early")
		}
		for range 6 {
			time.Sleep(10 * 24 * time.Hour)
			get()
		}
		if last := get(); last == first || last.Leaf.SerialNumber.Cmp(first.Leaf.SerialNumber) == 0 {
			t.Error("not renewed in 70 days")
		} else if err := last.Leaf.VerifyHostname("localhost"); err != nil {
			t.Error(err)
		}
	})
}

func TestWrongClockOfAServer(t *testing.T) {
	f := newFleet(t)
	cert, err := f.self.GetCertificate(nil)
	check(t, err)
	seen := tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert.Leaf}}
	for offset, ok := range map[time.Duration]bool{
		-47 * time.Hour:      true,
		15 * 24 * time.Hour:  true,
		-72 * time.Hour:      false,
		100 * 24 * time.Hour: false,
	} {
		if err := verifyController(seen, f.Root, time.Now().Add(offset)); (err == nil) != ok {
			t.Errorf("a clock off by %v: %v", offset, err)
		}
	}
}
