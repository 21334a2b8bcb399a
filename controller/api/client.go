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
	"strings"
	"time"
)

// maxAnswer bounds what a client reads of one answer.
const maxAnswer = 256 << 20

// Client asks the controller. It is safe for concurrent use.
type Client struct {
	Base  string       // https://controller:8443, without a path
	Token string       // of a script; agents have a certificate instead
	HTTP  *http.Client // nil: http.DefaultClient
}

// do sends in as JSON (nil: no body). The caller closes the answer's body.
func (c *Client) do(ctx context.Context, method, path string, in any, header ...string) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.Base, "/")+path, body)
	if err != nil {
		return nil, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return c.client().Do(req)
}

func (c *Client) client() *http.Client {
	if c.HTTP == nil {
		return http.DefaultClient
	}
	return c.HTTP
}

// answer is what a caller may need besides the body.
type answer struct {
	status int
	header http.Header
}

// call is do with the answer decoded into out (nil: dropped). Answers of 400
// and above become a *Problem.
func (c *Client) call(ctx context.Context, method, path string, in, out any, header ...string) (answer, error) {
	res, err := c.do(ctx, method, path, in, header...)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return answer{}, fmt.Errorf("read the answer to %s %s: %w", method, path, err)
	}
	if res.StatusCode >= 400 {
		return answer{}, problem(res, b)
	}
	if out != nil && len(b) > 0 {
		if err := json.Unmarshal(b, out); err != nil {
			return answer{}, fmt.Errorf("decode the answer to %s %s: %w", method, path, err)
		}
	}
	return answer{res.StatusCode, res.Header}, nil
}

// problem reads a refusal, whoever wrote it.
func problem(res *http.Response, body []byte) error {
	p := &Problem{}
	if err := json.Unmarshal(body, p); err != nil || p.Title == "" && p.Detail == "" {
		p = &Problem{Title: res.Status, Detail: strings.TrimSpace(string(body[:min(len(body), 200)]))}
	}
	p.Status = res.StatusCode
	return p
}

// Join makes the caller's key a server of the fleet.
func (c *Client) Join(ctx context.Context, j Join) (Joined, error) {
	var out Joined
	_, err := c.call(ctx, http.MethodPost, "/api/v1/join", j, &out)
	return out, err
}

// Desired waits up to wait for a desired state newer than after. ok is false
// when there is none.
func (c *Client) Desired(ctx context.Context, after uint64, wait time.Duration) (d Desired, ok bool, err error) {
	q := url.Values{"index": {strconv.FormatUint(after, 10)}, "wait": {wait.String()}, "only": {"true"}}
	res, err := c.call(ctx, http.MethodGet, "/agent/v1/desired?"+q.Encode(), nil, &d)
	if err != nil {
		return Desired{}, false, err
	}
	return d, res.status == http.StatusOK, nil
}

// Report tells how the server is.
func (c *Client) Report(ctx context.Context, r Report) error {
	_, err := c.call(ctx, http.MethodPost, "/agent/v1/report", r, nil)
	return err
}

// ReportAlerts hands over changes of alerts, oldest first.
func (c *Client) ReportAlerts(ctx context.Context, a []AlertReport) error {
	_, err := c.call(ctx, http.MethodPost, "/agent/v1/alerts", a, nil)
	return err
}

// Certificate has a certificate issued to the calling agent.
func (c *Client) Certificate(ctx context.Context, r CertificateRequest) (IssuedCertificate, error) {
	var out IssuedCertificate
	_, err := c.call(ctx, http.MethodPost, "/agent/v1/certificates", r, &out)
	return out, err
}
