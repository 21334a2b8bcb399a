package power

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

const (
	redfishRoot = "/redfish/v1/"
	// maxResource bounds what is read of one answer, in octets.
	maxResource = 1 << 20
)

// redfish is a DMTF Redfish service over HTTPS (DSP0266), known by a
// certificate authority or by its certificate's SHA-256.
type redfish struct {
	base     *url.URL // its path: of the system, or empty when there is only one
	user     string
	password string
	http     *http.Client
}

func newRedfish(how api.OrderPower, password string, roots *x509.CertPool) (*redfish, error) {
	address := how.Address
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, inventory.FieldErrorf("address", "address %q must look like https://host or https://host/redfish/v1/Systems/1", how.Address)
	}
	if strings.Trim(u.Path, "/") == strings.Trim(redfishRoot, "/") {
		u.Path = ""
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if how.TLSPin != "" {
		if err := pin(config, how.TLSPin); err != nil {
			return nil, err
		}
	}
	return &redfish{base: u, user: how.User, password: password, http: &http.Client{
		Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, TLSHandshakeTimeout: 10 * time.Second},
		// A redirect could carry the password elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

var errPin = inventory.Fail("its certificate is not the one that was pinned")

// pin makes a certificate's SHA-256 what is trusted, instead of an authority.
func pin(config *tls.Config, text string) error {
	want, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
	if err != nil || len(want) != sha256.Size {
		return inventory.FieldErrorf("tls_pin", "tls_pin must be 64 hexadecimal digits: a certificate's SHA-256")
	}
	config.InsecureSkipVerify = true // the pin is checked instead
	config.VerifyConnection = func(s tls.ConnectionState) error {
		got := sha256.Sum256(s.PeerCertificates[0].Raw)
		if subtle.ConstantTimeCompare(got[:], want) != 1 {
			return errPin
		}
		return nil
	}
	return nil
}

// link is how Redfish points to a resource.
type link struct {
	ID string `json:"@odata.id"`
}

// system is what is read of a ComputerSystem.
type system struct {
	PowerState string `json:"PowerState"`
	Actions    struct {
		Reset struct {
			Target string   `json:"target"`
			Values []string `json:"ResetType@Redfish.AllowableValues"`
			Info   string   `json:"@Redfish.ActionInfo"`
		} `json:"#ComputerSystem.Reset"`
	} `json:"Actions"`
}

// actionInfo tells the values of an action's parameters.
type actionInfo struct {
	Parameters []struct {
		Name   string   `json:"Name"`
		Values []string `json:"AllowableValues"`
	} `json:"Parameters"`
}

func (d *redfish) Status(ctx context.Context) (inventory.PowerState, error) {
	state := inventory.PowerUnknown
	err := d.session(ctx, func(s *redfishSession) error {
		system, err := s.system(ctx)
		if err == nil {
			state = powerState(system.PowerState)
		}
		return err
	})
	return state, err
}

// powerState reads a PowerState: On, Off and, on the way, PoweringOn and PoweringOff.
func powerState(text string) inventory.PowerState {
	switch text {
	case "On", "PoweringOff", "Paused":
		return inventory.PowerOn
	case "Off", "PoweringOn":
		return inventory.PowerOff
	default:
		return inventory.PowerUnknown
	}
}

func (d *redfish) On(ctx context.Context) error {
	return d.reset(ctx, "On", "ForceOn", "PushPowerButton")
}

func (d *redfish) Off(ctx context.Context) error { return d.reset(ctx, "ForceOff") }

func (d *redfish) Cycle(ctx context.Context) error {
	return d.reset(ctx, "PowerCycle", "ForceRestart", "FullPowerCycle")
}

// reset performs ComputerSystem.Reset with the first of these types that the
// system allows; the first of all when it does not tell.
func (d *redfish) reset(ctx context.Context, types ...string) error {
	return d.session(ctx, func(s *redfishSession) error {
		system, err := s.system(ctx)
		if err != nil {
			return err
		}
		allowed := system.Actions.Reset.Values
		if info := system.Actions.Reset.Info; len(allowed) == 0 && info != "" {
			var a actionInfo
			if err := s.call(ctx, http.MethodGet, info, nil, &a); err != nil {
				return err
			}
			for _, p := range a.Parameters {
				if p.Name == "ResetType" {
					allowed = p.Values
				}
			}
		}
		if system.Actions.Reset.Target == "" {
			return inventory.Fail("the system at %s cannot be switched through Redfish: it has no reset action", d.base.Host)
		}
		kind, err := choose(types, allowed)
		if err != nil {
			return inventory.Fail("the system at %s: %v", d.base.Host, err)
		}
		return s.call(ctx, http.MethodPost, system.Actions.Reset.Target, map[string]string{"ResetType": kind}, nil)
	})
}

// choose takes the first type that is allowed.
func choose(types, allowed []string) (string, error) {
	if len(allowed) == 0 {
		return types[0], nil
	}
	for _, t := range types {
		if slices.Contains(allowed, t) {
			return t, nil
		}
	}
	return "", inventory.Fail("%v: it allows none of %s", errUnsupported, strings.Join(types, ", "))
}

// redfishSession is being signed in, by a token or, where there are no
// sessions, by the password with every request.
type redfishSession struct {
	*redfish
	token    string
	location string // of the session, to end it
}

// session signs in for fn and out again.
func (d *redfish) session(ctx context.Context, fn func(*redfishSession) error) error {
	s := &redfishSession{redfish: d}
	err := s.signIn(ctx)
	if err != nil {
		return err
	}
	err = fn(s)
	if s.location != "" {
		leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
		defer cancel()
		_ = s.call(leaving, http.MethodDelete, s.location, nil, nil) // it ends by itself too
	}
	return err
}

func (s *redfishSession) signIn(ctx context.Context) error {
	res, err := s.do(ctx, http.MethodPost, redfishRoot+"SessionService/Sessions", map[string]string{"UserName": s.user, "Password": s.password})
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	switch res.StatusCode {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return nil // no sessions here: the password goes with every request
	case http.StatusOK, http.StatusCreated:
		s.token, s.location = res.Header.Get("X-Auth-Token"), res.Header.Get("Location")
		if s.token == "" {
			return inventory.Fail("%s made a Redfish session without a token", s.base.Host)
		}
		return nil
	default:
		return s.refused(res)
	}
}

// system finds and reads the system: the one named, or the only one.
func (s *redfishSession) system(ctx context.Context) (system, error) {
	var out system
	if s.base.Path != "" {
		return out, s.call(ctx, http.MethodGet, s.base.Path, nil, &out)
	}
	var root struct {
		Systems link `json:"Systems"`
	}
	if err := s.call(ctx, http.MethodGet, redfishRoot, nil, &root); err != nil {
		return out, err
	}
	if root.Systems.ID == "" {
		return out, inventory.Fail("%s has no Redfish systems", s.base.Host)
	}
	var list struct {
		Members []link `json:"Members"`
	}
	if err := s.call(ctx, http.MethodGet, root.Systems.ID, nil, &list); err != nil {
		return out, err
	}
	if len(list.Members) != 1 {
		return out, inventory.Fail("%s has %d Redfish systems: put the path of the one that is meant into the address", s.base.Host, len(list.Members))
	}
	return out, s.call(ctx, http.MethodGet, list.Members[0].ID, nil, &out)
}

// call asks for a path of the service and reads the answer into out (nil: dropped).
func (s *redfishSession) call(ctx context.Context, method, path string, in, out any) error {
	res, err := s.do(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return s.refused(res)
	}
	if out == nil {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxResource))
	if err != nil {
		return s.fault(err)
	}
	if err := json.Unmarshal(body, out); err != nil {
		return inventory.Fail("%s answered %s with what is not the JSON expected", s.base.Host, path)
	}
	return nil
}

func (s *redfishSession) do(ctx context.Context, method, path string, in any) (*http.Response, error) {
	to, err := s.base.Parse(path)
	if err != nil || to.Scheme != s.base.Scheme || to.Host != s.base.Host {
		return nil, inventory.Fail("%s points to another host, %q", s.base.Host, path)
	}
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, to.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("OData-Version", "4.0")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	switch {
	case s.token != "":
		req.Header.Set("X-Auth-Token", s.token)
	case !strings.HasSuffix(path, "/Sessions"):
		req.SetBasicAuth(s.user, s.password)
	}
	res, err := s.http.Do(req)
	if err != nil {
		return nil, s.fault(err)
	}
	return res, nil
}

// fault says why there was no answer.
func (s *redfishSession) fault(err error) error {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	switch {
	case errors.Is(err, errPin):
		return inventory.Fail("the management controller %s is not trusted: %v", s.base.Host, errPin)
	case errors.As(err, &unknown), errors.As(err, &name):
		return inventory.Fail("the certificate of the management controller %s is not trusted: pin it (tls_pin) or have it signed by a known authority", s.base.Host)
	case errors.Is(err, context.DeadlineExceeded), timedOut(err):
		return inventory.Fail("the management controller %s does not answer (Redfish)", s.base.Host)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // without the URL, which is said already
	}
	return inventory.Fail("ask the management controller %s (Redfish): %v", s.base.Host, err)
}

func timedOut(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && t.Timeout()
}

// refused says an answer that is an error, with the service's own words
// (DSP0266 §8.6) where it has some.
func (s *redfishSession) refused(res *http.Response) error {
	switch res.StatusCode {
	case http.StatusUnauthorized:
		return inventory.Fail("the management controller %s does not take the password of user %q", s.base.Host, s.user)
	case http.StatusForbidden:
		return inventory.Fail("the management controller %s does not let user %q switch the power", s.base.Host, s.user)
	}
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxResource))
	return inventory.Fail("the management controller %s answered %s%s", s.base.Host, res.Status, s.words(body))
}

// words are what an error answer says, on one line, without the password.
func (s *redfishSession) words(body []byte) string {
	var e struct {
		Error struct {
			Message string `json:"message"`
			Info    []struct {
				Message string `json:"Message"`
			} `json:"@Message.ExtendedInfo"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &e) != nil {
		return ""
	}
	text := e.Error.Message
	if len(e.Error.Info) > 0 && e.Error.Info[0].Message != "" {
		text = e.Error.Info[0].Message
	}
	if text == "" {
		return ""
	}
	return ": " + mask(oneLine(text), s.password)
}
