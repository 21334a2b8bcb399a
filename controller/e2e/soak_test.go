package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/controller/e2e/fleettest"
	"mailfleet/controller/e2e/peers"
	"mailfleet/inventory"
)

// killsVariable names how many kills the soak makes; make soak sets it.
const (
	killsVariable = "SOAK_KILLS"
	fewKills      = 15
	workers       = 8 // that ask for operations
)

// ledgerScript is a service that writes down what it goes through: each start,
// each reload, and that it was started while the one before was alive. It begins
// with its signals blocked and takes them one by one, so that none ends it
// before it has written, or is missed.
const ledgerScript = `
import os, signal, sys
os.chdir(sys.argv[1])
def note(what):
    with open("ledger", "a") as f:
        f.write(what + "\n")
try:
    with open("/proc/" + open("pid").read() + "/cmdline") as f:
        if f.read().endswith(sys.argv[1] + "\0"):  # and not one that was given the number
            note("doubled")
except OSError:
    pass
with open("pid", "w") as f:
    f.write(str(os.getpid()))
while signal.sigwait({signal.SIGHUP, signal.SIGTERM}) == signal.SIGHUP:
    note("reload")
`

func ledgerCommand(dir string) []string {
	return []string{
		"/usr/bin/env", "--block-signal=HUP,TERM", "sh", "-c", `echo start >>"$2/ledger" && exec python3 -c "$1" "$2"`,
		"sh", ledgerScript, dir,
	}
}

// The services of the soak: one that is only restarted and reloaded, and one
// that is stopped and started too.
const (
	ledger = "ledger"
	toggle = "toggle"
)

// soak is a fleet that is given operations while its programs are killed.
type soak struct {
	t      *testing.T
	f      *fleettest.Fleet
	client *api.Client
	dir    string // of the ledgers

	mu    sync.Mutex
	asked map[string]inventory.ID
}

func TestOperationsSurviveKills(t *testing.T) {
	kills := fewKills
	if text := os.Getenv(killsVariable); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%s is %q, not a number", killsVariable, text)
		}
		kills = n
	}
	peers.Find(t, "python3", "python3")
	f := ownFleet(t)
	s := &soak{t: t, f: f, client: f.Client(), dir: t.TempDir(), asked: make(map[string]inventory.ID)}
	s.addLedgers()
	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	for i := range workers {
		working.Go(func() { s.work(ctx, i) })
	}
	began := time.Now()
	killed := s.kill(kills)
	stop()
	working.Wait()
	h := s.settled()
	if err := f.Stop(); err != nil {
		t.Errorf("stop the fleet: %v", err)
	}
	h.journal = readJournals(t, f)
	for _, wrong := range h.judge() {
		t.Error(wrong)
	}
	ends := make(map[string]int)
	for _, op := range h.kept {
		ends[string(op.Kind)+" "+string(op.State)]++
	}
	t.Logf("%d kills %v in %s, %d operations:", kills, killed, time.Since(began).Round(time.Second), len(h.kept))
	for _, end := range slices.Sorted(maps.Keys(ends)) {
		t.Logf("%5d %s", ends[end], end)
	}
}

// addLedgers adds the services and waits until they run.
func (s *soak) addLedgers() {
	s.t.Helper()
	for _, server := range s.f.Info.Servers {
		for _, name := range []string{ledger, toggle} {
			if err := os.MkdirAll(s.ledgerDir(server.Name, name), 0o700); err != nil {
				s.t.Fatal(err)
			}
			if _, err := s.client.AddService(s.t.Context(), api.NewService{
				Server: server.Name, Name: name, Want: inventory.WantRunning,
				ServiceConfig: inventory.ServiceConfig{Command: ledgerCommand(s.ledgerDir(server.Name, name))},
			}); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	eventually(s.t, "the ledgers run", func() bool {
		for _, server := range s.f.Info.Servers {
			for _, name := range []string{ledger, toggle} {
				if (script{s.t, s.f}).service(server.Name, name)["state"] != "running" {
					return false
				}
			}
		}
		return true
	})
}

func (s *soak) ledgerDir(server, service string) string { return filepath.Join(s.dir, server, service) }

// chores are what the workers ask for, each so often in a hundred.
var chores = []struct {
	kind    inventory.OperationKind
	service string
	often   int
}{
	{inventory.OpServiceRestart, ledger, 38},
	{inventory.OpServiceReload, ledger, 15},
	{inventory.OpServiceStop, toggle, 12},
	{inventory.OpServiceStart, toggle, 13},
	{inventory.OpServiceDrain, "mailnode", 6},
	{inventory.OpServiceUndrain, "mailnode", 6},
	{inventory.OpServerPreflight, "", 5},
	{inventory.OpServerReboot, "", 3},
	{inventory.OpServerPowerCycle, "", 2},
}

// work asks for one operation after another. Workers meet on targets.
func (s *soak) work(ctx context.Context, worker int) {
	for n := 0; ctx.Err() == nil; n++ {
		server := s.f.Info.Servers[rand.IntN(len(s.f.Info.Servers))]
		at, i := rand.IntN(100), 0
		for ; at >= chores[i].often; i++ {
			at -= chores[i].often
		}
		req := api.NewOperation{Kind: chores[i].kind, Targets: []api.NewTarget{{Server: server.Name, Service: chores[i].service}}, Reason: "soak"}
		if chores[i].kind.Destructive() {
			req.Confirm = server.Name
		}
		id := s.ask(ctx, fmt.Sprintf("soak-%d-%d", worker, n), req)
		for limit := time.Now().Add(20 * time.Second); id != "" && ctx.Err() == nil && time.Now().Before(limit); {
			op, err := s.client.Operation(ctx, id, 2*time.Second)
			if err == nil && op.State.Final() {
				break
			}
			if err != nil {
				idle(ctx, 100*time.Millisecond)
			}
		}
	}
}

// ask asks until there is an answer: with the same key, whatever became of the
// question before. Who asks twice is told of the same operation.
func (s *soak) ask(ctx context.Context, key string, req api.NewOperation) inventory.ID {
	limit := time.Now().Add(3 * time.Minute)
	for time.Now().Before(limit) { // also when the work is over: or nobody knows whether it was asked
		asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		op, err := s.client.CreateOperation(asking, key, req)
		cancel()
		if p, ok := refused(err); ok {
			s.t.Errorf("%s was refused: %v", req.Kind, p)
			return ""
		}
		if err != nil {
			idle(context.WithoutCancel(ctx), 100*time.Millisecond)
			continue
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if before := s.asked[key]; before != "" && before != op.ID {
			s.t.Errorf("key %s got operation %s, then %s", key, before, op.ID)
		}
		s.asked[key] = op.ID
		return op.ID
	}
	s.t.Errorf("%s was not answered within three minutes", req.Kind)
	return ""
}

// refused tells whether the controller has said no.
func refused(err error) (*api.Problem, bool) {
	p, ok := errors.AsType[*api.Problem](err)
	return p, ok && p.Status < http.StatusInternalServerError && p.Status != http.StatusTooManyRequests
}

// kill kills programs at random, and counts which. Each has lived for a moment.
func (s *soak) kill(n int) map[string]int {
	killed := make(map[string]int)
	programs := []string{"serve --config"}
	for _, server := range s.f.Info.Servers {
		programs = append(programs, "run --dir "+s.f.Dir+"/servers/"+server.Name+" ")
	}
	for done := 0; done < n; {
		i := rand.IntN(len(programs))
		pids := s.f.Processes(programs[i])
		if len(pids) != 1 || syscall.Kill(pids[0], syscall.SIGKILL) != nil { // dead already, or its machine is off
			idle(s.t.Context(), 50*time.Millisecond)
			continue
		}
		done++
		idle(s.t.Context(), 200*time.Millisecond+rand.N(1300*time.Millisecond))
		if i == 0 {
			killed["controller"]++
		} else {
			killed[s.f.Info.Servers[i-1].Name]++
		}
	}
	return killed
}

// settled waits until every operation has ended, as far as it can, and tells
// what the fleet has come to.
func (s *soak) settled() *history {
	s.t.Helper()
	sc := script{s.t, s.f}
	upAgain(s.t, sc, len(s.f.Info.Servers))
	h := &history{asked: s.asked, servers: make(map[string]*lived)}
	open := func(op inventory.Operation) bool { return !op.State.Final() }
	last := ""
	for limit, since := time.Now().Add(5*time.Minute), time.Now(); time.Now().Before(limit); idle(s.t.Context(), 200*time.Millisecond) {
		h.kept = nil
		for op, err := range api.Operations.All(s.t.Context(), s.client, url.Values{"limit": {"200"}}) {
			if err != nil {
				s.t.Fatal(err)
			}
			if op.Reason == "soak" {
				h.kept = append(h.kept, op)
			}
		}
		waits := ""
		for _, op := range h.kept {
			if open(op) {
				waits += fmt.Sprintln(op.ID, op.State)
			}
		}
		if waits != last {
			last, since = waits, time.Now()
		}
		// What stays unknown for a while stays so.
		if still := slices.ContainsFunc(h.kept, func(op inventory.Operation) bool { return open(op) && op.State != inventory.OpUnknown }); !still && (waits == "" || time.Since(since) > 5*time.Second) {
			break
		}
	}
	for _, server := range s.f.Info.Servers {
		l := &lived{id: server.ID, services: make(map[string]*served)}
		text, err := os.ReadFile(filepath.Join(s.f.Dir, "log", server.Name+".log"))
		if err != nil {
			s.t.Fatal(err)
		}
		l.boots = strings.Count(string(text), `msg="the machine is on"`)
		for _, name := range []string{ledger, toggle} {
			l.services[name] = s.serviceLived(sc, server.Name, name)
		}
		h.servers[server.Name] = l
	}
	return h
}

func (s *soak) serviceLived(sc script, server, service string) *served {
	s.t.Helper()
	v := &served{}
	// Its state is told a moment after it has changed.
	eventually(s.t, service+" on "+server+" as it is wanted", func() bool {
		is := sc.service(server, service)
		v.want, v.state = inventory.Want(str(is, "want")), inventory.ServiceState(str(is, "state"))
		return v.state == inventory.ServiceRunning && v.want == inventory.WantRunning || v.state == inventory.ServiceStopped && v.want == inventory.WantStopped
	})
	at := s.ledgerDir(server, service)
	eventually(s.t, service+" on "+server+" has written down its start and its reloads", func() bool {
		return !slices.ContainsFunc(processesWith(at), func(pid int) bool { return !waits(pid) })
	})
	text, err := os.ReadFile(filepath.Join(at, "ledger"))
	if err != nil {
		s.t.Fatal(err)
	}
	v.starts, v.reloads, v.doubled = strings.Count(string(text), "start\n"), strings.Count(string(text), "reload\n"), strings.Count(string(text), "doubled\n")
	v.running = len(processesWith(at))
	return v
}

// processesWith finds processes by the end of their command line.
func processesWith(last string) (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !bytes.HasSuffix(text, []byte("\x00"+last+"\x00")) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// waits tells whether a ledger's process has done all it was told and waits for a
// signal: it has become Python and sleeps, with none pending.
func waits(pid int) bool {
	command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil { // it is gone
		return true
	}
	return bytes.HasPrefix(command, []byte("python3\x00")) && bytes.Contains(status, []byte("\nState:\tS")) &&
		bytes.Contains(status, []byte("\nShdPnd:\t0000000000000000\n"))
}

// readJournals reads what the agents, which have ended, wrote down of orders.
// A line is a checksum, a blank and JSON.
func readJournals(t *testing.T, f *fleettest.Fleet) map[inventory.ID]entry {
	t.Helper()
	all := make(map[inventory.ID]entry)
	for _, server := range f.Info.Servers {
		text, err := os.ReadFile(filepath.Join(f.Dir, "servers", server.Name, "journal"))
		if err != nil {
			t.Fatal(err)
		}
		started := make(map[inventory.ID]map[time.Time]bool)
		for line := range bytes.Lines(text) {
			var record struct {
				Step *struct {
					Report api.StepReport `json:"report"`
				} `json:"step"`
			}
			_, body, _ := bytes.Cut(line, []byte(" "))
			if err := json.Unmarshal(body, &record); err != nil || record.Step == nil {
				t.Errorf("a line of %s's journal: %v: %s", server.Name, err, line)
				continue
			}
			r := record.Step.Report
			if started[r.ID] == nil {
				started[r.ID] = make(map[time.Time]bool)
			}
			started[r.ID][r.Started] = true
			e := all[r.ID]
			all[r.ID] = entry{begun: max(e.begun, len(started[r.ID])), state: r.State}
		}
	}
	return all
}

// idle passes time between two acts.
func idle(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
