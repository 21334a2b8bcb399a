package api

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"mailfleet/inventory"
)

// The lists of who may do what, and where.
const (
	Tenants List[inventory.Tenant] = "tenants"
	Plans   List[inventory.Plan]   = "plans"
)

// SetPassword changes the password of the person the client is signed in as.
func (c *Client) SetPassword(ctx context.Context, in PasswordChange) error {
	_, err := c.call(ctx, http.MethodPut, path("session", "password"), in, nil)
	return err
}

// CreatePerson lets somebody sign in.
func (c *Client) CreatePerson(ctx context.Context, in NewPerson) (NewPersonMade, error) {
	return send[NewPersonMade](ctx, c, http.MethodPost, path("people"), in)
}

// Person reads a person, by id or sign-in name.
func (c *Client) Person(ctx context.Context, ref string) (inventory.Person, error) {
	return get[inventory.Person](ctx, c, path("people", ref))
}

// ChangePerson changes a person.
func (c *Client) ChangePerson(ctx context.Context, ref string, version uint64, in PersonChange) (inventory.Person, error) {
	return send[inventory.Person](ctx, c, http.MethodPatch, path("people", ref), in, ifMatch(version)...)
}

// DeletePerson deletes a person.
func (c *Client) DeletePerson(ctx context.Context, ref string, version uint64) error {
	return c.remove(ctx, version, "people", ref)
}

// Policy reads what the fleet asks of people.
func (c *Client) Policy(ctx context.Context) (Policy, error) {
	return get[Policy](ctx, c, path("policy"))
}

// ReplacePolicy replaces what the fleet asks of people.
func (c *Client) ReplacePolicy(ctx context.Context, in Policy) (Policy, error) {
	return send[Policy](ctx, c, http.MethodPut, path("policy"), in)
}

// CreateTenant adds a tenant.
func (c *Client) CreateTenant(ctx context.Context, in NewTenant) (inventory.Tenant, error) {
	return send[inventory.Tenant](ctx, c, http.MethodPost, path("tenants"), in)
}

// Tenant reads a tenant, by id or name.
func (c *Client) Tenant(ctx context.Context, ref string) (inventory.Tenant, error) {
	return get[inventory.Tenant](ctx, c, path("tenants", ref))
}

// ReplaceTenant replaces a tenant.
func (c *Client) ReplaceTenant(ctx context.Context, ref string, version uint64, in NewTenant) (inventory.Tenant, error) {
	return send[inventory.Tenant](ctx, c, http.MethodPut, path("tenants", ref), in, ifMatch(version)...)
}

// DeleteTenant deletes a tenant.
func (c *Client) DeleteTenant(ctx context.Context, ref string, version uint64) error {
	return c.remove(ctx, version, "tenants", ref)
}

// CreatePlan makes a service plan.
func (c *Client) CreatePlan(ctx context.Context, in NewPlan) (inventory.Plan, error) {
	return send[inventory.Plan](ctx, c, http.MethodPost, path("plans"), in)
}

// Plan reads a service plan, by id or name.
func (c *Client) Plan(ctx context.Context, ref string) (inventory.Plan, error) {
	return get[inventory.Plan](ctx, c, path("plans", ref))
}

// ReplacePlan replaces a service plan.
func (c *Client) ReplacePlan(ctx context.Context, ref string, version uint64, in NewPlan) (inventory.Plan, error) {
	return send[inventory.Plan](ctx, c, http.MethodPut, path("plans", ref), in, ifMatch(version)...)
}

// DeletePlan deletes a service plan.
func (c *Client) DeletePlan(ctx context.Context, ref string, version uint64) error {
	return c.remove(ctx, version, "plans", ref)
}

// AccountTerms reads an account with what it may use.
func (c *Client) AccountTerms(ctx context.Context, ref string) (AccountTerms, error) {
	return get[AccountTerms](ctx, c, path("accounts", ref))
}

// Sessions reads who is signed in where. filter holds query parameters (kind,
// who, account, domain, server, limit, cursor); nil: none.
func (c *Client) Sessions(ctx context.Context, filter url.Values) (LiveSessions, error) {
	return get[LiveSessions](ctx, c, with(path("sessions"), filter))
}

// EndSession ends somebody's session.
func (c *Client) EndSession(ctx context.Context, id string) error {
	return c.remove(ctx, 0, "sessions", id)
}

// EndSessions ends all sessions of an account or of a domain. filter holds query
// parameters (account or domain, and kind).
func (c *Client) EndSessions(ctx context.Context, filter url.Values) (EndedSessions, error) {
	return send[EndedSessions](ctx, c, http.MethodDelete, with(path("sessions"), filter), nil)
}

// Mailboxes reads what an account's mailboxes hold.
func (c *Client) Mailboxes(ctx context.Context, ref string) (AccountMailboxes, error) {
	return get[AccountMailboxes](ctx, c, path("accounts", ref, "mailboxes"))
}

// SignIns reads the last sign-ins to an account.
func (c *Client) SignIns(ctx context.Context, ref string) (MailSignIns, error) {
	return get[MailSignIns](ctx, c, path("accounts", ref, "sign-ins"))
}

// AuditCSV reads audit entries as CSV. filter is the list's. The caller closes
// the answer.
func (c *Client) AuditCSV(ctx context.Context, filter url.Values) (io.ReadCloser, error) {
	res, err := c.do(ctx, http.MethodGet, with(path("audit.csv"), filter), nil)
	if err != nil {
		return nil, err
	}
	if res.StatusCode >= 400 {
		defer func() { _ = res.Body.Close() }()
		b, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		return nil, problem(res, b)
	}
	return res.Body, nil
}
