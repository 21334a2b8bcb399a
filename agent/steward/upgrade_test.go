package steward

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mailfleet/agent/releases"
	"mailfleet/agent/state"
	"mailfleet/agent/supervise"
	"mailfleet/controller/api"
	"mailfleet/inventory"
	"mailfleet/inventory/release"
)

// publisher is a controller with signed builds.
type publisher struct {
	*controller
	t     *testing.T
	key   ed25519.PrivateKey
	chain release.Chain

	builds   sync.Mutex
	releases map[inventory.ID]inventory.Release
	contents map[inventory.ID][]byte
}

// newPublisher is one that the agent of dir trusts.
func newPublisher(t *testing.T, dir string) *publisher {
	t.Helper()
	p := &publisher{controller: newController(t), t: t, releases: map[inventory.ID]inventory.Release{}, contents: map[inventory.ID][]byte{}}
	var err error
	if p.key, err = release.NewKey(); err == nil {
		p.chain, err = release.NewChain(p.key)
	}
	if err == nil {
		err = releases.Pin(dir, p.chain)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.mux.HandleFunc("GET /agent/v1/release-keys", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(p.chain) })
	p.mux.HandleFunc("GET /agent/v1/releases/{id}", func(w http.ResponseWriter, r *http.Request) {
		p.builds.Lock()
		defer p.builds.Unlock()
		_ = json.NewEncoder(w).Encode(p.releases[inventory.ID(r.PathValue("id"))])
	})
	p.mux.HandleFunc("GET /agent/v1/releases/{id}/content", func(w http.ResponseWriter, r *http.Request) {
		p.builds.Lock()
		defer p.builds.Unlock()
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(p.contents[inventory.ID(r.PathValue("id"))]))
	})
	return p
}

// build publishes a script as a build of the job.
func (p *publisher) build(number, script string) inventory.ID {
	p.t.Helper()
	content := []byte("#!/bin/sh\n" + script + "\n")
	sum := sha256.Sum256(content)
	r := inventory.Release{Meta: inventory.Meta{ID: inventory.NewID()}, Program: "job", Number: number, Platform: releases.Platform,
		Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
	if err := release.Sign(&r, p.key); err != nil {
		p.t.Fatal(err)
	}
	p.builds.Lock()
	defer p.builds.Unlock()
	p.releases[r.ID], p.contents[r.ID] = r, content
	return r.ID
}

// upgrade orders one and waits for its end.
func (p *publisher) upgrade(params inventory.Params, want inventory.OperationState) (step api.StepReport, after api.Report) {
	p.t.Helper()
	o := order(inventory.OpServiceUpgrade, time.Minute)
	o.Params = params
	p.set(func(d *api.Desired) { d.Orders = []api.Order{o} })
	after = p.await(p.t, "the upgrade "+string(want), func(r api.Report) bool {
		for _, s := range r.Steps {
			if s.ID == o.ID && s.State.Final() {
				step = s
				return true
			}
		}
		return false
	})
	if step.State != want {
		p.t.Fatalf("it %s: %s", step.State, step.Message)
	}
	return step, after
}

func lastLine(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

// runs waits until the job runs, and returns its process.
func (p *publisher) runs() int {
	p.t.Helper()
	p.set(func(d *api.Desired) { d.Interval++ }) // has it report at once
	r := p.await(p.t, "a running job", func(r api.Report) bool { return is(inventory.ServiceRunning)(r) && !r.Services[0].Pending })
	return r.Services[0].PID
}

func TestAServiceIsUpgradedAndStaysSo(t *testing.T) {
	dir := t.TempDir()
	p := newPublisher(t, dir)
	file := filepath.Join(dir, "starts")
	stop := agent(t, dir, p.controller)
	p.set(func(d *api.Desired) { d.Services = []api.DesiredService{service(file)} })
	p.runs()
	two := p.build("2.0", "echo two >> "+file+"; exec sleep 3600")
	step, r := p.upgrade(inventory.Params{Release: two}, inventory.OpSucceeded)
	if !strings.HasPrefix(step.Message, "it runs job 2.0") || lastLine(t, file) != "two" {
		t.Errorf("%s; the job said %s last", step.Message, lastLine(t, file))
	}
	pid := r.Services[0].PID
	stop() // before the controller has said it of the service
	stop = agent(t, dir, p.controller)
	if again := p.runs(); again != pid {
		t.Errorf("the next agent has process %d, not %d", again, pid)
	}
	p.set(func(d *api.Desired) { d.Services[0].Release, d.Orders = two, nil })
	if again := p.runs(); again != pid {
		t.Errorf("when the controller says it there is process %d, not %d", again, pid)
	}
	restart := order(inventory.OpServiceRestart, time.Minute)
	p.set(func(d *api.Desired) { d.Orders = []api.Order{restart} })
	p.await(t, "a restart", ended(restart, inventory.OpSucceeded))
	if lastLine(t, file) != "two" {
		t.Errorf("restarted it is %s", lastLine(t, file))
	}
	three := []string{"/bin/sh", "-c", "echo three >> " + file + "; exec sleep 3600"}
	step, _ = p.upgrade(inventory.Params{Config: &inventory.ServiceConfig{Command: three}}, inventory.OpSucceeded)
	if lastLine(t, file) != "three" {
		t.Errorf("%s; the job said %s last", step.Message, lastLine(t, file))
	}
	quit(t, p.controller)
	stop()
}

func TestAServiceThatDoesNotDoWellGoesBack(t *testing.T) {
	dir := t.TempDir()
	p := newPublisher(t, dir)
	file := filepath.Join(dir, "starts")
	stop := agent(t, dir, p.controller)
	p.set(func(d *api.Desired) { d.Services = []api.DesiredService{service(file)} })
	before := p.runs()
	forged := p.build("6.6", "exec sleep 3600")
	p.builds.Lock()
	r := p.releases[forged]
	r.Number = "6.7"
	p.releases[forged] = r
	p.builds.Unlock()
	step, report := p.upgrade(inventory.Params{Release: forged}, inventory.OpFailed)
	if !strings.Contains(step.Message, "nothing was changed") || report.Services[0].PID != before {
		t.Errorf("%s; process %d, then %d", step.Message, before, report.Services[0].PID)
	}
	for number, c := range map[string]struct{ script, want string }{
		"at-once": {"echo there is no more; exit 7", "exit status 7: there is no more"},
		"later":   {"sleep 0.9; exit 8", "did not stay"}, // it counts as up after half a second
	} {
		before := starts(t, file)
		step, _ := p.upgrade(inventory.Params{Release: p.build(number, c.script)}, inventory.OpFailed)
		if !strings.HasPrefix(step.Message, "returned to /bin/sh -c") || !strings.Contains(step.Message, "job "+number+" did not do well") || !strings.Contains(step.Message, c.want) {
			t.Errorf("%s: %s", number, step.Message)
		}
		if p.runs(); lastLine(t, file) != "started" || starts(t, file) != before+1 {
			t.Errorf("%s: the job said %s last and was started %d times", number, lastLine(t, file), starts(t, file))
		}
	}
	quit(t, p.controller)
	stop()
}

func TestAnUpgradeTheAgentWasKilledOverIsTakenBack(t *testing.T) {
	dir := t.TempDir()
	p := newPublisher(t, dir)
	file := filepath.Join(dir, "starts")
	stop := agent(t, dir, p.controller)
	p.set(func(d *api.Desired) { d.Services = []api.DesiredService{service(file)} })
	p.runs()
	stop()

	// An agent that took the order, restarted the job as another program, and died.
	log := slog.New(slog.DiscardHandler)
	services, err := supervise.New(supervise.Options{Dir: dir, BootID: "boot", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	spec := specOf(service(file))
	spec.Command = []string{"/bin/sh", "-c", "echo new >> " + file + "; exec sleep 3600"}
	if err := services.Apply([]supervise.Spec{spec}); err != nil {
		t.Fatal(err)
	}
	if err := services.Restart(t.Context(), "job"); err != nil {
		t.Fatal(err)
	}
	journal, err := state.OpenJournal(filepath.Join(dir, "journal"), log)
	if err != nil {
		t.Fatal(err)
	}
	o := order(inventory.OpServiceUpgrade, time.Minute)
	o.Params.Release = inventory.NewID()
	if _, err := journal.Begin(o, "boot", 0); err != nil {
		t.Fatal(err)
	}
	if err := journal.Close(); err != nil {
		t.Fatal(err)
	}
	if err := services.Close(); err != nil {
		t.Fatal(err)
	}
	if lastLine(t, file) != "new" {
		t.Fatal("the test's own agent did not upgrade it")
	}

	stop = agent(t, dir, p.controller)
	r := p.await(t, "the upgrade failed", ended(o, inventory.OpFailed))
	if step := r.Steps[0]; !strings.Contains(step.Message, "ended in the middle of the upgrade") {
		t.Errorf("%s", step.Message)
	}
	if p.runs(); lastLine(t, file) != "started" {
		t.Errorf("the job said %s last", lastLine(t, file))
	}
	quit(t, p.controller)
	stop()
}

func TestABuildThatIsNotHereIsFetched(t *testing.T) {
	dir := t.TempDir()
	p := newPublisher(t, dir)
	file := filepath.Join(dir, "starts")
	two := p.build("2.0", "echo two >> "+file+"; exec sleep 3600")
	stop := agent(t, dir, p.controller)
	p.set(func(d *api.Desired) {
		v := service(file)
		v.Release, v.Want = two, inventory.WantStopped
		d.Services = []api.DesiredService{v}
	})
	p.await(t, "the build here", func(r api.Report) bool {
		_, err := os.Stat(filepath.Join(dir, "releases", p.releases[two].SHA256))
		return err == nil && r.Problem == "" && len(r.Services) == 1
	})
	p.set(func(d *api.Desired) {
		v := d.Services[0]
		v.Want = inventory.WantRunning
		d.Services = []api.DesiredService{v}
	})
	if p.runs(); lastLine(t, file) != "two" {
		t.Errorf("the job said %s", lastLine(t, file))
	}
	quit(t, p.controller)
	stop()
}

func TestSettingsArePutInForceOrRefusedWithTheReason(t *testing.T) {
	dir, c := t.TempDir(), newController(t)
	file := filepath.Join(dir, "starts")
	stop := agent(t, dir, c)
	c.set(func(d *api.Desired) { d.Services = []api.DesiredService{service(file)} })
	c.await(t, "a running job", is(inventory.ServiceRunning))
	apply := func(change func(*api.DesiredService), want inventory.OperationState) string {
		t.Helper()
		o := order(inventory.OpConfigApply, time.Minute)
		c.set(func(d *api.Desired) {
			v := service(file)
			change(&v)
			d.Services, d.Orders = []api.DesiredService{v}, []api.Order{o}
		})
		r := c.await(t, "the settings "+string(want), ended(o, want))
		return r.Steps[0].Message
	}
	if got := apply(func(v *api.DesiredService) { v.StopGrace = inventory.Duration(time.Second) }, inventory.OpSucceeded); !strings.Contains(got, "without a restart") {
		t.Errorf("what holds at once: %s", got)
	}
	if n := starts(t, file); n != 1 {
		t.Errorf("the job was started %d times", n)
	}
	if got := apply(func(v *api.DesiredService) { v.Env = map[string]string{"A": "1"} }, inventory.OpSucceeded); !strings.Contains(got, "since it was restarted") {
		t.Errorf("what its process is started from: %s", got)
	}
	if n := starts(t, file); n != 2 {
		t.Errorf("the job was started %d times", n)
	}
	if got := apply(func(v *api.DesiredService) { v.Dir = "relative" }, inventory.OpFailed); !strings.Contains(got, "are refused: service job: the working directory") {
		t.Errorf("what cannot be: %s", got)
	}
	quit(t, c)
	stop()
}
