// Package control answers on the control socket, by which the agent and the
// controller see and steer a mailnode (contract: mailnode/api). Only app imports it.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"mailfleet/inventory"
	"mailfleet/mailnode/api"
)

// Node is what is seen and steered.
type Node interface {
	Status() api.Status
	Counters() api.Counters
	// Reload returns the index of the configuration it put in force, or says in one
	// sentence why it did not.
	Reload(ctx context.Context) (uint64, error)

	// Sessions returns a page of the open connections.
	Sessions(q inventory.MailSessionQuery) inventory.MailSessionPage
	// EndSession ends a connection; false when there is none of that id.
	EndSession(id string) bool
	// EndSessions ends all that a query means and returns how many they were.
	EndSessions(q inventory.MailSessionQuery) int
	// Mailboxes returns an account's folders.
	Mailboxes(ctx context.Context, account inventory.ID) (inventory.Mailboxes, error)
	// SignIns returns the last sign-ins to an account, the latest first.
	SignIns(account inventory.ID) []inventory.MailSignIn
}

// maxPath is the longest path of a Unix socket on Linux: 108 bytes with a final NUL (unix(7)).
const maxPath = 107

// Listen opens the control socket, for this user only. A socket left behind by a
// process that was killed is replaced: the caller has made sure that no other
// mailnode uses the directory.
func Listen(ctx context.Context, path string) (net.Listener, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("the path of the control socket, %s, has %d bytes and may have %d: use a shorter --dir", path, len(path), maxPath)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the old control socket: %w", err)
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("the control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("the control socket: %w", err), l.Close())
	}
	return l, nil
}

// Server answers on a control socket.
type Server struct {
	node Node
	log  *slog.Logger
	mux  *http.ServeMux
	http *http.Server
}

// New returns a server for the node.
func New(node Node, log *slog.Logger) *Server {
	s := &Server{node: node, log: log.With("component", "control")}
	mux := http.NewServeMux()
	s.mux = mux
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { s.answer(w, http.StatusOK, node.Status()) })
	mux.HandleFunc("GET /v1/counters", func(w http.ResponseWriter, _ *http.Request) { s.answer(w, http.StatusOK, node.Counters()) })
	mux.HandleFunc("POST /v1/reload", s.reload)
	mux.HandleFunc("GET /v1/sessions", s.sessions)
	mux.HandleFunc("DELETE /v1/sessions", s.endSessions)
	mux.HandleFunc("DELETE /v1/sessions/{id}", s.endSession)
	mux.HandleFunc("GET /v1/accounts/{id}/mailboxes", s.mailboxes)
	mux.HandleFunc("GET /v1/accounts/{id}/sign-ins", func(w http.ResponseWriter, r *http.Request) {
		s.answer(w, http.StatusOK, api.SignIns{SignIns: node.SignIns(inventory.ID(r.PathValue("id")))})
	})
	s.http = &http.Server{Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, MaxHeaderBytes: inventory.MaxMailSessionQuery + 16<<10}
	return s
}

// Handle adds what another part answers, below a path. It is called before Serve.
func (s *Server) Handle(path string, h http.Handler) { s.mux.Handle(path, h) }

// Serve answers on l until Close.
func (s *Server) Serve(l net.Listener) {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		s.log.Error("the control socket is closed", "error", err)
	}
}

// Close lets running requests finish and removes the socket.
func (s *Server) Close(ctx context.Context) error { return s.http.Shutdown(ctx) }

func (s *Server) reload(w http.ResponseWriter, r *http.Request) {
	index, err := s.node.Reload(r.Context())
	if err != nil {
		s.refuse(w, http.StatusUnprocessableEntity, "The configuration was not changed", inventory.Say("%s", err))
		return
	}
	s.answer(w, http.StatusOK, api.Reloaded{Index: index})
}

func (s *Server) refuse(w http.ResponseWriter, status int, title string, why inventory.Sentence) {
	w.Header().Set("Content-Type", "application/problem+json")
	s.answer(w, status, api.Problem{Title: title, Status: status, Detail: why.String(), Parts: why.Beside()})
}

func (s *Server) answer(w http.ResponseWriter, status int, body any) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		s.log.Debug("an answer was not taken", "error", err)
	}
}
