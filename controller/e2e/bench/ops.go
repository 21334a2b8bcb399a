package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"mailfleet/agent/uplink"
	"mailfleet/controller/api"
	"mailfleet/controller/e2e/fleettest"
	"mailfleet/inventory"
)

const (
	rounds     = 20 // commands to all of them
	joinAtOnce = 16 // servers added and joined at the same time
	startEvery = 200 * time.Millisecond
	// betweenCommands is for what follows a command to be over: nobody gives
	// another one to the whole fleet at once.
	betweenCommands = 2 * time.Second
	meetLimit       = 4 * time.Minute   // for all agents to be up
	taskName        = "task"            // the service on each of the servers
	controller      = "serve --config " // in the controller's command line
)

// opsSuite measures operations at the sizes the controller is made for: real
// agents, as many as run on one machine, then simulated ones.
func opsSuite(ctx context.Context, s settings) ([]Row, error) {
	rows, err := manyAgents(ctx, s)
	if err != nil {
		return rows, fmt.Errorf("real agents: %w", err)
	}
	more, err := crowdSuite(ctx, s)
	if err != nil {
		return rows, fmt.Errorf("simulated agents: %w", err)
	}
	return append(rows, more...), nil
}

// manyAgents measures with one process an agent and gossip between them all.
func manyAgents(ctx context.Context, s settings) (rows []Row, err error) {
	f, err := start(ctx, s, "--servers", "1")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Stop(), os.RemoveAll(f.Dir)) }()
	boxes, err := addBoxes(ctx, f, s.agents)
	if err != nil {
		return nil, err
	}
	agents, err := startBoxes(ctx, s, boxes)
	defer func() { err = errors.Join(err, stopBoxes(agents)) }()
	if err != nil {
		return nil, err
	}
	c := f.Client()
	if err := allRunning(ctx, c, s.agents); err != nil {
		return nil, err
	}
	fmt.Printf("%d agents are up; %d commands to all of them …\n", s.agents, rounds)
	spent, err := spending(f, agents)
	if err != nil {
		return nil, err
	}
	acks, whole, err := commands(ctx, c, "region=bench,service="+taskName, inventory.OpServiceStart, rounds)
	if err != nil {
		return nil, err
	}
	if err := spent(); err != nil {
		return nil, err
	}
	rows = append(rows,
		atMost(fmt.Sprintf("command to %d agents: acknowledgement p50", s.agents), quantile(acks, 0.5), "ms", 250),
		atMost(fmt.Sprintf("command to %d agents: acknowledgement p99", s.agents), quantile(acks, 0.99), "ms", 250),
		atMost(fmt.Sprintf("command to %d agents: all have acknowledged (median)", s.agents), median(whole), "ms", 250))
	usage, err := idle(ctx, s.settle, pidsOf(agents))
	if err != nil {
		return nil, err
	}
	rows = append(rows,
		atMost(fmt.Sprintf("agent among %d: resident, median", s.agents), quantile(usage.resident, 0.5), "MB", 25),
		atMost(fmt.Sprintf("agent among %d: resident, largest", s.agents), quantile(usage.resident, 1), "MB", 25),
		atMost(fmt.Sprintf("agent among %d: CPU, median", s.agents), quantile(usage.share, 0.5), "% of a core", 0.5))
	controllerPids := f.Processes(controller)
	if len(controllerPids) != 1 {
		return nil, fmt.Errorf("%d controllers", len(controllerPids))
	}
	rss, err := residentBytes(controllerPids[0])
	return append(rows, atMost(fmt.Sprintf("controller of %d real agents: resident", s.agents), rss/mega, "MB", 1024)), err
}

// spending tells, when it is called, what processor time the programs took since.
func spending(f *fleettest.Fleet, agents []*exec.Cmd) (tell func() error, err error) {
	groups := map[string][]int{"agents": pidsOf(agents), "controller": f.Processes(controller), "this program": {os.Getpid()}}
	sum := func() (map[string]float64, error) {
		sums := make(map[string]float64)
		for name, pids := range groups {
			for _, pid := range pids {
				s, err := cpuSeconds(pid)
				if err != nil {
					return nil, err
				}
				sums[name] += s
			}
		}
		return sums, nil
	}
	before, err := sum()
	began := time.Now()
	return func() error {
		after, err := sum()
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(groups)) {
			fmt.Printf("  %s: %.1f s of processor time in %.0f s\n", name, after[name]-before[name], time.Since(began).Seconds())
		}
		return nil
	}, err
}

// box is a server of the bench: no mailnode, one service that does nothing.
type box struct{ name, dir string }

// addBoxes adds n servers, each with an address of the fleet's network, and
// lets their agents join.
func addBoxes(ctx context.Context, f *fleettest.Fleet, n int) ([]box, error) {
	c := f.Client()
	base := f.Info.Servers[0].Address
	base = base[:strings.LastIndexByte(base, '.')]
	boxes := make([]box, n)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(joinAtOnce)
	for i := range boxes {
		g.Go(func() error {
			b := box{name: fmt.Sprintf("box%d", i+1)}
			b.dir = filepath.Join(f.Dir, "boxes", b.name)
			no := false
			made, err := c.AddServer(ctx, api.NewServer{Name: b.name, Address: fmt.Sprintf("%s.%d", base, i+2), Mailnode: &no, Region: "bench"})
			if err != nil {
				return err
			}
			if _, err := uplink.Join(ctx, b.dir, f.Info.Console, made.Token, b.name); err != nil {
				return err
			}
			_, err = c.AddService(ctx, api.NewService{
				Server: b.name, Name: taskName, Want: inventory.WantRunning,
				ServiceConfig: inventory.ServiceConfig{Command: []string{"/bin/sleep", "infinity"}},
			})
			boxes[i] = b
			return err
		})
	}
	return boxes, g.Wait()
}

// startBoxes starts the agents, one after the other as machines boot: what an
// agent does once, when it starts, would keep this one machine busy for long.
func startBoxes(ctx context.Context, s settings, boxes []box) ([]*exec.Cmd, error) {
	agent := filepath.Join(s.bin, "mailfleet-agent")
	var agents []*exec.Cmd
	for _, b := range boxes {
		pause(ctx, startEvery)
		log, err := os.Create(filepath.Join(b.dir, "agent.log"))
		if err != nil {
			return agents, err
		}
		cmd := exec.CommandContext(context.WithoutCancel(ctx), agent, "run", "--dir", b.dir, "--stop-services", "--mailnode", filepath.Join(s.bin, "mailfleet-mailnode"))
		cmd.Stdout, cmd.Stderr = log, log
		err = cmd.Start()
		_ = log.Close()
		if err != nil {
			return agents, fmt.Errorf("start the agent of %s: %w", b.name, err)
		}
		agents = append(agents, cmd)
	}
	return agents, nil
}

// stopBoxes ends the agents, and with them their services.
func stopBoxes(agents []*exec.Cmd) error {
	for _, a := range agents {
		_ = a.Process.Signal(syscall.SIGTERM)
	}
	var errs []error
	for _, a := range agents {
		late := time.AfterFunc(time.Minute, func() { _ = a.Process.Kill() })
		if err := a.Wait(); err != nil {
			errs = append(errs, fmt.Errorf("an agent ended with %w", err))
		}
		late.Stop()
	}
	return errors.Join(errs...)
}

func pidsOf(agents []*exec.Cmd) (pids []int) {
	for _, a := range agents {
		pids = append(pids, a.Process.Pid)
	}
	return pids
}

// allRunning waits until n tasks run, which their agents have said, and what
// agents do once is over.
func allRunning(ctx context.Context, c *api.Client, n int) error {
	ctx, cancel := context.WithTimeout(ctx, meetLimit)
	defer cancel()
	for {
		up, running, inBench := 0, 0, make(map[inventory.ID]bool)
		for server, err := range api.Servers.All(ctx, c, nil) {
			if err != nil {
				return err
			}
			inBench[server.ID] = server.Region == "bench"
			if inBench[server.ID] && server.State == inventory.ServerUp {
				up++
			}
			for _, v := range server.Services {
				if v.Name == taskName && v.State == inventory.ServiceRunning {
					running++
				}
			}
		}
		looked := 0 // an agent looks its server over once, soon after it starts
		for p, err := range api.Preflights.All(ctx, c, nil) {
			if err != nil {
				return err
			}
			if inBench[p.Server] {
				looked++
			}
		}
		if up == n && running == n && looked == n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d servers are up, %d services run, %d servers are looked over", up, n, running, looked)
		case <-time.After(time.Second):
		}
	}
}

// commands gives a command to all that the selector finds, again and again. It
// is one of which nothing but the command itself takes time, such as starting
// what runs. It returns how long each acknowledgement took,
// from asking until the step's end was committed at the controller and told to
// a reader of its events, and how long all of them.
func commands(ctx context.Context, c *api.Client, selector string, kind inventory.OperationKind, rounds int) (acks, whole []float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, meetLimit)
	defer cancel()
	seen := make(chan sighting, 100)
	var following sync.WaitGroup
	defer following.Wait()
	defer cancel()
	following.Go(func() { follow(ctx, c, seen) })
	if err := (<-seen).err; err != nil {
		return nil, nil, err
	}
	for range rounds {
		pause(ctx, betweenCommands)
		began := time.Now()
		op, err := c.CreateOperation(ctx, string(inventory.NewID()), api.NewOperation{
			Kind: kind, Selector: selector, Reason: "bench",
		})
		if err != nil {
			return nil, nil, err
		}
		done := make(map[inventory.ID]time.Duration)
		for len(done) < len(op.Steps) {
			at := <-seen
			if at.err != nil {
				return nil, nil, at.err
			}
			if at.op.ID != op.ID {
				continue
			}
			for _, step := range at.op.Steps {
				if _, before := done[step.ID]; before || !step.State.Final() {
					continue
				}
				if step.State != inventory.OpSucceeded {
					return nil, nil, fmt.Errorf("a step of operation %s is %s: %s", op.ID, step.State, step.Message)
				}
				done[step.ID] = at.time.Sub(began)
			}
		}
		last := time.Duration(0)
		for _, took := range done {
			acks = append(acks, took.Seconds()*1000)
			last = max(last, took)
		}
		whole = append(whole, last.Seconds()*1000)
	}
	return acks, whole, nil
}

// sighting is an operation as it was seen to be.
type sighting struct {
	time time.Time
	op   inventory.Operation
	err  error
}

// follow tells of every change of an operation; first, with nothing, that it
// listens.
func follow(ctx context.Context, c *api.Client, seen chan<- sighting) {
	tell := func(s sighting) bool {
		select {
		case seen <- s:
			return s.err == nil
		case <-ctx.Done():
			return false
		}
	}
	status, err := c.Status(ctx)
	if !tell(sighting{err: err}) {
		return
	}
	for e, err := range c.Events(ctx, status.Index) {
		s := sighting{time: time.Now(), err: err}
		if err == nil {
			if e.Change == nil || e.Change.Kind != inventory.Operations {
				continue
			}
			s.err = json.Unmarshal(e.Change.Resource, &s.op)
		}
		if !tell(s) {
			return
		}
	}
}

// usage is what processes took while nothing was asked of them.
type usage struct{ resident, share []float64 }

func idle(ctx context.Context, settle time.Duration, pids []int) (usage, error) {
	var u usage
	before := make([]float64, len(pids))
	for i, pid := range pids {
		var err error
		if before[i], err = cpuSeconds(pid); err != nil {
			return u, err
		}
	}
	fmt.Printf("measuring agents for %s …\n", settle)
	began := time.Now()
	select {
	case <-ctx.Done():
		return u, ctx.Err()
	case <-time.After(settle):
	}
	for i, pid := range pids {
		rss, err1 := residentBytes(pid)
		cpu, err2 := cpuSeconds(pid)
		if err := errors.Join(err1, err2); err != nil {
			return u, err
		}
		u.resident = append(u.resident, rss/mega)
		u.share = append(u.share, 100*(cpu-before[i])/time.Since(began).Seconds())
	}
	return u, nil
}

// quantile is the smallest value that a share q of them does not exceed.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)-1, max(0, int(q*float64(len(sorted))+0.999999)-1))]
}
