// Package kannel is the text message gateway that speaks to a Kannel: it sends
// by the HTTP interface of its smsbox (Kannel User's Guide, "Using the HTTP
// interface to send SMS messages") and reads the delivery reports that come back.
// Only the controller's app and tests import it.
package kannel

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"mailfleet/alerts/sms"
	"mailfleet/inventory"
)

// Name is the gateway's name.
const Name = "kannel"

// Options say where Kannel is and how it knows us.
type Options struct {
	URL      string // of sendsms, such as http://127.0.0.1:13013/cgi-bin/sendsms
	User     string // of Kannel's sendsms-user group
	Password string
	From     string // sender's number or name; empty: Kannel's default-sender
	// ReportURL is where Kannel's delivery reports reach ParseReport, without a
	// query; empty: reports are not asked for.
	ReportURL string
	// Secret makes the reports' tokens: 16 bytes or more that stay the same over restarts.
	Secret []byte
}

// Gateway sends through one Kannel. It is safe for concurrent use.
type Gateway struct {
	options   Options
	transport *http.Transport
}

// New returns a gateway. Its errors name the setting that is wrong.
func New(o Options) (*Gateway, error) {
	if err := checkURL("url", o.URL); err != nil {
		return nil, err
	}
	if o.User == "" || o.Password == "" {
		return nil, inventory.FieldErrorf("user", "Kannel needs the user and password of its sendsms-user group")
	}
	if o.ReportURL != "" {
		if err := checkURL("report_url", o.ReportURL); err != nil {
			return nil, err
		}
		if len(o.Secret) < 16 {
			return nil, inventory.FieldErrorf("secret", "delivery reports need a secret of at least 16 bytes")
		}
	}
	// No proxy, for the URL holds the password, and a connection for each request,
	// for on one used before net/http may send a GET twice.
	transport := &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: 16 << 10}
	return &Gateway{options: o, transport: transport}, nil
}

// checkURL does not repeat the URL: it may hold a password.
func checkURL(field, s string) error {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return inventory.FieldErrorf(field, "%s must be an http or https URL without user, query and fragment, such as http://127.0.0.1:13013/cgi-bin/sendsms", field)
	}
	return nil
}

// Name returns "kannel".
func (g *Gateway) Name() string { return Name }

// Send hands m to Kannel, which keeps it while the network is away. A second
// attempt is sent like a first: Kannel does not tell messages apart.
func (g *Gateway) Send(ctx context.Context, m sms.Message) (sms.Receipt, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.options.URL+"?"+g.query(m).Encode(), nil)
	if err != nil {
		return sms.Receipt{}, sms.Permanent(inventory.Fail("the request to Kannel cannot be made"))
	}
	// Not by an http.Client: it follows redirects and puts the URL into its errors.
	res, err := g.transport.RoundTrip(req)
	if err != nil {
		return sms.Receipt{}, inventory.Fail("Kannel cannot be reached: %s", g.printable(err.Error()))
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 512))
	if err != nil && len(body) == 0 {
		return sms.Receipt{}, inventory.Fail("Kannel's answer broke off: %s", g.printable(err.Error()))
	}
	said := g.printable(string(body))
	if err := judge(res.StatusCode, said); err != nil {
		return sms.Receipt{}, err
	}
	return sms.Receipt{Answer: said}, nil
}

func (g *Gateway) query(m sms.Message) url.Values {
	coding := "0"
	if m.Encoding == sms.UCS2 {
		coding = "2"
	}
	q := url.Values{
		"username": {g.options.User},
		"password": {g.options.Password},
		"to":       {m.To},
		"text":     {m.Text},
		"charset":  {"UTF-8"},
		"coding":   {coding},
	}
	if g.options.From != "" {
		q.Set("from", g.options.From)
	}
	if g.options.ReportURL != "" {
		q.Set("dlr-mask", reportMask)
		q.Set("dlr-url", g.reportURL(m.ID))
	}
	return q
}

// printable is what Kannel said, or an error, fit for a log and for people: on
// one line, and without the password should it be repeated there.
func (g *Gateway) printable(body string) string {
	for _, secret := range []string{g.options.Password, url.QueryEscape(g.options.Password)} {
		body = strings.ReplaceAll(body, secret, "***")
	}
	return printable(body)
}

// printable makes one line of at most 200 characters of s.
func printable(s string) string {
	line := []rune(strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)))
	return string(line[:min(len(line), 200)])
}

// judge turns Kannel's status into an error; nil when it took the message.
// smsbox says 202 when it has the message (at once, or queued for a network that
// is away), 400 when a field is wrong, 403 when user or password is wrong or no
// network takes the number, 404 for a wrong path, 503 when it cannot take it now.
func judge(status int, said string) error {
	said = cmp.Or(said, http.StatusText(status))
	switch {
	case status >= 200 && status < 300:
		return nil
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests:
		return inventory.Fail("Kannel cannot take it now: %s (HTTP %d)", said, status)
	case status >= 300 && status < 400:
		return sms.Permanent(inventory.Fail("Kannel's URL is wrong: it redirects (HTTP %d)", status))
	default:
		return sms.Permanent(inventory.Fail("Kannel refuses it: %s (HTTP %d)", said, status))
	}
}
