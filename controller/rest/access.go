package rest

import (
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

// CookieName is the session cookie's. The prefix makes browsers insist on
// Secure, Path=/ and no Domain (RFC 6265bis §4.1.3.2).
const CookieName = "__Host-mailfleet"

// csrfHeader carries the session's CSRF token with every change.
const csrfHeader = "X-CSRF-Token"

// sameOrigin refuses changes that another site's page has a browser ask for.
var sameOrigin = http.NewCrossOriginProtection()

// admit lets a request pass that may do verb with resource.
func (s *Server) admit(resource inventory.Kind, verb auth.Verb) func(huma.Context, func(huma.Context)) {
	public := auth.Public(resource, verb)
	return func(ctx huma.Context, next func(huma.Context)) {
		g := humagin.Unwrap(ctx)
		if err := s.identify(g.Request, public); err != nil {
			s.refuse(g, err)
			return
		}
		if err := auth.Allow(callOf(ctx.Context()).principal, resource, verb); err != nil {
			s.refuse(g, err)
			return
		}
		next(ctx)
	}
}

// identify finds out who asks. A token goes before a cookie. Public requests
// are anybody's, whatever they carry.
func (s *Server) identify(r *http.Request, public bool) error {
	c := callOf(r.Context())
	if public {
		return crossSite(r)
	}
	if token, ok := bearer(r); ok {
		p, err := s.Auth.Token(r.Context(), token)
		c.principal = p
		return err
	}
	cookies := r.CookiesNamed(CookieName)
	if len(cookies) == 0 {
		return nil // nobody: Allow says what is needed
	}
	p, err := s.Auth.Session(r.Context(), cookies[0].Value)
	if err != nil {
		return err
	}
	c.principal = p
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	if err := crossSite(r); err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(r.Header.Get(csrfHeader)), []byte(p.CSRF)) != 1 {
		return inventory.Errorf(inventory.Forbidden, "the header %s does not carry the session's token", csrfHeader)
	}
	return nil
}

func crossSite(r *http.Request) error {
	if err := sameOrigin.Check(r); err != nil {
		return inventory.Wrap(inventory.Forbidden, err, "the request comes from another site")
	}
	return nil
}

func bearer(r *http.Request) (token string, ok bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), strings.EqualFold(scheme, "Bearer")
}

// sessionCookie is the cookie of a secret; an empty one ends it.
func sessionCookie(secret string) string {
	c := http.Cookie{
		Name: CookieName, Value: secret, Path: "/", Secure: true, HttpOnly: true,
		SameSite: http.SameSiteStrictMode, MaxAge: int(auth.SessionLife.Seconds()),
	}
	if secret == "" {
		c.MaxAge = -1
	}
	return c.String()
}
