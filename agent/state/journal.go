package state

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"mailfleet/agent/durable"
	"mailfleet/controller/api"
	"mailfleet/inventory"
)

const (
	// keepSteps is how long an ended step is remembered.
	keepSteps = 30 * 24 * time.Hour
	// maxSteps is how many ended steps are remembered.
	maxSteps = 10_000
	// syncAfter is how long what only repeats a report when it is lost may wait for
	// the disk.
	syncAfter = time.Second
	// compactAbove is the size of the file, in bytes, from which it is compacted.
	compactAbove = 1 << 20
	// reserved is by how much the file grows, in bytes: for some tens of orders.
	reserved = 32 << 10
	// maxLines and maxLine bound a step's log; the oldest lines go first.
	maxLines = 200
	maxLine  = 500
)

// Step is an order the agent took and how it goes.
type Step struct {
	Order    api.Order      `json:"order"`
	Boot     string         `json:"boot,omitempty"` // boot id of this machine when the order was taken
	PID      int            `json:"pid,omitempty"`  // of the order's service then; 0: it had no process
	Report   api.StepReport `json:"report"`
	Reported bool           `json:"reported,omitempty"` // the controller has taken Report
	Open     bool           `json:"open,omitempty"`     // nobody is at it; how it went will show
}

func (s *Step) ended() bool { return s.Report.State.Final() }

// over tells whether a step is only remembered: it has ended and the controller
// knows how.
func (s *Step) over() bool { return s.ended() && s.Reported }

// Journal remembers which orders were taken, so that none is acted on twice: a
// step is on disk before the agent acts. Ended and reported steps are dropped
// after 30 days, or when there are 10,000 newer ones; an order that was made no
// later than a dropped one is not taken again either. It is safe for
// concurrent use.
type Journal struct {
	mu        sync.Mutex
	log       *durable.Log[record]
	compacted int64 // size of the file when it was last compacted
	steps     map[inventory.ID]*Step
	live      map[inventory.ID]*Step // of steps, those that are not over: a few, where all may be thousands
	floor     time.Time              // orders made until then may have been dropped
	syncing   *time.Timer
	logger    *slog.Logger
}

// record is a line of the journal: a step as it is from then on, or a new floor.
type record struct {
	Step  *Step      `json:"step,omitempty"`
	Floor *time.Time `json:"floor,omitempty"`
}

// OpenJournal opens or creates the journal at path. A step that was begun and
// not finished becomes unknown.
func OpenJournal(path string, log *slog.Logger) (*Journal, error) {
	j := &Journal{steps: make(map[inventory.ID]*Step), live: make(map[inventory.ID]*Step), logger: log}
	var err error
	j.log, err = durable.OpenLog(path, log, j.replay)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	j.log.Reserve(reserved)
	for _, s := range j.steps {
		if !s.ended() && !s.Open && s.Report.State != inventory.OpUnknown {
			s.Report.State = inventory.OpUnknown
			s.Report.Tell(inventory.Say("the agent stopped while it carried this out"))
			s.Reported = false
		}
		if !s.over() {
			j.live[s.Order.ID] = s
		}
	}
	if err := j.compact(); err != nil {
		_ = j.log.Close()
		return nil, fmt.Errorf("compact journal: %w", err)
	}
	return j, nil
}

func (j *Journal) replay(r record) {
	if r.Step != nil && r.Step.Report.ID == r.Step.Order.ID {
		j.steps[r.Step.Order.ID] = r.Step
	}
	if r.Floor != nil {
		j.floor = *r.Floor
	}
}

// Begin takes an order. When fresh is true it is on disk and the caller must
// carry it out and call Finish; when it is false the order was taken before,
// and how it went is reported again. After an error it was not taken.
func (j *Journal) Begin(o api.Order, boot string, pid int) (fresh bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if s := j.steps[o.ID]; s != nil {
		s.Reported, j.live[o.ID] = false, s // or the controller would not ask again
		return false, nil
	}
	if !j.floor.IsZero() && !o.ID.Time().After(j.floor) {
		return false, nil
	}
	s := &Step{Order: o, Boot: boot, PID: pid, Report: api.StepReport{ID: o.ID, State: inventory.OpRunning, Started: now()}}
	if err := j.log.Append(record{Step: s}); err != nil {
		return false, fmt.Errorf("order %s was not taken: %w", o.ID, err)
	}
	j.steps[o.ID], j.live[o.ID] = s, s
	return true, nil
}

// Say adds a line to a step's log. It is on disk with the step's end.
func (j *Journal) Say(id inventory.ID, line inventory.Sentence) {
	if text := line.String(); len(text) > maxLine {
		line = inventory.Say("%s", strings.ToValidUTF8(text[:maxLine], "")+"…")
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.steps[id]
	if s == nil || s.ended() {
		return
	}
	// Copied: reports that are being sent share the old one.
	lines := append(slices.Clone(s.Report.Log), inventory.StepLine{Time: now(), Text: line.String(), Said: line.Beside()})
	s.Report.Log, s.Reported = lines[max(0, len(lines)-maxLines):], false
}

// Finish tells how an order went: succeeded, failed or expired; unknown, or
// running when nobody is at it and how it went will show: then it may be called
// again when it is known. That survives the agent at once and a power cut soon, unless
// the controller has taken it by then: after one, the order was begun and how it went
// is not known here. After an error about the disk it is remembered until a restart.
func (j *Journal) Finish(id inventory.ID, state inventory.OperationState, message inventory.Sentence) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.steps[id]
	if s == nil {
		return inventory.Errorf(inventory.NotFound, "there is no order %s in the journal", id)
	}
	if s.ended() {
		return inventory.Errorf(inventory.Conflict, "order %s has ended already: %s", id, s.Report.State)
	}
	s.Report.Tell(message)
	s.Report.State, s.Reported = state, false
	s.Open = state == inventory.OpRunning
	if s.ended() {
		s.Report.Ended = now()
	}
	if err := j.note(record{Step: s}); err != nil {
		return fmt.Errorf("the end of order %s is not on disk: %w", id, err)
	}
	return nil
}

// note writes records that need not be durable at once, so that nobody waits for
// the disk. j.mu is held.
func (j *Journal) note(records ...record) error {
	if err := j.log.Note(records...); err != nil {
		return err
	}
	if j.syncing == nil {
		j.syncing = time.AfterFunc(syncAfter, j.sync)
	}
	return nil
}

// unhurry leaves what was noted to the next step that is begun, or to the kernel.
// j.mu is held.
func (j *Journal) unhurry() {
	if j.syncing != nil {
		j.syncing.Stop()
		j.syncing = nil
	}
}

func (j *Journal) sync() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.syncing == nil {
		return // closed
	}
	j.syncing = nil
	if err := j.log.Sync(); err != nil {
		j.logger.Error("how orders went may be lost in a power cut", "err", err)
	}
}

// Unsettled returns the steps nobody is at whose outcome is not known, oldest
// first. Settle may find it out.
func (j *Journal) Unsettled() []Step {
	return j.list(func(s *Step) bool { return s.Open || s.Report.State == inventory.OpUnknown })
}

// Unreported returns what the controller has not taken yet, oldest first.
func (j *Journal) Unreported() []api.StepReport {
	var reports []api.StepReport
	for _, s := range j.list(func(s *Step) bool { return !s.Reported }) {
		reports = append(reports, s.Report)
	}
	return reports
}

func (j *Journal) list(which func(*Step) bool) []Step {
	j.mu.Lock()
	defer j.mu.Unlock()
	var steps []Step
	for _, s := range j.live {
		if which(s) {
			steps = append(steps, *s)
		}
	}
	slices.SortFunc(steps, func(a, b Step) int {
		return cmp.Or(a.Report.Started.Compare(b.Report.Started), cmp.Compare(a.Order.ID, b.Order.ID))
	})
	return steps
}

// Reported says that the controller has taken these reports. A step that has
// changed since is still unreported.
func (j *Journal) Reported(reports []api.StepReport) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var records []record
	for _, r := range reports {
		s := j.steps[r.ID]
		if s == nil || s.Reported || !same(s.Report, r) {
			continue
		}
		s.Reported = true
		if s.ended() {
			records = append(records, record{Step: s})
			delete(j.live, r.ID)
		}
	}
	if len(records) == 0 {
		return nil
	}
	if err := j.note(records...); err != nil {
		return fmt.Errorf("reports will be repeated after a restart: %w", err)
	}
	if len(j.live) == 0 { // what a power cut may take the controller has
		j.unhurry()
	}
	if size := j.log.Size(); size > compactAbove && size > 2*j.compacted {
		return j.compact()
	}
	return nil
}

// same tells whether nothing came to a report since.
func same(a, b api.StepReport) bool {
	return a.State == b.State && a.Message == b.Message && slices.EqualFunc(a.Log, b.Log, inventory.StepLine.Same)
}

// compact drops what need not be remembered and rewrites the file.
func (j *Journal) compact() error {
	var ended []*Step
	for _, s := range j.steps {
		if s.over() {
			ended = append(ended, s)
		}
	}
	slices.SortFunc(ended, func(a, b *Step) int { return b.Report.Ended.Compare(a.Report.Ended) })
	horizon := now().Add(-keepSteps)
	for i, s := range ended {
		if i < maxSteps && s.Report.Ended.After(horizon) {
			continue
		}
		delete(j.steps, s.Order.ID)
		if made := s.Order.ID.Time(); made.After(j.floor) {
			j.floor = made
		}
	}
	err := j.log.Rewrite(func(yield func(record) bool) {
		if !j.floor.IsZero() && !yield(record{Floor: &j.floor}) {
			return
		}
		for s := range maps.Values(j.steps) {
			if !yield(record{Step: s}) {
				return
			}
		}
	})
	j.compacted = j.log.Size()
	return err
}

// Close makes everything durable and closes the file.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.unhurry()
	return errors.Join(j.log.Sync(), j.log.Close())
}

// now is the time as it is written: without what JSON would lose.
func now() time.Time { return time.Now().UTC().Round(0) }
