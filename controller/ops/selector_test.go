package ops

import (
	"slices"
	"strings"
	"testing"

	"mailfleet/inventory"
)

// fleetOf is a snapshot of servers "name region rack state", each with the
// services named.
func fleetOf(services []string, servers ...string) *snapshot {
	f := &snapshot{
		servers: map[inventory.ID]*inventory.Server{}, services: map[inventory.ID][]*inventory.Service{},
		powers: map[inventory.ID]*inventory.Power{}, hands: map[inventory.ID]map[inventory.Target]bool{},
		linked: func(inventory.ID) bool { return true },
	}
	for _, text := range servers {
		w := strings.Fields(text)
		id := inventory.ID(w[0])
		f.servers[id] = &inventory.Server{
			Meta: inventory.Meta{ID: id}, Name: w[0], Region: w[1], State: inventory.ServerState(w[3]), BootID: "boot-" + w[0],
			Labels: map[string]string{"rack": w[2]},
		}
		for _, name := range services {
			f.services[id] = append(f.services[id], &inventory.Service{
				Server: id, Name: name, Want: inventory.WantRunning, ServiceStatus: inventory.ServiceStatus{State: inventory.ServiceRunning},
			})
		}
	}
	return f
}

func TestASelectorCoversWhatItsTermsSay(t *testing.T) {
	f := fleetOf([]string{"mailnode", "rspamd"}, "hk1 hk a up", "hk2 hk b up", "sz1 sz a down", "old sz a removed")
	f.services["sz1"] = f.services["sz1"][:1]
	f.pools = []*inventory.Pool{{Name: "webmail", Service: "mailnode", Members: []inventory.Member{{Server: "hk2"}, {Server: "sz1"}}}}
	for text, want := range map[string]string{
		"region=hk,service=mailnode":              "hk1/mailnode hk2/mailnode",
		"service=mailnode|rspamd,label.rack!=a":   "hk2/mailnode hk2/rspamd",
		"pool=webmail":                            "hk2/mailnode sz1/mailnode",
		" pool = webmail , state = up ":           "hk2/mailnode",
		"server=hk1|sz1,service!=rspamd":          "hk1/mailnode sz1/mailnode",
		"label.none=,service=rspamd,server!=hk2":  "hk1/rspamd",
		"region=nowhere":                          "",
		"region!=hk,region!=sz":                   "",
		"state!=up,service=mailnode,region=hk|sz": "sz1/mailnode",
	} {
		sel, err := parseSelector(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := keys(sel.find(f, inventory.OpServiceRestart)); got != want {
			t.Errorf("%s covers %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"service=rspamd":          "hk1 hk2",
		"pool=webmail":            "hk2 sz1",
		"region=hk,label.rack=a":  "hk1",
		"service=mailnode|rspamd": "hk1 hk2 sz1",
	} {
		sel, err := parseSelector(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := keys(sel.find(f, inventory.OpServerReboot)); got != want {
			t.Errorf("servers of %s: %q, want %q", text, got, want)
		}
	}
	sel, _ := parseSelector("state=up,region=sz")
	if got := keys(sel.lasting().find(f, inventory.OpServerReboot)); got != "sz1" {
		t.Errorf("whatever its state is: %q", got)
	}
}

func keys(targets []inventory.Target) string {
	var out []string
	for _, t := range targets {
		out = append(out, key(t))
	}
	return strings.Join(out, " ")
}

func TestAWrongSelectorIsRefusedInASentence(t *testing.T) {
	for text, part := range map[string]string{
		"":                "empty",
		"region":          "no =",
		"region=hk,,x=y":  "no =",
		"colour=red":      `no term "colour"`,
		"label.=a":        "not the name of a label",
		"service=":        "empty value",
		"region=a b":      "cannot be a value",
		"state=up;rm -rf": "cannot be a value",
		strings.Repeat("region=a,", 30) + "region=b": "at most 20",
		"server=" + strings.Repeat("a|", 300) + "a":  "at most 200",
	} {
		if _, err := parseSelector(text); err == nil || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.40q: %v, want something of %q", text, err, part)
		}
	}
}

func FuzzSelector(f *testing.F) {
	for _, text := range []string{"region=hk,service=mailnode|rspamd,label.rack!=a,pool=webmail,state=up", "a=b", "=,!=", "label.x=", "server!=a|b"} {
		f.Add(text)
	}
	fleet := fleetOf([]string{"mailnode"}, "hk1 hk a up", "sz1 sz b down")
	f.Fuzz(func(t *testing.T, text string) {
		sel, err := parseSelector(text)
		if err != nil {
			return
		}
		again, err := parseSelector(sel.String())
		if err != nil || again.String() != sel.String() {
			t.Fatalf("%q was read as %q, which is read as %q, %v", text, sel, again, err)
		}
		all := keys(sel.find(fleet, inventory.OpServiceStop))
		if some := sel.find(fleet, inventory.OpServiceStop); !slices.IsSortedFunc(some, func(a, b inventory.Target) int { return strings.Compare(key(a), key(b)) }) {
			t.Fatalf("%q covers %s, out of order", text, all)
		}
	})
}
