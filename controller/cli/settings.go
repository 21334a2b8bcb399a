package cli

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"mailfleet/controller/api"
)

// defaultDev is the dev fleet that is asked when nothing else is given.
const defaultDev = ".dev"

// settings say which controller to ask, and how to print.
type settings struct {
	address, token, ca, dev, output string
}

func (s *settings) flags(c *cobra.Command) {
	f := c.PersistentFlags()
	f.StringVar(&s.address, "address", "", "the controller, such as https://controller:8443 (MAILFLEET_ADDRESS)")
	f.StringVar(&s.token, "token", "", "API token; others on this machine can see it here, better set MAILFLEET_TOKEN")
	f.StringVar(&s.ca, "ca", "", "file with the certificate authority of the fleet (MAILFLEET_CA); absent: the system's")
	f.StringVar(&s.dev, "dev", "", "directory of a dev fleet to ask (default "+defaultDev+", if there is one and no address is given)")
	f.StringVarP(&s.output, "output", "o", "table", "table or json")
}

// client returns the client of the controller that flags, environment or a dev
// fleet name.
func (s *settings) client() (*api.Client, error) {
	if s.output != "table" && s.output != "json" {
		return nil, usagef("--output is table or json, not %q", s.output)
	}
	address, token, ca := s.address, s.token, s.ca
	for value, name := range map[*string]string{&address: "MAILFLEET_ADDRESS", &token: "MAILFLEET_TOKEN", &ca: "MAILFLEET_CA"} {
		if *value == "" && s.dev == "" {
			*value = os.Getenv(name)
		}
	}
	if address == "" {
		dev, err := s.devFleet()
		if err != nil {
			return nil, err
		}
		address = dev.Console
		if token == "" {
			token = dev.Token
		}
		if ca == "" {
			ca = dev.CA
		}
	}
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	if token == "" {
		return nil, usagef("give an API token: --token or MAILFLEET_TOKEN")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if ca != "" {
		roots, err := authority(ca)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &api.Client{Base: address, Token: token, HTTP: &http.Client{Transport: transport}}, nil
}

// devFleet is what a dev fleet tells of its controller.
type devFleet struct {
	Console string `json:"console"`
	CA      string `json:"ca"`
	Token   string `json:"token"`
}

func (s *settings) devFleet() (d devFleet, err error) {
	dir := s.dev
	if dir == "" {
		dir = defaultDev
	}
	file := filepath.Join(dir, "dev.json")
	b, err := os.ReadFile(file)
	if s.dev == "" && errors.Is(err, fs.ErrNotExist) {
		return d, usagef("say which controller to ask: --address or MAILFLEET_ADDRESS, or --dev with a dev fleet's directory")
	}
	if err != nil {
		return d, usagef("read the dev fleet: %w", err)
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return d, usagef("read the dev fleet: %s: %w", file, err)
	}
	return d, nil
}

func authority(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, usagef("read the certificate authority: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, Usage(fmt.Errorf("%s holds no certificate in PEM form", file))
	}
	return roots, nil
}
