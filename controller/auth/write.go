package auth

import (
	"net/http"
	"strings"

	"mailfleet/inventory/identity"
)

// WriteIdentity tells who writes samples, for metrics.WriteHandler: the server
// whose certificate the connection has, or a token that may write samples for
// any server (server is empty then). InfluxDB's clients send
// "Authorization: Token …"; Bearer does as well.
func (g *Gate) WriteIdentity(r *http.Request) (server string, ok bool) {
	if peer, err := identity.PeerOf(r.TLS); err == nil && peer.Kind == identity.KindServer {
		return peer.Name, true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Token") && !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	p, err := g.Token(r.Context(), strings.TrimSpace(token))
	return "", err == nil && Allow(p, Samples, Write) == nil
}
