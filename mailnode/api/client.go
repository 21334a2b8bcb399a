package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"mailfleet/inventory"
)

// SocketName is the control socket's file name inside the mailnode's directory.
const SocketName = "mailnode.sock"

// Status is what a running mailnode says of itself. When it answers at all, every
// listener is bound and the store is open.
type Status struct {
	PID         int              `json:"pid"`
	Started     time.Time        `json:"started"`
	Version     string           `json:"version"`
	ConfigIndex uint64           `json:"config_index"`
	Listeners   []Listener       `json:"listeners"` // with the ports really bound
	Accounts    int              `json:"accounts"`
	Connections map[Protocol]int `json:"connections"` // open now; pop3s counts as pop3, imaps as imap
	Counters    Counters         `json:"counters"`

	Held     []inventory.MailHold `json:"held,omitempty"`     // accounts whose mail is held, at most MaxHolds; how much is held is not counted here
	Released []string             `json:"released,omitempty"` // addresses of those that were let go in the last minutes
}

// MaxHolds bounds how many accounts a status tells of.
const MaxHolds = 200

// Counters grow from 0 at the process's start (Status.Started) and never fall.
type Counters map[string]float64

// The counters a mailnode keeps.
const (
	SMTPAccepted      = "smtp_accepted"       // messages answered 250
	SMTPRejected      = "smtp_rejected"       // recipients and messages answered 4xx or 5xx
	SMTPRefused       = "smtp_refused"        // connections over a limit
	MessagesDelivered = "messages_delivered"  // copies put into mailboxes
	BytesDelivered    = "bytes_delivered"     // size of copies put there at once, not by way of the queue
	SMTPLogins        = "smtp_logins"         // sign-ins to submit mail that succeeded
	SMTPLoginFailures = "smtp_login_failures" // sign-ins to submit mail that failed
	MailQueued        = "mail_queued"         // recipients put into the queue
	MailSent          = "mail_sent"           // recipients that other servers took
	MailDeferred      = "mail_deferred"       // attempts for recipients that are to be repeated
	MailFailed        = "mail_failed"         // recipients given up
	POP3Logins        = "pop3_logins"         // sign-ins that succeeded
	POP3LoginFailures = "pop3_login_failures" // sign-ins that failed
	POP3Retrieved     = "pop3_retrieved"      // messages sent whole
	POP3Deleted       = "pop3_deleted"        // messages removed at QUIT
	POP3Refused       = "pop3_refused"        // connections over a limit
	IMAPLogins        = "imap_logins"         // sign-ins that succeeded
	IMAPLoginFailures = "imap_login_failures" // sign-ins that failed
	IMAPFetched       = "imap_fetched"        // messages of which a part was sent
	IMAPAppended      = "imap_appended"       // messages put into mailboxes by APPEND and REPLACE
	IMAPExpunged      = "imap_expunged"       // messages removed, moved ones too
	IMAPRefused       = "imap_refused"        // connections over a limit
)

// Why sign-ins fail. After the name of a counter of failures and an underscore they
// name the counter of those: smtp_login_failures_refused.
const (
	LoginRefused   = "refused"   // wrong password, or another credential that is not good
	LoginUnknown   = "unknown"   // there is no such account
	LoginThrottled = "throttled" // too many failures before
	LoginSuspended = "suspended" // right, but the account is suspended
	LoginOff       = "off"       // right, but the account may not use the protocol
	LoginMalformed = "malformed" // what came was no answer of the mechanism
)

// LoginFailureCauses lists them all.
var LoginFailureCauses = []string{LoginRefused, LoginUnknown, LoginThrottled, LoginSuspended, LoginOff, LoginMalformed}

// Samples of the accounts whose mail is held (Status.Held), which go with the counters.
const (
	AccountsHeld = "accounts_held" // how many they are
	AccountBurst = "account_burst" // of each by itself, tagged with its address: how many recipients it has written to
)

// AccountTag is the tag of AccountBurst.
const AccountTag = "account"

// ConnectionsSuffix after a protocol names the sample of its open connections
// (Status.Connections), which goes with the counters.
const ConnectionsSuffix = "_connections"

// Reloaded answers a reload.
type Reloaded struct {
	Index uint64 `json:"index"` // index of the configuration now in force
}

// Problem is an error of the control socket (RFC 9457, application/problem+json).
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"` // HTTP status code
	Detail string `json:"detail"` // one sentence: what is wrong and where

	Parts *inventory.Sentence `json:"said,omitempty"` // of Detail, for another language
}

// Said is what is wrong.
func (p *Problem) Said() inventory.Sentence { return inventory.Read(p.Detail, p.Parts) }

func (p *Problem) Error() string { return p.Detail }

// Client talks to one mailnode over its control socket. It is safe for
// concurrent use.
type Client struct{ http *http.Client }

// Dial returns a client for the control socket at path. It connects at each
// call, so the mailnode may start later and restart at any time.
func Dial(path string) *Client {
	var dialer net.Dialer
	return &Client{http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		},
		DisableKeepAlives: true,
	}}}
}

// Status asks for the mailnode's state. Success means it is ready.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	return call[Status](ctx, c, http.MethodGet, "/v1/status")
}

// Counters asks for the mailnode's counters.
func (c *Client) Counters(ctx context.Context) (Counters, error) {
	counters, err := call[Counters](ctx, c, http.MethodGet, "/v1/counters")
	if err != nil {
		return nil, err
	}
	return *counters, nil
}

// Reload makes the mailnode read its configuration file again. A file that cannot
// be used changes nothing; the error is then a *Problem that says why.
func (c *Client) Reload(ctx context.Context) (*Reloaded, error) {
	return call[Reloaded](ctx, c, http.MethodPost, "/v1/reload")
}

// maxAnswerBytes bounds what is read from a control socket.
const maxAnswerBytes = 16 << 20

func call[T any](ctx context.Context, c *Client, method, path string) (*T, error) {
	return callWith[T](ctx, c, method, path, nil)
}

// callWith is call with a body, JSON.
func callWith[T any](ctx context.Context, c *Client, method, path string, in io.Reader) (answer *T, err error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://mailnode"+path, in)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the mailnode does not answer: %w", err)
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	body := json.NewDecoder(io.LimitReader(res.Body, maxAnswerBytes))
	if res.StatusCode != http.StatusOK {
		problem := &Problem{}
		if err := body.Decode(problem); err != nil || problem.Detail == "" {
			return nil, fmt.Errorf("the mailnode answers %s", res.Status)
		}
		return nil, problem
	}
	answer = new(T)
	if err := body.Decode(answer); err != nil {
		return nil, fmt.Errorf("the mailnode's answer cannot be read: %w", err)
	}
	return answer, nil
}
