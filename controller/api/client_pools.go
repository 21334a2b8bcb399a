package api

import (
	"context"
	"net/http"

	"mailfleet/inventory"
)

// CreatePool makes a pool.
func (c *Client) CreatePool(ctx context.Context, in NewPool) (inventory.Pool, error) {
	return send[inventory.Pool](ctx, c, http.MethodPost, path("pools"), in)
}

// Pool reads a pool.
func (c *Client) Pool(ctx context.Context, ref string) (inventory.Pool, error) {
	return get[inventory.Pool](ctx, c, path("pools", ref))
}

// ReplacePool replaces a pool, its members too.
func (c *Client) ReplacePool(ctx context.Context, ref string, version uint64, in NewPool) (inventory.Pool, error) {
	return send[inventory.Pool](ctx, c, http.MethodPut, path("pools", ref), in, ifMatch(version)...)
}

// DeletePool deletes a pool; its services stay.
func (c *Client) DeletePool(ctx context.Context, ref string, version uint64) error {
	return c.remove(ctx, version, "pools", ref)
}

// SetPoolMember puts a server into a pool, or gives it another weight.
func (c *Client) SetPoolMember(ctx context.Context, pool, server string, weight int) (inventory.Pool, error) {
	return send[inventory.Pool](ctx, c, http.MethodPut, path("pools", pool, "members", server), PoolMember{Weight: &weight})
}

// RemovePoolMember takes a server out of a pool.
func (c *Client) RemovePoolMember(ctx context.Context, pool, server string) (inventory.Pool, error) {
	return send[inventory.Pool](ctx, c, http.MethodDelete, path("pools", pool, "members", server), nil)
}

// CreateWindow opens a maintenance window, now or later.
func (c *Client) CreateWindow(ctx context.Context, in NewWindow) (inventory.Window, error) {
	return send[inventory.Window](ctx, c, http.MethodPost, path("windows"), in)
}

// Window reads a maintenance window.
func (c *Client) Window(ctx context.Context, id inventory.ID) (inventory.Window, error) {
	return get[inventory.Window](ctx, c, path("windows", string(id)))
}

// ReplaceWindow replaces a maintenance window that is not over.
func (c *Client) ReplaceWindow(ctx context.Context, id inventory.ID, version uint64, in NewWindow) (inventory.Window, error) {
	return send[inventory.Window](ctx, c, http.MethodPut, path("windows", string(id)), in, ifMatch(version)...)
}

// CloseWindow ends a maintenance window now.
func (c *Client) CloseWindow(ctx context.Context, id inventory.ID) (inventory.Window, error) {
	return send[inventory.Window](ctx, c, http.MethodPost, path("windows", string(id), "close"), nil)
}

// DeleteWindow deletes a maintenance window that is not open.
func (c *Client) DeleteWindow(ctx context.Context, id inventory.ID, version uint64) error {
	return c.remove(ctx, version, "windows", string(id))
}
