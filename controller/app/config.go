package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"mailfleet/inventory"
)

// Config is everything a controller can be told: one YAML file. Unknown keys
// are errors. `config describe` prints it with these texts.
type Config struct {
	Dir      string        `yaml:"dir" default:"/var/lib/mailfleet" doc:"Where everything is kept: database, samples, certificate authority. One controller at a time."`
	Name     string        `yaml:"name" default:"controller" doc:"This controller's name among the members of the fleet."`
	Listen   string        `yaml:"listen" default:"0.0.0.0:8443" doc:"Address and port of console, API and agents' links (HTTPS)."`
	URL      string        `yaml:"url" doc:"How agents and browsers reach this controller, e.g. https://fleet.example.com:8443. Empty: made from listen."`
	Names    []string      `yaml:"names" doc:"More host names and IP addresses to put into the controller's certificate."`
	Gossip   GossipConfig  `yaml:"gossip"`
	Samples  SamplesConfig `yaml:"samples"`
	SMS      SMSConfig     `yaml:"sms"`
	OpenID   OpenIDConfig  `yaml:"openid"`
	LogLevel string        `yaml:"log_level" default:"info" doc:"debug, info, warn or error."`
}

// GossipConfig is how members of the fleet watch each other.
type GossipConfig struct {
	Listen    string `yaml:"listen" default:"0.0.0.0:7946" doc:"Address and port (UDP and TCP). Agents use the same port."`
	Advertise string `yaml:"advertise" doc:"host:port that agents reach it at. Empty: listen itself, or the host of url when listen names no address."`
}

// SamplesConfig is how servers are sampled.
type SamplesConfig struct {
	Interval  time.Duration `yaml:"interval" default:"300s" doc:"Time between two samples of a server; at least 1s."`
	Retention time.Duration `yaml:"retention" default:"9600h" doc:"How long samples are kept (9600h = 400 days)."`
}

// SMSConfig is how text messages leave.
type SMSConfig struct {
	Gateway  string       `yaml:"gateway" default:"spool" doc:"spool (a file and the console's SMS page) or kannel."`
	Together int          `yaml:"together" default:"3" doc:"So many servers of a region that go down, or come back, together are told of in one text; 2 to 10000."`
	Kannel   KannelConfig `yaml:"kannel"`
}

// KannelConfig is for gateway kannel.
type KannelConfig struct {
	URL          string `yaml:"url" doc:"Of Kannel's sendsms, e.g. http://127.0.0.1:13013/cgi-bin/sendsms."`
	User         string `yaml:"user" doc:"sendsms user name."`
	PasswordFile string `yaml:"password_file" doc:"File that holds the sendsms password, readable by the controller only."`
	ReportURL    string `yaml:"report_url" doc:"Where Kannel reaches this controller with delivery reports. Empty: /sms/report at url."`
	From         string `yaml:"from" doc:"Sender shown on the phone. Empty: the gateway's."`
}

// ConfigError says what is wrong with a configuration file, and where.
type ConfigError struct {
	File string
	Line int // 0: not known
	Text string
}

func (e *ConfigError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

// DefaultConfig is the configuration of an empty file.
func DefaultConfig() Config {
	var c Config
	eachField(reflect.ValueOf(&c).Elem(), nil, func(f field) {
		if f.def == "" {
			return
		}
		switch v := f.value.Addr().Interface().(type) {
		case *string:
			*v = f.def
		case *int:
			*v, _ = strconv.Atoi(f.def)
		case *time.Duration:
			*v, _ = time.ParseDuration(f.def) // a test reads every default
		}
	})
	return c
}

// LoadConfig reads and checks a file. Every error is a *ConfigError.
func LoadConfig(file string) (Config, error) {
	c := DefaultConfig()
	text, err := os.ReadFile(file)
	if err != nil {
		var perr *os.PathError
		if errors.As(err, &perr) {
			err = perr.Err
		}
		return c, &ConfigError{File: file, Text: fmt.Sprintf("cannot read the configuration: %v", err)}
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return c, yamlError(file, err)
	}
	var root yaml.Node
	_ = yaml.Unmarshal(text, &root) // it has just been read without error
	if err := c.validate(); err != nil {
		e := &ConfigError{File: file, Text: err.Error()}
		if at, ok := errors.AsType[*inventory.Error](err); ok {
			e.Line = lineOf(&root, strings.Split(at.Field, "."))
		}
		return c, e
	}
	return c, nil
}

var (
	unknownKey = regexp.MustCompile(`^line (\d+): field (\S+) not found in type`)
	atLine     = regexp.MustCompile(`^(?:yaml: )?line (\d+): (?s:(.*))$`)
)

// yamlError turns the library's errors into one sentence with the line.
func yamlError(file string, err error) error {
	text := err.Error()
	if t, ok := errors.AsType[*yaml.TypeError](err); ok && len(t.Errors) > 0 {
		text = t.Errors[0]
	}
	if m := unknownKey.FindStringSubmatch(text); m != nil {
		line, _ := strconv.Atoi(m[1])
		return &ConfigError{File: file, Line: line, Text: fmt.Sprintf("there is no setting %q here", m[2])}
	}
	if m := atLine.FindStringSubmatch(text); m != nil {
		line, _ := strconv.Atoi(m[1])
		return &ConfigError{File: file, Line: line, Text: m[2]}
	}
	return &ConfigError{File: file, Text: strings.TrimPrefix(text, "yaml: ")}
}

// lineOf finds the line a setting stands on; 0 when it is not in the file.
func lineOf(n *yaml.Node, path []string) int {
	if n.Kind == yaml.DocumentNode && len(n.Content) > 0 {
		return lineOf(n.Content[0], path)
	}
	if n.Kind != yaml.MappingNode {
		return 0
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value != path[0] {
			continue
		}
		if len(path) > 1 {
			return lineOf(n.Content[i+1], path[1:])
		}
		return n.Content[i].Line
	}
	return 0
}

// Validated returns the configuration checked and with what can be derived filled in.
func (c Config) Validated() (Config, error) {
	err := c.validate()
	return c, err
}

// validate checks what the types cannot, and derives what was left empty.
func (c *Config) validate() error {
	if c.Dir == "" {
		return inventory.FieldErrorf("dir", "dir must name a directory")
	}
	if err := inventory.CheckName("name", c.Name); err != nil {
		return err
	}
	host, port, err := hostPort("listen", c.Listen)
	if err != nil {
		return err
	}
	if c.URL == "" {
		if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
			if host, err = os.Hostname(); err != nil {
				return inventory.FieldErrorf("url", "url must be given: this machine has no host name")
			}
		}
		c.URL = "https://" + net.JoinHostPort(host, port)
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" {
		return inventory.FieldErrorf("url", "url %q must look like https://host:port", c.URL)
	}
	gossipHost, gossipPort, err := hostPort("gossip.listen", c.Gossip.Listen)
	if err != nil {
		return err
	}
	gossipIP, err := netip.ParseAddr(gossipHost)
	if err != nil {
		return inventory.FieldErrorf("gossip.listen", "gossip.listen %q must begin with an IP address", c.Gossip.Listen)
	}
	if c.Gossip.Advertise == "" {
		if gossipIP.IsUnspecified() {
			gossipHost = u.Hostname()
		}
		c.Gossip.Advertise = net.JoinHostPort(gossipHost, gossipPort)
	}
	if _, _, err := hostPort("gossip.advertise", c.Gossip.Advertise); err != nil {
		return err
	}
	if c.Samples.Interval < time.Second {
		return inventory.FieldErrorf("samples.interval", "samples.interval %s is shorter than 1s", c.Samples.Interval)
	}
	if c.Samples.Retention < 24*time.Hour {
		return inventory.FieldErrorf("samples.retention", "samples.retention %s is shorter than a day", c.Samples.Retention)
	}
	switch c.LogLevel {
	case "debug", "info", "warn", "error":
	default:
		return inventory.FieldErrorf("log_level", "log_level %q is not debug, info, warn or error", c.LogLevel)
	}
	if err := c.SMS.validate(); err != nil {
		return err
	}
	return c.OpenID.validate()
}

func (c *SMSConfig) validate() error {
	if c.Together < 2 || c.Together > 10000 {
		return inventory.FieldErrorf("sms.together", "sms.together %d is not between 2 and 10000", c.Together)
	}
	switch c.Gateway {
	case "spool":
		return nil
	case "kannel":
	default:
		return inventory.FieldErrorf("sms.gateway", "sms.gateway %q is not spool or kannel", c.Gateway)
	}
	if u, err := url.Parse(c.Kannel.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return inventory.FieldErrorf("sms.kannel.url", "sms.kannel.url %q must look like http://host:13013/cgi-bin/sendsms", c.Kannel.URL)
	}
	if c.Kannel.User == "" {
		return inventory.FieldErrorf("sms.kannel.user", "sms.kannel.user must be given")
	}
	if _, err := os.Stat(c.Kannel.PasswordFile); err != nil {
		return inventory.FieldErrorf("sms.kannel.password_file", "sms.kannel.password_file %q cannot be read", c.Kannel.PasswordFile)
	}
	return nil
}

func hostPort(name, s string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(s)
	if err != nil {
		return "", "", inventory.FieldErrorf(name, "%s %q must look like address:port", name, s)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "", "", inventory.FieldErrorf(name, "%s: port %q is not between 0 and 65535", name, port)
	}
	return host, port, nil
}

// field is one setting met on a walk over Config.
type field struct {
	path  []string
	value reflect.Value
	doc   string
	def   string
}

// eachField visits every setting, groups before their members.
func eachField(v reflect.Value, path []string, visit func(field)) {
	for i := range v.NumField() {
		t := v.Type().Field(i)
		at := append(path[:len(path):len(path)], t.Tag.Get("yaml"))
		visit(field{path: at, value: v.Field(i), doc: t.Tag.Get("doc"), def: t.Tag.Get("default")})
		if t.Type.Kind() == reflect.Struct {
			eachField(v.Field(i), at, visit)
		}
	}
}

// DescribeConfig writes an annotated file of all settings at their defaults.
func DescribeConfig(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Configuration of mailfleet-controller. Every setting may be left out.\n")
	c := DefaultConfig()
	eachField(reflect.ValueOf(&c).Elem(), nil, func(f field) {
		indent := strings.Repeat("  ", len(f.path)-1)
		name := f.path[len(f.path)-1]
		b.WriteByte('\n')
		switch v := f.value.Interface().(type) {
		case string:
			fmt.Fprintf(&b, "%s# %s\n%s%s: %q\n", indent, f.doc, indent, name, v)
		case int:
			fmt.Fprintf(&b, "%s# %s\n%s%s: %d\n", indent, f.doc, indent, name, v)
		case time.Duration:
			fmt.Fprintf(&b, "%s# %s\n%s%s: %s\n", indent, f.doc, indent, name, f.def)
		case []string:
			fmt.Fprintf(&b, "%s# %s\n%s%s: []\n", indent, f.doc, indent, name)
		default:
			fmt.Fprintf(&b, "%s%s:\n", indent, name)
		}
	})
	_, err := io.WriteString(w, b.String())
	return err
}
