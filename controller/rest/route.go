package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

// Limits of a request's body.
const (
	maxBody  = 1 << 20
	bodyTime = writeTimeout
)

// rightExtension is the name of the right in the description of an operation.
const rightExtension = "x-right"

// route makes the router: the API, the write endpoint, documentation, console.
func (s *Server) route() {
	gin.SetMode(gin.ReleaseMode) // or it prints its routes to standard output
	s.engine = gin.New()
	s.engine.HandleMethodNotAllowed = true
	s.engine.RedirectTrailingSlash = false
	s.engine.Use(s.begin)
	s.engine.NoMethod(func(g *gin.Context) {
		why := inventory.Say("%s does not take %s", g.Request.URL.Path, g.Request.Method)
		s.answer(g, &refusal{api.Problem{
			Title: http.StatusText(http.StatusMethodNotAllowed), Status: http.StatusMethodNotAllowed, Code: inventory.NotFound,
			Detail: why.String(), Said: &why,
			RequestID: callOf(g.Request.Context()).id,
		}})
	})
	s.engine.NoRoute(s.console)
	s.engine.Any("/api/v2/write", gin.WrapH(s.Write))
	s.api = humagin.New(s.engine, s.config())
	for _, register := range []func(){
		s.sessionRoutes,
		s.statusRoutes,
		s.serverRoutes,
		s.powerRoutes,
		s.serviceRoutes,
		s.preflightRoutes,
		s.releaseRoutes,
		s.sampleRoutes,
		s.operationRoutes,
		s.ruleRoutes,
		s.contactRoutes,
		s.alertRoutes,
		s.smsRoutes,
		s.domainRoutes,
		s.domainMailRoutes,
		s.dkimRoutes,
		s.groupRoutes,
		s.accountRoutes,
		s.appPasswordRoutes,
		s.mailboxRoutes,
		s.holdRoutes,
		s.peopleRoutes,
		s.tokenRoutes,
		s.oidcRoutes,
		s.tenantRoutes,
		s.planRoutes,
		s.liveRoutes,
		s.queueRoutes,
		s.ledgerRoutes,
		s.poolRoutes,
		s.windowRoutes,
		s.auditRoutes,
		s.eventRoutes,
	} {
		register()
	}
	settle(s.api.OpenAPI())
}

// operation is one line of the API: what it is called, where it is, and the
// right it needs.
type operation struct {
	id, method, path, summary string
	resource                  inventory.Kind
	verb                      auth.Verb
	status                    int // of success; 0: 200, or 204 without a body
	description               string
}

// add registers an operation. Errors of its handler become problems. How it
// differs from others, adjust says.
func add[I, O any](s *Server, o operation, handler func(context.Context, *I) (*O, error), adjust ...func(*huma.Operation)) {
	op := huma.Operation{
		OperationID: o.id, Method: o.method, Path: "/api/v1" + o.path, Summary: o.summary, Description: o.description,
		Tags: []string{string(o.resource)}, DefaultStatus: o.status,
		MaxBodyBytes: maxBody, BodyReadTimeout: bodyTime,
		Extensions:  map[string]any{rightExtension: string(o.resource) + ":" + string(o.verb)},
		Security:    []map[string][]string{{"token": {}}, {"session": {}}},
		Middlewares: huma.Middlewares{s.admit(o.resource, o.verb)},
	}
	if auth.Public(o.resource, o.verb) {
		op.Security = []map[string][]string{}
	}
	for _, fn := range adjust {
		fn(&op)
	}
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if err != nil {
			return nil, s.refusal(ctx, err)
		}
		return out, nil
	})
}

// none is the answer without a body.
type none struct{}

// one is the answer that holds one thing.
type one[T any] struct {
	ETag string `header:"ETag" doc:"The version, quoted, for If-Match"`
	Body T
}

// created is the answer to what made a thing.
type created[T any] struct {
	Location string `header:"Location"`
	ETag     string `header:"ETag" doc:"The version, quoted, for If-Match"`
	Body     T
}

// Named is the input of what is about one thing.
type Named struct {
	ID string `path:"id" maxLength:"320" doc:"Id, or the name when it has a unique one"`
}

// Conditional is the input of what changes a thing only in the version the
// client has seen.
type Conditional struct {
	IfMatch string `header:"If-Match" doc:"The ETag that was seen; absent: whatever the version is"`
}
