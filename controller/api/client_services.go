package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"

	"mailfleet/inventory"
)

// Service reads a service.
func (c *Client) Service(ctx context.Context, id inventory.ID) (inventory.Service, error) {
	return get[inventory.Service](ctx, c, path("services", string(id)))
}

// ChangeService changes a service's settings.
func (c *Client) ChangeService(ctx context.Context, id inventory.ID, version uint64, in ServiceChange) (inventory.Service, error) {
	return send[inventory.Service](ctx, c, http.MethodPatch, path("services", string(id)), in, ifMatch(version)...)
}

// ServiceCrash tells how a service last ended without being asked to.
func (c *Client) ServiceCrash(ctx context.Context, id inventory.ID) (Crash, error) {
	return get[Crash](ctx, c, path("services", string(id), "crash"))
}

// Preflights are how fit the servers are for their work.
const Preflights List[Preflight] = "preflights"

// Preflight tells how fit a server is for its work.
func (c *Client) Preflight(ctx context.Context, server string) (Preflight, error) {
	return get[Preflight](ctx, c, path("servers", server, "preflight"))
}

// ReportPreflight tells what the agent found of its server.
func (c *Client) ReportPreflight(ctx context.Context, r PreflightReport) error {
	_, err := c.call(ctx, http.MethodPost, "/agent/v1/preflight", r, nil)
	return err
}

// Clock asks for the controller's time. It is known to a second: the answer is
// the middle of the one that its Date header names.
func (c *Client) Clock(ctx context.Context) (time.Time, error) {
	res, err := c.do(ctx, http.MethodHead, "/", nil)
	if err != nil {
		return time.Time{}, err
	}
	_ = res.Body.Close()
	date, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		return time.Time{}, fmt.Errorf("the controller's clock: %w", err)
	}
	return date.Add(time.Second / 2), nil
}

// maxLogEvent bounds one event of a log that is followed.
const maxLogEvent = 1 << 20

// FollowLog reads the last lines a service wrote and those it writes, until ctx
// or the service ends.
func (c *Client) FollowLog(ctx context.Context, id inventory.ID, lines int) iter.Seq2[LogLine, error] {
	return func(yield func(LogLine, error) bool) {
		res, err := c.do(ctx, http.MethodGet, path("services", string(id), "log")+"?follow=true&lines="+strconv.Itoa(lines), nil, "Accept", "text/event-stream")
		if err != nil {
			yield(LogLine{}, err)
			return
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusOK {
			b, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
			yield(LogLine{}, problem(res, b))
			return
		}
		in := bufio.NewScanner(res.Body)
		in.Buffer(nil, maxLogEvent)
		event := ""
		for in.Scan() {
			field, value, _ := strings.Cut(in.Text(), ": ")
			switch {
			case field == "event":
				event = value
			case field == "data" && event == "end":
				return
			case field == "data" && event == "line":
				var l LogLine
				if err := json.Unmarshal([]byte(value), &l); err != nil {
					yield(LogLine{}, fmt.Errorf("decode a line of the log: %w", err))
					return
				}
				if !yield(l, nil) {
					return
				}
			}
		}
		err = in.Err()
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		yield(LogLine{}, fmt.Errorf("read the log: %w", err))
	}
}
