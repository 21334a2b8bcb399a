package rest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

// writeTimeout is how long an answer may take to be made and taken, but for
// what is known to take longer.
const writeTimeout = 30 * time.Second

// call is one request: who asks, from where, and the id it is known by in
// answers, logs and the audit log.
type call struct {
	id        string
	fields    string // where its fields are: "body." or "query."
	address   string
	reason    string // of the act, in the caller's own words
	principal auth.Principal
	writer    http.ResponseWriter
	body      io.Reader // for the handlers that read it piece by piece
}

type callKey struct{}

// callOf returns the request ctx belongs to.
func callOf(ctx context.Context) *call {
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok {
		panic("rest: a handler runs outside of a request")
	}
	return c
}

// actorOf names the request's principal for the audit log.
func actorOf(ctx context.Context) inventory.Actor {
	c := callOf(ctx)
	return inventory.Actor{Name: c.principal.Actor(), Address: c.address, RequestID: c.id, Reason: c.reason}
}

// begin gives each request its call, the headers every answer has, and a
// deadline; it answers for handlers that panic.
func (s *Server) begin(g *gin.Context) {
	c := &call{id: string(inventory.NewID()), fields: "body.", address: remoteAddress(g.Request), reason: reasonOf(g.Request), writer: g.Writer, body: g.Request.Body}
	if g.Request.Method == http.MethodGet {
		c.fields = "query."
	}
	g.Request = g.Request.WithContext(context.WithValue(g.Request.Context(), callKey{}, c))
	h := g.Writer.Header()
	h.Set("X-Request-Id", c.id)
	h.Set("Strict-Transport-Security", "max-age=31536000")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	c.extend(writeTimeout)
	defer s.recover(g, c)
	g.Next()
}

func (s *Server) recover(g *gin.Context, c *call) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	s.Logger.Error("handler panicked", "cid", c.id, "method", g.Request.Method, "path", g.Request.URL.Path,
		"panic", v, "stack", string(debug.Stack()))
	if g.Writer.Written() {
		panic(http.ErrAbortHandler) // the client must not take what it has for an answer
	}
	s.refuse(g, inventory.Errorf(inventory.Internal, "internal error"))
}

// extend moves the deadline of the answer. A connection that has no deadlines
// goes without.
func (c *call) extend(d time.Duration) {
	_ = http.NewResponseController(c.writer).SetWriteDeadline(time.Now().Add(d))
}

func remoteAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// reasonHeader says why, for the audit log. Text that is not ASCII is
// percent-encoded: browsers send no other.
const reasonHeader = "X-Reason"

// maxReason bounds a reason, in octets.
const maxReason = 1000

func reasonOf(r *http.Request) string {
	reason := strings.TrimSpace(r.Header.Get(reasonHeader))
	if text, err := url.PathUnescape(reason); err == nil {
		reason = text
	}
	return strings.ToValidUTF8(reason[:min(len(reason), maxReason)], "")
}
