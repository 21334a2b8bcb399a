package rest

import (
	"context"
	"net/http"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) tokenRoutes() {
	add(s, operation{"list-tokens", http.MethodGet, "/tokens", "List API tokens", inventory.Tokens, auth.Read, 0, ""}, s.listTokens)
	add(s, operation{"create-token", http.MethodPost, "/tokens", "Make an API token", inventory.Tokens, auth.Write, http.StatusCreated,
		"The token is shown this once. Nobody can make one that may do more, or longer, than they."}, s.createToken)
	add(s, operation{"get-token", http.MethodGet, "/tokens/{id}", "Get an API token", inventory.Tokens, auth.Read, 0, ""}, s.tokens().get)
	add(s, operation{"delete-token", http.MethodDelete, "/tokens/{id}", "Delete an API token", inventory.Tokens, auth.Write, 0,
		"It is refused from now on, and streams it opened end."}, s.deleteToken)
}

func (s *Server) listTokens(ctx context.Context, in *Paging) (*page[*inventory.Token], error) {
	return s.tokens().list(ctx, *in, false, nil)
}

type createTokenInput struct {
	Body api.NewToken
}

func (s *Server) createToken(ctx context.Context, in *createTokenInput) (*created[api.IssuedToken], error) {
	t, err := s.Auth.CreateToken(ctx, actorOf(ctx), callOf(ctx).principal, in.Body)
	if err != nil {
		return nil, err
	}
	return &created[api.IssuedToken]{"/api/v1/tokens/" + string(t.ID), etag(t.Version), t}, nil
}

func (s *Server) deleteToken(ctx context.Context, in *conditionalInput) (*none, error) {
	return s.tokens().delete(ctx, in.ID, in.Conditional, free)
}
