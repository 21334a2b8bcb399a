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
	"regexp"
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
	Ratio    float64 `json:"ratio"`     // how many times better ours is, 0 without a peer
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
	root   string         // of the repository
	bin    string         // of the programs
	settle time.Duration  // before resident sizes are read
	only   *regexp.Regexp // names the rows of suites that can measure some only; nil: all
	agents int            // real ones, of the ops suite
	crowd  int            // simulated ones

	mailing int // recipients of the smtp suite's mailing
}

var suites = map[string]func(context.Context, settings) ([]Row, error){
	"fleet":   fleetSuite,
	"console": consoleSuite,
	"ops":     opsSuite,
	"agents":  manyAgents, // the first part of ops
	"crowd":   crowdSuite, // the second
	"store":   storeSuite,
	"smtp":    smtpSuite,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	suite := flag.String("suite", "", "fleet, console, ops, store or smtp (agents and crowd are the parts of ops); empty: all")
	settle := flag.Duration("settle", 5*time.Minute, "how long agents run before they are measured")
	only := flag.String("run", "", "rows of the store or smtp suite to measure, a regular expression; empty: all")
	agents := flag.Int("agents", 200, "real agents of the ops suite, up to 250")
	crowd := flag.Int("crowd", 5000, "simulated agents of the ops suite")
	mailing := flag.Int("mailing", 100_000, "recipients of the mailing of the smtp suite")
	flag.Parse()
	if err := measure(ctx, *suite, *only, settings{settle: *settle, agents: *agents, crowd: *crowd, mailing: *mailing}); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, only, rows string, s settings) error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	s.root, s.bin = root, filepath.Join(root, "bin")
	if rows != "" {
		if s.only, err = regexp.Compile(rows); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(root, ".bench"), 0o755); err != nil {
		return err
	}
	names := []string{"fleet", "console", "ops", "store", "smtp"}
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
	name := "peer"
	for _, r := range rows {
		if r.PeerName != "" {
			name = r.PeerName
		}
	}
	lines := [][]string{{suite, "unit", "mailfleet", name, "ratio", "aim", "met"}}
	for _, r := range rows {
		peer, ratio := "-", "-"
		if r.PeerName != "" {
			peer, ratio = figure(r.Peer), fmt.Sprintf("%.2f", r.Ratio)
		}
		met := "no"
		if r.Met {
			met = "yes"
		}
		lines = append(lines, []string{r.Name, r.Unit, figure(r.Ours), peer, ratio, r.Aim, met})
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

// figure is a number with as many digits as are worth reading.
func figure(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.4g", v)
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
