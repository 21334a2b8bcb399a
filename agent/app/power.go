package app

import (
	"encoding/json"
	"net/http"

	"mailfleet/agent/api"
	"mailfleet/agent/power"
	controller "mailfleet/controller/api"
	"mailfleet/inventory"
)

// maxPower bounds a question about power, in octets.
const maxPower = 64 << 10

// power asks another server's power driver. What that found wrong is an answer.
func (a *App) power(w http.ResponseWriter, r *http.Request) {
	var p api.Power
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxPower)).Decode(&p); err != nil {
		refuse(w, inventory.Errorf(inventory.Invalid, "the request is not the JSON expected"))
		return
	}
	how := controller.OrderPower{Kind: p.Kind, Address: p.Address, User: p.User, MAC: p.MAC, Command: p.Command, TLSPin: p.TLSPin}
	out := api.PowerState{State: inventory.PowerUnknown}
	d, err := power.New(how, p.Server, p.Password, a.drivers())
	if err == nil {
		out.State, err = power.Status(r.Context(), d)
	}
	if err != nil {
		why := inventory.Say("%s", err)
		out.Message, out.Said = why.String(), why.Beside()
	}
	answer(w, out)
}

// drivers are what power drivers need of this agent.
func (a *App) drivers() power.Options { return power.Options{Machines: a.opts.Machines} }
