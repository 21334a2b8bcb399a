package deliver

import (
	"mailfleet/inventory"
	"mailfleet/mailnode/outbound"
)

// Route is the smart host that takes the mail of a domain of this server to others, nil for
// none; it is the queue's Routes.
func (p *Places) Route(from, _ string) *outbound.Route {
	d, ok := p.Directory.Domain(from)
	if !ok || d.Mail.Route.Host == "" {
		return nil
	}
	return smartHost(d.Mail.Route, d.RoutePassword)
}

// The ports of submission, which is how smart hosts are spoken to (RFC 6409, RFC 8314).
const (
	submissionPort  = 587
	submissionsPort = 465
)

func smartHost(r inventory.Route, password string) *outbound.Route {
	route := &outbound.Route{Host: r.Host, Port: r.Port, TLS: outbound.Verified, User: r.User, Password: password}
	switch r.TLS {
	case "opportunistic":
		route.TLS = outbound.Opportunistic
	case "implicit":
		route.TLS = outbound.Implicit
	}
	switch {
	case route.Port != 0:
	case route.TLS == outbound.Implicit:
		route.Port = submissionsPort
	default:
		route.Port = submissionPort
	}
	return route
}
