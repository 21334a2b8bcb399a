package preflight

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"mailfleet/inventory"
)

// limitCheck looks at a limit of the agent and of the services it supervises:
// the lowest counts. below fail mail would suffer.
func limitCheck(line, limit string, want, fail int64, advice inventory.Sentence) func(context.Context, System, Facts) result {
	return func(_ context.Context, s System, f Facts) result {
		look := f.Services
		if f.Agent != 0 {
			look = append([]Process{{theAgent, f.Agent}}, look...)
		}
		if len(look) == 0 {
			look = []Process{{thisProcess, 0}}
		}
		lowest, of := int64(math.MaxInt64), ""
		for _, p := range look {
			path := "/proc/self/limits"
			if p.PID != 0 {
				path = fmt.Sprintf("/proc/%d/limits", p.PID)
			}
			text, err := s.ReadFile(path)
			if err != nil {
				continue // it has ended meanwhile
			}
			soft, ok := parseLimit(text, line)
			if ok && soft < lowest {
				lowest, of = soft, p.Service
			}
		}
		if of == "" {
			return result{state: inventory.CheckSkipped, found: say("this machine does not tell")}
		}
		found := say("%s, of %s", amount(lowest), of)
		switch of {
		case theAgent:
			found = say("%s, of the agent", amount(lowest))
		case thisProcess:
			found = say("%s, of this process", amount(lowest))
		}
		return result{
			state: grade(lowest, want, fail), found: found, wanted: say("at least %d", want),
			advice: advice, fix: &fix{limit: limit, value: want},
		}
	}
}

// The names of processes that are no services: none of a service has a space.
const (
	theAgent    = "the agent"
	thisProcess = "this process"
)

func amount(n int64) string {
	if n == math.MaxInt64 {
		return "unlimited"
	}
	return strconv.FormatInt(n, 10)
}

// parseLimit finds the soft limit of a line of /proc/<pid>/limits.
func parseLimit(text []byte, name string) (soft int64, ok bool) {
	for line := range bytes.Lines(text) {
		rest, found := bytes.CutPrefix(line, []byte(name+" "))
		if !found {
			continue
		}
		fields := strings.Fields(string(rest))
		if len(fields) == 0 {
			return 0, false
		}
		if fields[0] == "unlimited" {
			return math.MaxInt64, true
		}
		n, err := strconv.ParseInt(fields[0], 10, 64)
		return n, err == nil
	}
	return 0, false
}
