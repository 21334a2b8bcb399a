package inventory

import (
	"regexp"
	"time"
)

// Meta is what every stored thing has. It is embedded first in each type.
type Meta struct {
	ID      ID        `json:"id"`
	Version uint64    `json:"version"` // the store's index when it last changed; the ETag
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

// Base returns the embedded Meta, so that a Store can handle every type alike.
func (m *Meta) Base() *Meta { return m }

// ServerState is what the controller holds to be true of a server.
type ServerState string

// Said is the state in a sentence.
func (s ServerState) Said() Sentence { return Word(string(s)) }

// The states of a server.
const (
	ServerJoining ServerState = "joining" // added, its agent has not joined yet
	ServerUp      ServerState = "up"
	ServerSuspect ServerState = "suspect" // one witness misses it
	ServerDown    ServerState = "down"    // two witnesses or more miss it
	ServerRemoved ServerState = "removed" // taken from the fleet, kept for its history
)

// Server is a machine with one agent (in the dev fleet: a loopback address).
type Server struct {
	Meta
	Name    string            `json:"name"` // unique, a DNS label or host name; never changes
	State   ServerState       `json:"state"`
	Since   time.Time         `json:"since"`   // of State
	Address string            `json:"address"` // the IP its services listen on
	Region  string            `json:"region"`
	Labels  map[string]string `json:"labels"`
	Off     bool              `json:"off,omitempty"` // it was shut down on purpose and has not been up since

	// What the agent last told.
	BootID       string    `json:"boot_id"`
	AgentVersion string    `json:"agent_version"`
	ClockSkew    float64   `json:"clock_skew"`          // seconds the agent's clock is ahead of the controller's
	CertExpires  time.Time `json:"certificate_expires"` // of the agent's certificate
	Applied      uint64    `json:"applied"`             // index of the desired state the agent works from
	Problem      string    `json:"problem,omitempty"`   // why the agent could not apply it; empty when it could
	Said         *Sentence `json:"said,omitempty" doc:"Problem, for another language"`
}

// ServiceKind tells how a service's command line and configuration come about.
type ServiceKind string

// The kinds of service.
const (
	KindMailnode ServiceKind = "mailnode" // our own mail server; configured by the controller
	KindCommand  ServiceKind = "command"  // any command
	KindUnit     ServiceKind = "unit"     // a systemd unit
)

// Want is what the operator wants of a service.
type Want string

// What can be wanted of a service.
const (
	WantRunning Want = "running"
	WantStopped Want = "stopped"
)

// ServiceState is what a service's supervisor sees.
type ServiceState string

// Said is the state in a sentence.
func (s ServiceState) Said() Sentence { return Word(string(s)) }

// The states of a service.
const (
	ServiceUnknown  ServiceState = "unknown" // not reported yet, or its server is down
	ServiceStarting ServiceState = "starting"
	ServiceRunning  ServiceState = "running"
	ServiceStopping ServiceState = "stopping"
	ServiceStopped  ServiceState = "stopped"
	ServiceBackoff  ServiceState = "backoff" // exited, waits to be started again
	ServiceCrashed  ServiceState = "crashed" // restart budget spent; waits for an operator
)

// Service is a process the agent supervises on a server.
type Service struct {
	Meta
	Server  ID          `json:"server"`
	Name    string      `json:"name"` // unique on its server
	Kind    ServiceKind `json:"kind"`
	Want    Want        `json:"want"`
	Drained bool        `json:"drained"` // it is to be given no new work

	ServiceConfig
	ServiceStatus
}

// ServiceConfig is how a service is run.
type ServiceConfig struct {
	Command []string          `json:"command,omitempty"` // KindCommand: program and arguments
	Unit    string            `json:"unit,omitempty"`    // KindUnit: name of the systemd unit
	Env     map[string]string `json:"env,omitempty"`     // added to a minimal environment
	Dir     string            `json:"dir,omitempty"`     // working directory
	Ports   map[string]int    `json:"ports,omitempty"`   // KindMailnode: listener → port, 0 or absent: off
	User    string            `json:"user,omitempty"`    // it runs as; empty: the agent's
	Release ID                `json:"release,omitempty"` // KindMailnode, KindCommand: build to run; empty: the mailnode beside the agent, the command as it is
	Mail    *MailFlow         `json:"mail,omitempty"`    // KindMailnode: how mail comes and goes; nil: all as usual

	Limits     ProcessLimits `json:"limits,omitzero"`
	Probe      *Probe        `json:"probe,omitempty"`         // nil: alive is well
	After      []string      `json:"after,omitempty"`         // services of the server that must be ready first
	StopSignal string        `json:"stop_signal,omitempty"`   // TERM when empty
	StopGrace  Duration      `json:"stop_grace,omitempty"`    // then KILL; 0: 10 s
	Reload     string        `json:"reload_signal,omitempty"` // HUP when empty
}

// ProcessLimits bound a service's processes. 0: as the agent's own.
type ProcessLimits struct {
	OpenFiles int64   `json:"open_files,omitempty"`
	Stack     int64   `json:"stack,omitempty"`     // bytes
	Processes int64   `json:"processes,omitempty"` // of the service's user
	Memory    int64   `json:"memory,omitempty"`    // bytes; cgroup v2
	CPU       float64 `json:"cpu,omitempty"`       // processors; cgroup v2
}

// ProbeKind is how a service's health is asked.
type ProbeKind string

// The kinds of probe.
const (
	ProbeCommand ProbeKind = "command" // exit status 0
	ProbeTCP     ProbeKind = "tcp"     // a connection
	ProbeSMTP    ProbeKind = "smtp"    // 220 and 250 to EHLO
	ProbeIMAP    ProbeKind = "imap"    // * OK
	ProbePOP3    ProbeKind = "pop3"    // +OK
	ProbeHTTP    ProbeKind = "http"    // 200 to 399
)

// Probe asks a service how it is.
type Probe struct {
	Kind     ProbeKind `json:"kind"`
	Address  string    `json:"address,omitempty"` // host:port
	URL      string    `json:"url,omitempty"`     // http
	Command  []string  `json:"command,omitempty"` // command
	TLS      bool      `json:"tls,omitempty"`
	Interval Duration  `json:"interval,omitempty"` // 0: 10 s
	Timeout  Duration  `json:"timeout,omitempty"`  // 0: 5 s
	Fails    int       `json:"fails,omitempty"`    // in a row that make it unwell; 0: 3
	Restart  bool      `json:"restart,omitempty"`  // restart it when it has become unwell
}

// ServiceStatus is what the agent tells of a service.
type ServiceStatus struct {
	State    ServiceState `json:"state"`
	PID      int          `json:"pid"`               // 0 when there is no process
	Restarts int          `json:"restarts"`          // by the supervisor, since the service was last started on purpose
	Since    time.Time    `json:"since"`             // of State
	Exit     string       `json:"exit,omitempty"`    // how the last process ended: "exit status 1", "signal: killed"
	Health   string       `json:"health,omitempty"`  // why it is unwell while it runs; empty: it is well, or not asked
	Program  string       `json:"program,omitempty"` // version the running process told of itself
	Pending  bool         `json:"pending,omitempty"` // its settings have changed since its process was started, and hold from its next start
	Note     string       `json:"note,omitempty"`    // what of its settings cannot be put in force here, or what its start waits for
	Said     *StatusSaid  `json:"said,omitempty" doc:"Exit, health and note, for another language"`
}

// StatusSaid is what a service's status says, for another language.
type StatusSaid struct {
	Exit   *Sentence `json:"exit,omitempty"`
	Health *Sentence `json:"health,omitempty"`
	Note   *Sentence `json:"note,omitempty"`
}

// Tell makes sentences the status's exit, health and note. Nil: that stays.
func (s *ServiceStatus) Tell(exit, health, note *Sentence) {
	var said StatusSaid
	if s.Said != nil {
		said = *s.Said
	}
	for _, t := range []struct {
		text   *string
		beside **Sentence
		to     *Sentence
	}{{&s.Exit, &said.Exit, exit}, {&s.Health, &said.Health, health}, {&s.Note, &said.Note, note}} {
		if t.to != nil {
			*t.text, *t.beside = t.to.String(), t.to.Beside()
		}
	}
	if s.Said = nil; said != (StatusSaid{}) {
		s.Said = &said
	}
}

// Told is the status's exit, health and note.
func (s ServiceStatus) Told() (exit, health, note Sentence) {
	var said StatusSaid
	if s.Said != nil {
		said = *s.Said
	}
	return Read(s.Exit, said.Exit), Read(s.Health, said.Health), Read(s.Note, said.Note)
}

// Same reports whether two statuses tell the same.
func (s ServiceStatus) Same(o ServiceStatus) bool {
	s.Said, o.Said = nil, nil
	return s == o
}

// JoinToken lets one agent join the fleet as one server, once.
type JoinToken struct {
	Meta
	Server  ID        `json:"server"`
	Hash    []byte    `json:"-"` // of the secret; the token itself is shown once and not kept
	Expires time.Time `json:"expires"`
	Used    time.Time `json:"used"` // zero: not used
}

// Certificate is one issued by the fleet CA.
type Certificate struct {
	Meta
	Server  ID        `json:"server"`
	Serial  string    `json:"serial"` // hexadecimal
	Profile string    `json:"profile"`
	Expires time.Time `json:"expires"`
	Revoked time.Time `json:"revoked"` // zero: valid
}

var nameRE = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)

// CheckName accepts what can stand in DNS: labels of letters, digits and
// hyphens, 253 octets in all (RFC 1123 §2.1), lower case.
func CheckName(field, name string) error {
	if len(name) > 253 || !nameRE.MatchString(name) {
		return FieldErrorf(field, "%s %q must be lower-case letters, digits, hyphens and dots, as in a host name", field, name)
	}
	return nil
}
