package app

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"mailfleet/agent/api"
	"mailfleet/agent/supervise"
	"mailfleet/inventory"
)

// beat is how often a log that is followed shows that it is still there.
const beat = 15 * time.Second

// routes serves the controller's requests (agent/api).
func (a *App) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+api.LogPath, a.showLog)
	mux.HandleFunc("GET "+api.CrashPath, a.crash)
	mux.HandleFunc("POST "+api.PowerPath, a.power)
	mail := handOn(func() string { return a.steward.MailSocket() }, a.log)
	for _, pattern := range api.MailRoutes {
		mux.Handle(pattern, mail)
	}
	return mux
}

// showLog gives the last lines of a service's output, and those that follow if
// they are asked for.
func (a *App) showLog(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	lines, err := strconv.Atoi(q.Get("lines"))
	if err != nil || lines < 0 || lines > api.MaxLogLines {
		refuse(w, inventory.FieldErrorf("lines", "lines must be between 0 and %d", api.MaxLogLines))
		return
	}
	name := r.PathValue("name")
	if q.Get("follow") == "true" {
		a.follow(w, r, name, lines)
		return
	}
	tail, err := a.services.Log(r.Context(), name, lines)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, api.Log{Lines: tail})
}

// crash tells how a service last ended unasked.
func (a *App) crash(w http.ResponseWriter, r *http.Request) {
	c, err := a.services.Crash(r.PathValue("name"))
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, api.Crash{Time: c.Time, Exit: c.Exit, Said: c.Said, Restarts: c.Restarts, Lines: c.Lines})
}

// follow streams lines as they are written. An empty line is a beat, so that
// whoever reads no more is noticed.
func (a *App) follow(w http.ResponseWriter, r *http.Request, name string, lines int) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	var mu sync.Mutex // one writes at a time
	to, out := http.NewResponseController(w), json.NewEncoder(w)
	write := func(what func() error) error {
		mu.Lock()
		defer mu.Unlock()
		return errors.Join(what(), to.Flush())
	}
	if _, err := a.services.Log(ctx, name, 1); err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	var beating sync.WaitGroup
	defer beating.Wait()
	defer cancel()
	beating.Go(func() {
		tick := time.NewTicker(beat)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if write(func() error { _, err := io.WriteString(w, "\n"); return err }) != nil {
					cancel()
				}
			}
		}
	})
	err := a.services.Follow(ctx, name, lines, func(l supervise.Line) error {
		return write(func() error { return out.Encode(api.LogLine{Line: l.Text, Skipped: l.Skipped}) })
	})
	if err != nil && ctx.Err() == nil {
		a.log.Warn("following a log ended", "service", name, "err", err)
	}
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

// refuse answers with the sentence of an error.
func refuse(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", api.ProblemType)
	p := api.NewProblem(api.StatusOf(inventory.CodeOf(err)), inventory.Say("%s", err))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}
