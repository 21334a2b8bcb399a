package fleet

import (
	"encoding/json"
	"maps"
	"net/http"
	"testing"

	"mailfleet/inventory"
)

func TestOnlyServersThatAnswerAreCounted(t *testing.T) {
	w := newWorld(t)
	busy, silent, away := w.add("mail1"), w.add("mail2"), w.add("mail3")
	w.connectTo(busy, "mail1", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("limit") != "1" {
			t.Errorf("asked for %s", r.URL)
		}
		_ = json.NewEncoder(rw).Encode(inventory.MailSessionPage{Total: 7})
	}))
	w.connectTo(silent, "mail2", http.NotFoundHandler())
	w.eventually("both have their links", func() bool { return w.fleet.linked(busy) && w.fleet.linked(silent) })
	got := w.fleet.CountMailSessions(t.Context(), []inventory.ID{busy, silent, away, busy})
	if want := map[inventory.ID]int{busy: 7}; !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}
