package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"mailfleet/inventory"
)

// TrustedKeys are the keys whose releases a controller takes.
type TrustedKeys struct {
	Serial uint64   `json:"serial"` // of the list in force; 0: there is none
	Keys   []string `json:"keys" nullable:"false"`
}

// Release reads a release.
func (c *Client) Release(ctx context.Context, id string) (inventory.Release, error) {
	return get[inventory.Release](ctx, c, path("releases", id))
}

// PublishRelease hands a signed release and its file to the controller.
func (c *Client) PublishRelease(ctx context.Context, r inventory.Release, file io.Reader) (inventory.Release, error) {
	q := url.Values{
		"program": {r.Program}, "number": {r.Number}, "platform": {r.Platform}, "size": {strconv.FormatInt(r.Size, 10)},
		"sha256": {r.SHA256}, "key": {r.Key}, "signature": {base64.StdEncoding.EncodeToString(r.Signature)},
	}
	var out inventory.Release
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(c.Base, "/")+with(path("releases"), q), file)
	if err != nil {
		return out, err
	}
	req.ContentLength = r.Size
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("Expect", "100-continue") // a refusal comes before the file is sent
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	res, err := c.client().Do(req)
	if err != nil {
		return out, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return out, fmt.Errorf("read the answer to the release: %w", err)
	}
	if res.StatusCode >= 400 {
		return out, problem(res, b)
	}
	return out, json.Unmarshal(b, &out)
}

// RemoveRelease removes a release that nothing needs.
func (c *Client) RemoveRelease(ctx context.Context, id string, version uint64) error {
	return c.remove(ctx, version, "releases", id)
}

// ReleaseKeys reads which keys the controller trusts.
func (c *Client) ReleaseKeys(ctx context.Context) (TrustedKeys, error) {
	return get[TrustedKeys](ctx, c, path("release-keys"))
}

// OrderedRelease reads, for an agent, what a release says of itself.
func (c *Client) OrderedRelease(ctx context.Context, id inventory.ID) (inventory.Release, error) {
	return get[inventory.Release](ctx, c, "/agent/v1/releases/"+url.PathEscape(string(id)))
}

// ReleaseContent reads, for an agent, a release's file from an octet on. The
// caller closes it.
func (c *Client) ReleaseContent(ctx context.Context, id inventory.ID, from int64) (io.ReadCloser, error) {
	var header []string
	if from > 0 {
		header = []string{"Range", fmt.Sprintf("bytes=%d-", from)}
	}
	res, err := c.do(ctx, http.MethodGet, "/agent/v1/releases/"+url.PathEscape(string(id))+"/content", nil, header...)
	if err != nil {
		return nil, err
	}
	want := http.StatusOK
	if from > 0 {
		want = http.StatusPartialContent
	}
	if res.StatusCode == want {
		return res.Body, nil
	}
	defer func() { _ = res.Body.Close() }()
	b, _ := io.ReadAll(io.LimitReader(res.Body, 1<<16)) // whatever there is of it
	return nil, problem(res, b)
}

// KeyChain reads, for an agent, all lists of release keys since the first.
func (c *Client) KeyChain(ctx context.Context) ([]inventory.ReleaseKeys, error) {
	return get[[]inventory.ReleaseKeys](ctx, c, "/agent/v1/release-keys")
}
