package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"mailfleet/controller/e2e/fleettest"
)

// consoleSuite has a real browser open every screen of a dev fleet's console
// and measures its main thread; ui/e2e/bench.mjs does the work.
func consoleSuite(ctx context.Context, s settings) (rows []Row, err error) {
	dir, err := os.MkdirTemp("", "mf")
	if err != nil {
		return nil, err
	}
	f, err := fleettest.Start(ctx, s.bin, dir, "--sample-interval", "2s")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Stop(), os.RemoveAll(dir)) }()
	cmd := exec.CommandContext(ctx, "npm", "run", "--silent", "bench")
	cmd.Dir = filepath.Join(s.root, "ui")
	cmd.Env = append(os.Environ(), "DEV_JSON="+filepath.Join(dir, "dev.json"))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("measure the console: %w\n%s", err, out)
	}
	var figures []struct {
		Name, Unit string
		Ours, Aim  float64
		Met        bool
	}
	if err := json.Unmarshal(out, &figures); err != nil {
		return nil, fmt.Errorf("read the console's figures: %w", err)
	}
	for _, v := range figures {
		rows = append(rows, atMost(strings.TrimSpace(v.Name), v.Ours, v.Unit, v.Aim))
	}
	return rows, nil
}
