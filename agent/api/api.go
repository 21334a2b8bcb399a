// Package api is the agent's contract: what the controller asks of it down the
// link the agent keeps. Every program may import it; it imports inventory and
// the standard library.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"mailfleet/inventory"
)

// LogPath is the path of a service's log tail: GET /v1/services/{name}/log?lines=N.
const LogPath = "/v1/services/{name}/log"

// maxAnswer bounds what a client reads of one answer, in octets.
const maxAnswer = 8 << 20

// MaxLogLines is the most a log tail gives.
const MaxLogLines = 2000

// PowerPath is the path of a look at another server's power: POST a Power, get
// a PowerState.
const PowerPath = "/v1/power/status"

// Power is how another server's power is asked for.
type Power struct {
	Server   string              `json:"server"` // name
	Kind     inventory.PowerKind `json:"kind"`
	Address  string              `json:"address,omitempty"`
	User     string              `json:"user,omitempty"`
	Password string              `json:"password,omitempty"` // neither logged nor kept
	MAC      string              `json:"mac,omitempty"`
	Command  []string            `json:"command,omitempty"`
	TLSPin   string              `json:"tls_pin,omitempty"`
}

// PowerState is what the driver found.
type PowerState struct {
	State   inventory.PowerState `json:"state"`
	Message string               `json:"message,omitempty"` // why it could not be told
}

// Log is the tail of a service's output, oldest line first.
type Log struct {
	Lines []string `json:"lines"`
}

// Client asks one agent, over the link it keeps.
type Client struct {
	HTTP *http.Client // whose transport opens a stream of the link
}

// Log returns the last lines a service wrote.
func (c *Client) Log(ctx context.Context, service string, lines int) (l Log, err error) {
	err = c.ask(ctx, http.MethodGet, "/v1/services/"+url.PathEscape(service)+"/log?lines="+strconv.Itoa(lines), nil, &l)
	return l, err
}

// Power asks for the power of another server.
func (c *Client) Power(ctx context.Context, p Power) (s PowerState, err error) {
	err = c.ask(ctx, http.MethodPost, PowerPath, p, &s)
	return s, err
}

// ask sends in as JSON (nil: no body) and reads the answer into out.
func (c *Client) ask(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, body)
	if err != nil {
		return err
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("ask the agent: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(res.Body, 1024))
		return fmt.Errorf("the agent answered %s: %s", res.Status, b)
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(out); err != nil {
		return fmt.Errorf("read the agent's answer: %w", err)
	}
	return nil
}
