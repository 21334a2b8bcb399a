package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"mailfleet/controller/e2e/fleettest"
)

// spooled are the texts to a phone in the gateway's spool, oldest first, that name a region.
func spooled(t *testing.T, f *fleettest.Fleet, phone, region string) (texts []string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(f.Dir, "*", "sms.spool"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the spools are %v, %v", found, err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var m struct{ To, Text string }
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if m.To == phone && strings.Contains(m.Text, region) {
			texts = append(texts, m.Text)
		}
	}
	return texts
}

// TestARegionThatGoesDownIsOneTextToEachPerson takes three of four servers away at once:
// their agents are killed, and nobody starts them again for a while.
func TestARegionThatGoesDownIsOneTextToEachPerson(t *testing.T) {
	f := ownFleet(t, "--servers", "4")
	s := script{t, f}
	const region = "e2e-region"
	away := []string{"mail2", "mail3", "mail4"}
	for _, name := range away {
		s.do(http.StatusOK, http.MethodPatch, "/api/v1/servers/"+name, map[string]any{"region": region})
	}
	phones := map[string]string{"en": "+8613800000101", "zh": "+8613800000102"}
	for language, phone := range phones {
		s.do(http.StatusCreated, http.MethodPost, "/api/v1/contacts", map[string]any{"name": language, "phone": phone, "language": language})
	}
	var machines, agents []int
	for _, name := range away {
		machine := f.Processes("dev-machine --dir " + f.Dir + " --name " + name + " ")
		agent := treeOf(t, f, name).agent
		if len(machine) != 1 || agent == 0 {
			t.Fatalf("%s has the machines %v and the agent %d", name, machine, agent)
		}
		machines, agents = append(machines, machine[0]), append(agents, agent)
	}
	signal := func(pids []int, what syscall.Signal) {
		for _, pid := range pids {
			if err := syscall.Kill(pid, what); err != nil {
				t.Errorf("signal %d to process %d: %v", what, pid, err)
			}
		}
	}
	on := sync.OnceFunc(func() { signal(machines, syscall.SIGCONT) })
	t.Cleanup(on)
	signal(machines, syscall.SIGSTOP)
	signal(agents, syscall.SIGKILL)
	of := func(state string) (servers []string) {
		for _, a := range items(s.get("/api/v1/alerts?state=" + state + "&limit=100")) {
			if a["metric"] == "server_up" && slices.Contains(away, str(a, "server_name")) {
				servers = append(servers, str(a, "server_name"))
			}
		}
		slices.Sort(servers)
		return servers
	}
	told := func(n int) bool {
		return len(spooled(t, f, phones["en"], region)) >= n && len(spooled(t, f, phones["zh"], region)) >= n
	}
	eventually(t, "people are told that the region is down", func() bool { return told(1) })
	if got := of("firing"); !slices.Equal(got, away) {
		t.Errorf("alerts fire on %v, want %v", got, away)
	}
	on()
	eventually(t, "people are told that the region is back", func() bool { return told(2) })
	eventually(t, "each alert has resolved", func() bool { return slices.Equal(of("resolved"), away) })
	for language, want := range map[string][]string{
		"en": {"CRITICAL " + region + ": 3 servers are down: mail2, mail3, mail4, at ", "RESOLVED (CRITICAL) " + region + ": 3 servers are up again: mail2, mail3, mail4, at "},
		"zh": {"[严重] " + region + " 有 3 台服务器失联：mail2、mail3、mail4，", "[严重已恢复] " + region + " 有 3 台服务器恢复在线：mail2、mail3、mail4，"},
	} {
		got := spooled(t, f, phones[language], "")
		if len(got) != len(want) {
			t.Fatalf("%s: the texts are %q", language, got)
		}
		for i, text := range got {
			if !strings.HasPrefix(text, want[i]) {
				t.Errorf("%s: %q, want %q…", language, text, want[i])
			}
		}
	}
}
