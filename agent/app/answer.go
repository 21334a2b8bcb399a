package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"mailfleet/agent/api"
	"mailfleet/agent/power"
	controller "mailfleet/controller/api"
	"mailfleet/inventory"
)

// routes serves the controller's requests (agent/api).
func (a *App) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+api.LogPath, a.tail)
	mux.HandleFunc("POST "+api.PowerPath, a.power)
	return mux
}

// maxPower bounds a question about power, in octets.
const maxPower = 64 << 10

// power asks another server's power driver. What that found wrong is an answer.
func (a *App) power(w http.ResponseWriter, r *http.Request) {
	var p api.Power
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxPower)).Decode(&p); err != nil {
		http.Error(w, "the request is not the JSON expected", http.StatusBadRequest)
		return
	}
	how := controller.OrderPower{Kind: p.Kind, Address: p.Address, User: p.User, MAC: p.MAC, Command: p.Command, TLSPin: p.TLSPin}
	out := api.PowerState{State: inventory.PowerUnknown}
	d, err := power.New(how, p.Server, p.Password, a.drivers())
	if err == nil {
		out.State, err = power.Status(r.Context(), d)
	}
	if err != nil {
		out.Message = err.Error()
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}

// drivers are what power drivers need of this agent.
func (a *App) drivers() power.Options { return power.Options{Machines: a.opts.Machines} }

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
