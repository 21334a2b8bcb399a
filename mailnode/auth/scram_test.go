package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailfleet/inventory"
	"mailfleet/inventory/credential"
	"mailfleet/mailnode/api"
	"mailfleet/mailnode/directory"
)

// The exchange of RFC 7677 §3, word for word.
func TestSCRAMIsThatOfRFC7677(t *testing.T) {
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := credential.SCRAM{Iterations: 4096, Salt: salt}.Derive("pencil")
	if err != nil {
		t.Fatal(err)
	}
	a := New(Options{Accounts: directory.New(directory.NewTable(nil, []directory.Account{{ID: "1", Address: "user", SCRAM: keys.String()}}, ""))})
	a.nonce = func() string { return "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0" }
	x, err := a.Start(t.Context(), local("192.0.2.1"), ScramSHA256)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ response, challenge string }{
		{"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"},
		{"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
	} {
		challenge, done, err := x.Next([]byte(step.response))
		if err != nil || done || string(challenge) != step.challenge {
			t.Fatalf("got %q, %v, %v", challenge, done, err)
		}
	}
	if _, done, err := x.Next([]byte{}); err != nil || !done || x.Identity().Account.ID != "1" {
		t.Errorf("got %+v, %v, %v", x.Identity(), done, err)
	}
}

// scramClient is a client that can be told to cheat.
type scramClient struct {
	name, password string
	header         string // "n,,"
	binding        []byte
	spoil          func(final string) string
}

func (c scramClient) run(t testing.TB, a *Auth, p *Peer, mechanism string) (first string, id Identity, err error) {
	t.Helper()
	x, err := a.Start(t.Context(), p, mechanism)
	if err != nil {
		t.Fatal(err)
	}
	bare := "n=" + strings.NewReplacer("=", "=3D", ",", "=2C").Replace(c.name) + ",r=client nonce"
	bare = strings.ReplaceAll(bare, "client nonce", "clientnonce")
	challenge, _, err := x.Next([]byte(c.header + bare))
	if err != nil {
		return "", Identity{}, err
	}
	first = string(challenge)
	parts := strings.Split(first, ",")
	salt, err := base64.StdEncoding.DecodeString(parts[1][2:])
	if err != nil {
		t.Fatal(err)
	}
	iterations, err := strconv.Atoi(parts[2][2:])
	if err != nil {
		t.Fatal(err)
	}
	salted, err := pbkdf2.Key(sha256.New, credential.Prepare(c.password), salt, iterations, 32)
	if err != nil {
		t.Fatal(err)
	}
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	key := mac(salted, "Client Key")
	stored := sha256.Sum256(key)
	without := "c=" + base64.StdEncoding.EncodeToString(append([]byte(c.header), c.binding...)) + "," + parts[0]
	messages := bare + "," + first + "," + without
	proof := make([]byte, 32)
	subtle.XORBytes(proof, key, mac(stored[:], messages))
	final := without + ",p=" + base64.StdEncoding.EncodeToString(proof)
	if c.spoil != nil {
		final = c.spoil(final)
	}
	challenge, _, err = x.Next([]byte(final))
	if err != nil {
		return first, Identity{}, err
	}
	if want := "v=" + base64.StdEncoding.EncodeToString(mac(mac(salted, "Server Key"), messages)); string(challenge) != want {
		t.Errorf("the server's proof is %q, want %q", challenge, want)
	}
	if _, done, err := x.Next([]byte{}); err != nil || !done {
		t.Errorf("got %v, %v", done, err)
	}
	return first, x.Identity(), nil
}

func TestSCRAM(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New(options(t, 64))
		swap := func(old, fresh string) func(string) string {
			return func(s string) string { return strings.Replace(s, old, fresh, 1) }
		}
		for name, test := range map[string]struct {
			client     scramClient
			want       error
			credential inventory.ID
		}{
			"password":             {scramClient{name: "one@a.test", password: "secret 一", header: "n,,"}, nil, ""},
			"believes not in TLS":  {scramClient{name: "one@a.test", password: "secret 一", header: "y,,"}, nil, ""},
			"authorization":        {scramClient{name: "one@a.test", password: "secret 一", header: "n,a=ONE@a.test,"}, nil, ""},
			"application password": {scramClient{name: "one@a.test", password: phone, header: "n,,"}, nil, "phone"},
			"for another protocol": {scramClient{name: "one@a.test", password: tablet, header: "n,,"}, ErrRefused, ""},
			"expired":              {scramClient{name: "one@a.test", password: old, header: "n,,"}, ErrRefused, ""},
			"as somebody else":     {scramClient{name: "one@a.test", password: "secret 一", header: "n,a=two@a.test,"}, ErrRefused, ""},
			"wrong":                {scramClient{name: "one@a.test", password: "wrong", header: "n,,"}, ErrRefused, ""},
			"suspended":            {scramClient{name: "two@a.test", password: "secret", header: "n,,"}, ErrSuspended, ""},
			"suspended and wrong":  {scramClient{name: "two@a.test", password: "wrong", header: "n,,"}, ErrRefused, ""},
			"without keys":         {scramClient{name: "four@a.test", password: "secret", header: "n,,"}, ErrRefused, ""},
			"unknown":              {scramClient{name: "no=,body@a.test", password: "secret", header: "n,,"}, ErrRefused, ""},
			"bound without PLUS":   {scramClient{name: "one@a.test", password: "secret 一", header: "p=tls-exporter,,"}, ErrMalformed, ""},
			"extensions":           {scramClient{name: "one@a.test", password: "secret 一", header: "n,,", spoil: swap("c=biws", "m=x,c=biws")}, ErrMalformed, ""},
			"another nonce":        {scramClient{name: "one@a.test", password: "secret 一", header: "n,,", spoil: swap("clientnonce", "clientNonce")}, ErrMalformed, ""},
			"another header":       {scramClient{name: "one@a.test", password: "secret 一", header: "n,,", spoil: swap("c=biws", "c=eSws")}, ErrMalformed, ""},
			"no proof":             {scramClient{name: "one@a.test", password: "secret 一", header: "n,,", spoil: swap(",p=", ",q=")}, ErrMalformed, ""},
			"short proof":          {scramClient{name: "one@a.test", password: "secret 一", header: "n,,", spoil: func(s string) string { return s[:len(s)-4] }}, ErrMalformed, ""},
		} {
			_, id, err := test.client.run(t, a, local("192.0.2.1"), ScramSHA256)
			if !errors.Is(err, test.want) || id.Credential != test.credential || (err == nil) != (id.Account.ID == "1") {
				t.Errorf("%s: got %+v, %v", name, id, err)
			}
		}
		for _, first := range []string{"", "n,", "n,,", "n,,n=one@a.test", "n,,n=,r=clientnonce", "n,,n=a=b,r=clientnonce", "n,,r=clientnonce,n=one@a.test", "n,,m=x,n=one@a.test,r=clientnonce", "n,,n=one@a.test,r=short", "n,,n=one@a.test,r=with space", "n,one@a.test,n=one@a.test,r=clientnonce", "n,,n=\xff,r=clientnonce"} {
			if _, _, err := run(t, a, local("192.0.2.1"), ScramSHA256, first); !errors.Is(err, ErrMalformed) {
				t.Errorf("%q: %v", first, err)
			}
		}
	})
}

// What is told of an account without keys is what is told of one that is not there, always the same.
func TestSCRAMDoesNotTellWhichAccountsExist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t, 64)
		salts := map[string]string{}
		for _, name := range []string{"nobody@a.test", "four@a.test", "somebody@a.test"} {
			for _, as := range []string{name, strings.ToUpper(name)} {
				first, _, err := scramClient{name: as, password: "x", header: "n,,"}.run(t, New(o), local("192.0.2.1"), ScramSHA256)
				if !errors.Is(err, ErrRefused) {
					t.Fatal(err)
				}
				_, salt, _ := strings.Cut(first, ",")
				if old, ok := salts[name]; ok && old != salt {
					t.Errorf("%s: %q and %q", as, old, salt)
				}
				salts[name] = salt
			}
		}
		if salts["nobody@a.test"] == salts["somebody@a.test"] {
			t.Error("two names have one salt")
		}
		fresh, err := credential.NewSCRAM("x")
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("s=%s,i=%d", base64.StdEncoding.EncodeToString(fresh.Salt), fresh.Iterations)
		for name, salt := range salts {
			if len(salt) != len(want) || salt[strings.Index(salt, ",i="):] != want[strings.Index(want, ",i="):] {
				t.Errorf("%s: %q does not look like %q", name, salt, want)
			}
		}
	})
}

func TestSCRAMIsThrottled(t *testing.T) {
	throttled(t, func(t *testing.T, a *Auth, _ *memory, try func(from, address, password string) error) {
		scram := func(from, password string) error {
			_, _, err := scramClient{name: "one@a.test", password: password, header: "n,,"}.run(t, a, local(from), ScramSHA256)
			return err
		}
		if err := scram("192.0.2.1", "secret 一"); err != nil {
			t.Fatal(err)
		}
		for i := range strangers.After {
			if err := scram(fmt.Sprintf("10.0.%d.1", i), "wrong"); !errors.Is(err, ErrRefused) {
				t.Fatal(err)
			}
		}
		if err := scram("10.0.99.1", "secret 一"); !isThrottled(err) {
			t.Errorf("a stranger: %v", err)
		}
		if err := try("10.0.98.1", "one@a.test", "secret 一"); !isThrottled(err) {
			t.Errorf("a stranger with PLAIN: %v", err)
		}
		if err := scram("10.0.99.1", phone); err != nil {
			t.Errorf("an application password: %v", err)
		}
		if err := scram("192.0.2.1", "secret 一"); err != nil {
			t.Errorf("the user: %v", err)
		}
	})
}

// certified makes a certificate for 127.0.0.1.
func certified(t *testing.T, algorithm x509.SignatureAlgorithm, curve elliptic.Curve) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		SignatureAlgorithm: algorithm, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// handshake returns both ends' states of a TLS connection.
func handshake(t *testing.T, version uint16, algorithm x509.SignatureAlgorithm, curve elliptic.Curve) (client, server tls.ConnectionState, c tls.Certificate) {
	t.Helper()
	c = certified(t, algorithm, curve)
	near, far := net.Pipe()
	defer func() { _, _ = near.Close(), far.Close() }()
	s := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{c}, MaxVersion: version})
	done := make(chan error, 1)
	go func() { done <- s.HandshakeContext(t.Context()) }()
	peer := tls.Client(near, &tls.Config{InsecureSkipVerify: true})
	if err := errors.Join(peer.HandshakeContext(t.Context()), <-done); err != nil {
		t.Fatal(err)
	}
	return peer.ConnectionState(), s.ConnectionState(), c
}

func TestSCRAMIsBoundToTheChannel(t *testing.T) {
	a := New(options(t, 64))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for algorithm, curve := range map[x509.SignatureAlgorithm]elliptic.Curve{x509.ECDSAWithSHA256: elliptic.P256(), x509.ECDSAWithSHA384: elliptic.P384(), x509.ECDSAWithSHA512: elliptic.P521()} {
			client, server, c := handshake(t, version, algorithm, curve)
			_, other, _ := handshake(t, version, algorithm, curve)
			peer := &Peer{Protocol: api.POP3, Address: "192.0.2.1", TLS: &server, Certificates: []tls.Certificate{{}, c}}
			exported, err := client.ExportKeyingMaterial("EXPORTER-Channel-Binding", []byte{}, 32)
			if err != nil {
				t.Fatal(err)
			}
			me := scramClient{name: "one@a.test", password: "secret 一"}
			for _, test := range []struct {
				header, mechanism string
				binding           []byte
				peer              *Peer
				want              error
			}{
				{"p=tls-exporter,,", ScramSHA256Plus, exported, peer, nil},
				{"p=tls-server-end-point,,", ScramSHA256Plus, endPoint(c), peer, nil},
				{"p=tls-exporter,,", ScramSHA256Plus, exported, &Peer{TLS: &other}, ErrMalformed}, // somebody is in the middle
				{"p=tls-server-end-point,,", ScramSHA256Plus, exported, peer, ErrMalformed},
				{"p=tls-exporter,,", ScramSHA256Plus, nil, peer, ErrMalformed},
				{"p=tls-unique,,", ScramSHA256Plus, exported, peer, ErrMalformed},
				{"n,,", ScramSHA256Plus, nil, peer, ErrMalformed},
				{"n,,", ScramSHA256, nil, peer, nil},
				{"y,,", ScramSHA256, nil, peer, ErrMalformed}, // somebody has taken PLUS off the list
			} {
				me.header, me.binding = test.header, test.binding
				if _, id, err := me.run(t, a, test.peer, test.mechanism); !errors.Is(err, test.want) || (err == nil) != (id.Account.ID == "1") {
					t.Errorf("%s %s with %x: got %v, %v", test.mechanism, test.header, test.binding, id.Account.ID, err)
				}
			}
			hashes := map[x509.SignatureAlgorithm]int{x509.ECDSAWithSHA256: 32, x509.ECDSAWithSHA384: 48, x509.ECDSAWithSHA512: 64}
			if n := len(endPoint(c)); n != hashes[algorithm] {
				t.Errorf("%v: the end point has %d bytes", algorithm, n)
			}
		}
	}
}
