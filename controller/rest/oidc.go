package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

// flowCookie carries a sign-in at the OpenID provider until the browser is
// back. The provider sends it back from another site, so it is Lax.
const flowCookie = "__Host-mailfleet-oidc"

func (s *Server) oidcRoutes() {
	add(s, operation{"get-providers", http.MethodGet, "/oidc", "Who else vouches for people", auth.SignIns, auth.Write, 0, ""}, s.providers)
	add(s, operation{"start-oidc", http.MethodGet, "/oidc/start", "Sign in through the OpenID provider", auth.SignIns, auth.Write, http.StatusFound,
		"Sends the browser there."}, s.startOIDC)
	add(s, operation{"finish-oidc", http.MethodGet, "/oidc/callback", "Where the OpenID provider sends the browser back to", auth.SignIns, auth.Write, http.StatusFound,
		"Starts a session and sends the browser to the console; a refused one goes there with its code in ?refused=."}, s.finishOIDC,
		func(op *huma.Operation) { op.SkipValidateParams = true }) // providers add parameters of their own
}

type providersOutput struct {
	Body api.Providers
}

func (s *Server) providers(context.Context, *struct{}) (*providersOutput, error) {
	return &providersOutput{api.Providers{OIDC: s.Auth.ProviderName()}}, nil
}

type redirectOutput struct {
	Location  string   `header:"Location"`
	SetCookie []string `header:"Set-Cookie" hidden:"true"`
}

func cookieOfFlow(value string) string {
	c := http.Cookie{
		Name: flowCookie, Value: value, Path: "/", Secure: true, HttpOnly: true,
		SameSite: http.SameSiteLaxMode, MaxAge: int(auth.FlowLife / time.Second),
	}
	if value == "" {
		c.MaxAge = -1
	}
	return c.String()
}

func (s *Server) startOIDC(ctx context.Context, _ *struct{}) (*redirectOutput, error) {
	url, flow, err := s.Auth.StartOIDC(ctx)
	if err != nil {
		return s.refuseOIDC(ctx, err)
	}
	return &redirectOutput{url, []string{cookieOfFlow(flow)}}, nil
}

// refuseOIDC sends the browser to the console, which tells the person in their
// own language what became of the sign-in.
func (s *Server) refuseOIDC(ctx context.Context, err error) (*redirectOutput, error) {
	if inventory.Is(err, inventory.NotFound) {
		return nil, err // there is no provider
	}
	s.Logger.Info("a sign-in through the OpenID provider was refused", "err", err, "request", actorOf(ctx).RequestID)
	return &redirectOutput{"/?refused=" + string(inventory.CodeOf(err)), []string{cookieOfFlow("")}}, nil
}

type callbackInput struct {
	UserAgent string      `header:"User-Agent" hidden:"true"`
	Flow      http.Cookie `cookie:"__Host-mailfleet-oidc" hidden:"true"`
	Code      string      `query:"code"`
	State     string      `query:"state"`
	Error     string      `query:"error"`
	Issuer    string      `query:"iss"`
}

func (s *Server) finishOIDC(ctx context.Context, in *callbackInput) (*redirectOutput, error) {
	secret, _, err := s.Auth.FinishOIDC(ctx, auth.OIDCAnswer{
		From: actorOf(ctx), Agent: in.UserAgent[:min(len(in.UserAgent), 200)],
		Cookie: in.Flow.Value, Code: in.Code, State: in.State, Error: in.Error, Issuer: in.Issuer,
	})
	if err != nil {
		return s.refuseOIDC(ctx, err)
	}
	return &redirectOutput{"/", []string{cookieOfFlow(""), sessionCookie(secret)}}, nil
}
