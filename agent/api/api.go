// Package api is the agent's contract: what the controller asks of it down the
// link the agent keeps. Every program may import it; it imports inventory and
// the standard library.
package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// LogPath is the path of a service's log tail: GET /v1/services/{name}/log?lines=N.
const LogPath = "/v1/services/{name}/log"

// MaxLogLines is the most a log tail gives.
const MaxLogLines = 2000

// Log is the tail of a service's output, oldest line first.
type Log struct {
	Lines []string `json:"lines"`
}

// Client asks one agent, over the link it keeps.
type Client struct {
	HTTP *http.Client // whose transport opens a stream of the link
}

// Log returns the last lines a service wrote.
func (c *Client) Log(ctx context.Context, service string, lines int) (Log, error) {
	u := "http://agent/v1/services/" + url.PathEscape(service) + "/log?lines=" + strconv.Itoa(lines)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return Log{}, err
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return Log{}, fmt.Errorf("ask the agent for the log of %s: %w", service, err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(res.Body, 1024))
		return Log{}, fmt.Errorf("the agent answered %s: %s", res.Status, b)
	}
	var l Log
	if err := json.NewDecoder(io.LimitReader(res.Body, 8<<20)).Decode(&l); err != nil {
		return Log{}, fmt.Errorf("read the log of %s: %w", service, err)
	}
	return l, nil
}
