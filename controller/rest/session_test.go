package rest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

// browser is a signed-in person.
type browser struct {
	*fixture
	cookie  *http.Cookie
	session api.Session
}

func (f *fixture) signIn(role inventory.Role) *browser {
	f.t.Helper()
	hash, err := f.server.Auth.Hash(f.t.Context(), "correct horse battery")
	f.ok(err)
	name := "a " + string(role)
	f.update(func(tx inventory.Tx) error {
		return tx.People().Create(&inventory.Person{Name: name, Role: role, Password: hash})
	})
	res, text := f.ask(http.MethodPost, "/api/v1/session", `{"user":"`+name+`","password":"correct horse battery"}`)
	if res.StatusCode != http.StatusOK || len(res.Cookies()) != 1 {
		f.t.Fatalf("%s %s", res.Status, text)
	}
	b := &browser{fixture: f, cookie: res.Cookies()[0]}
	f.ok(json.Unmarshal([]byte(text), &b.session))
	return b
}

// do asks as the browser does; change adds the session's CSRF token.
func (b *browser) do(method, path, body string, header ...string) (*http.Response, string) {
	b.t.Helper()
	header = append([]string{"Cookie", b.cookie.Name + "=" + b.cookie.Value, "Sec-Fetch-Site", "same-origin"}, header...)
	return b.ask(method, "/api/v1"+path, body, header...)
}

func (b *browser) status(want int, method, path, body string, header ...string) string {
	b.t.Helper()
	res, text := b.do(method, path, body, header...)
	if res.StatusCode != want {
		b.t.Fatalf("%s %s: %s, want %d: %s", method, path, res.Status, want, text)
	}
	return text
}

func TestTheSessionCookieIsForThisSiteOverTLSOnly(t *testing.T) {
	b := start(t).signIn(inventory.RoleOperator)
	c := b.cookie
	if c.Name != "__Host-mailfleet" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 12*3600 {
		t.Errorf("cookie %+v", c)
	}
	if b.session.User != "a operator" || b.session.Role != inventory.RoleOperator || b.session.CSRF == "" || b.session.Expires.IsZero() {
		t.Errorf("session %+v", b.session)
	}
	var again api.Session
	b.ok(json.Unmarshal([]byte(b.status(http.StatusOK, "GET", "/session", "")), &again))
	if again.CSRF != b.session.CSRF || again.User != b.session.User {
		t.Errorf("session %+v", again)
	}
}

func TestAChangeByCookieNeedsTheSessionsTokenAndThisSite(t *testing.T) {
	b := start(t).signIn(inventory.RoleOperator)
	const contact = `{"name":"Ann","phone":"13800138000"}`
	csrf := []string{csrfHeader, b.session.CSRF}
	b.status(http.StatusForbidden, "POST", "/contacts", contact)
	b.status(http.StatusForbidden, "POST", "/contacts", contact, csrfHeader, "guess")
	b.status(http.StatusForbidden, "POST", "/contacts", contact, append(csrf, "Sec-Fetch-Site", "cross-site")...)
	b.status(http.StatusForbidden, "POST", "/contacts", contact, append(csrf, "Sec-Fetch-Site", "same-site")...)
	b.status(http.StatusCreated, "POST", "/contacts", contact, csrf...)
	b.status(http.StatusOK, "GET", "/contacts", "")
	res, _ := b.ask("POST", "/api/v1/contacts", `{"name":"Bob","phone":"13800138001"}`, "Cookie", b.cookie.Name+"="+b.cookie.Value,
		csrfHeader, b.session.CSRF, "Origin", "https://evil.test")
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("another origin's change: %s", res.Status)
	}
}

func TestSigningInFromAnotherSiteIsRefused(t *testing.T) {
	f := start(t)
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.test"}} {
		res, _ := f.ask("POST", "/api/v1/session", `{"user":"a","password":"b"}`, header...)
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("%v: %s", header, res.Status)
		}
	}
}

func TestWrongPasswordsAreRefusedThenLocked(t *testing.T) {
	f := start(t)
	f.signIn(inventory.RoleViewer)
	for _, user := range []string{"a viewer", "nobody"} {
		for range 5 {
			res, text := f.ask("POST", "/api/v1/session", `{"user":"`+user+`","password":"wrong"}`)
			if res.StatusCode != http.StatusUnauthorized || !strings.Contains(text, "the name or the password is wrong") || len(res.Cookies()) != 0 {
				t.Fatalf("%s: %s %s", user, res.Status, text)
			}
		}
		res, _ := f.ask("POST", "/api/v1/session", `{"user":"`+user+`","password":"correct horse battery"}`)
		if res.StatusCode != http.StatusTooManyRequests {
			t.Errorf("%s is not locked: %s", user, res.Status)
		}
	}
	failed := f.audit("signin.failed")
	if len(failed) != 12 || failed[0].Actor != "anonymous" || failed[0].Target != "a viewer" || failed[0].Address != "127.0.0.1" || failed[11].Target != "" {
		t.Errorf("audited %d failures: %+v", len(failed), failed)
	}
	if n := len(f.audit("signin.locked")); n != 2 {
		t.Errorf("audited %d lockouts", n)
	}
}

func TestSigningOutEndsTheSession(t *testing.T) {
	b := start(t).signIn(inventory.RoleOperator)
	res, _ := b.do("DELETE", "/session", "", csrfHeader, b.session.CSRF)
	if res.StatusCode != http.StatusNoContent || len(res.Cookies()) != 1 || res.Cookies()[0].MaxAge >= 0 {
		t.Errorf("%s, cookies %v", res.Status, res.Cookies())
	}
	res, _ = b.do("GET", "/session", "")
	if res.StatusCode != http.StatusUnauthorized || res.Header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("%s %s", res.Status, res.Header.Get("WWW-Authenticate"))
	}
	if n := len(b.audit("signout")); n != 1 {
		t.Errorf("%d sign-outs are audited", n)
	}
}

func TestChangingThePassword(t *testing.T) {
	b := start(t).signIn(inventory.RoleViewer)
	csrf := []string{csrfHeader, b.session.CSRF}
	text := b.status(http.StatusUnprocessableEntity, "PUT", "/session/password", `{"current":"wrong","password":"a new long password"}`, csrf...)
	if !strings.Contains(text, "body.current") {
		t.Errorf("refused with %s", text)
	}
	b.status(http.StatusUnprocessableEntity, "PUT", "/session/password", `{"current":"correct horse battery","password":"short"}`, csrf...)
	b.status(http.StatusNoContent, "PUT", "/session/password", `{"current":"correct horse battery","password":"a new long password"}`, csrf...)
	res, _ := b.ask("POST", "/api/v1/session", `{"user":"a viewer","password":"a new long password"}`)
	if res.StatusCode != http.StatusOK {
		t.Errorf("the new password: %s", res.Status)
	}
	_, err := b.client.Session(t.Context())
	b.ok(err)
	p := b.problem("PUT", "/api/v1/session/password", `{"current":"x","password":"a new long password"}`)
	if p.Status != http.StatusForbidden {
		t.Errorf("a token changed a password: %+v", p)
	}
}

func TestATokenGoesBeforeACookie(t *testing.T) {
	b := start(t).signIn(inventory.RoleViewer)
	text := b.status(http.StatusOK, "GET", "/session", "", "Authorization", "Bearer "+b.client.Token)
	if !strings.Contains(text, `"role":"operator"`) {
		t.Errorf("I am %s", text)
	}
	b.status(http.StatusUnauthorized, "GET", "/session", "", "Authorization", "Bearer mft_wrong")
}

func TestARefusedSignInAtTheProviderIsToldByTheConsole(t *testing.T) {
	f := start(t)
	f.server.Auth.Trust(auth.ProviderConfig{Name: "Example", Issuer: "https://127.0.0.1:1", ClientID: "mailfleet", Redirect: f.web.URL + "/api/v1/oidc/callback"})
	browser := *f.web.Client()
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for path, want := range map[string]string{
		"/api/v1/oidc/start":                    "/?refused=unavailable",
		"/api/v1/oidc/callback?code=c&state=s":  "/?refused=unauthorized",
		"/api/v1/oidc/callback?error=%3Cb%3E&x": "/?refused=unauthorized",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.web.URL+path, nil)
		f.ok(err)
		res, err := browser.Do(req)
		f.ok(err)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusFound || res.Header.Get("Location") != want || strings.Contains(strings.Join(res.Header.Values("Set-Cookie"), ";"), "__Host-mailfleet=") {
			t.Errorf("%s: %s to %q", path, res.Status, res.Header.Get("Location"))
		}
	}
}
