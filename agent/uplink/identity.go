package uplink

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"mailfleet/agent/durable"
	"mailfleet/agent/releases"
	"mailfleet/controller/api"
	"mailfleet/inventory"
	"mailfleet/inventory/identity"
)

// The files of an agent's identity, in its directory.
const (
	identityFile = "identity.json"
	caFile       = "ca.crt"
	certFile     = "agent.pem" // the certificate and its key
)

// Identity is which server of which fleet the agent is.
type Identity struct {
	ID         inventory.ID `json:"id"`
	Name       string       `json:"name"`
	Address    string       `json:"address"`
	Controller string       `json:"controller"` // URL
	Gossip     api.Gossip   `json:"gossip"`
}

// ErrNotJoined says that the directory holds no identity.
var ErrNotJoined = errors.New("this agent has not joined a fleet: run mailfleet-agent join")

// Join trades a join token for an identity and writes it to dir. The controller
// is known by the fingerprint in the token; name, when not empty, must be the
// server's the token was made for.
func Join(ctx context.Context, dir, controller, token, name string) (Identity, error) {
	u, err := url.Parse(controller)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return Identity{}, fmt.Errorf("--controller %q must look like https://host:port", controller)
	}
	t, err := identity.ParseJoinToken(token)
	if err != nil {
		return Identity{}, fmt.Errorf("--token: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Identity{}, fmt.Errorf("make the agent's directory: %w", err)
	}
	key, err := identity.NewKey()
	if err != nil {
		return Identity{}, err
	}
	csr, err := identity.CSR(key)
	if err != nil {
		return Identity{}, err
	}
	pinned := identity.PinnedConfig(t.CA())
	pinned.NextProtos = []string{"http/1.1"}
	transport := &http.Transport{TLSClientConfig: pinned, Proxy: http.ProxyFromEnvironment}
	defer transport.CloseIdleConnections()
	client := &api.Client{Base: controller, HTTP: &http.Client{Transport: transport, Timeout: 30 * time.Second}}
	joined, err := client.Join(ctx, api.Join{Token: token, Name: name, CSR: string(csr)})
	if err != nil {
		return Identity{}, fmt.Errorf("join the fleet at %s: %w", controller, err)
	}
	keyPEM, err := identity.KeyPEM(key)
	if err != nil {
		return Identity{}, err
	}
	me := Identity{ID: joined.ID, Name: joined.Name, Address: joined.Address, Controller: controller, Gossip: joined.Gossip}
	text, err := json.MarshalIndent(me, "", "  ")
	if err != nil {
		return Identity{}, err
	}
	// Whose builds to trust is the controller's to say only now, when a person vouches for it.
	if err := releases.Pin(dir, joined.ReleaseKeys); err != nil {
		return Identity{}, fmt.Errorf("keep the release keys: %w", err)
	}
	// The identity goes last: with it the others are complete.
	for _, f := range []struct {
		name string
		data []byte
	}{{caFile, []byte(joined.CA)}, {certFile, append([]byte(joined.Certificate), keyPEM...)}, {identityFile, text}} {
		if err := durable.WriteFile(filepath.Join(dir, f.name), f.data); err != nil {
			return Identity{}, fmt.Errorf("keep the new identity: %w", err)
		}
	}
	return me, nil
}

// Joined tells which server dir belongs to; ErrNotJoined when to none.
func Joined(dir string) (Identity, error) {
	var me Identity
	text, err := os.ReadFile(filepath.Join(dir, identityFile))
	if errors.Is(err, os.ErrNotExist) {
		return me, ErrNotJoined
	}
	if err != nil {
		return me, fmt.Errorf("read the agent's identity: %w", err)
	}
	if err := json.Unmarshal(text, &me); err != nil {
		return me, fmt.Errorf("%s: %w", filepath.Join(dir, identityFile), err)
	}
	return me, nil
}

// loadCertificate reads a certificate with its key, and when it was received.
func loadCertificate(file string) (*tls.Certificate, time.Time, error) {
	pair, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("load certificate %s: %w", file, err)
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, time.Time{}, err
	}
	return &pair, info.ModTime(), nil
}
