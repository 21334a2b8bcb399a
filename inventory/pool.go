package inventory

import "time"

// Pool is members that serve the same purpose: the webmail front ends, or any
// service on several servers (C13). Traffic is spread over those in service.
type Pool struct {
	Meta
	Name           string   `json:"name"`    // unique
	Service        string   `json:"service"` // name of the service that is its members'
	Description    string   `json:"description,omitempty"`
	Members        []Member `json:"members" nullable:"false"`
	MaxUnavailable int      `json:"max_unavailable"` // members out of service at once, by whatever cause; at least 1
	PerRegion      int      `json:"per_region"`      // least members in service that each region with members must keep; 0: none
}

// Member is one server's service in a pool.
type Member struct {
	Server ID  `json:"server"`
	Weight int `json:"weight"` // share of new connections; 0: drained
}

// Window is planned work: alerts of what it covers are recorded and tell nobody.
type Window struct {
	Meta
	Servers   []ID      `json:"servers" nullable:"false"` // empty: the whole fleet
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`                  // zero: until its operation ends
	Operation ID        `json:"operation,omitempty"` // that opened it by itself
	Reason    string    `json:"reason"`
	Actor     string    `json:"actor"`
	Closed    time.Time `json:"closed"` // zero: not ended before its time
}

// Open reports whether the window is open at t for the server.
func (w *Window) Open(server ID, t time.Time) bool {
	if t.Before(w.From) || !w.To.IsZero() && !t.Before(w.To) || !w.Closed.IsZero() && !t.Before(w.Closed) {
		return false
	}
	if len(w.Servers) == 0 {
		return true
	}
	for _, id := range w.Servers {
		if id == server {
			return true
		}
	}
	return false
}
