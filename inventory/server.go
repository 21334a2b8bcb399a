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

	// What the agent last told.
	BootID       string    `json:"boot_id"`
	AgentVersion string    `json:"agent_version"`
	ClockSkew    float64   `json:"clock_skew"`          // seconds the agent's clock is ahead of the controller's
	CertExpires  time.Time `json:"certificate_expires"` // of the agent's certificate
	Applied      uint64    `json:"applied"`             // index of the desired state the agent works from
	Problem      string    `json:"problem,omitempty"`   // why the agent could not apply it; empty when it could
}

// ServiceKind tells how a service's command line and configuration come about.
type ServiceKind string

// The kinds of service.
const (
	KindMailnode ServiceKind = "mailnode" // our own mail server; configured by the controller
	KindCommand  ServiceKind = "command"  // any command
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
	Server  ID                `json:"server"`
	Name    string            `json:"name"` // unique on its server
	Kind    ServiceKind       `json:"kind"`
	Command []string          `json:"command,omitempty"` // KindCommand only: program and arguments
	Env     map[string]string `json:"env,omitempty"`     // added to a minimal environment
	Dir     string            `json:"dir,omitempty"`     // working directory
	Ports   map[string]int    `json:"ports,omitempty"`   // KindMailnode: listener → port, 0 or absent: off
	Want    Want              `json:"want"`

	ServiceStatus
}

// ServiceStatus is what the agent tells of a service.
type ServiceStatus struct {
	State    ServiceState `json:"state"`
	PID      int          `json:"pid"`            // 0 when there is no process
	Restarts int          `json:"restarts"`       // by the supervisor, since the service was last started on purpose
	Since    time.Time    `json:"since"`          // of State
	Exit     string       `json:"exit,omitempty"` // how the last process ended: "exit status 1", "signal: killed"
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
