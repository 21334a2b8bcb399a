package gate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"testing"
	"time"
)

// private is both ends of a TLS connection, the server's first.
func private(t *testing.T) (server, client *tls.Conn) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a, b := net.Pipe()
	server = tls.Server(a, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	client = tls.Client(b, &tls.Config{InsecureSkipVerify: true, DynamicRecordSizingDisabled: true})
	t.Cleanup(func() { _ = a.Close(); _ = b.Close() })
	done := make(chan error, 1)
	go func() { done <- client.Handshake() }()
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return server, client
}

// This fails when a version of Go keeps the buffers of TLS elsewhere: see room.go.
func TestSlim(t *testing.T) {
	server, client := private(t)
	send := func(b []byte) {
		t.Helper()
		go func() { _, _ = client.Write(b) }() // the other end tells whether it came
	}
	want := func(text string) {
		t.Helper()
		got := make([]byte, len(text))
		if _, err := io.ReadFull(server, got); err != nil || string(got) != text {
			t.Fatalf("got %.20q, %v, want %.20q", got, err, text)
		}
	}
	large := string(make([]byte, 16<<10))
	for range 3 {
		send([]byte(large + "more"))
		want(large)
		if !Bulky(server) {
			t.Error("after a large record there is nothing to give back: the buffers of TLS were not found")
		}
		want("m")
		if Bulky(server) {
			t.Error("there is something to give back while something waits to be read")
		}
		Slim(server)
		want("ore")
		Slim(server)
		if Bulky(server) {
			t.Error("it was not given back")
		}
		send([]byte("small"))
		want("small")
		if Bulky(server) {
			t.Error("there is something to give back after a small record")
		}
	}
	if clear, _ := net.Pipe(); Bulky(clear) {
		t.Error("a connection in the clear has something to give back")
	}
}
