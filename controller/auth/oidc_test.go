package auth

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"mailfleet/inventory"
)

// provider is an OpenID provider (OpenID Connect Core 1.0, Discovery 1.0) that
// vouches for whoever its claims say. It keeps what the code flow wants kept:
// a code holds once, for one nonce, and only with the verifier of its challenge.
type provider struct {
	*httptest.Server
	t      *testing.T
	key    *rsa.PrivateKey
	codes  map[string]url.Values // code → the request it answers
	claims map[string]any        // over the right ones
	forged bool                  // sign with another key
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{t: t, key: key, codes: map[string]url.Values{}, claims: map[string]any{}}
	mux := http.NewServeMux()
	p.Server = httptest.NewTLSServer(mux)
	t.Cleanup(p.Close)
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		e := big.NewInt(int64(key.E)).Bytes()
		answer(w, map[string]any{"keys": []map[string]string{{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1", "n": raw(key.N.Bytes()), "e": raw(e)}}})
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		asked, ok := p.codes[r.FormValue("code")]
		delete(p.codes, r.FormValue("code"))
		challenge := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		_, secret, _ := r.BasicAuth()
		if !ok || asked.Get("code_challenge") != raw(challenge[:]) || secret != "client-secret" && r.FormValue("client_secret") != "client-secret" {
			w.WriteHeader(http.StatusBadRequest)
			answer(w, map[string]string{"error": "invalid_grant"})
			return
		}
		answer(w, map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": p.token(asked)})
	})
	return p
}

func raw(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// token is a signed ID token (OpenID Connect Core 1.0 §2).
func (p *provider) token(asked url.Values) string {
	claims := map[string]any{
		"iss": p.URL, "sub": "248", "aud": asked.Get("client_id"), "nonce": asked.Get("nonce"),
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(), "email": "Li@Example.test", "email_verified": true,
	}
	for k, v := range p.claims {
		claims[k] = v
	}
	body, err := json.Marshal(claims)
	if err != nil {
		p.t.Error(err)
	}
	key := p.key
	if p.forged {
		if key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			p.t.Error(err)
		}
	}
	text := raw([]byte(`{"alg":"RS256","kid":"1"}`)) + "." + raw(body)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		p.t.Error(err)
	}
	return text + "." + raw(signature)
}

// trusts makes the gate trust the provider.
func (f *fixture) trusts(p *provider, more func(*ProviderConfig)) {
	c := ProviderConfig{
		Name: "Example", Issuer: p.URL, ClientID: "mailfleet", Secret: "client-secret",
		Redirect: "https://controller/api/v1/oidc/callback", HTTP: p.Client(),
	}
	if more != nil {
		more(&c)
	}
	f.Trust(c)
}

// through signs in at the provider; change may spoil the answer on its way back.
func (f *fixture) through(p *provider, change func(*OIDCAnswer)) (string, Principal, error) {
	f.t.Helper()
	to, cookie, err := f.StartOIDC(f.t.Context())
	if err != nil {
		return "", Principal{}, err
	}
	at, err := url.Parse(to)
	if err != nil || !strings.HasPrefix(to, p.URL+"/authorize?") {
		f.t.Fatalf("the browser is sent to %s, %v", to, err)
	}
	asked := at.Query()
	if asked.Get("code_challenge_method") != "S256" || asked.Get("redirect_uri") != "https://controller/api/v1/oidc/callback" || asked.Get("response_type") != "code" {
		f.t.Errorf("asked %v", asked)
	}
	p.codes["c"] = asked
	in := OIDCAnswer{From: inventory.Actor{Address: "192.0.2.7", RequestID: "r"}, Agent: "test", Cookie: cookie, Code: "c", State: asked.Get("state"), Issuer: p.URL}
	if change != nil {
		change(&in)
	}
	return f.FinishOIDC(f.t.Context(), in)
}

// give gives a person an address.
func (f *fixture) give(name, email string) {
	f.update(func(tx inventory.Tx) error {
		person, err := tx.People().Find("name", name)
		if err != nil {
			return err
		}
		person.Email = email
		return tx.People().Update(person)
	})
}

func TestAProviderVouchesForAKnownPerson(t *testing.T) {
	f, p := newFixture(t), newProvider(t)
	f.trusts(p, nil)
	_, _, err := f.through(p, nil)
	f.wants(inventory.Unauthorized, err) // nobody has the address
	f.give("alice", "li@example.test")
	secret, who, err := f.through(p, nil)
	f.wants("", err)
	if who.Name != "alice" || who.Role != inventory.RoleOperator {
		t.Errorf("signed in as %+v", who)
	}
	if _, err := f.Session(t.Context(), secret); err != nil {
		t.Errorf("the session: %v", err)
	}
	f.give("alice", "") // from now on it is the provider's own name for her that counts
	_, who, err = f.through(p, nil)
	f.wants("", err)
	if who.Name != "alice" {
		t.Errorf("then as %+v", who)
	}
	p.claims["sub"] = "somebody else"
	f.give("alice", "li@example.test")
	_, _, err = f.through(p, nil)
	f.wants(inventory.Unauthorized, err)
}

func TestAnAnswerThatIsNotTheProvidersLetsNobodyIn(t *testing.T) {
	for name, c := range map[string]struct {
		claims map[string]any
		forged bool
		change func(*OIDCAnswer)
	}{
		"another browser's state": {change: func(in *OIDCAnswer) { in.State = "x" }},
		"no cookie":               {change: func(in *OIDCAnswer) { in.Cookie = "" }},
		"a code it did not give":  {change: func(in *OIDCAnswer) { in.Code = "d" }},
		"another issuer":          {change: func(in *OIDCAnswer) { in.Issuer = "https://elsewhere.test" }},
		"refused there":           {change: func(in *OIDCAnswer) { in.Error = "access_denied" }},
		"another key":             {forged: true},
		"another nonce":           {claims: map[string]any{"nonce": "x"}},
		"for another client":      {claims: map[string]any{"aud": "other"}},
		"too late":                {claims: map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}},
		"address not verified":    {claims: map[string]any{"email_verified": false}},
		"no address":              {claims: map[string]any{"email": nil}},
	} {
		t.Run(name, func(t *testing.T) {
			f, p := newFixture(t), newProvider(t)
			f.trusts(p, nil)
			f.give("alice", "li@example.test")
			p.forged = c.forged
			for k, v := range c.claims {
				p.claims[k] = v
			}
			_, _, err := f.through(p, c.change)
			f.wants(inventory.Unauthorized, err)
			if log := f.audited(); len(log) == 0 || log[len(log)-1] != "signin.failed" {
				t.Errorf("the audit log ends with %v", log)
			}
		})
	}
}

func TestACodeOfTheProviderHoldsInOneBrowserOnly(t *testing.T) {
	f, p := newFixture(t), newProvider(t)
	f.trusts(p, nil)
	f.give("alice", "li@example.test")
	_, other, err := f.StartOIDC(t.Context())
	f.wants("", err)
	_, _, err = f.through(p, func(in *OIDCAnswer) { in.Cookie = other })
	f.wants(inventory.Unauthorized, err)
}

func TestNewPeopleAreLetInOnlyWhereThatIsSaid(t *testing.T) {
	f, p := newFixture(t), newProvider(t)
	f.trusts(p, func(c *ProviderConfig) { c.Role = inventory.RoleViewer })
	_, who, err := f.through(p, nil)
	f.wants("", err)
	if who.Name != "li@example.test" || who.Role != inventory.RoleViewer {
		t.Errorf("signed in as %+v", who)
	}
	f.update(func(tx inventory.Tx) error {
		person, err := tx.People().Find("name", who.Name)
		if err != nil {
			return err
		}
		person.Disabled = true
		return tx.People().Update(person)
	})
	_, _, err = f.through(p, nil)
	f.wants(inventory.Unauthorized, err)
}

func TestAProviderThatIsAwayLeavesThePassword(t *testing.T) {
	f, p := newFixture(t), newProvider(t)
	f.trusts(p, nil)
	p.Close()
	_, _, err := f.StartOIDC(t.Context())
	f.wants(inventory.Unavailable, err)
	if _, _, err := f.signIn("192.0.2.1", "alice", password); err != nil {
		t.Error(err)
	}
}
