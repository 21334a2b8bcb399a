package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"mailfleet/inventory"
	"mailfleet/mailnode/api"
)

// waits is a queue that says what it was asked.
type waits struct {
	err error
	cut bool // exports end early
}

func (q waits) List(_ context.Context, query inventory.QueueQuery) (inventory.QueuePage, error) {
	return inventory.QueuePage{Entries: []inventory.QueueEntry{{ID: "1", Destination: query.Destination, Size: int64(query.Limit)}}, Next: query.After}, q.err
}

func (q waits) Summary(_ context.Context, f inventory.QueueFilter) (inventory.QueueSummary, error) {
	return inventory.QueueSummary{Total: inventory.QueueTotal{Entries: len(f.Within), Bytes: int64(f.Older)}}, q.err
}

func (q waits) Act(_ context.Context, act inventory.QueueAct, o inventory.QueueOrder) (int, error) {
	if act != inventory.ActDelete || !o.Report {
		return 0, inventory.FieldErrorf("act", "%s was not asked for", act)
	}
	return len(o.Filter.IDs), q.err
}

func (q waits) Export(_ context.Context, f inventory.QueueFilter, give func(inventory.QueueEntry, io.Reader, int64) error) error {
	for i, text := range []string{"Subject: a\r\n\r\n", "", "Subject: b\r\n\r\n"} {
		var message io.Reader
		if text != "" {
			message = strings.NewReader(text)
		}
		if err := give(inventory.QueueEntry{ID: fmt.Sprint(i), Destination: f.Destination}, message, int64(len(text))); err != nil {
			return err
		}
	}
	if q.cut {
		return errors.New("the disk does not answer")
	}
	return nil
}

func (q waits) Message(_ context.Context, id string) (io.Reader, int64, error) {
	if id != "1" {
		return nil, 0, inventory.Errorf(inventory.NotFound, "the entry %s is not in the queue any more", id)
	}
	return strings.NewReader("Subject: a\r\n\r\nand more"), 14, nil
}

func (q waits) Ledger(_ context.Context, query inventory.LedgerQuery) (inventory.LedgerPage, error) {
	return inventory.LedgerPage{Rows: []inventory.LedgerRow{{Day: query.From, Domain: strings.Join(query.Domains, "+"), Account: query.Account, In: int64(query.Limit)}}, Next: strings.Join(query.By, "+")}, q.err
}

func (q waits) Failures(_ context.Context, query inventory.LedgerQuery) (inventory.MailFailurePage, error) {
	return inventory.MailFailurePage{Failures: []inventory.MailFailure{{Text: query.To}}, Next: query.After}, q.err
}

// served is a control socket with a queue, and a client that asks it plainly.
func served(t *testing.T, q Queue) (*api.Client, func(method, path, body string) (int, string)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), api.SocketName)
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	s := New(&node{}, slog.New(slog.DiscardHandler))
	s.HandleQueue(q)
	done := make(chan struct{})
	go func() { s.Serve(l); close(done) }()
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
		<-done
	})
	var d net.Dialer
	plain := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", path) }}}
	return api.Dial(path), func(method, path, body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://mailnode"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := plain.Do(req)
		if err != nil {
			return 0, err.Error()
		}
		defer func() { _ = res.Body.Close() }()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			return 0, err.Error()
		}
		return res.StatusCode, string(b)
	}
}

func TestTheQueueIsAskedOnTheControlSocket(t *testing.T) {
	c, ask := served(t, waits{})
	page, err := c.Queue(t.Context(), inventory.QueueQuery{QueueFilter: inventory.QueueFilter{Destination: "far.test"}, After: "x", Limit: 7})
	if err != nil || page.Next != "x" || page.Entries[0].Destination != "far.test" || page.Entries[0].Size != 7 {
		t.Errorf("got %+v, %v", page, err)
	}
	sum, err := c.QueueSummary(t.Context(), inventory.QueueFilter{Within: []string{"a.test", "b.test"}, Older: 5})
	if err != nil || sum.Total.Entries != 2 || sum.Total.Bytes != 5 {
		t.Errorf("got %+v, %v", sum, err)
	}
	n, err := c.ActOnQueue(t.Context(), inventory.ActDelete, inventory.QueueOrder{Filter: inventory.QueueFilter{IDs: []string{"1", "2"}}, Report: true})
	if err != nil || n != 2 {
		t.Errorf("got %d, %v", n, err)
	}
	for path, want := range map[string]string{
		"/v1/queue/1/message": "Subject: a\r\n\r\n",
		"/v1/ledger?from=2026-01-01&to=2026-01-31&by=day&by=domain&domain=a.test&domain=b.test&account=acc&limit=5": `"in":5`,
		"/v1/ledger?from=2026-01-01&to=2026-01-31&by=day":                                                           `"next":"day"`,
		"/v1/ledger/failures?from=2026-01-01&to=2026-01-31&after=x":                                                 `"text":"2026-01-31"`,
		"/v1/ledger/failures?from=2026-01-01&to=2026-01-31&after=y&limit=100":                                       `"next":"y"`,
	} {
		if status, text := ask(http.MethodGet, path, ""); status != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
}

func TestWhatIsWrongWithAQuestionAboutTheQueueIsSaid(t *testing.T) {
	_, ask := served(t, waits{})
	for path, want := range map[string]int{
		"/v1/queue?limit=1001": 422, "/v1/queue?limit=x": 422, "/v1/queue?state=lost": 422, "/v1/queue?older=long": 422, "/v1/queue/summary?younger=-1h": 422,
		"/v1/queue/export?state=lost": 422, "/v1/queue/2/message": 404,
		"/v1/ledger": 422, "/v1/ledger?from=2026-01-02&to=2026-01-01": 422, "/v1/ledger?from=2020-01-01&to=2026-01-01": 422,
		"/v1/ledger?from=2026-01-01&to=2026-01-01&by=colour": 422, "/v1/ledger?from=2026-01-01&to=2026-01-01&limit=0": 422,
		"/v1/ledger/failures?from=today&to=2026-01-01": 422,
	} {
		if status, text := ask(http.MethodGet, path, ""); status != want || !strings.Contains(text, `"detail"`) {
			t.Errorf("%s: %d %s, want %d", path, status, text, want)
		}
	}
	for body, want := range map[string]int{
		`{"act":"delete","report":true,"filter":{"ids":["1"]}}`: 200, `{"act":"burn"}`: 422, `{"act":"hold"}`: 422, `{"act":"hold","route":{"host":"h"}}`: 422,
		`{"act":"hold","colour":"red"}`: 422, `not JSON`: 422, `{"act":"delete","filter":{"last":"` + strings.Repeat("x", maxOrder) + `"}}`: 422,
	} {
		if status, text := ask(http.MethodPost, "/v1/queue/acts", body); status != want {
			t.Errorf("%.60s: %d %s, want %d", body, status, text, want)
		}
	}
	_, ask = served(t, waits{err: errors.New("/var/lib/x is damaged")})
	for _, path := range []string{"/v1/queue", "/v1/queue/summary", "/v1/ledger?from=2026-01-01&to=2026-01-01"} {
		if status, text := ask(http.MethodGet, path, ""); status != 500 || strings.Contains(text, "damaged") {
			t.Errorf("%s tells what is inside: %d %s", path, status, text)
		}
	}
}

func TestAnExportThatEndsEarlyDoesNotLookWhole(t *testing.T) {
	read := func(cut bool) (ids string, err error) {
		_, ask := served(t, waits{cut: cut})
		status, stream := ask(http.MethodGet, "/v1/queue/export?destination=far.test", "")
		if status == 0 {
			return "", io.ErrUnexpectedEOF
		}
		r := inventory.NewQueueExportReader(strings.NewReader(stream))
		for {
			e, message, err := r.Next()
			if err != nil {
				return ids, err
			}
			if ids += e.ID; message == nil {
				ids += "="
			}
		}
	}
	if ids, err := read(false); !errors.Is(err, io.EOF) || ids != "01=2" {
		t.Errorf("got %q, %v", ids, err)
	}
	if ids, err := read(true); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("half an export looks whole: %q, %v", ids, err)
	}
}
