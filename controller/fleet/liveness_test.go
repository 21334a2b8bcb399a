package fleet

import (
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

func TestJudgementsAreDamped(t *testing.T) {
	const (
		up, suspect, down, joining = inventory.ServerUp, inventory.ServerSuspect, inventory.ServerDown, inventory.ServerJoining
	)
	link, both := []string{"link"}, []string{"gossip", "link"}
	for name, c := range map[string]struct {
		from  inventory.ServerState
		seen  [][]string
		wants []inventory.ServerState
	}{
		"one miss is no suspicion":          {up, [][]string{link, nil, link, link, nil}, []inventory.ServerState{up, up, up, up, up}},
		"three in a row are":                {up, [][]string{link, link, link}, []inventory.ServerState{up, up, suspect}},
		"two witnesses make it down":        {up, [][]string{both, both, both}, []inventory.ServerState{up, up, down}},
		"a suspicion and a verdict add up":  {up, [][]string{link, link, link, both, both, both}, []inventory.ServerState{up, up, suspect, suspect, suspect, down}},
		"it rises after two":                {down, [][]string{nil, nil}, []inventory.ServerState{down, up}},
		"joining and seen by all is up":     {joining, [][]string{both, both, both, both, nil}, []inventory.ServerState{joining, joining, joining, joining, up}},
		"joining without gossip is suspect": {joining, [][]string{{"gossip"}, {"gossip"}, {"gossip"}}, []inventory.ServerState{joining, joining, suspect}},
		"removed stays so":                  {inventory.ServerRemoved, [][]string{nil, nil, nil}, []inventory.ServerState{inventory.ServerRemoved, inventory.ServerRemoved, inventory.ServerRemoved}},
	} {
		var h health
		state := c.from
		for i, witnesses := range c.seen {
			if to, moved := h.step(state, witnesses); moved {
				state = to
			}
			if state != c.wants[i] {
				t.Errorf("%s: after %d judgements %s, want %s", name, i+1, state, c.wants[i])
			}
		}
	}
}

func TestTwoWitnessesTakeAServerDownAndItsServicesBecomeUnknown(t *testing.T) {
	w := newWorld(t)
	id := w.add("mail1")
	agent, l := w.connect(id, "mail1")
	w.alive["mail1"] = true
	report := api.Report{Time: time.Now(), Services: []api.ServiceReport{{Name: "mailnode", ServiceStatus: inventory.ServiceStatus{State: inventory.ServiceRunning, PID: 1}}}}
	if err := agent.Report(t.Context(), report); err != nil {
		t.Fatal(err)
	}
	judge := func(n int) inventory.ServerState {
		for range n {
			if err := w.fleet.judgeAll(t.Context(), false); err != nil {
				t.Fatal(err)
			}
		}
		return w.server(id).State
	}
	if got := judge(1); got != inventory.ServerUp {
		t.Fatalf("joined and seen by all, it is %s", got)
	}
	l.Close()
	for connected := true; connected; {
		connected, _, _ = w.fleet.Live(id)
	}
	if got := judge(fallAfter); got != inventory.ServerSuspect {
		t.Errorf("without its link it is %s", got)
	}
	if s := w.service(id); s.State != inventory.ServiceRunning {
		t.Errorf("on a suspicion its service became %s", s.State)
	}
	delete(w.alive, "mail1")
	if got := judge(fallAfter); got != inventory.ServerDown {
		t.Errorf("without link and gossip it is %s", got)
	}
	if s := w.service(id); s.State != inventory.ServiceUnknown || s.PID != 0 {
		t.Errorf("of a server that is down the service is %+v", s.ServiceStatus)
	}
	agent, _ = w.connect(id, "mail1")
	w.alive["mail1"] = true
	if err := agent.Report(t.Context(), report); err != nil {
		t.Fatal(err)
	}
	if got := judge(riseAfter); got != inventory.ServerUp {
		t.Errorf("back again it is %s", got)
	}
	if s := w.service(id); s.State != inventory.ServiceRunning {
		t.Errorf("its service is %s", s.State)
	}
}

func TestAnotherServersGossipIsAWitness(t *testing.T) {
	w := newWorld(t)
	id, other := w.add("mail1"), w.add("mail2")
	w.alive["mail1"], w.alive["mail2"] = true, true
	agent, _ := w.connect(other, "mail2")
	if err := agent.Report(t.Context(), api.Report{Time: time.Now(), Missing: []string{"mail1"}}); err != nil {
		t.Fatal(err)
	}
	if err := w.fleet.judgeAll(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if _, _, witnesses := w.fleet.Live(id); len(witnesses) != 2 {
		t.Errorf("the witnesses against mail1 are %v", witnesses)
	}
}
