package api

import (
	"context"
	"net/http"

	"mailfleet/inventory"
)

// SetDomainMail replaces how a domain's mail is handled.
func (c *Client) SetDomainMail(ctx context.Context, ref string, version uint64, in NewDomainMail) (inventory.Domain, error) {
	return send[inventory.Domain](ctx, c, http.MethodPut, path("domains", ref, "mail"), in, ifMatch(version)...)
}

// DomainRecords lists the DNS records a domain's mail needs; check compares them with
// what the DNS has.
func (c *Client) DomainRecords(ctx context.Context, ref string, check bool) (DomainRecords, error) {
	p := path("domains", ref, "records")
	if check {
		p += "?check=true"
	}
	return get[DomainRecords](ctx, c, p)
}

// CreateHook has somebody told of events of a domain's mail.
func (c *Client) CreateHook(ctx context.Context, ref string, in NewHook) (IssuedHook, error) {
	return send[IssuedHook](ctx, c, http.MethodPost, path("domains", ref, "hooks"), in)
}

// DeleteHook tells somebody no more.
func (c *Client) DeleteHook(ctx context.Context, ref string, hook inventory.ID) error {
	return c.remove(ctx, 0, "domains", ref, "hooks", string(hook))
}

// CreateGroup makes a group.
func (c *Client) CreateGroup(ctx context.Context, in NewGroup) (inventory.Group, error) {
	return send[inventory.Group](ctx, c, http.MethodPost, path("groups"), in)
}

// Group reads a group, by id or address.
func (c *Client) Group(ctx context.Context, ref string) (inventory.Group, error) {
	return get[inventory.Group](ctx, c, path("groups", ref))
}

// ReplaceGroup replaces a group.
func (c *Client) ReplaceGroup(ctx context.Context, ref string, version uint64, in NewGroup) (inventory.Group, error) {
	return send[inventory.Group](ctx, c, http.MethodPut, path("groups", ref), in, ifMatch(version)...)
}

// DeleteGroup deletes a group.
func (c *Client) DeleteGroup(ctx context.Context, ref string, version uint64) error {
	return c.remove(ctx, version, "groups", ref)
}

// CreateDKIMKey makes a key for a domain.
func (c *Client) CreateDKIMKey(ctx context.Context, in NewDKIMKey) (inventory.DKIMKey, error) {
	return send[inventory.DKIMKey](ctx, c, http.MethodPost, path("dkim-keys"), in)
}

// ChangeDKIMKey changes what a key is used for.
func (c *Client) ChangeDKIMKey(ctx context.Context, id inventory.ID, version uint64, in DKIMKeyChange) (inventory.DKIMKey, error) {
	return send[inventory.DKIMKey](ctx, c, http.MethodPatch, path("dkim-keys", string(id)), in, ifMatch(version)...)
}

// DeleteDKIMKey deletes a key that does not sign.
func (c *Client) DeleteDKIMKey(ctx context.Context, id inventory.ID, version uint64) error {
	return c.remove(ctx, version, "dkim-keys", string(id))
}
