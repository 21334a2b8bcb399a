package app

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

// OpenIDConfig names an OpenID provider that people may sign in through.
type OpenIDConfig struct {
	Issuer     string   `yaml:"issuer" doc:"URL of an OpenID provider that people may sign in through, as it names itself. Empty: passwords only. Register <url>/api/v1/oidc/callback there."`
	Name       string   `yaml:"name" doc:"What people know it by. Empty: the issuer's host."`
	ClientID   string   `yaml:"client_id" doc:"This controller's name there."`
	SecretFile string   `yaml:"secret_file" doc:"File that holds the client's secret, readable by the controller only. Empty: a public client, PKCE alone protects the code."`
	CAFile     string   `yaml:"ca_file" doc:"File with the authority of its certificate. Empty: the system's."`
	Claim      string   `yaml:"claim" default:"email" doc:"Claim that holds a person's email here."`
	Role       string   `yaml:"role" doc:"Role of people whom nobody has added: viewer, domain-admin… Empty: only people that were added get in."`
	Scope      []string `yaml:"scope" doc:"Where that role holds: fleet, tenant:NAME, domain:NAME."`
}

func (c *OpenIDConfig) validate() error {
	if c.Issuer == "" {
		return nil
	}
	u, err := url.Parse(c.Issuer)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "":
		return inventory.FieldErrorf("openid.issuer", "openid.issuer %q must look like https://id.example.com", c.Issuer)
	case c.ClientID == "":
		return inventory.FieldErrorf("openid.client_id", "openid.client_id must be given")
	case c.Role != "" && !slices.Contains(inventory.Roles, inventory.Role(c.Role)):
		return inventory.FieldErrorf("openid.role", "openid.role %q is not a role", c.Role)
	}
	for name, file := range map[string]string{"openid.secret_file": c.SecretFile, "openid.ca_file": c.CAFile} {
		if file == "" {
			continue
		}
		if _, err := os.Stat(file); err != nil {
			return inventory.FieldErrorf(name, "%s %q cannot be read", name, file)
		}
	}
	if c.Name == "" {
		c.Name = u.Host
	}
	return nil
}

// provider is what the gate is to trust; nil: nobody. at is the controller's URL.
func (c *OpenIDConfig) provider(at string) (*auth.ProviderConfig, error) {
	if c.Issuer == "" {
		return nil, nil
	}
	p := &auth.ProviderConfig{
		Name: c.Name, Issuer: c.Issuer, ClientID: c.ClientID, Redirect: at + "/api/v1/oidc/callback",
		Claim: c.Claim, Role: inventory.Role(c.Role),
	}
	for _, s := range c.Scope {
		p.Scope = append(p.Scope, inventory.Scope(s))
	}
	if c.SecretFile != "" {
		text, err := os.ReadFile(c.SecretFile)
		if err != nil {
			return nil, err
		}
		p.Secret = strings.TrimSpace(string(text))
	}
	if c.CAFile != "" {
		text, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return nil, inventory.FieldErrorf("openid.ca_file", "%s holds no certificate", c.CAFile)
		}
		p.HTTP = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, Proxy: http.ProxyFromEnvironment}}
	}
	return p, nil
}
