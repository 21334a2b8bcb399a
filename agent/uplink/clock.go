package uplink

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory/identity"
)

// Clock asks the controller of the agent in dir for its time, beside the link:
// for a program that is not the running agent.
func Clock(ctx context.Context, dir string) (time.Time, error) {
	me, err := Joined(dir)
	if err != nil {
		return time.Time{}, err
	}
	ca, err := os.ReadFile(filepath.Join(dir, caFile))
	if err != nil {
		return time.Time{}, fmt.Errorf("read the fleet's CA: %w", err)
	}
	root, err := identity.ParseRoot(ca)
	if err != nil {
		return time.Time{}, err
	}
	nobody := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tls.Certificate{}, nil }
	config := identity.AgentConfig(root, nobody)
	config.NextProtos = []string{"http/1.1"}
	transport := &http.Transport{TLSClientConfig: config, Proxy: http.ProxyFromEnvironment}
	defer transport.CloseIdleConnections()
	return (&api.Client{Base: me.Controller, HTTP: &http.Client{Transport: transport}}).Clock(ctx)
}
