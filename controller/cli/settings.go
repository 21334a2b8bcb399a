package cli

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mailfleet/controller/api"
)

// defaultDev is the dev fleet that is asked when nothing else is given.
const defaultDev = ".dev"

// settings say which controller to ask, and how to print.
type settings struct {
	address, token, tokenFile, ca, dev, context, output string
}

func (s *settings) flags(c *cobra.Command) {
	f := c.PersistentFlags()
	f.StringVar(&s.address, "address", "", "the controller, such as https://controller:8443 (MAILFLEET_ADDRESS)")
	f.StringVar(&s.token, "token", "", "API token; others on this machine can see it here: better --token-file or MAILFLEET_TOKEN")
	f.StringVar(&s.tokenFile, "token-file", "", "file that holds the API token (MAILFLEET_TOKEN_FILE)")
	f.StringVar(&s.ca, "ca", "", "file with the certificate authority of the fleet (MAILFLEET_CA); absent: the system's")
	f.StringVar(&s.dev, "dev", "", "directory of a dev fleet to ask (default "+defaultDev+", if there is one and no address is given)")
	f.StringVar(&s.context, "context", "", "a controller kept under this name (MAILFLEET_CONTEXT; see: context)")
	f.StringVarP(&s.output, "output", "o", "table", "table, json or csv")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("context", contextNames)
}

// outputs are the forms that things are printed in.
var outputs = []string{"table", "json", "csv"}

// place finds out which controller is asked: flags go before the environment,
// that before a context, and that before a dev fleet in this directory. --dev
// and --context leave the environment out.
func (s *settings) place() (target, string, error) {
	t, token := target{Address: s.address, CA: s.ca, TokenFile: s.tokenFile}, s.token
	if s.dev == "" && s.context == "" {
		for value, name := range map[*string]string{
			&t.Address: "MAILFLEET_ADDRESS", &token: "MAILFLEET_TOKEN", &t.CA: "MAILFLEET_CA", &t.TokenFile: "MAILFLEET_TOKEN_FILE",
		} {
			*value = cmp.Or(*value, os.Getenv(name))
		}
	}
	if t.Address == "" && s.dev == "" {
		kept, ok, err := chosen(s.context)
		if err != nil {
			return t, "", err
		}
		if ok {
			t.Address, t.CA, t.TokenFile = kept.Address, cmp.Or(t.CA, kept.CA), cmp.Or(t.TokenFile, kept.TokenFile)
		}
	}
	if t.Address == "" {
		dev, err := s.devFleet()
		if err != nil {
			return t, "", err
		}
		t.Address, t.CA = dev.Console, cmp.Or(t.CA, dev.CA)
		if t.TokenFile == "" {
			token = cmp.Or(token, dev.Token)
		}
	}
	if token == "" && t.TokenFile != "" {
		b, err := os.ReadFile(t.TokenFile)
		if err != nil {
			return t, "", usagef("read the API token: %w", err)
		}
		token = strings.TrimSpace(string(b))
	}
	if token == "" {
		return t, "", usagef("give an API token: --token-file, MAILFLEET_TOKEN or MAILFLEET_TOKEN_FILE")
	}
	return t, token, nil
}

// client returns the client of the controller that flags, environment or a dev
// fleet name.
func (s *settings) client() (*api.Client, error) {
	if !slices.Contains(outputs, s.output) {
		return nil, usagef("--output is table, json or csv, not %q", s.output)
	}
	t, token, err := s.place()
	if err != nil {
		return nil, err
	}
	address, ca := t.Address, t.CA
	if !strings.Contains(address, "://") {
		address = "https://" + address
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
