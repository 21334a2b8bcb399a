package auth

import (
	"bufio"
	"context"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mailfleet/controller/e2e/peers"
	"mailfleet/mailnode/api"
)

// imap speaks as much of IMAP as gsasl needs to sign in.
type imap struct {
	t    *testing.T
	auth *Auth
	tls  *tls.Config

	mu     sync.Mutex
	signed []string // mechanism and account
}

// serve answers on one connection.
func (s *imap) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	peer := &Peer{Protocol: api.POP3, Address: "192.0.2.1", Local: true}
	r := bufio.NewReader(c)
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(c, format+"\r\n", args...) }
	read := func() (string, bool) {
		line, err := r.ReadString('\n')
		return strings.TrimRight(line, "\r\n"), err == nil
	}
	say("* OK ready")
	for {
		line, ok := read()
		if !ok {
			return
		}
		tag, command, _ := strings.Cut(line, " ")
		verb, arg, _ := strings.Cut(command, " ")
		switch strings.ToUpper(verb) {
		case "CAPABILITY":
			say("* CAPABILITY IMAP4rev1 STARTTLS AUTH=%s", strings.Join(s.auth.Mechanisms(peer), " AUTH="))
			say("%s OK", tag)
		case "STARTTLS":
			say("%s OK", tag)
			secure := tls.Server(c, s.tls)
			if err := secure.HandshakeContext(s.t.Context()); err != nil {
				s.t.Error(err)
				return
			}
			state := secure.ConnectionState()
			peer.TLS, peer.Certificates = &state, s.tls.Certificates
			c, r = secure, bufio.NewReader(secure)
		case "AUTHENTICATE":
			id, err := s.authenticate(peer, arg, say, read)
			if err != nil {
				say("%s NO %v", tag, err)
				continue
			}
			s.mu.Lock()
			s.signed = append(s.signed, id.Mechanism+" "+id.Account.ID)
			s.mu.Unlock()
			say("%s OK", tag)
		case "LOGOUT":
			say("* BYE")
			say("%s OK", tag)
			return
		default:
			say("%s BAD", tag)
		}
	}
}

func (s *imap) authenticate(p *Peer, mechanism string, say func(string, ...any), read func() (string, bool)) (Identity, error) {
	x, err := s.auth.Start(s.t.Context(), p, mechanism)
	if err != nil {
		return Identity{}, err
	}
	var response []byte
	for {
		challenge, done, err := x.Next(response)
		if err != nil || done {
			return x.Identity(), err
		}
		say("+ %s", base64.StdEncoding.EncodeToString(challenge))
		line, _ := read()
		if response, err = base64.StdEncoding.DecodeString(line); err != nil {
			return Identity{}, err
		}
	}
}

// GNU SASL is a second implementation of the mechanisms and of channel binding.
func TestGsaslSignsIn(t *testing.T) {
	path := peers.Find(t, "gsasl", "gsasl")
	certificate := certified(t, x509.ECDSAWithSHA256, elliptic.P256())
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &imap{t: t, auth: New(options(t, 64)), tls: &tls.Config{Certificates: []tls.Certificate{certificate}}}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			server.serve(c)
		}
	})
	t.Cleanup(func() { _ = l.Close(); serving.Wait() })
	host, port, _ := net.SplitHostPort(l.Addr().String())
	for _, test := range []struct {
		mechanism string
		secure    bool
		password  string
		ok        bool
	}{
		{"SCRAM-SHA-256", false, "secret 一", true},
		{"SCRAM-SHA-256", false, "wrong", false},
		{"SCRAM-SHA-256", false, phone, true},
		{"SCRAM-SHA-256-PLUS", true, "secret 一", true},
		{"SCRAM-SHA-256-PLUS", true, "wrong again", false},
		{"PLAIN", true, "secret 一", true},
		{"LOGIN", false, "secret 一", true},
	} {
		args := []string{"--imap", "--connect=" + host + ":" + port, "--mechanism=" + test.mechanism, "--authentication-id=one@a.test", "--password=" + test.password}
		if test.secure {
			args = append(args, "--starttls", "--x509-ca-file="+ca)
		} else {
			args = append(args, "--no-starttls")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		cancel()
		server.mu.Lock()
		signed := server.signed
		server.signed = nil
		server.mu.Unlock()
		if (err == nil) != test.ok || test.ok && (len(signed) != 1 || signed[0] != test.mechanism+" 1") {
			t.Errorf("%s, TLS %v, password %q: %v, signed in %q\n%s", test.mechanism, test.secure, test.password, err, signed, out)
		}
	}
}
