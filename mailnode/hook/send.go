package hook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// newClient makes a client that follows no redirect to another host and connects with no
// other addresses than those allowed.
func newClient(allowed func(netip.Addr) bool) *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	dialer.Control = func(_, address string, _ syscall.RawConn) error {
		a, err := netip.ParseAddrPort(address)
		if err != nil || !allowed(a.Addr()) {
			return errors.New("the address of the target is not a public one, nor in a network that hooks may reach")
		}
		return nil
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second,
			MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			first := via[0]
			if len(via) > 3 || r.Method != first.Method || r.URL.Host != first.URL.Host || r.URL.Scheme != first.URL.Scheme {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
}

// shared is the address space of providers' own networks (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

// public tells whether an address is one of the Internet.
func public(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsGlobalUnicast() && !a.IsPrivate() && !shared.Contains(a)
}

// sign is the signature of a request by each secret (Standard Webhooks 1.0).
func sign(secrets []string, id, timestamp string, body []byte) string {
	var list []string
	for _, s := range secrets {
		key, err := decodeSecret(s)
		if err != nil {
			continue // checked before
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + timestamp + "."))
		mac.Write(body)
		list = append(list, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(list, " ")
}

// payload is what is posted.
type payload struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      struct {
		Server string            `json:"server"`
		Events []json.RawMessage `json:"events"`
	} `json:"data"`
}

// batch is a request and what it is made of. It is the same each time it is tried.
type batch struct {
	id   string
	rows []row
	body []byte
}

func newBatch(server string, rows []row) (batch, error) {
	var p payload
	p.Type = "mail.events"
	p.Timestamp, _ = when(rows[0].key)
	p.Timestamp = p.Timestamp.UTC()
	p.Data.Server = server
	for _, r := range rows {
		p.Data.Events = append(p.Data.Events, r.value)
	}
	body, err := json.Marshal(p)
	sum := sha256.Sum256(body)
	return batch{"msg_" + hex.EncodeToString(sum[:16]), rows, body}, err
}

// Why a request failed.
var errGone = errors.New("the target says that it wants no more events (410)")

// busyError is a target that asks for patience.
type busyError struct {
	status string
	wait   time.Duration
}

func (e busyError) Error() string { return "the target answers " + e.status }

// post sends a batch.
func (h *Hook) post(ctx context.Context, set Settings, t Target, b batch) error {
	ctx, cancel := context.WithTimeout(ctx, set.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL, bytes.NewReader(b.body))
	if err != nil {
		return err
	}
	now := strconv.FormatInt(time.Now().Unix(), 10)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Mailfleet")
	r.Header.Set("webhook-id", b.id)
	r.Header.Set("webhook-timestamp", now)
	r.Header.Set("webhook-signature", sign(t.Secrets, b.id, now, b.body))
	answer, err := h.client.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("the target does not answer within %s", set.Timeout)
		}
		return plain(err)
	}
	defer func() { _ = answer.Body.Close() }() // it was read as far as it matters
	_, _ = io.CopyN(io.Discard, answer.Body, 64<<10)
	switch {
	case answer.StatusCode >= 200 && answer.StatusCode < 300:
		return nil
	case answer.StatusCode == http.StatusGone:
		return errGone
	}
	wait, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
	return busyError{answer.Status, time.Duration(min(max(wait, 0), 3600)) * time.Second}
}

// plain takes the URL, which may hold a secret, out of an error.
func plain(err error) error {
	var inner interface{ Unwrap() error }
	if errors.As(err, &inner) && inner.Unwrap() != nil {
		err = inner.Unwrap()
	}
	return fmt.Errorf("the target cannot be reached: %w", err)
}

// tell sends what waits for a target until ctx ends.
func (h *Hook) tell(ctx context.Context, set Settings, t Target) {
	var wake chan struct{}
	h.note(t.ID, func(s *state) { wake = s.wake })
	if wake == nil {
		return // its settings are old already
	}
	for {
		more, err := h.drain(ctx, set, t)
		if errors.Is(err, errGone) {
			h.note(t.ID, func(s *state) { s.Gone, s.Error = true, err.Error() })
			h.log.Warn("a target wants no more events: set it anew to go on", "target", t.ID)
			return
		}
		if err != nil && ctx.Err() == nil {
			h.log.Warn("events cannot be read or removed", "target", t.ID, "error", err)
			more = false
		}
		if more {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-wake:
		}
	}
}

// drain sends one batch, as often as it takes; more is false when none waits.
func (h *Hook) drain(ctx context.Context, set Settings, t Target) (more bool, err error) {
	rows, err := h.outbox.read(ctx, t.ID, set.Batch, maxBatch)
	if err != nil {
		return false, err
	}
	if len(rows) == 0 { // a count may have been of what was never committed
		h.note(t.ID, func(s *state) { s.Waiting = 0 })
		return false, nil
	}
	if old := tooOld(rows, time.Now().Add(-set.Age)); len(old) > 0 {
		if err := h.outbox.remove(ctx, old); err != nil {
			return false, err
		}
		h.dropped(t.ID, len(old), "too old")
		return true, nil
	}
	b, err := newBatch(set.Server, rows)
	if err != nil {
		return false, err
	}
	for attempt := 0; ; attempt++ {
		err := h.post(ctx, set, t, b)
		if err == nil {
			break
		}
		if ctx.Err() != nil || errors.Is(err, errGone) {
			return false, err
		}
		wait := pause(set.Backoff, attempt, err)
		h.note(t.ID, func(s *state) { s.Error, s.Next = err.Error(), time.Now().Add(wait) })
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return false, ctx.Err()
		case <-timer.C:
		}
		h.note(t.ID, func(s *state) { s.Next = time.Time{} })
		if there, err := h.stillThere(ctx, set, b); !there {
			return err == nil, err // some of it was dropped meanwhile: begin anew
		}
	}
	if err := h.outbox.remove(ctx, b.rows); err != nil {
		return false, err // they are sent again, with the same ids
	}
	h.note(t.ID, func(s *state) {
		s.Sent += int64(len(b.rows))
		s.Waiting = max(0, s.Waiting-len(b.rows))
		s.Error = ""
	})
	return true, nil
}

// stillThere looks whether a batch is to be sent still: its oldest event may have been
// dropped, or be too old by now.
func (h *Hook) stillThere(ctx context.Context, set Settings, b batch) (bool, error) {
	v, err := h.outbox.table.Get(ctx, b.rows[0].key)
	at, _ := when(b.rows[0].key)
	return err == nil && v != nil && time.Since(at) <= set.Age, err
}

// tooOld are the first rows that were made before a time.
func tooOld(rows []row, before time.Time) []row {
	for i, r := range rows {
		if at, ok := when(r.key); ok && !at.Before(before) {
			return rows[:i]
		}
	}
	return rows
}

// pause is how long to wait after an attempt, a little more or less, so that targets on
// one server do not come all at once.
func pause(backoff []time.Duration, attempt int, err error) time.Duration {
	wait := backoff[min(attempt, len(backoff)-1)]
	wait += time.Duration(rand.Int64N(int64(wait)/5 + 1))
	var busy busyError
	if errors.As(err, &busy) {
		wait = max(wait, busy.wait)
	}
	return wait
}
