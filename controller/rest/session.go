package rest

import (
	"context"
	"net/http"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
)

func (s *Server) sessionRoutes() {
	add(s, operation{"sign-in", http.MethodPost, "/session", "Sign in to the console", auth.SignIns, auth.Write, 0,
		"Starts a session: the answer sets its cookie. Five wrong passwords in a row lock the name for a minute, further ones for up to 15."}, s.signIn)
	add(s, operation{"get-session", http.MethodGet, "/session", "Who am I?", auth.Session, auth.Read, 0, ""}, s.getSession)
	add(s, operation{"sign-out", http.MethodDelete, "/session", "Sign out", auth.Session, auth.Write, 0, ""}, s.signOut)
	add(s, operation{"change-password", http.MethodPut, "/session/password", "Change my password", auth.Session, auth.Write, 0,
		"Ends the person's other sessions."}, s.changePassword)
	add(s, operation{"join", http.MethodPost, "/join", "Make the caller's key a server of the fleet", auth.Join, auth.Write, 0,
		"The token is the right to do it. mailfleet-agent join asks this."}, s.join)
}

type signInInput struct {
	UserAgent string `header:"User-Agent" hidden:"true"`
	Body      api.SignIn
}

type sessionOutput struct {
	SetCookie string `header:"Set-Cookie" hidden:"true"`
	Body      api.Session
}

func (s *Server) signIn(ctx context.Context, in *signInInput) (*sessionOutput, error) {
	secret, p, err := s.Auth.SignIn(ctx, auth.SignIn{
		From: actorOf(ctx), Agent: in.UserAgent[:min(len(in.UserAgent), 200)], Name: in.Body.User, Password: in.Body.Password,
	})
	if err != nil {
		return nil, err
	}
	return &sessionOutput{sessionCookie(secret), sessionOf(p)}, nil
}

func sessionOf(p auth.Principal) api.Session {
	return api.Session{User: p.Name, Role: p.Role, CSRF: p.CSRF, Expires: p.Expires.UTC()}
}

func (s *Server) getSession(ctx context.Context, _ *struct{}) (*sessionOutput, error) {
	return &sessionOutput{Body: sessionOf(callOf(ctx).principal)}, nil
}

type signOutOutput struct {
	SetCookie string `header:"Set-Cookie" hidden:"true"`
}

func (s *Server) signOut(ctx context.Context, _ *struct{}) (*signOutOutput, error) {
	if err := s.Auth.SignOut(ctx, actorOf(ctx), callOf(ctx).principal); err != nil {
		return nil, err
	}
	return &signOutOutput{sessionCookie("")}, nil
}

type passwordInput struct {
	Body api.PasswordChange
}

func (s *Server) changePassword(ctx context.Context, in *passwordInput) (*none, error) {
	return nil, s.Auth.ChangePassword(ctx, actorOf(ctx), callOf(ctx).principal, in.Body.Current, in.Body.Password)
}

type joinInput struct {
	Body api.Join
}

type joinOutput struct {
	Body api.Joined
}

func (s *Server) join(ctx context.Context, in *joinInput) (*joinOutput, error) {
	address := callOf(ctx).address
	if err := s.joins.Take(address); err != nil {
		return nil, err
	}
	joined, err := s.Fleet.Join(ctx, address, in.Body)
	if err != nil {
		return nil, err
	}
	s.joins.Return(address)
	return &joinOutput{joined}, nil
}
