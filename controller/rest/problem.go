package rest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"mailfleet/controller/api"
	"mailfleet/controller/metrics"
	"mailfleet/controller/ops"
	"mailfleet/inventory"
)

// statusOf is the HTTP status of each code (RFC 9110 §15).
var statusOf = map[inventory.Code]int{
	inventory.Invalid:      http.StatusUnprocessableEntity,
	inventory.NotFound:     http.StatusNotFound,
	inventory.Conflict:     http.StatusConflict,
	inventory.Stale:        http.StatusPreconditionFailed,
	inventory.Unauthorized: http.StatusUnauthorized,
	inventory.Forbidden:    http.StatusForbidden,
	inventory.Unavailable:  http.StatusServiceUnavailable,
	inventory.TooMany:      http.StatusTooManyRequests,
	inventory.TooLarge:     http.StatusRequestEntityTooLarge,
	inventory.Internal:     http.StatusInternalServerError,
}

// codeOf is the code of the statuses that huma and gin answer with themselves.
func codeOf(status int) inventory.Code {
	for code, s := range statusOf {
		if s == status {
			return code
		}
	}
	switch status {
	case http.StatusMethodNotAllowed:
		return inventory.NotFound
	default:
		return inventory.Invalid
	}
}

// refusal is a problem on its way out (RFC 9457). It is huma's StatusError.
type refusal struct{ api.Problem }

// GetStatus implements huma.StatusError.
func (r *refusal) GetStatus() int { return r.Status }

// ContentType implements huma.ContentTypeFilter.
func (r *refusal) ContentType(string) string { return "application/problem+json" }

// refusal makes err the problem that the client sees. What is internal is
// logged and not shown.
func (s *Server) refusal(ctx context.Context, err error) *refusal {
	c := callOf(ctx)
	var shown *inventory.Error
	if !errors.As(err, &shown) {
		shown = explain(err)
	}
	r := &refusal{api.Problem{
		Title: http.StatusText(statusOf[shown.Code]), Status: statusOf[shown.Code],
		Detail: shown.Message, Said: said(shown), Code: shown.Code, RequestID: c.id,
	}}
	if shown.Field != "" {
		r.Errors = []api.ProblemDetail{{Message: shown.Message, Said: said(shown), Location: c.location(shown.Field)}}
	}
	if stale, ok := errors.AsType[*staleError](err); ok {
		r.Version = stale.current
	}
	if stale, ok := errors.AsType[*ops.StaleError](err); ok {
		r.Version = stale.Current
	}
	switch {
	case shown.Code == inventory.Internal:
		s.Logger.Error("request failed", "cid", c.id, "actor", c.principal.Actor(), "err", err)
		r.Detail, r.Said = "internal error", nil
	case shown.Code == inventory.Unavailable && shown.Err != nil:
		s.Logger.Warn("request failed for now", "cid", c.id, "err", err)
	}
	return r
}

func said(e *inventory.Error) *inventory.Sentence {
	if e.Said.Template == "" {
		return nil
	}
	return &e.Said
}

// explain gives an error that is not one of inventory's its code and sentence.
func explain(err error) *inventory.Error {
	switch {
	case errors.Is(err, metrics.ErrInvalid):
		return inventory.Wrap(inventory.Invalid, err, "%s", err)
	case errors.Is(err, metrics.ErrTooLarge):
		return inventory.Wrap(inventory.Invalid, err, "%s", err)
	case errors.Is(err, metrics.ErrUnavailable):
		return inventory.Wrap(inventory.Unavailable, err, "%s", metrics.ErrUnavailable)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return inventory.Wrap(inventory.Unavailable, err, "the request took too long")
	default:
		return inventory.Wrap(inventory.Internal, err, "internal error")
	}
}

// location places a field of the request, unless it says where it is.
func (c *call) location(field string) string {
	if strings.HasPrefix(field, "header.") {
		return field
	}
	return c.fields + field
}

// staleError is a change meant for another version than the current one.
type staleError struct{ current uint64 }

func (e *staleError) Error() string { return "stale version" }

// errStale is the refusal of a change for another version than the current one.
func errStale(current uint64) error {
	return inventory.Wrap(inventory.Stale, &staleError{current},
		"it was changed by somebody else: look at it again (its version is now %d)", current)
}

// problems turns what huma refuses by itself into this API's problems. Values
// of the body are not sent back: they may be secrets.
func (s *Server) problems(ctx huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := api.Problem{
		Title: http.StatusText(m.Status), Status: m.Status,
		Code: codeOf(m.Status), RequestID: callOf(ctx.Context()).id,
	}
	p.Detail, p.Said = told(m.Detail)
	if m.Status >= http.StatusInternalServerError { // causes are not for clients
		return p, nil
	}
	for _, e := range m.Errors {
		d := api.ProblemDetail{Location: e.Location}
		d.Message, d.Said = told(e.Message)
		if !strings.HasPrefix(e.Location, "body") {
			d.Value = e.Value
		}
		p.Errors = append(p.Errors, d)
	}
	return p, nil
}

// refuse answers err outside of huma and ends the request.
func (s *Server) refuse(g *gin.Context, err error) {
	r := s.refusal(g.Request.Context(), err)
	if r.Status == http.StatusUnauthorized {
		g.Header("WWW-Authenticate", "Bearer")
	}
	s.answer(g, r)
}

func (s *Server) answer(g *gin.Context, r *refusal) {
	g.Header("Content-Type", r.ContentType(""))
	g.Status(r.Status)
	_ = json.NewEncoder(g.Writer).Encode(r.Problem) // the client is gone if this fails
	g.Abort()
}
