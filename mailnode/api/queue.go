package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"mailfleet/inventory"
)

// QueueRequest asks for an act on entries of the queue.
type QueueRequest struct {
	Act inventory.QueueAct `json:"act"`
	inventory.QueueOrder
}

// ActOnQueue does something with the entries that an order's filter picks, and returns
// how many they were.
func (c *Client) ActOnQueue(ctx context.Context, act inventory.QueueAct, order inventory.QueueOrder) (int, error) {
	body, err := json.Marshal(QueueRequest{act, order})
	if err != nil {
		return 0, err
	}
	done, err := callWith[inventory.QueueDone](ctx, c, http.MethodPost, "/v1/queue/acts", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	return done.Entries, nil
}

// Queue lists entries of the queue, a page at a time.
func (c *Client) Queue(ctx context.Context, q inventory.QueueQuery) (*inventory.QueuePage, error) {
	return call[inventory.QueuePage](ctx, c, http.MethodGet, "/v1/queue?"+q.Values().Encode())
}

// QueueSummary sums up what a filter picks.
func (c *Client) QueueSummary(ctx context.Context, f inventory.QueueFilter) (*inventory.QueueSummary, error) {
	return call[inventory.QueueSummary](ctx, c, http.MethodGet, "/v1/queue/summary?"+f.Values().Encode())
}
