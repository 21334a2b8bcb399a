package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"mailfleet/inventory"
)

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
	Said    *inventory.Sentence  `json:"said,omitempty"`
}

// Power asks for the power of another server.
func (c *Client) Power(ctx context.Context, p Power) (PowerState, error) {
	body, err := json.Marshal(p)
	if err != nil {
		return PowerState{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://agent"+PowerPath, bytes.NewReader(body))
	if err != nil {
		return PowerState{}, err
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return PowerState{}, fmt.Errorf("ask the agent for the power of %s: %w", p.Server, err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return PowerState{}, problem(res)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxLine))
	if err != nil {
		return PowerState{}, fmt.Errorf("read the agent's answer: %w", err)
	}
	var s PowerState
	if err := json.Unmarshal(text, &s); err != nil {
		return PowerState{}, fmt.Errorf("read the agent's answer: %w", err)
	}
	return s, nil
}
