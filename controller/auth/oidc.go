package auth

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"mailfleet/inventory"
)

// ProviderConfig names an OpenID provider that vouches for people.
type ProviderConfig struct {
	Name     string // people see it
	Issuer   string // URL
	ClientID string
	Secret   string // of the client; empty: a public one, PKCE alone protects the code
	Redirect string // URL of this controller's /api/v1/oidc/callback
	Claim    string // whose value is a person's email; empty: email

	// People nobody has made yet get this role with this scope, which names
	// tenants and domains as people do. An empty role lets in only known people.
	Role  inventory.Role
	Scope []inventory.Scope

	HTTP *http.Client // nil: http.DefaultClient
}

// Provider is an OpenID provider (OpenID Connect Core 1.0, code flow with PKCE,
// RFC 7636). It is asked about itself at the first sign-in, so that a controller
// starts while the provider is away.
type Provider struct {
	ProviderConfig
	mu         sync.Mutex
	discovered *oidc.Provider
}

// FlowLife is how long a sign-in at the provider may take.
const FlowLife = 10 * time.Minute

// providerTime is how long the provider has for one answer.
const providerTime = 10 * time.Second

// flow is a sign-in under way; the browser keeps it in a cookie meanwhile.
type flow struct {
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"`
	Ends     time.Time `json:"ends"`
}

// Trust lets people in for whom the provider vouches. It is called before the
// gate is used.
func (g *Gate) Trust(c ProviderConfig) {
	if c.HTTP == nil {
		c.HTTP = http.DefaultClient
	}
	if c.Claim == "" {
		c.Claim = "email"
	}
	g.oidc = &Provider{ProviderConfig: c}
}

// ProviderName is what people know the provider by; empty: there is none.
func (g *Gate) ProviderName() string {
	if g.oidc == nil {
		return ""
	}
	return g.oidc.Name
}

func (p *Provider) context(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, p.HTTP)
}

// discover returns what the provider says of itself.
func (p *Provider) discover(ctx context.Context) (*oidc.Provider, *oauth2.Config, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.discovered == nil {
		found, err := oidc.NewProvider(p.context(ctx), p.Issuer)
		if err != nil {
			return nil, nil, inventory.Wrap(inventory.Unavailable, err, "%s cannot be reached: sign in with your password", p.Name)
		}
		p.discovered = found
	}
	return p.discovered, &oauth2.Config{
		ClientID: p.ClientID, ClientSecret: p.Secret, RedirectURL: p.Redirect,
		Endpoint: p.discovered.Endpoint(), Scopes: []string{oidc.ScopeOpenID, "email", "profile"},
	}, nil
}

func errNoProvider() error {
	return inventory.Errorf(inventory.NotFound, "no OpenID provider is configured")
}

// StartOIDC begins a sign-in: the browser goes to url and brings cookie back.
func (g *Gate) StartOIDC(ctx context.Context) (url, cookie string, err error) {
	if g.oidc == nil {
		return "", "", errNoProvider()
	}
	ctx, cancel := context.WithTimeout(ctx, providerTime)
	defer cancel()
	_, config, err := g.oidc.discover(ctx)
	if err != nil {
		return "", "", err
	}
	f := flow{secret(), secret(), oauth2.GenerateVerifier(), time.Now().Add(FlowLife)}
	text, err := json.Marshal(f)
	if err != nil {
		return "", "", err
	}
	return config.AuthCodeURL(f.State, oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)),
		base64.RawURLEncoding.EncodeToString(text), nil
}

// OIDCAnswer is what the provider sent the browser back with.
type OIDCAnswer struct {
	From   inventory.Actor
	Agent  string
	Cookie string // as StartOIDC made it
	Code   string
	State  string
	Error  string
	Issuer string // RFC 9207; empty: not said
}

// FinishOIDC starts the session of the person the provider vouches for.
func (g *Gate) FinishOIDC(ctx context.Context, in OIDCAnswer) (string, Principal, error) {
	if g.oidc == nil {
		return "", Principal{}, errNoProvider()
	}
	if err := g.addresses.Take(in.From.Address); err != nil {
		return "", Principal{}, err
	}
	who, err := g.oidc.identify(ctx, in)
	if inventory.Is(err, inventory.Unauthorized) {
		return "", Principal{}, g.refuseOIDC(ctx, in, nil, err)
	}
	if err != nil {
		return "", Principal{}, err
	}
	key, now := secret(), time.Now()
	var p Principal
	var known *inventory.Person
	err = g.store.Update(ctx, func(tx inventory.Tx) error {
		person, err := g.oidc.person(tx, in.From, who)
		if err != nil {
			return err
		}
		known = person
		p, err = openSession(tx, person, in.From, key, &inventory.Session{Agent: in.Agent, Via: "oidc"}, now)
		return err
	})
	if inventory.Is(err, inventory.Unauthorized) {
		return "", Principal{}, g.refuseOIDC(ctx, in, known, err)
	}
	if err != nil {
		return "", Principal{}, err
	}
	g.addresses.Return(in.From.Address)
	return key, p, nil
}

// refuseOIDC writes a refusal down and returns it.
func (g *Gate) refuseOIDC(ctx context.Context, in OIDCAnswer, person *inventory.Person, refusal error) error {
	actor := in.From
	actor.Name = Principal{}.Actor()
	e := actor.Entry("signin.failed", inventory.Sessions, "")
	if shown, ok := errors.AsType[*inventory.Error](refusal); ok {
		e.Reason = "OpenID: " + shown.Message
	}
	err := g.store.Update(ctx, func(tx inventory.Tx) error {
		fresh := *e
		if person != nil {
			fresh.Target = person.Name
		}
		return audit(tx, &fresh, person)
	})
	if err != nil {
		return err
	}
	return refusal
}

// vouched is whom the provider vouches for.
type vouched struct{ external, email string }

// identify checks the provider's answer (OpenID Connect Core 1.0 §3.1.3.7).
func (p *Provider) identify(ctx context.Context, in OIDCAnswer) (who vouched, err error) {
	var f flow
	text, err := base64.RawURLEncoding.DecodeString(in.Cookie)
	if err != nil || json.Unmarshal(text, &f) != nil || f.State == "" || !time.Now().Before(f.Ends) {
		return who, unproven(err, "the sign-in at %s took too long: begin again", p.Name)
	}
	switch {
	case subtle.ConstantTimeCompare([]byte(f.State), []byte(in.State)) != 1:
		return who, unproven(nil, "the answer of %s is to another sign-in than this browser's", p.Name)
	case in.Issuer != "" && in.Issuer != p.Issuer:
		return who, unproven(nil, "the answer is not of %s", p.Name)
	case in.Error != "":
		return who, unproven(nil, "%s did not let you in (%.60q)", p.Name, in.Error)
	}
	ctx, cancel := context.WithTimeout(p.context(ctx), providerTime)
	defer cancel()
	provider, config, err := p.discover(ctx)
	if err != nil {
		return who, err
	}
	tokens, err := config.Exchange(ctx, in.Code, oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return who, unproven(err, "%s does not know the code it gave", p.Name)
	}
	raw, _ := tokens.Extra("id_token").(string)
	token, err := provider.Verifier(&oidc.Config{ClientID: p.ClientID}).Verify(ctx, raw)
	if err != nil {
		return who, unproven(err, "what %s says of you cannot be verified", p.Name)
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(f.Nonce)) != 1 {
		return who, unproven(nil, "what %s says of you is from another sign-in", p.Name)
	}
	var claims map[string]any
	if err := token.Claims(&claims); err != nil {
		return who, unproven(err, "what %s says of you cannot be read", p.Name)
	}
	email, _ := claims[p.Claim].(string)
	if verified, said := claims["email_verified"]; p.Claim == "email" && said && verified != true && verified != "true" {
		email = "" // anybody can claim an address
	}
	return vouched{p.Issuer + " " + token.Subject, strings.ToLower(email)}, nil
}

func unproven(err error, format string, args ...any) error {
	return inventory.Wrap(inventory.Unauthorized, err, format, args...)
}

// person finds who is vouched for: by the provider's own name for them once
// they have been here, by their address the first time.
func (p *Provider) person(tx inventory.Tx, from inventory.Actor, who vouched) (*inventory.Person, error) {
	person, err := tx.People().Find("external", who.external)
	if !inventory.Is(err, inventory.NotFound) {
		return person, err
	}
	if who.email == "" {
		return nil, unproven(nil, "%s does not say your address", p.Name)
	}
	person, err = tx.People().Find("email", who.email)
	switch {
	case inventory.Is(err, inventory.NotFound):
		return p.admit(tx, from, who)
	case err != nil:
		return nil, err
	case person.External != "":
		return nil, unproven(nil, "%s knows another person with your address: ask an operator", p.Name)
	}
	person.External = who.external
	return person, tx.People().Update(person)
}

// admit makes a person of somebody nobody has made yet, where that is configured.
func (p *Provider) admit(tx inventory.Tx, from inventory.Actor, who vouched) (*inventory.Person, error) {
	if p.Role == "" {
		return nil, unproven(nil, "nobody here has the address %s: ask an operator", who.email)
	}
	scope, err := Grant(tx, Controller(), p.Role, slices.Clone(p.Scope))
	if err != nil {
		return nil, inventory.Wrap(inventory.Internal, err, "the role for new people cannot be given")
	}
	person := &inventory.Person{Name: who.email, Role: p.Role, Scope: scope, Email: who.email, External: who.external}
	if err := tx.People().Create(person); err != nil {
		return nil, err
	}
	from.Name = "controller"
	e := from.Entry("person.create", inventory.People, string(person.ID))
	after, err := json.Marshal(person)
	if err != nil {
		return nil, err
	}
	e.After, e.Reason = string(after), p.Name+" vouches for them"
	return person, audit(tx, e, person)
}
