package rest

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// apiVersion is the contract's, not the program's: additions keep it.
const apiVersion = "1"

// config describes the API but for its routes.
func (s *Server) config() huma.Config {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	describe(registry)
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Mailfleet", Version: apiVersion,
				Description: introduction,
				License:     &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Components: &huma.Components{
				Schemas: registry,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token":   {Type: "http", Scheme: "bearer", Description: "An API token, as POST /api/v1/tokens makes it."},
					"session": {Type: "apiKey", In: "cookie", Name: CookieName, Description: "A console session. Changes need the header " + csrfHeader + " too."},
				},
			},
		},
		Formats:                      map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{s.problems},
	}
}

const introduction = `Everything the console does, for scripts.

Lists are {items, next}: send next back as cursor for the next page. A list read with index (the X-Index of an earlier answer) and wait blocks until something has changed since. ` +
	`Times are RFC 3339 in UTC; 0001-01-01T00:00:00Z means never. Single things have an ETag; a change that sends it back as If-Match is refused with 412 when somebody else was faster. ` +
	`Errors are RFC 9457 problems; quote their request_id when you ask for help.`

// describe tells the registry how types of the inventory look in JSON: they
// cannot say so themselves, as inventory imports nothing.
func describe(r huma.Registry) {
	alias[inventory.Duration, duration](r)
	alias[api.Scopes, scopes](r)
	alias[api.Expiry, expiry](r)
	alias[huma.ErrorModel, api.Problem](r)
	alias[inventory.ServerState, enum[inventory.ServerState]](r)
	alias[inventory.ServiceKind, enum[inventory.ServiceKind]](r)
	alias[inventory.ServiceState, enum[inventory.ServiceState]](r)
	alias[inventory.Want, enum[inventory.Want]](r)
	alias[inventory.AccountState, enum[inventory.AccountState]](r)
	alias[inventory.OperationKind, enum[inventory.OperationKind]](r)
	alias[inventory.OperationState, enum[inventory.OperationState]](r)
	alias[inventory.Severity, enum[inventory.Severity]](r)
	alias[inventory.Comparison, enum[inventory.Comparison]](r)
	alias[inventory.AlertState, enum[inventory.AlertState]](r)
	alias[inventory.SMSState, enum[inventory.SMSState]](r)
	alias[inventory.Role, enum[inventory.Role]](r)
	alias[inventory.TenantKind, enum[inventory.TenantKind]](r)
	alias[inventory.PowerKind, enum[inventory.PowerKind]](r)
	alias[inventory.PowerState, enum[inventory.PowerState]](r)
	alias[inventory.CheckState, enum[inventory.CheckState]](r)
	alias[inventory.ProbeKind, enum[inventory.ProbeKind]](r)
	alias[inventory.Verb, enum[inventory.Verb]](r)
	alias[inventory.Code, enum[inventory.Code]](r)
}

func alias[T, As any](r huma.Registry) {
	r.RegisterTypeAlias(reflect.TypeFor[T](), reflect.TypeFor[As]())
}

// enum stands for a type of named values in the description.
type enum[T ~string] struct{}

// Schema implements huma.SchemaProvider.
func (enum[T]) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Enum: names[T]()}
}

func names[T ~string]() []any {
	var values []any
	switch any(T("")).(type) {
	case inventory.ServerState:
		values = list(inventory.ServerJoining, inventory.ServerUp, inventory.ServerSuspect, inventory.ServerDown, inventory.ServerRemoved)
	case inventory.ServiceKind:
		values = list(inventory.KindMailnode, inventory.KindCommand, inventory.KindUnit)
	case inventory.ServiceState:
		values = list(inventory.ServiceUnknown, inventory.ServiceStarting, inventory.ServiceRunning, inventory.ServiceStopping,
			inventory.ServiceStopped, inventory.ServiceBackoff, inventory.ServiceCrashed)
	case inventory.Want:
		values = list(inventory.WantRunning, inventory.WantStopped)
	case inventory.AccountState:
		values = list(inventory.AccountActive, inventory.AccountSuspended)
	case inventory.OperationKind:
		values = list(inventory.OperationKinds...)
	case inventory.OperationState:
		values = list(inventory.OpQueued, inventory.OpDelivered, inventory.OpRunning, inventory.OpSucceeded, inventory.OpFailed,
			inventory.OpExpired, inventory.OpUnknown, inventory.OpCancelled)
	case inventory.Severity:
		values = list(inventory.Info, inventory.Warning, inventory.Critical)
	case inventory.Comparison:
		values = list(inventory.Above, inventory.AtLeast, inventory.Below, inventory.AtMost)
	case inventory.AlertState:
		values = list(inventory.AlertPending, inventory.AlertFiring, inventory.AlertResolved)
	case inventory.SMSState:
		values = list(inventory.SMSQueued, inventory.SMSSent, inventory.SMSDelivered, inventory.SMSFailed)
	case inventory.Role:
		values = list(inventory.Roles...)
	case inventory.TenantKind:
		values = list(inventory.TenantEnterprise, inventory.TenantReseller)
	case inventory.PowerKind:
		values = list(inventory.PowerNone, inventory.PowerIPMI, inventory.PowerRedfish, inventory.PowerWake, inventory.PowerCommand, inventory.PowerDev)
	case inventory.PowerState:
		values = list(inventory.PowerOn, inventory.PowerOff, inventory.PowerUnknown)
	case inventory.CheckState:
		values = list(inventory.CheckOK, inventory.CheckWarning, inventory.CheckFailed, inventory.CheckSkipped)
	case inventory.ProbeKind:
		values = list(inventory.ProbeCommand, inventory.ProbeTCP, inventory.ProbeSMTP, inventory.ProbeIMAP, inventory.ProbePOP3, inventory.ProbeHTTP)
	case inventory.Verb:
		values = list(inventory.Created, inventory.Updated, inventory.Deleted)
	case inventory.Code:
		values = list(inventory.Invalid, inventory.NotFound, inventory.Conflict, inventory.Stale, inventory.Unauthorized,
			inventory.Forbidden, inventory.Unavailable, inventory.TooMany, inventory.TooLarge, inventory.Internal)
	}
	return values
}

func list[T ~string](values ...T) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

// duration stands for inventory.Duration in the description.
type duration struct{}

// Schema implements huma.SchemaProvider.
func (duration) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		OneOf:       []*huma.Schema{{Type: huma.TypeString}, {Type: huma.TypeNumber}},
		Description: `A duration such as "1m30s"; a number is taken as seconds`,
	}
}

// scopes stands for api.Scopes in the description.
type scopes struct{}

// Schema implements huma.SchemaProvider.
func (scopes) Schema(huma.Registry) *huma.Schema {
	one := &huma.Schema{Type: huma.TypeString}
	return &huma.Schema{OneOf: []*huma.Schema{one, {Type: huma.TypeArray, Items: one}}}
}

// expiry stands for api.Expiry in the description.
type expiry struct{}

// Schema implements huma.SchemaProvider.
func (expiry) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		OneOf:       []*huma.Schema{{Type: huma.TypeString}, {Type: huma.TypeNumber}},
		Description: `A duration such as "720h", a number of seconds, or an RFC 3339 time`,
	}
}

// settle finishes the description once all routes are known: lists are never
// null on the wire.
func settle(o *huma.OpenAPI) {
	for _, schema := range o.Components.Schemas.Map() {
		for _, p := range schema.Properties {
			if p.Type == huma.TypeArray {
				p.Nullable = false
			}
		}
	}
	for _, path := range o.Paths {
		for _, op := range []*huma.Operation{path.Get, path.Post, path.Put, path.Patch, path.Delete} {
			if op == nil {
				continue
			}
			for _, p := range op.Parameters {
				p.Schema.Nullable = false
			}
		}
	}
}
