package rest

import (
	"context"
	"net/http"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) sessionRoutes() {
	add(s, operation{"sign-in", http.MethodPost, "/session", "Sign in to the console", auth.SignIns, auth.Write, 0,
		"Starts a session: the answer sets its cookie. Where a second factor is asked for, send its code too: without it the 401's error is at body.code. Five wrong passwords in a row lock the name for a minute, further ones for up to 15."}, s.signIn)
	add(s, operation{"get-session", http.MethodGet, "/session", "Who am I?", auth.Session, auth.Read, 0, ""}, s.getSession)
	add(s, operation{"sign-out", http.MethodDelete, "/session", "Sign out", auth.Session, auth.Write, 0, ""}, s.signOut)
	add(s, operation{"change-password", http.MethodPut, "/session/password", "Change my password", auth.Session, auth.Write, 0,
		"Ends the person's other sessions."}, s.changePassword)
	add(s, operation{"enrol-totp", http.MethodPost, "/session/totp", "Begin to use a second factor", auth.Session, auth.Write, 0,
		"It is asked for once a code of it was sent to confirm it. The secret is shown this once."}, s.enrolTOTP)
	add(s, operation{"confirm-totp", http.MethodPut, "/session/totp", "Confirm my second factor with a code", auth.Session, auth.Write, 0,
		"The recovery codes are shown this once."}, s.confirmTOTP)
	add(s, operation{"remove-totp", http.MethodDelete, "/session/totp", "Use no second factor any more", auth.Session, auth.Write, 0,
		"Refused while the policy wants one."}, s.removeTOTP)
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
		From: actorOf(ctx), Agent: in.UserAgent[:min(len(in.UserAgent), 200)], Name: in.Body.User, Password: in.Body.Password, Code: in.Body.Code,
	})
	if err != nil {
		return nil, err
	}
	return &sessionOutput{sessionCookie(secret), sessionOf(p)}, nil
}

func sessionOf(p auth.Principal) api.Session {
	return api.Session{
		User: p.Name, Role: p.Role, Scope: append([]inventory.Scope{}, p.Scope...), Rights: append([]string{}, auth.Rights(p)...),
		CSRF: p.CSRF, Expires: p.Expires.UTC(), Must: string(p.Must), TOTP: p.TOTP,
	}
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

type totpOutput struct {
	Body api.NewTOTP
}

func (s *Server) enrolTOTP(ctx context.Context, _ *struct{}) (*totpOutput, error) {
	made, err := s.Auth.EnrolTOTP(ctx, actorOf(ctx), callOf(ctx).principal)
	return &totpOutput{made}, err
}

type totpInput struct {
	Body api.TOTPCode
}

type recoveryOutput struct {
	Body api.RecoveryCodes
}

func (s *Server) confirmTOTP(ctx context.Context, in *totpInput) (*recoveryOutput, error) {
	codes, err := s.Auth.ConfirmTOTP(ctx, actorOf(ctx), callOf(ctx).principal, in.Body.Code)
	return &recoveryOutput{api.RecoveryCodes{Recovery: codes}}, err
}

func (s *Server) removeTOTP(ctx context.Context, in *totpInput) (*none, error) {
	return nil, s.Auth.RemoveTOTP(ctx, actorOf(ctx), callOf(ctx).principal, in.Body.Code)
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
