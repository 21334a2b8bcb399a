package auth

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// tokenPrefix lets secret scanners, and people, see what it is.
const tokenPrefix = "mft_"

// tokenLife is a token's lifetime when none is asked for.
const tokenLife = 90 * 24 * time.Hour

// CreateToken makes a token. grantor cannot give rights it does not have
// itself: pass the principal that asks, or Controller.
func (g *Gate) CreateToken(ctx context.Context, actor inventory.Actor, grantor Principal, req api.NewToken) (api.IssuedToken, error) {
	t := inventory.Token{Name: strings.TrimSpace(req.Name), Role: req.Role, Scopes: req.Scopes, Actor: actor.Name}
	if t.Name == "" {
		return api.IssuedToken{}, inventory.FieldErrorf("name", "a token needs a name")
	}
	if t.Role == "" {
		t.Role = inventory.RoleViewer
	}
	if len(t.Scopes) == 0 {
		t.Scopes = []string{"*"}
	}
	if err := checkGrant(grantor, t.Role, t.Scopes); err != nil {
		return api.IssuedToken{}, err
	}
	life := time.Duration(req.Expires)
	if life == 0 {
		life = tokenLife
	}
	t.Expires = time.Now().Add(life)
	out := api.IssuedToken{Secret: tokenPrefix + secret()}
	t.Hash = digest(out.Secret)
	err := g.store.Update(ctx, func(tx inventory.Tx) error {
		fresh := t
		if err := tx.Tokens().Create(&fresh); err != nil {
			return err
		}
		out.Token = fresh
		e := actor.Entry("token.create", inventory.Tokens, string(fresh.ID))
		after, err := json.Marshal(fresh)
		e.After = string(after)
		if err != nil {
			return err
		}
		return tx.Audit().Append(e)
	})
	return out, err
}

// Token finds whose token it is. Unauthorized when it is none, or has expired.
func (g *Gate) Token(ctx context.Context, token string) (Principal, error) {
	if !strings.HasPrefix(token, tokenPrefix) {
		return Principal{}, errToken()
	}
	return g.token(ctx, func(tx inventory.Tx) (*inventory.Token, error) {
		return tx.Tokens().Find("hash", digest(token))
	})
}

func (g *Gate) token(ctx context.Context, find func(inventory.Tx) (*inventory.Token, error)) (p Principal, err error) {
	err = g.store.View(ctx, func(tx inventory.Tx) error {
		t, err := find(tx)
		if err != nil {
			return err
		}
		if !t.Expires.IsZero() && !time.Now().Before(t.Expires) {
			return inventory.Errorf(inventory.Unauthorized, "the token expired on %s", t.Expires.UTC().Format(time.DateTime))
		}
		p = Principal{Name: t.Name, Role: t.Role, Token: t.ID, Expires: t.Expires, scopes: t.Scopes}
		return nil
	})
	if inventory.Is(err, inventory.NotFound) {
		err = errToken()
	}
	return p, err
}

func errToken() error { return inventory.Errorf(inventory.Unauthorized, "the token is not known") }
