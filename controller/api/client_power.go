package api

import (
	"context"
	"net/http"
	"net/url"

	"mailfleet/inventory"
)

// Power reads how a server's power is switched.
func (c *Client) Power(ctx context.Context, server string) (inventory.Power, error) {
	return get[inventory.Power](ctx, c, path("servers", server, "power"))
}

// SetPower sets how a server's power is switched.
func (c *Client) SetPower(ctx context.Context, server string, version uint64, in NewPower) (inventory.Power, error) {
	return send[inventory.Power](ctx, c, http.MethodPut, path("servers", server, "power"), in, ifMatch(version)...)
}

// RemovePower forgets how a server's power is switched.
func (c *Client) RemovePower(ctx context.Context, server string, version uint64) error {
	return c.remove(ctx, version, "servers", server, "power")
}

// TestPower asks a server's power driver whether it is on.
func (c *Client) TestPower(ctx context.Context, server string) (PowerStatus, error) {
	return send[PowerStatus](ctx, c, http.MethodPost, path("servers", server, "power", "test"), nil)
}

// OrderSecret gives the agent that carries out an order on another server's
// power the password for it.
func (c *Client) OrderSecret(ctx context.Context, order inventory.ID) (PowerSecret, error) {
	return get[PowerSecret](ctx, c, "/agent/v1/orders/"+url.PathEscape(string(order))+"/secret")
}
