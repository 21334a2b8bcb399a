package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"mailfleet/controller/api"
	"mailfleet/controller/e2e/fleettest"
	"mailfleet/inventory"
)

const (
	clockTicks = 100 // USER_HZ on every Linux that Go runs on
	mega       = 1 << 20
)

// fleetSuite measures a dev fleet of three servers at the production interval.
func fleetSuite(ctx context.Context, s settings) (rows []Row, err error) {
	var ready []float64
	for range 2 { // the third time it stays
		f, err := start(ctx, s)
		if err != nil {
			return nil, err
		}
		ready = append(ready, f.Ready.Seconds())
		if err := f.Stop(); err != nil {
			return nil, err
		}
		_ = os.RemoveAll(f.Dir)
	}
	f, err := start(ctx, s)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Stop(), os.RemoveAll(f.Dir)) }()
	ready = append(ready, f.Ready.Seconds())
	rows = append(rows, atMost("fleet of 3: time to ready", median(ready), "s", 20))

	acts, err := operations(ctx, f)
	if err != nil {
		return nil, err
	}
	rows = append(rows, acts)

	agents := f.Processes("mailfleet-agent run")
	if len(agents) != len(f.Info.Servers) {
		return nil, fmt.Errorf("%d agents instead of %d", len(agents), len(f.Info.Servers))
	}
	before := make([]float64, len(agents))
	for i, pid := range agents {
		if before[i], err = cpuSeconds(pid); err != nil {
			return nil, err
		}
	}
	fmt.Printf("measuring agents for %s …\n", s.settle)
	began := time.Now()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(s.settle):
	}
	var resident, share []float64
	for i, pid := range agents {
		rss, err := residentBytes(pid)
		if err != nil {
			return nil, err
		}
		cpu, err := cpuSeconds(pid)
		if err != nil {
			return nil, err
		}
		resident = append(resident, rss/mega)
		share = append(share, 100*(cpu-before[i])/time.Since(began).Seconds())
	}
	rows = append(rows,
		atMost("agent: resident", median(resident), "MB", 25),
		atMost("agent: CPU", median(share), "% of a core", 0.5))
	for part, name := range map[string]string{"serve --config": "controller: resident", "mailfleet-mailnode run": "mailnode: resident, idle"} {
		pids := f.Processes(part)
		if len(pids) == 0 {
			return nil, fmt.Errorf("no process %q", part)
		}
		rss, err := residentBytes(pids[0])
		if err != nil {
			return nil, err
		}
		rows = append(rows, Row{Name: name, Ours: rss / mega, Unit: "MB", Aim: "-", Met: true})
	}
	info, err := os.Stat(filepath.Join(s.bin, "mailfleet-agent"))
	if err != nil {
		return nil, err
	}
	return append(rows, atMost("agent: binary", float64(info.Size())/mega, "MB", 20)), nil
}

func start(ctx context.Context, s settings, args ...string) (*fleettest.Fleet, error) {
	dir, err := os.MkdirTemp("", "mf")
	if err != nil {
		return nil, err
	}
	return fleettest.Start(ctx, s.bin, dir, append([]string{"--sample-interval", "300s"}, args...)...)
}

// operations measures from asking for a command on every server until all have
// durably acknowledged it.
func operations(ctx context.Context, f *fleettest.Fleet) (Row, error) {
	c := f.Client()
	var took []float64
	for range 20 {
		req := api.NewOperation{Kind: inventory.OpServiceStart, Reason: "bench"}
		for _, s := range f.Info.Servers {
			req.Targets = append(req.Targets, api.NewTarget{Server: s.Name, Service: "mailnode"})
		}
		began := time.Now()
		op, err := c.CreateOperation(ctx, string(inventory.NewID()), req)
		if err != nil {
			return Row{}, err
		}
		if op, err = c.Operation(ctx, op.ID, 30*time.Second); err != nil || op.State != inventory.OpSucceeded {
			return Row{}, fmt.Errorf("operation %s is %s: %w", op.ID, op.State, err)
		}
		took = append(took, float64(time.Since(began).Milliseconds()))
	}
	return atMost("command to 3 servers, acknowledged by all (median of 20)", median(took), "ms", 250), nil
}

// cpuSeconds is the time a process has spent on processors (proc_pid_stat(5)).
func cpuSeconds(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, err1 := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	return (user + system) / clockTicks, errors.Join(err1, err2)
}

// residentBytes is what a process holds in memory (proc_pid_status(5), VmRSS).
func residentBytes(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb * 1024, err
		}
	}
	return 0, fmt.Errorf("process %d has no VmRSS", pid)
}
