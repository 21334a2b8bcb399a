package control

import (
	"context"
	"net/http"
	"time"

	"mailfleet/inventory"
	"mailfleet/mailnode/api"
)

// Holds are the accounts whose mail is held. An error of code NotFound: that one's is not.
type Holds interface {
	List(ctx context.Context) ([]inventory.MailHold, error)
	// Release lets an account send again and its mail go.
	Release(ctx context.Context, account inventory.ID) (entries int, err error)
	// Delete deletes an account's held mail.
	Delete(ctx context.Context, account inventory.ID) (entries int, err error)
}

// HandleHolds adds what is asked about held mail. It is called before Serve.
func (s *Server) HandleHolds(h Holds) {
	s.mux.HandleFunc("GET /v1/holds", func(w http.ResponseWriter, r *http.Request) {
		list, err := h.List(r.Context())
		s.told(w, "The held accounts were not listed", api.Holds{Holds: list}, err)
	})
	for pattern, act := range map[string]struct {
		title, done string
		do          func(context.Context, inventory.ID) (int, error)
	}{
		"POST /v1/holds/{account}/release": {"The account was not released", "an account was released", h.Release},
		"DELETE /v1/holds/{account}/mail":  {"The held mail was not deleted", "held mail was deleted", h.Delete},
	} {
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(orderTime))
			account := inventory.ID(r.PathValue("account"))
			n, err := act.do(r.Context(), account)
			if err == nil {
				s.log.Info(act.done, "account", string(account), "entries", n)
			}
			s.told(w, act.title, inventory.QueueDone{Entries: n}, err)
		})
	}
}
