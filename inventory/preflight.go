package inventory

import "time"

// CheckState is the outcome of one preflight check.
type CheckState string

// Said is the state in a sentence.
func (s CheckState) Said() Sentence { return Word(string(s)) }

// The outcomes of a check.
const (
	CheckOK      CheckState = "ok"
	CheckWarning CheckState = "warning" // the server works, less well than it could
	CheckFailed  CheckState = "failed"  // mail would suffer
	CheckSkipped CheckState = "skipped" // could not be looked at here
)

// Preflight is how fit a server was for its work when its agent last looked (C23).
type Preflight struct {
	Meta
	Server  ID        `json:"server"` // unique
	Checked time.Time `json:"checked"`
	Checks  []Check   `json:"checks" nullable:"false"`
}

// Check is one thing looked at.
type Check struct {
	Name    string     `json:"name"` // open_files, fsync, clock…
	State   CheckState `json:"state"`
	Found   string     `json:"found"`            // 1024
	Wanted  string     `json:"wanted,omitempty"` // at least 65536
	Advice  string     `json:"advice,omitempty"` // what to do, one sentence
	Fixable bool       `json:"fixable"`          // server.tune can do it
	Said    *CheckSaid `json:"said,omitempty"`   // the same texts, for another language
}

// Told is what the check found and wants.
func (c Check) Told() (found, wanted Sentence) {
	var said CheckSaid
	if c.Said != nil {
		said = *c.Said
	}
	return Read(c.Found, &said.Found), Read(c.Wanted, said.Wanted)
}

// CheckSaid is what a check says.
type CheckSaid struct {
	Found  Sentence  `json:"found"`
	Wanted *Sentence `json:"wanted,omitempty"`
	Advice *Sentence `json:"advice,omitempty"`
}

// Worst is the preflight's outcome: its worst check's.
func (p *Preflight) Worst() CheckState {
	rank := map[CheckState]int{CheckOK: 0, CheckSkipped: 0, CheckWarning: 1, CheckFailed: 2}
	worst := CheckOK
	for _, c := range p.Checks {
		if rank[c.State] > rank[worst] {
			worst = c.State
		}
	}
	return worst
}
