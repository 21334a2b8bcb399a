// Command bench measures the fleet and prints tables; the figures go to
// .bench/<suite>.json. Every figure is measured in the run, on this machine,
// with real processes. make bench runs it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Row is one figure. Lower is better when the aim begins with "≤" or "<".
type Row struct {
	Name     string  `json:"name"`
	Ours     float64 `json:"ours"`
	Peer     float64 `json:"peer"`      // 0: there is none to compare with
	PeerName string  `json:"peer_name"` // "": none
	Ratio    float64 `json:"ratio"`     // ours / peer, 0 without a peer
	Unit     string  `json:"unit"`
	Aim      string  `json:"aim"`
	Met      bool    `json:"met"`
}

// atMost is a row whose figure should not be above aim.
func atMost(name string, ours float64, unit string, aim float64) Row {
	return Row{Name: name, Ours: ours, Unit: unit, Aim: fmt.Sprintf("≤ %g", aim), Met: ours <= aim}
}

// settings are what suites are run with.
type settings struct {
	root   string        // of the repository
	bin    string        // of the programs
	settle time.Duration // before resident sizes are read
}

var suites = map[string]func(context.Context, settings) ([]Row, error){
	"fleet":   fleetSuite,
	"console": consoleSuite,
	"ops":     opsSuite,
	"agents":  manyAgents, // the first part of ops
	"crowd":   crowdSuite, // the second
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	suite := flag.String("suite", "", "fleet, console or ops (agents and crowd are its parts); empty: all")
	settle := flag.Duration("settle", 5*time.Minute, "how long agents run before they are measured")
	flag.Parse()
	if err := run(ctx, *suite, *settle); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, settle time.Duration) error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	s := settings{root: root, bin: filepath.Join(root, "bin"), settle: settle}
	if err := os.MkdirAll(filepath.Join(root, ".bench"), 0o755); err != nil {
		return err
	}
	names := []string{"fleet", "console", "ops"}
	if only != "" {
		if suites[only] == nil {
			return fmt.Errorf("there is no suite %q; there are %s", only, strings.Join(slices.Sorted(maps.Keys(suites)), ", "))
		}
		names = []string{only}
	}
	for _, name := range names {
		rows, err := suites[name](ctx, s)
		if err != nil {
			return fmt.Errorf("suite %s: %w", name, err)
		}
		show(name, rows)
		text, err := json.MarshalIndent(rows, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(root, ".bench", name+".json"), append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// show prints a table whose columns line up.
func show(suite string, rows []Row) {
	lines := [][]string{{suite, "ours", "peer", "ratio", "unit", "aim", "met"}}
	for _, r := range rows {
		peer, ratio := "-", "-"
		if r.PeerName != "" {
			peer, ratio = fmt.Sprintf("%.4g (%s)", r.Peer, r.PeerName), fmt.Sprintf("%.2f", r.Ratio)
		}
		met := "no"
		if r.Met {
			met = "yes"
		}
		lines = append(lines, []string{r.Name, fmt.Sprintf("%.4g", r.Ours), peer, ratio, r.Unit, r.Aim, met})
	}
	widths := make([]int, len(lines[0]))
	for _, l := range lines {
		for i, cell := range l {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for _, l := range lines {
		for i, cell := range l {
			fmt.Print(cell, strings.Repeat(" ", widths[i]-len([]rune(cell))+2))
		}
		fmt.Println()
	}
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
