package dev

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// Info is dev.json: all that a script needs to use the fleet.
type Info struct {
	Console  string       `json:"console"`
	CA       string       `json:"ca"` // file
	Token    string       `json:"token"`
	Operator Operator     `json:"operator"`
	Servers  []ServerInfo `json:"servers"`
	Users    []UserInfo   `json:"users"`
}

// Operator signs in to the console.
type Operator struct {
	User     string `json:"user"`
	Password string `json:"password"`
}

// ServerInfo is one server.
type ServerInfo struct {
	ID      inventory.ID   `json:"id"`
	Name    string         `json:"name"`
	Address string         `json:"address"`
	Ports   map[string]int `json:"ports"`
}

// UserInfo is one mail user; Server is the id of the home server.
type UserInfo struct {
	Address  string       `json:"address"`
	Password string       `json:"password"`
	Server   inventory.ID `json:"server"`
}

const (
	domain     = "example.test"
	users      = 6
	oncall     = "值班 On-call"
	oncallTel  = "+8613800138000"
	tokenLife  = 10 * 365 * 24 * time.Hour
	retryEvery = 100 * time.Millisecond
)

// ports are the standard ones plus 1000, so that no privilege is needed.
func ports() map[string]int {
	return map[string]int{
		"smtp": 1025, "submission": 1587, "submissions": 1465, "pop3": 1110, "pop3s": 1995,
		"imap": 1143, "imaps": 1993, "http": 1080, "https": 1443, "peer": 9835,
	}
}

// client speaks to the controller with the operator token.
func (f *fleet) client() *api.Client {
	return &api.Client{Base: f.url, Token: f.info.Token, HTTP: &http.Client{Transport: f.transport}}
}

// trust makes the transport that knows the fleet's CA; it exists once the
// controller has started.
func (f *fleet) trust() error {
	ca, err := os.ReadFile(f.caFile())
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return fmt.Errorf("%s holds no certificate", f.caFile())
	}
	f.transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}}
	return nil
}

func (f *fleet) caFile() string { return filepath.Join(f.controllerDir(), "ca.crt") }

// until tries again and again until try succeeds or ctx ends.
func until(ctx context.Context, what string, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w (last: %w)", what, ctx.Err(), err)
		case <-time.After(retryEvery):
		}
	}
}

// awaitController waits until the API answers.
func (f *fleet) awaitController(ctx context.Context) error {
	return until(ctx, "wait for the controller (see "+f.logFile("controller")+")", func() error {
		if err := f.trust(); err != nil {
			return err
		}
		_, err := (&api.Client{Base: f.url, HTTP: &http.Client{Transport: f.transport}}).Status(ctx)
		if _, answered := errors.AsType[*api.Problem](err); answered {
			return nil // it wants a token, so it is there
		}
		return err
	})
}

// seed makes what is missing of servers, domain, users and the on-call phone,
// and writes dev.json.
func (f *fleet) seed(ctx context.Context) error {
	if text, err := os.ReadFile(filepath.Join(f.Dir, infoFile)); err == nil {
		if err := json.Unmarshal(text, &f.info); err != nil {
			return fmt.Errorf("%s: %w", infoFile, err)
		}
	}
	f.info.Console, f.info.CA = f.url, f.caFile()
	if f.info.Token == "" {
		if err := f.signIn(ctx); err != nil {
			return err
		}
		if err := f.save(); err != nil { // the token is shown this once
			return err
		}
	}
	c := f.client()
	if err := f.seedServers(ctx, c); err != nil {
		return err
	}
	if err := f.seedUsers(ctx, c); err != nil {
		return err
	}
	if _, err := c.CreateContact(ctx, api.NewContact{Name: oncall, Phone: oncallTel, Language: "zh"}); err != nil && !exists(err) {
		return err
	}
	return f.save()
}

func (f *fleet) save() error {
	text, err := json.MarshalIndent(f.info, "", "  ")
	if err != nil {
		return err
	}
	tmp := filepath.Join(f.Dir, infoFile+".tmp")
	if err := os.WriteFile(tmp, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(f.Dir, infoFile))
}

// exists tells whether something was there already.
func exists(err error) bool {
	p, ok := errors.AsType[*api.Problem](err)
	return ok && p.Status == http.StatusConflict
}

// missing tells whether something is not there.
func missing(err error) bool {
	p, ok := errors.AsType[*api.Problem](err)
	return ok && p.Status == http.StatusNotFound
}

// signIn uses the one-time password of the first start to make a token, as an
// operator would in the console.
func (f *fleet) signIn(ctx context.Context) error {
	password, err := os.ReadFile(filepath.Join(f.controllerDir(), "operator.password"))
	if err != nil {
		return fmt.Errorf("read the operator's one-time password: %w", err)
	}
	f.info.Operator = Operator{User: "operator", Password: strings.TrimSpace(string(password))}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	browser := &http.Client{Transport: f.transport, Jar: jar}
	var session api.Session
	if err := f.post(ctx, browser, "session", "", api.SignIn{User: f.info.Operator.User, Password: f.info.Operator.Password}, &session); err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	var token api.IssuedToken
	ask := api.NewToken{Name: "dev", Role: inventory.RoleOperator, Expires: api.Expiry{For: tokenLife}}
	if err := f.post(ctx, browser, "tokens", session.CSRF, ask, &token); err != nil {
		return fmt.Errorf("make an API token: %w", err)
	}
	f.info.Token = token.Secret
	return nil
}

// post is a console's change: a cookie and a CSRF token instead of a bearer token.
func (f *fleet) post(ctx context.Context, browser *http.Client, path, csrf string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url+"/api/v1/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-CSRF-Token", csrf)
	res, err := browser.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s: %s", res.Status, answer)
	}
	return json.Unmarshal(answer, out)
}

func (f *fleet) seedServers(ctx context.Context, c *api.Client) error {
	regions := []string{"cn-north", "cn-south", "hk"}
	servers := make([]ServerInfo, 0, f.Servers)
	for i := range f.Servers {
		name := fmt.Sprintf("mail%d", i+1)
		_, err := c.AddServer(ctx, api.NewServer{
			Name: name, Address: f.address(i + 1), Region: regions[i%len(regions)], Ports: ports(),
			Labels: map[string]string{"fleet": "dev"},
		})
		if err != nil && !exists(err) {
			return err
		}
		s, err := c.Server(ctx, name)
		if err != nil {
			return err
		}
		if _, err := c.Power(ctx, name); err != nil {
			if !missing(err) {
				return err
			}
			if _, err := c.SetPower(ctx, name, 0, api.NewPower{Kind: inventory.PowerDev}); err != nil {
				return err
			}
		}
		servers = append(servers, ServerInfo{ID: s.ID, Name: s.Name, Address: s.Address, Ports: ports()})
	}
	f.info.Servers = servers
	return nil
}

func (f *fleet) seedUsers(ctx context.Context, c *api.Client) error {
	if _, err := c.CreateDomain(ctx, api.NewDomain{Name: domain}); err != nil && !exists(err) {
		return err
	}
	known := make(map[string]UserInfo)
	for _, u := range f.info.Users {
		known[u.Address] = u
	}
	f.info.Users = nil
	for i := range users {
		home := f.info.Servers[i%len(f.info.Servers)]
		u := UserInfo{Address: fmt.Sprintf("user%d@%s", i+1, domain), Password: strings.ToLower(rand.Text()[:16]), Server: home.ID}
		if old, ok := known[u.Address]; ok {
			f.info.Users = append(f.info.Users, old)
			continue
		}
		a, err := c.CreateAccount(ctx, api.NewAccount{Address: u.Address, Name: fmt.Sprintf("User %d", i+1), Password: u.Password, Server: home.Name})
		if exists(err) { // made by a run that was cut short before it wrote the password down
			if a, err = c.Account(ctx, u.Address); err == nil {
				a, err = c.ChangeAccount(ctx, string(a.ID), 0, api.AccountChange{Password: &u.Password})
			}
		}
		if err != nil {
			return err
		}
		u.Server = a.Server
		f.info.Users = append(f.info.Users, u)
	}
	_, err := c.ReplaceDomain(ctx, domain, 0, api.NewDomain{Name: domain, Postmaster: f.info.Users[0].Address})
	return err
}

// awaitReady waits until every server is up, every mailnode runs and every
// server has samples.
func (f *fleet) awaitReady(ctx context.Context) error {
	c := f.client()
	return until(ctx, "wait for the fleet to be ready", func() error {
		for _, s := range f.info.Servers {
			server, err := c.Server(ctx, string(s.ID))
			if err != nil {
				return err
			}
			if server.State != inventory.ServerUp {
				return fmt.Errorf("%s is %s (see %s)", s.Name, server.State, f.logFile(s.Name))
			}
			for _, v := range server.Services {
				if v.Want == inventory.WantRunning && v.State != inventory.ServiceRunning {
					return fmt.Errorf("%s on %s is %s (see %s)", v.Name, s.Name, v.State, f.logFile(s.Name))
				}
			}
			samples, err := c.ServerSamples(ctx, string(s.ID), api.SampleQuery{})
			if err != nil {
				return err
			}
			if len(samples.Metrics) == 0 {
				return fmt.Errorf("%s has no samples (see %s)", s.Name, f.logFile(s.Name))
			}
		}
		return nil
	})
}
