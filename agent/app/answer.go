package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"mailfleet/agent/api"
)

// routes serves the controller's requests (agent/api).
func (a *App) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+api.LogPath, a.tail)
	mail := handOn(func() string { return a.steward.MailSocket() }, a.log)
	for _, pattern := range api.MailRoutes {
		mux.Handle(pattern, mail)
	}
	return mux
}

// tail gives the last lines of a service's output.
func (a *App) tail(w http.ResponseWriter, r *http.Request) {
	lines, err := strconv.Atoi(r.URL.Query().Get("lines"))
	if err != nil || lines < 1 || lines > api.MaxLogLines {
		http.Error(w, fmt.Sprintf("lines must be between 1 and %d", api.MaxLogLines), http.StatusBadRequest)
		return
	}
	tail, err := a.services.Log(r.PathValue("name"), lines)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(api.Log{Lines: tail})
}
