package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"mailfleet/inventory"
)

// Client's methods for the public resources, in the order of the API's paths.
// ref is an id or, where things have a unique one, a name. version is the one
// a change is meant for; 0: whatever it is.

func path(parts ...string) string {
	p := "/api/v1"
	for _, part := range parts {
		p += "/" + url.PathEscape(part)
	}
	return p
}

// with adds a query to a path.
func with(path string, q url.Values) string {
	if text := q.Encode(); text != "" {
		return path + "?" + text
	}
	return path
}

// get reads one thing.
func get[T any](ctx context.Context, c *Client, path string) (out T, err error) {
	_, err = c.call(ctx, http.MethodGet, path, nil, &out)
	return out, err
}

// send asks for a change and reads the thing it answers with.
func send[T any](ctx context.Context, c *Client, method, path string, in any, header ...string) (out T, err error) {
	_, err = c.call(ctx, method, path, in, &out, header...)
	return out, err
}

// ifMatch is the header that makes a change hold only for the version.
func ifMatch(version uint64) []string {
	if version == 0 {
		return nil
	}
	return []string{"If-Match", `"` + strconv.FormatUint(version, 10) + `"`}
}

func (c *Client) remove(ctx context.Context, version uint64, parts ...string) error {
	_, err := c.call(ctx, http.MethodDelete, path(parts...), nil, nil, ifMatch(version)...)
	return err
}

// Session tells who the client is.
func (c *Client) Session(ctx context.Context) (Session, error) {
	return get[Session](ctx, c, path("session"))
}

// Status is the fleet at a glance.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return get[Status](ctx, c, path("status"))
}

// AddServer adds a server; the answer holds the token for its agent.
func (c *Client) AddServer(ctx context.Context, in NewServer) (Enrolment, error) {
	return send[Enrolment](ctx, c, http.MethodPost, path("servers"), in)
}

// Server reads a server.
func (c *Client) Server(ctx context.Context, ref string) (Server, error) {
	return get[Server](ctx, c, path("servers", ref))
}

// ChangeServer changes a server.
func (c *Client) ChangeServer(ctx context.Context, ref string, version uint64, in ServerChange) (Server, error) {
	return send[Server](ctx, c, http.MethodPatch, path("servers", ref), in, ifMatch(version)...)
}

// RemoveServer takes a server from the fleet.
func (c *Client) RemoveServer(ctx context.Context, ref string, version uint64) error {
	return c.remove(ctx, version, "servers", ref)
}

// InviteServer makes a new token for a server's agent.
func (c *Client) InviteServer(ctx context.Context, ref string) (Enrolment, error) {
	return send[Enrolment](ctx, c, http.MethodPost, path("servers", ref, "invitation"), nil)
}

// SampleQuery asks for a server's samples. Zero fields are left to the controller.
type SampleQuery struct {
	Metrics   []string
	From, To  string // RFC 3339, unix seconds or -1h
	Step      time.Duration
	Aggregate string
}

// ServerSamples reads a server's samples; without metrics, the names of those there are.
func (c *Client) ServerSamples(ctx context.Context, ref string, q SampleQuery) (Samples, error) {
	v := url.Values{"metric": q.Metrics}
	for name, text := range map[string]string{"from": q.From, "to": q.To, "aggregate": q.Aggregate} {
		if text != "" {
			v.Set(name, text)
		}
	}
	if q.Step != 0 {
		v.Set("step", q.Step.String())
	}
	return get[Samples](ctx, c, with(path("servers", ref, "samples"), v))
}

// ServiceLog reads the last lines a service wrote.
func (c *Client) ServiceLog(ctx context.Context, server, service string, lines int) (Log, error) {
	return get[Log](ctx, c, path("servers", server, "services", service, "log")+"?lines="+strconv.Itoa(lines))
}

// AddService has a command supervised on a server.
func (c *Client) AddService(ctx context.Context, in NewService) (inventory.Service, error) {
	return send[inventory.Service](ctx, c, http.MethodPost, path("services"), in)
}

// RemoveService removes a service.
func (c *Client) RemoveService(ctx context.Context, id inventory.ID, version uint64) error {
	return c.remove(ctx, version, "services", string(id))
}

// CreateOperation asks for an act. The same key with the same request is the
// same operation, so it can be asked again when no answer came.
func (c *Client) CreateOperation(ctx context.Context, key string, in NewOperation) (inventory.Operation, error) {
	var header []string
	if key != "" {
		header = []string{"Idempotency-Key", key}
	}
	return send[inventory.Operation](ctx, c, http.MethodPost, path("operations"), in, header...)
}

// Operation waits up to wait for an operation to end and returns it as it is then.
func (c *Client) Operation(ctx context.Context, id inventory.ID, wait time.Duration) (inventory.Operation, error) {
	return get[inventory.Operation](ctx, c, path("operations", string(id))+"?wait="+wait.String())
}

// WaitOperation waits until an operation has ended or ctx has.
func (c *Client) WaitOperation(ctx context.Context, id inventory.ID) (inventory.Operation, error) {
	for {
		op, err := c.Operation(ctx, id, 30*time.Second)
		if err != nil || op.State.Final() {
			return op, err
		}
	}
}

// CancelOperation cancels what no agent has been handed yet.
func (c *Client) CancelOperation(ctx context.Context, id inventory.ID) (inventory.Operation, error) {
	return send[inventory.Operation](ctx, c, http.MethodPost, path("operations", string(id), "cancel"), nil)
}

// CreateRule watches a threshold.
func (c *Client) CreateRule(ctx context.Context, in NewRule) (inventory.Rule, error) {
	return send[inventory.Rule](ctx, c, http.MethodPost, path("rules"), in)
}

// Rule reads a rule.
func (c *Client) Rule(ctx context.Context, ref string) (inventory.Rule, error) {
	return get[inventory.Rule](ctx, c, path("rules", ref))
}

// ReplaceRule replaces a rule.
func (c *Client) ReplaceRule(ctx context.Context, ref string, version uint64, in NewRule) (inventory.Rule, error) {
	return send[inventory.Rule](ctx, c, http.MethodPut, path("rules", ref), in, ifMatch(version)...)
}

// DeleteRule deletes a rule.
func (c *Client) DeleteRule(ctx context.Context, ref string, version uint64) error {
	return c.remove(ctx, version, "rules", ref)
}

// CreateContact has somebody told of alerts.
func (c *Client) CreateContact(ctx context.Context, in NewContact) (inventory.Contact, error) {
	return send[inventory.Contact](ctx, c, http.MethodPost, path("contacts"), in)
}

// ReplaceContact replaces a contact.
func (c *Client) ReplaceContact(ctx context.Context, id inventory.ID, version uint64, in NewContact) (inventory.Contact, error) {
	return send[inventory.Contact](ctx, c, http.MethodPut, path("contacts", string(id)), in, ifMatch(version)...)
}

// DeleteContact deletes a contact.
func (c *Client) DeleteContact(ctx context.Context, id inventory.ID, version uint64) error {
	return c.remove(ctx, version, "contacts", string(id))
}

// Alert reads an alert.
func (c *Client) Alert(ctx context.Context, id inventory.ID) (inventory.Alert, error) {
	return get[inventory.Alert](ctx, c, path("alerts", string(id)))
}

// AcknowledgeAlert takes an alert on.
func (c *Client) AcknowledgeAlert(ctx context.Context, id inventory.ID) (inventory.Alert, error) {
	return send[inventory.Alert](ctx, c, http.MethodPost, path("alerts", string(id), "acknowledge"), nil)
}

// SendSMS queues a text message.
func (c *Client) SendSMS(ctx context.Context, in NewSMS) (inventory.SMS, error) {
	return send[inventory.SMS](ctx, c, http.MethodPost, path("sms"), in)
}

// CreateDomain serves a mail domain.
func (c *Client) CreateDomain(ctx context.Context, in NewDomain) (inventory.Domain, error) {
	return send[inventory.Domain](ctx, c, http.MethodPost, path("domains"), in)
}

// Domain reads a mail domain.
func (c *Client) Domain(ctx context.Context, ref string) (inventory.Domain, error) {
	return get[inventory.Domain](ctx, c, path("domains", ref))
}

// ReplaceDomain replaces a mail domain's settings.
func (c *Client) ReplaceDomain(ctx context.Context, ref string, version uint64, in NewDomain) (inventory.Domain, error) {
	return send[inventory.Domain](ctx, c, http.MethodPut, path("domains", ref), in, ifMatch(version)...)
}

// DeleteDomain serves a mail domain no more.
func (c *Client) DeleteDomain(ctx context.Context, ref string, version uint64) error {
	return c.remove(ctx, version, "domains", ref)
}

// CreateAccount creates an account.
func (c *Client) CreateAccount(ctx context.Context, in NewAccount) (inventory.Account, error) {
	return send[inventory.Account](ctx, c, http.MethodPost, path("accounts"), in)
}

// Account reads an account, by id or address.
func (c *Client) Account(ctx context.Context, ref string) (inventory.Account, error) {
	return get[inventory.Account](ctx, c, path("accounts", ref))
}

// ChangeAccount changes an account.
func (c *Client) ChangeAccount(ctx context.Context, ref string, version uint64, in AccountChange) (inventory.Account, error) {
	return send[inventory.Account](ctx, c, http.MethodPatch, path("accounts", ref), in, ifMatch(version)...)
}

// DeleteAccount deletes an account.
func (c *Client) DeleteAccount(ctx context.Context, ref string, version uint64) error {
	return c.remove(ctx, version, "accounts", ref)
}

// CreateAppPassword makes an application password of an account.
func (c *Client) CreateAppPassword(ctx context.Context, ref string, in NewAppPassword) (IssuedAppPassword, error) {
	return send[IssuedAppPassword](ctx, c, http.MethodPost, path("accounts", ref, "app-passwords"), in)
}

// DeleteAppPassword revokes an application password of an account.
func (c *Client) DeleteAppPassword(ctx context.Context, ref string, id inventory.ID) error {
	return c.remove(ctx, 0, "accounts", ref, "app-passwords", string(id))
}

// CreateToken makes an API token.
func (c *Client) CreateToken(ctx context.Context, in NewToken) (IssuedToken, error) {
	return send[IssuedToken](ctx, c, http.MethodPost, path("tokens"), in)
}

// DeleteToken deletes an API token.
func (c *Client) DeleteToken(ctx context.Context, ref string, version uint64) error {
	return c.remove(ctx, version, "tokens", ref)
}

// VerifyAudit checks the chain of audit entries.
func (c *Client) VerifyAudit(ctx context.Context) (AuditCheck, error) {
	return get[AuditCheck](ctx, c, path("audit", "verify"))
}

// OpenAPI reads the description of the API.
func (c *Client) OpenAPI(ctx context.Context) (json.RawMessage, error) {
	return get[json.RawMessage](ctx, c, "/openapi.json")
}
