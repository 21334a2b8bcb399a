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
// itself, nor longer than it has them: pass the principal that asks, or
// Controller.
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
	if err := checkScopes(grantor, t.Scopes); err != nil {
		return api.IssuedToken{}, err
	}
	out := api.IssuedToken{Secret: tokenPrefix + secret()}
	t.Hash = digest(out.Secret)
	err := g.store.Update(ctx, func(tx inventory.Tx) (err error) {
		fresh := t
		if fresh.Scope, err = Grant(tx, grantor, fresh.Role, req.Scope); err != nil {
			return err
		}
		policy, err := ReadPolicy(tx)
		if err != nil {
			return err
		}
		if fresh.Expires, err = expiry(req.Expires, policy, grantor, time.Now()); err != nil {
			return err
		}
		if err := tx.Tokens().Create(&fresh); err != nil {
			return err
		}
		out.Token = fresh
		e := actor.Entry("token.create", inventory.Tokens, string(fresh.ID))
		after, err := json.Marshal(fresh)
		if err != nil {
			return err
		}
		e.After = string(after)
		if e.Scope, err = ScopeOf(tx, &fresh); err != nil {
			return err
		}
		return tx.Audit().Append(e)
	})
	return out, err
}

// expiry is when a token ends that is made now.
func expiry(asked api.Expiry, policy api.Policy, grantor Principal, now time.Time) (time.Time, error) {
	most := time.Duration(policy.TokenLife)
	end := asked.At
	switch {
	case asked.For < 0 || !end.IsZero() && !end.After(now):
		return end, inventory.FieldErrorf("expires", "the token would have ended before it began")
	case asked.For > 0:
		end = now.Add(asked.For)
	case end.IsZero():
		end = now.Add(tokenLife)
		if most > 0 {
			end = now.Add(min(most, tokenLife))
		}
	}
	if most > 0 && end.After(now.Add(most)) {
		return end, inventory.FieldErrorf("expires", "a token lives %s at most here", most)
	}
	if grantor.Token != "" && !grantor.Expires.IsZero() && end.After(grantor.Expires) {
		if asked == (api.Expiry{}) {
			return grantor.Expires, nil
		}
		return end, inventory.FieldErrorf("expires", "your own token ends on %s: one that it makes cannot end later", grantor.Expires.UTC().Format(time.DateTime))
	}
	return end, nil
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
		p = Principal{Name: t.Name, Role: t.Role, Scope: t.Scope, Token: t.ID, Expires: t.Expires, scopes: t.Scopes}
		return nil
	})
	if inventory.Is(err, inventory.NotFound) {
		err = errToken()
	}
	return p, err
}

func errToken() error { return inventory.Errorf(inventory.Unauthorized, "the token is not known") }
