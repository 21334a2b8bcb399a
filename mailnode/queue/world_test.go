package queue

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/outbound"
	"mailfleet/mailnode/store"
)

const alice = "0198c0de-0000-7000-8000-000000000001"

// world is a queue with everything around it.
type world struct {
	t     *testing.T
	store *store.Store
	*Queue
	stop func()
	end  func() // of the queue alone

	mu       sync.Mutex
	now      time.Time
	answer   func(domain string, m *outbound.Message) []outbound.Outcome
	sent     []string // domain, addresses
	attempts int
	full     bool // the mailboxes here are
	events   []Event
	language string
}

// SendAll implements Sender.
func (w *world) SendAll(ctx context.Context, domain string, route *outbound.Route, s outbound.Series) {
	for m := s.Next(); m != nil; m = s.Next() {
		s.Done(m, w.send(domain, route, m))
	}
}

func (w *world) send(domain string, route *outbound.Route, m *outbound.Message) []outbound.Outcome {
	text, err := io.ReadAll(m.Open())
	if err != nil || int64(len(text)) != m.Size {
		w.t.Errorf("a message of %d bytes was opened as %d bytes: %v", m.Size, len(text), err)
	}
	if route != nil {
		domain += " by " + route.Host
	}
	var to []string
	for _, r := range m.To {
		to = append(to, r.Address)
	}
	w.mu.Lock()
	w.attempts++
	answer := w.answer
	w.mu.Unlock()
	outcomes := answer(domain, m)
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, o := range outcomes {
		if o.State == outbound.Sent {
			w.sent = append(w.sent, domain+" "+m.From+" "+to[i])
		}
	}
	return outcomes
}

// Here implements Local.
func (w *world) Here(domain string) bool { return domain == "here.test" }

// Place implements Local.
func (w *world) Place(_ *envelope.Envelope, to envelope.Recipient) (Placed, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.full:
		return Placed{}, store.ErrQuota
	case to.Address == "alice@here.test":
		return Placed{Into: []store.Place{{Account: alice, Mailbox: store.Inbox}}}, nil
	case to.Address == "away@here.test":
		return Placed{Onward: []To{{Recipient: envelope.Recipient{Address: "x@far.test", Notify: to.Notify}, From: "srs@here.test"}}}, nil
	}
	return Placed{}, &Refused{outbound.Outcome{State: outbound.Permanent, Code: 550, Enhanced: "5.1.1", Text: "there is no such address here"}}
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	w.now = w.now.Add(d)
	w.mu.Unlock()
	w.Wake()
}

func always(o outbound.Outcome) func(string, *outbound.Message) []outbound.Outcome {
	return func(_ string, m *outbound.Message) []outbound.Outcome {
		return slices.Repeat([]outbound.Outcome{o}, len(m.To))
	}
}

var (
	taken  = outbound.Outcome{State: outbound.Sent, Code: 250, Enhanced: "2.0.0", Reply: "250 2.0.0 ok", Host: "mx.far.test [192.0.2.1]", Text: "it took the message"}
	later  = outbound.Outcome{State: outbound.Temporary, Code: 451, Enhanced: "4.3.0", Reply: "451 4.3.0 not now", Host: "mx.far.test [192.0.2.1]", Text: "mx.far.test [192.0.2.1] does not take the message for now: 451 4.3.0 not now"}
	never  = outbound.Outcome{State: outbound.Permanent, Code: 550, Enhanced: "5.1.1", Reply: "550 5.1.1 no such user", Host: "mx.far.test [192.0.2.1]", Text: "mx.far.test [192.0.2.1] refused the recipient: 550 5.1.1 no such user"}
	absent = outbound.Outcome{State: outbound.Temporary, Code: 451, Enhanced: "4.4.1", Session: true, Text: "mx.far.test [192.0.2.1], port 25, cannot be reached"}
)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), answer: always(taken), language: "en"}
	w.open(t.TempDir())
	return w
}

// open opens the store of a directory and runs the queue in it.
func (w *world) open(dir string) {
	w.t.Helper()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.store = s
	w.Queue = New(Options{
		Store: s, Sender: w, Local: w, Now: w.clock, Logger: slog.New(slog.DiscardHandler),
		Language: func(string) string { return w.language },
		Event: func(e Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, e)
		},
		Settings: Settings{Hostname: "mx.here.test"},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { w.Run(ctx); close(done) }()
	var once sync.Once
	w.end = func() {
		cancel()
		<-done
	}
	w.stop = func() {
		once.Do(func() {
			w.end()
			if err := s.Close(); err != nil {
				w.t.Error(err)
			}
		})
	}
	w.t.Cleanup(func() { w.stop() })
}

const text = "Received: x\r\nSubject: =?utf-8?B?5L2g5aW9?=\r\n\r\nbody of the message\r\n"

// put accepts a message.
func (w *world) put(e envelope.Envelope, to ...envelope.Recipient) *Ticket {
	w.t.Helper()
	return w.putText(text, e, to...)
}

// putText accepts a message of some text.
func (w *world) putText(text string, e envelope.Envelope, to ...envelope.Recipient) *Ticket {
	w.t.Helper()
	var list []To
	for _, r := range to {
		list = append(list, To{Recipient: r})
	}
	const prefix = "Received: first\r\n"
	ticket, err := w.Ticket(&e, []byte(prefix), int64(len(prefix)+len(text)), list)
	if err != nil {
		w.t.Fatal(err)
	}
	body, err := w.store.Stage(w.t.Context(), strings.NewReader(text), int64(len(text)))
	if err != nil {
		w.t.Fatal(err)
	}
	defer body.Close()
	if err := w.store.Update(w.t.Context(), body, func(tx *store.Tx) error { return ticket.Write(tx, body) }); err != nil {
		w.t.Fatal(err)
	}
	ticket.Plan()
	return ticket
}

func from(address string) envelope.Envelope {
	return envelope.Envelope{ID: "M1", From: address, Account: "acc"}
}

func rcpt(address string, notify ...envelope.Notify) envelope.Recipient {
	r := envelope.Recipient{Address: address}
	for _, n := range notify {
		r.Notify |= n
	}
	return r
}

func (w *world) await(what string, done func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); {
		if time.Now().After(deadline) {
			w.t.Fatalf("after a minute still not: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

func (w *world) tries(n int) {
	w.t.Helper()
	w.await(fmt.Sprintf("attempt %d", n), func() bool {
		w.mu.Lock() // not while the queue is asked: it asks the clock, with its own lock held
		made := w.attempts
		w.mu.Unlock()
		return made >= n && w.idle()
	})
}

// idle tells that nothing is being tried.
func (w *world) idle() bool {
	w.Queue.mu.Lock()
	defer w.Queue.mu.Unlock()
	return len(w.memory.active) == 0 && len(w.memory.line) == 0
}

// empty proves that nothing of the queue is left in the store.
func (w *world) empty() {
	w.t.Helper()
	w.await("the queue is empty", func() bool {
		for _, err := range w.table.Scan(w.t.Context(), nil, nil) {
			if err != nil {
				w.t.Error(err)
			}
			return false
		}
		return w.idle()
	})
	if n := w.Depth(); n != 0 {
		w.t.Errorf("in memory there are %d parts", n)
	}
	verdict, err := w.store.Verify(w.t.Context(), store.Check{Problem: func(p store.Problem) { w.t.Errorf("the store is not whole: %v", p) }})
	if err != nil || verdict.Bodies > verdict.Messages {
		w.t.Errorf("a body is left: %+v, %v", verdict, err)
	}
}

// inbox returns the messages in the mailbox here.
func (w *world) inbox() (texts []string) {
	w.t.Helper()
	_, list, err := w.store.Snapshot(w.t.Context(), store.Place{Account: alice, Mailbox: store.Inbox})
	if errors.Is(err, store.ErrNoMailbox) || errors.Is(err, store.ErrNoAccount) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range list {
		b, err := io.ReadAll(w.store.Body(m))
		if err != nil {
			w.t.Fatal(err)
		}
		texts = append(texts, string(b))
	}
	return texts
}

// report reads a report: the text for humans and the status fields.
func readReport(t *testing.T, raw string) (subject, human, status, original string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatalf("%v in %q", err, raw)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Fatalf("its type is %q %v, %v", kind, params, err)
	}
	if m.Header.Get("Auto-Submitted") != "auto-replied" || m.Header.Get("Return-Path") != "<>" {
		t.Errorf("the header is %v", m.Header)
	}
	subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		t.Error(err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for i := range 3 {
		p, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		switch i {
		case 0:
			if b, err = base64.StdEncoding.DecodeString(strings.ReplaceAll(string(b), "\r\n", "")); err != nil {
				t.Fatal(err)
			}
			human = string(b)
		case 1:
			status = string(b)
		case 2:
			original = p.Header.Get("Content-Type") + "\n" + string(b)
		}
	}
	return subject, human, status, original
}
