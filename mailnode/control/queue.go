package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"mailfleet/inventory"
	"mailfleet/mailnode/api"
)

// Queue is what waits to be delivered, and what became of mail.
type Queue interface {
	List(ctx context.Context, q inventory.QueueQuery) (inventory.QueuePage, error)
	Summary(ctx context.Context, f inventory.QueueFilter) (inventory.QueueSummary, error)
	// Act returns with how many entries something was done.
	Act(ctx context.Context, act inventory.QueueAct, o inventory.QueueOrder) (int, error)
	// Export gives what a filter picks, entry by entry and with its message, which is nil
	// when it is that of the entry before. What leaves the queue meanwhile is left out.
	Export(ctx context.Context, f inventory.QueueFilter, give func(e inventory.QueueEntry, message io.Reader, size int64) error) error
	// Message opens the message of an entry and tells its size; an error of code NotFound
	// when it has left the queue.
	Message(ctx context.Context, id string) (io.Reader, int64, error)
	// Ledger and Failures return a page each.
	Ledger(ctx context.Context, q inventory.LedgerQuery) (inventory.LedgerPage, error)
	Failures(ctx context.Context, q inventory.LedgerQuery) (inventory.MailFailurePage, error)
}

const (
	maxOrder    = 256 << 10       // bytes of an order
	orderTime   = 5 * time.Minute // for an act on a large queue
	messageTime = 5 * time.Minute // for a large message
	ledgerTime  = time.Minute     // for a year of a large server
)

// HandleQueue adds what is asked about a queue. It is called before Serve.
func (s *Server) HandleQueue(q Queue) {
	s.mux.HandleFunc("GET /v1/queue", func(w http.ResponseWriter, r *http.Request) {
		query, err := inventory.ParseQueueQuery(r.URL.Query())
		page := inventory.QueuePage{}
		if err == nil {
			page, err = q.List(r.Context(), query)
		}
		s.told(w, "The queue was not listed", page, err)
	})
	s.mux.HandleFunc("GET /v1/queue/summary", func(w http.ResponseWriter, r *http.Request) {
		query, err := inventory.ParseQueueQuery(r.URL.Query())
		summary := inventory.QueueSummary{}
		if err == nil {
			summary, err = q.Summary(r.Context(), query.QueueFilter)
		}
		s.told(w, "The queue was not summed up", summary, err)
	})
	s.mux.HandleFunc("POST /v1/queue/acts", func(w http.ResponseWriter, r *http.Request) { s.act(w, r, q) })
	s.mux.HandleFunc("GET /v1/queue/export", func(w http.ResponseWriter, r *http.Request) { s.export(w, r, q) })
	s.mux.HandleFunc("GET /v1/queue/{id}/message", func(w http.ResponseWriter, r *http.Request) { s.message(w, r, q) })
	s.mux.HandleFunc("GET /v1/ledger", func(w http.ResponseWriter, r *http.Request) {
		query, err := inventory.ParseLedgerQuery(r.URL.Query())
		page := inventory.LedgerPage{}
		if err == nil {
			take(w, ledgerTime)
			page, err = q.Ledger(r.Context(), query)
		}
		s.told(w, "The ledger was not read", page, err)
	})
	s.mux.HandleFunc("GET /v1/ledger/failures", func(w http.ResponseWriter, r *http.Request) {
		query, err := inventory.ParseLedgerQuery(r.URL.Query())
		page := inventory.MailFailurePage{}
		if err == nil {
			take(w, ledgerTime)
			page, err = q.Failures(r.Context(), query)
		}
		s.told(w, "The failures were not read", page, err)
	})
}

// told answers, or says why not.
func (s *Server) told(w http.ResponseWriter, title string, answer any, err error) {
	e, known := errors.AsType[*inventory.Error](err)
	switch {
	case err == nil:
		s.answer(w, http.StatusOK, answer)
	case known && e.Code == inventory.NotFound:
		s.refuse(w, http.StatusNotFound, title, inventory.Say("%s", e))
	case known && e.Code == inventory.Invalid:
		s.refuse(w, http.StatusUnprocessableEntity, title, inventory.Say("%s", e))
	default:
		s.log.Error("what was asked on the control socket failed", "title", title, "error", err)
		s.refuse(w, http.StatusInternalServerError, title, inventory.Say("the mailnode's log says why"))
	}
}

func (s *Server) act(w http.ResponseWriter, r *http.Request, q Queue) {
	const title = "Nothing was done with the queue"
	var req api.QueueRequest
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder))
	body.DisallowUnknownFields()
	err := body.Decode(&req)
	if err != nil {
		err = inventory.Errorf(inventory.Invalid, "the order is not well-formed: %s", err)
	} else {
		err = req.Check(req.Act)
	}
	take(w, orderTime)
	done := inventory.QueueDone{}
	if err == nil {
		done.Entries, err = q.Act(r.Context(), req.Act, req.QueueOrder)
	}
	if err == nil {
		s.log.Info("something was done with the queue", "act", string(req.Act), "entries", done.Entries)
	}
	s.told(w, title, done, err)
}

func (s *Server) message(w http.ResponseWriter, r *http.Request, q Queue) {
	message, size, err := q.Message(r.Context(), r.PathValue("id"))
	if err != nil {
		s.told(w, "The message was not opened", nil, err)
		return
	}
	take(w, messageTime)
	w.Header().Set("Content-Type", "message/rfc822")
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	if _, err := io.CopyN(w, message, size); err != nil {
		s.log.Debug("a message was not taken whole", "error", err)
	}
}

// take gives an answer so long from now on. The time for the request is over by then, and
// would end the answer with it.
func take(w http.ResponseWriter, long time.Duration) {
	c := http.NewResponseController(w)
	_ = errors.Join(c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Now().Add(long))) // a connection without deadlines goes without
}

// export streams what a filter picks (inventory.QueueExportWriter).
func (s *Server) export(w http.ResponseWriter, r *http.Request, q Queue) {
	query, err := inventory.ParseQueueQuery(r.URL.Query())
	if err != nil {
		s.told(w, "The queue was not exported", nil, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	out := inventory.NewQueueExportWriter(w)
	entries := 0
	take(w, messageTime)
	err = q.Export(r.Context(), query.QueueFilter, func(e inventory.QueueEntry, message io.Reader, size int64) error {
		take(w, messageTime)
		entries++
		return out.Entry(e, message, size)
	})
	if err == nil {
		err = out.End()
	}
	if err != nil {
		s.log.Warn("an export of the queue ended early", "entries", entries, "error", err)
		panic(http.ErrAbortHandler) // a part must not look whole
	}
	s.log.Info("the queue was exported", "entries", entries)
}
