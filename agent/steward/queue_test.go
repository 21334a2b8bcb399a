package steward

import (
	"encoding/json"
	"net"
	"net/http"
	"testing"

	"mailfleet/controller/api"
	"mailfleet/inventory"
	mailnodeapi "mailfleet/mailnode/api"
)

// queued is a steward beside a mailnode whose queue answers so.
func queued(t *testing.T, answer http.HandlerFunc) *Steward {
	t.Helper()
	s := &Steward{mailnode: &mailnode{dir: t.TempDir()}}
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "unix", s.mailnode.socket())
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: answer}
	done := make(chan struct{})
	go func() { _ = web.Serve(l); close(done) }()
	t.Cleanup(func() { _ = web.Close(); <-done })
	return s
}

func TestActsOnTheQueueAreHandedToTheMailnode(t *testing.T) {
	var asked mailnodeapi.QueueRequest
	s := queued(t, func(w http.ResponseWriter, r *http.Request) {
		asked = mailnodeapi.QueueRequest{}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || r.Method+" "+r.URL.Path != "POST /v1/queue/acts" {
			t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		}
		_ = json.NewEncoder(w).Encode(inventory.QueueDone{Entries: 3})
	})
	for kind, want := range map[inventory.OperationKind]string{
		inventory.OpQueueHold: "3 entries of the queue: held", inventory.OpQueueRelease: "3 entries of the queue: released",
		inventory.OpQueueRetry: "3 entries of the queue: tried again", inventory.OpQueueDelete: "3 entries of the queue: deleted",
		inventory.OpQueueReroute: "3 entries of the queue: rerouted",
	} {
		order := api.Order{Kind: kind, Params: inventory.Params{Queue: &inventory.QueueOrder{
			Filter: inventory.QueueFilter{Destination: "far.test", Within: []string{"a.test"}}, Report: true,
		}}}
		e, ok := s.onQueue()[kind]
		if !ok || !e.Beside || e.Limit == 0 {
			t.Fatalf("%s: %+v", kind, e)
		}
		state, message := e.Do(t.Context(), order, nil)
		if state != inventory.OpSucceeded || message.String() != want {
			t.Errorf("%s: %s, %s", kind, state, message)
		}
		if asked.Act != kind.OnQueue() || asked.Filter.Destination != "far.test" || len(asked.Filter.Within) != 1 || !asked.Report {
			t.Errorf("%s: the mailnode was asked for %+v", kind, asked)
		}
	}
	if _, ok := s.onQueue()[inventory.OpQueueExport]; ok {
		t.Error("an export is the controller's, not an agent's")
	}
}

func TestAnActOnTheQueueThatFailsSaysWhy(t *testing.T) {
	refusing := queued(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = w.Write([]byte(`{"title":"Nothing was done with the queue","status":422,"detail":"an age must not be negative"}`))
	})
	silent := &Steward{mailnode: &mailnode{dir: t.TempDir()}}
	for name, one := range map[string]struct {
		s      *Steward
		params inventory.Params
		want   string
	}{
		"no filter":   {refusing, inventory.Params{}, "the order does not say which entries of the queue are meant"},
		"refused":     {refusing, inventory.Params{Queue: &inventory.QueueOrder{}}, "an age must not be negative"},
		"no mailnode": {silent, inventory.Params{Queue: &inventory.QueueOrder{}}, ""},
	} {
		state, message := one.s.onQueue()[inventory.OpQueueHold].Do(t.Context(), api.Order{Params: one.params}, nil)
		if state != inventory.OpFailed || message.None() || one.want != "" && message.String() != one.want {
			t.Errorf("%s: %s, %s", name, state, message)
		}
	}
}
