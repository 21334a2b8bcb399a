package fleet

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mailfleet/inventory"
)

// newRegions is a fleet with a rule on servers that are down, a phone for each language,
// and so many servers in each region, all up.
func newRegions(t *testing.T, servers map[string]int) (*absent, map[string][]inventory.ID) {
	t.Helper()
	a := newAbsent(t, func(*inventory.Rule) {})
	ids := map[string][]inventory.ID{}
	up := map[inventory.ID]inventory.ServerState{}
	for region, n := range servers {
		for i := range n {
			id := a.add(fmt.Sprintf("%s-%d", region, i+1))
			ids[region], up[id] = append(ids[region], id), inventory.ServerUp
		}
	}
	a.write(func(tx inventory.Tx) error {
		for region, list := range ids {
			for _, id := range list {
				s, err := tx.Servers().Get(id)
				if err != nil {
					return err
				}
				s.Region = region
				if err := tx.Servers().Update(s); err != nil {
					return err
				}
			}
		}
		return tx.Contacts().Create(&inventory.Contact{Name: "b", Phone: "+862", Language: "zh"})
	})
	a.become(up)
	return a, ids
}

func (a *absent) become(states map[inventory.ID]inventory.ServerState) {
	a.t.Helper()
	if err := a.fleet.become(a.t.Context(), states); err != nil {
		a.t.Fatal(err)
	}
}

func all(ids []inventory.ID, state inventory.ServerState) map[inventory.ID]inventory.ServerState {
	states := map[inventory.ID]inventory.ServerState{}
	for _, id := range ids {
		states[id] = state
	}
	return states
}

// leaves checks what may leave at that time to a phone, but for the time that it tells.
func (a *absent) leaves(later time.Duration, phone string, want ...string) {
	a.t.Helper()
	var got []string
	a.view(func(tx inventory.Tx) error {
		list, _, err := tx.SMS().List(inventory.Query{})
		for _, m := range list {
			if m.To == phone && !m.Next.After(time.Now().Add(later)) {
				text, _, _ := strings.Cut(m.Text, ", at ")
				if i := strings.LastIndex(text, "，"); i >= 0 {
					text = text[:i]
				}
				got = append(got, text)
			}
		}
		return err
	})
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		a.t.Fatalf("to %s leave\n%s\nwant\n%s", phone, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestARegionThatGoesDownIsOneTextToEachPersonAndSoIsItsRecovery(t *testing.T) {
	a, ids := newRegions(t, map[string]int{"hk": 5, "fra": 4})
	a.become(all(ids["hk"], inventory.ServerSuspect))
	a.become(all(ids["hk"][:3], inventory.ServerDown))
	a.look(0)
	a.leaves(0, "+861") // two more may soon be down
	a.become(all(ids["hk"][3:], inventory.ServerDown))
	a.look(0)
	const down, up = "CRITICAL hk: 5 servers are down: hk-1, hk-2, hk-3, hk-4, hk-5", "RESOLVED (CRITICAL) hk: 5 servers are up again: hk-1, hk-2, hk-3, hk-4, hk-5"
	const xia, shang = "[严重] hk 有 5 台服务器失联：hk-1、hk-2、hk-3、hk-4、hk-5", "[严重已恢复] hk 有 5 台服务器恢复在线：hk-1、hk-2、hk-3、hk-4、hk-5"
	a.leaves(0, "+861", down)
	a.leaves(0, "+862", xia)
	f := inventory.AlertFiring
	a.is(2, f, f, f, f, f)
	a.look(time.Minute)
	a.is(2, f, f, f, f, f) // each its own in the console, and told once

	a.become(all(ids["hk"][:4], inventory.ServerUp))
	a.look(0)
	a.leaves(0, "+861", down) // one is still to come
	a.become(all(ids["hk"][4:], inventory.ServerUp))
	a.look(0)
	a.leaves(0, "+861", down, up)
	a.leaves(0, "+862", xia, shang)
	r := inventory.AlertResolved
	a.is(4, r, r, r, r, r)
}

func TestAFewServersAreToldOfOneByOne(t *testing.T) {
	a, ids := newRegions(t, map[string]int{"hk": 5, "fra": 1})
	a.become(all(slices.Concat(ids["hk"][:2], ids["fra"]), inventory.ServerDown))
	a.look(0)
	a.leaves(0, "+861", "CRITICAL fra-1: the server is down") // no other of its region can follow
	a.look(gatherQuiet)
	a.leaves(gatherQuiet, "+861", "CRITICAL fra-1: the server is down", "CRITICAL hk-1: the server is down", "CRITICAL hk-2: the server is down")
}

func TestATextWaitsForOthersOnlySoLong(t *testing.T) {
	a, ids := newRegions(t, map[string]int{"hk": 5})
	a.become(all(ids["hk"][4:], inventory.ServerSuspect))
	a.become(all(ids["hk"][:3], inventory.ServerDown))
	a.look(0)
	a.look(gatherDown - time.Second)
	a.leaves(gatherDown-time.Second, "+861")
	a.look(gatherDown)
	const down = "CRITICAL hk: 3 servers are down: hk-1, hk-2, hk-3"
	a.leaves(gatherDown, "+861", down)
	a.become(all(ids["hk"][:1], inventory.ServerUp))
	a.look(0)
	a.look(gatherUp)
	a.leaves(gatherUp, "+861", down, "RESOLVED (CRITICAL) hk-1: the server is up again")
}

func TestATextThatNobodyGathersLeavesByItself(t *testing.T) {
	a, ids := newRegions(t, map[string]int{"hk": 5})
	a.become(all(ids["hk"][4:], inventory.ServerSuspect))
	a.become(all(ids["hk"][:3], inventory.ServerDown))
	a.look(0)
	last := gatherDown + gatherSlack + time.Second // as after a controller that was away
	a.leaves(last, "+861", "CRITICAL hk-1: the server is down", "CRITICAL hk-2: the server is down", "CRITICAL hk-3: the server is down")
	a.look(last)
	a.leaves(last, "+861", "CRITICAL hk-1: the server is down", "CRITICAL hk-2: the server is down", "CRITICAL hk-3: the server is down")
}

func TestHowManyAreToldOfInOneTextIsASetting(t *testing.T) {
	a, ids := newRegions(t, map[string]int{"hk": 3})
	a.fleet.opts.Together = 4
	a.become(all(ids["hk"], inventory.ServerDown))
	a.look(0)
	a.leaves(0, "+862", "[严重] hk-1 服务器失联", "[严重] hk-2 服务器失联", "[严重] hk-3 服务器失联")
}
