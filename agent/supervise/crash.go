package supervise

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"mailfleet/agent/durable"
	"mailfleet/inventory"
)

// crashLines are kept of what a service wrote before it ended.
const crashLines = 200

// Crash is how a service last ended without being asked to.
type Crash struct {
	Time     time.Time           `json:"time"`
	Exit     string              `json:"exit"`
	Said     *inventory.Sentence `json:"said,omitempty"` // Exit, for another language
	Restarts int                 `json:"restarts"`       // of the supervisor, before it ended
	Lines    []string            `json:"lines"`          // the last of its output, oldest first
}

// keepCrash writes down how the service ended and what it said last; it stays
// when the service runs again, until the next time.
func (s *seat) keepCrashOf(exit inventory.Sentence, restarts int, lines []string) {
	c := Crash{Time: time.Now().UTC().Round(0), Exit: exit.String(), Said: exit.Beside(), Restarts: restarts, Lines: lines}
	b, err := json.Marshal(c)
	if err == nil {
		err = durable.WriteFile(s.crashFile(), b)
	}
	if err != nil {
		s.log.Warn("how the service ended is not kept", "err", err)
	}
}

func (s *seat) crashFile() string { return filepath.Join(s.dir, "crash.json") }

func (s *service) keepCrash(exit inventory.Sentence) {
	lines, err := s.output.tail(crashLines)
	if err != nil {
		s.log.Warn("the output of the service cannot be read", "err", err)
	}
	s.keepCrashOf(exit, s.record.Status.Restarts, lines)
}

// Crash returns how a service last ended without being asked to.
func (s *Supervisor) Crash(name string) (Crash, error) {
	svc, err := s.service(name)
	if err != nil {
		return Crash{}, err
	}
	b, err := os.ReadFile(svc.seated().crashFile())
	if errors.Is(err, fs.ErrNotExist) {
		return Crash{}, inventory.Errorf(inventory.NotFound, "service %s has not crashed", name)
	}
	if err != nil {
		return Crash{}, err
	}
	var c Crash
	if err := json.Unmarshal(b, &c); err != nil {
		return Crash{}, inventory.Wrap(inventory.Internal, err, "the crash report of %s is damaged", name)
	}
	return c, nil
}
