// Package api is the agent's contract: what the controller asks of it down the
// link the agent keeps. Every program may import it; it imports inventory and
// the standard library.
package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"mailfleet/inventory"
)

// LogPath is the path of a service's log: GET /v1/services/{name}/log?lines=N
// answers with a Log; with follow=true, with LogLines as they are written, one a
// line, and an empty line now and then.
const LogPath = "/v1/services/{name}/log"

// CrashPath is the path of a service's Crash; 404 when it has not crashed.
const CrashPath = "/v1/services/{name}/crash"

// MaxLogLines is the most a log tail gives.
const MaxLogLines = 2000

// Log is the tail of a service's output, oldest line first.
type Log struct {
	Lines []string `json:"lines"`
}

// LogLine is a line of a log that is followed.
type LogLine struct {
	Line    string `json:"line"`
	Skipped int64  `json:"skipped,omitempty"` // bytes before it that are not shown: the reader was too slow, or they were lost
}

// Crash is how a service last ended without being asked to.
type Crash struct {
	Time     time.Time           `json:"time"`
	Exit     string              `json:"exit"`
	Said     *inventory.Sentence `json:"said,omitempty"` // Exit, for another language
	Restarts int                 `json:"restarts"`       // by the supervisor, before it ended
	Lines    []string            `json:"lines"`          // the last 200 of its output, oldest first
}

// maxAnswer bounds what is read of one answer, or of one line of a stream.
const (
	maxAnswer = 48 << 20
	maxLine   = 1 << 20
)

// Client asks one agent, over the link it keeps.
type Client struct {
	HTTP *http.Client // whose transport opens a stream of the link
}

// Log returns the last lines a service wrote.
func (c *Client) Log(ctx context.Context, service string, lines int) (Log, error) {
	return get[Log](ctx, c, service, "log?lines="+strconv.Itoa(lines))
}

// Crash tells how a service last ended without being asked to; an error of
// code NotFound when it has not.
func (c *Client) Crash(ctx context.Context, service string) (Crash, error) {
	return get[Crash](ctx, c, service, "crash")
}

// LogStream is a log that is followed.
type LogStream struct {
	body io.ReadCloser
	in   *bufio.Scanner
}

// Follow reads the last lines a service wrote and those it writes, until ctx or
// the service ends. The caller closes the stream.
func (c *Client) Follow(ctx context.Context, service string, lines int) (*LogStream, error) {
	body, err := c.ask(ctx, service, "log?follow=true&lines="+strconv.Itoa(lines))
	if err != nil {
		return nil, err
	}
	return NewLogStream(body), nil
}

// NewLogStream reads LogLines from body.
func NewLogStream(body io.ReadCloser) *LogStream {
	s := &LogStream{body: body, in: bufio.NewScanner(body)}
	s.in.Buffer(nil, maxLine)
	return s
}

// Next returns the next line; nil now and then, when there was none for a
// while; io.EOF when the service is gone.
func (s *LogStream) Next() (*LogLine, error) {
	if !s.in.Scan() {
		if err := s.in.Err(); err != nil {
			return nil, err
		}
		return nil, io.EOF
	}
	if len(s.in.Bytes()) == 0 {
		return nil, nil
	}
	l := &LogLine{}
	if err := json.Unmarshal(s.in.Bytes(), l); err != nil {
		return nil, fmt.Errorf("a line of the log cannot be read: %w", err)
	}
	return l, nil
}

// Close ends the stream.
func (s *LogStream) Close() error { return s.body.Close() }

func get[T any](ctx context.Context, c *Client, service, what string) (out T, err error) {
	body, err := c.ask(ctx, service, what)
	if err != nil {
		return out, err
	}
	defer func() { _ = body.Close() }()
	if err := json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(&out); err != nil {
		return out, fmt.Errorf("read the answer about %s: %w", service, err)
	}
	return out, nil
}

// ask asks for something of a service and returns the answer, which the caller closes.
func (c *Client) ask(ctx context.Context, service, what string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent/v1/services/"+url.PathEscape(service)+"/"+what, nil)
	if err != nil {
		return nil, err
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the agent about %s: %w", service, err)
	}
	if res.StatusCode == http.StatusOK {
		return res.Body, nil
	}
	defer func() { _ = res.Body.Close() }()
	return nil, problem(res)
}
