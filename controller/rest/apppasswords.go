package rest

import (
	"context"
	"net/http"
	"time"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
	"mailfleet/inventory/credential"
)

func (s *Server) appPasswordRoutes() {
	add(s, operation{"create-app-password", http.MethodPost, "/accounts/{id}/app-passwords", "Make an application password", inventory.Accounts, auth.Write, http.StatusCreated,
		"For one application or device of the account's user. The password is in this answer only."}, s.createAppPassword)
	add(s, operation{"delete-app-password", http.MethodDelete, "/accounts/{id}/app-passwords/{password}", "Revoke an application password", inventory.Accounts, auth.Write, 0, ""}, s.deleteAppPassword)
}

type newAppPasswordInput struct {
	Named
	Body api.NewAppPassword
}

// issued is an application password in the only answer that shows it.
type issued struct {
	Location string `header:"Location"`
	Body     api.IssuedAppPassword
}

func (s *Server) createAppPassword(ctx context.Context, in *newAppPasswordInput) (*issued, error) {
	now := time.Now().UTC().Truncate(time.Second)
	app := inventory.AppPassword{ID: inventory.NewID(), Name: in.Body.Name, Protocols: in.Body.Protocols, Created: now, Expires: in.Body.Expires}
	if !app.Expires.IsZero() && !app.Expires.After(now) {
		return nil, inventory.FieldErrorf("expires", "expires %s is in the past", app.Expires.Format(time.RFC3339))
	}
	secret := credential.NewApp()
	keys, err := s.mailKeys(ctx, in.ID, secret)
	if err != nil {
		return nil, err
	}
	account, err := s.accounts().change(ctx, in.ID, Conditional{}, "app-password", func(_ inventory.Tx, a *inventory.Account) error {
		if !keys.fit(a) {
			return errSalted
		}
		return a.AddAppPassword(app, inventory.AppSecret{Hash: credential.HashApp(secret), SCRAM: keys.text})
	})
	if err != nil {
		return nil, err
	}
	return &issued{
		Location: "/api/v1/accounts/" + string(account.Body.ID) + "/app-passwords/" + string(app.ID),
		Body:     api.IssuedAppPassword{AppPassword: app, Secret: secret},
	}, nil
}

type appPasswordInput struct {
	Named
	Conditional
	Password inventory.ID `path:"password" doc:"Id of the application password"`
}

func (s *Server) deleteAppPassword(ctx context.Context, in *appPasswordInput) (*none, error) {
	_, err := s.accounts().change(ctx, in.ID, in.Conditional, "app-password", func(_ inventory.Tx, a *inventory.Account) error {
		return a.RemoveAppPassword(in.Password)
	})
	return nil, err
}

// mailKeys are SCRAM keys for an account, made before the change that keeps them.
type mailKeys struct{ like, text string }

// errSalted is when the account got its first keys, with another salt, meanwhile.
var errSalted = inventory.Errorf(inventory.Conflict, "another password of the account was set at the same moment: try again")

// mailKeys makes the keys of a password for an account, with the salt of those it
// has; ref is empty for an account to come.
func (s *Server) mailKeys(ctx context.Context, ref, password string) (keys mailKeys, err error) {
	if ref != "" {
		account, err := s.accounts().get(ctx, &Named{ID: ref})
		if err != nil {
			return mailKeys{}, err
		}
		keys.like = account.Body.SaltedKeys()
	}
	keys.text, err = s.Auth.MailKeys(ctx, password, keys.like)
	return keys, err
}

// fit reports whether the account's passwords still have the salt of the keys.
func (k mailKeys) fit(a *inventory.Account) bool {
	now := a.SaltedKeys()
	return now == "" || k.like != "" && credential.SameSalt(now, k.text)
}
