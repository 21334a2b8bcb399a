package api

import (
	"time"

	"mailfleet/inventory"
)

// The agents' link. An agent dials the controller's one port with the ALPN
// protocol and client certificate of identity, and runs yamux over it. Each yamux
// stream carries HTTP/1.1, in both directions: the agent asks for the paths
// below /agent/v1 and writes samples to /api/v2/write; the controller asks for
// the paths of agent/api.

// Join asks to become a server of the fleet: POST /api/v1/join.
type Join struct {
	Token string `json:"token" maxLength:"512"`
	Name  string `json:"name,omitempty" doc:"The server the token must be for; absent: not checked"`
	CSR   string `json:"csr" maxLength:"16384" doc:"PKCS #10, PEM"`
}

// Joined is the answer: who the agent now is.
type Joined struct {
	ID          inventory.ID `json:"id"`
	Name        string       `json:"name"`
	Address     string       `json:"address"`
	Certificate string       `json:"certificate"` // PEM
	CA          string       `json:"ca"`          // PEM
	Gossip      Gossip       `json:"gossip"`

	ReleaseKeys []inventory.ReleaseKeys `json:"release_keys,omitempty"` // chain of lists, from the first
}

// Gossip is how to enter the pool of members.
type Gossip struct {
	Key   string   `json:"key"`   // base64 of 32 bytes
	Port  int      `json:"port"`  // this server's own
	Peers []string `json:"peers"` // host:port of the controllers
}

// CertificateRequest asks for a certificate: POST /agent/v1/certificates.
type CertificateRequest struct {
	Profile string `json:"profile"` // agent, or mail for the mail services' TLS
	CSR     string `json:"csr"`     // PKCS #10, PEM
}

// IssuedCertificate is the answer.
type IssuedCertificate struct {
	Certificate string    `json:"certificate"` // PEM
	Expires     time.Time `json:"expires"`
}

// Desired is all a server's agent must know, as one document:
// GET /agent/v1/desired?index=N&wait=60s answers when Index has passed N, or
// with 304 after wait. With only=true, where nothing but orders came after N, the
// rest is left out: it may tell of a hundred thousand mailboxes, and an order is not
// to wait for them.
type Desired struct {
	Index    uint64             `json:"index"`
	Only     bool               `json:"orders_only,omitempty"` // all but Index and Orders is as at N
	Server   DesiredServer      `json:"server"`
	Interval inventory.Duration `json:"interval"` // between samples
	Spread   inventory.Duration `json:"spread"`   // after a break the link is dialled again at a random moment within this
	Services []DesiredService   `json:"services"`
	Mail     DesiredMail        `json:"mail"`
	Rules    []inventory.Rule   `json:"rules"`  // enabled ones that watch this server
	Orders   []Order            `json:"orders"` // steps to carry out, oldest first; valid only fresh from the controller
	Gossip   Gossip             `json:"gossip"`
}

// DesiredServer is the server as its agent needs it.
type DesiredServer struct {
	ID      inventory.ID `json:"id"`
	Name    string       `json:"name"`
	Address string       `json:"address"`
	Region  string       `json:"region"`
}

// DesiredService is a service and its wanted state.
type DesiredService struct {
	Name    string                `json:"name"`
	Kind    inventory.ServiceKind `json:"kind"`
	Want    inventory.Want        `json:"want"`
	Drained bool                  `json:"drained,omitempty"` // it is to be given no new work
	inventory.ServiceConfig
}

// DesiredMail is what the server's mailnode serves.
type DesiredMail struct {
	Domains  []DesiredDomain  `json:"domains"`
	Accounts []DesiredAccount `json:"accounts"` // those whose home this server is
	Groups   []DesiredGroup   `json:"groups,omitempty"`
	Homes    []DesiredHome    `json:"homes,omitempty"`   // of accounts on all servers, this one's too
	Partial  bool             `json:"partial,omitempty"` // there are more of them
	Peers    []DesiredPeer    `json:"peers,omitempty"`   // mailnodes of all servers, this one's too
}

// DesiredGroup is an address whose mail goes to others.
type DesiredGroup struct {
	Address string            `json:"address"`
	Members []string          `json:"members"`
	Writers inventory.Writers `json:"writers"`
}

// DesiredHome tells where an account is at home.
type DesiredHome struct {
	Address   string   `json:"address"`
	Aliases   []string `json:"aliases,omitempty"`
	Server    string   `json:"server"` // name
	Suspended bool     `json:"suspended,omitempty"`
}

// DesiredPeer is a server that takes mail for its accounts.
type DesiredPeer struct {
	Name    string `json:"name"`
	Address string `json:"address"` // with its SMTP port
}

// DesiredDomain is a mail domain.
type DesiredDomain struct {
	Name        string `json:"name"`
	Postmaster  string `json:"postmaster,omitempty"`
	MessageSize int64  `json:"message_size,omitempty"` // largest of its groups, in bytes; 0: no limit

	Mail          inventory.DomainMail    `json:"mail,omitzero"`
	RoutePassword string                  `json:"route_password,omitempty"`
	HookSecrets   map[inventory.ID]string `json:"hook_secrets,omitempty"` // by the hook's id
	DKIM          []DesiredDKIM           `json:"dkim,omitempty"`         // keys that sign
}

// DesiredDKIM is a key that signs a domain's mail.
type DesiredDKIM struct {
	Selector string `json:"selector"`
	Private  string `json:"private"` // PEM
}

// DesiredAccount is a mailbox on this server.
type DesiredAccount struct {
	ID        inventory.ID `json:"id"`
	Address   string       `json:"address"`
	Password  string       `json:"password"` // argon2id hash
	Suspended bool         `json:"suspended,omitempty"`

	SCRAM        string               `json:"scram,omitempty"` // SCRAM-SHA-256 keys of the password
	AppPasswords []DesiredAppPassword `json:"app_passwords,omitempty"`

	Limits inventory.Limits    `json:"limits,omitzero"` // that hold for it, wherever they are from
	Off    []inventory.Feature `json:"off,omitempty"`   // what it may not use

	Aliases  []string          `json:"aliases,omitempty"`
	Forward  inventory.Forward `json:"forward,omitzero"`
	Language string            `json:"language,omitempty"`
}

// DesiredAppPassword is an application password of a mailbox.
type DesiredAppPassword struct {
	inventory.AppPassword
	inventory.AppSecret
}

// Order is one step of an operation for this server. The agent writes its ID
// to the journal before it acts, and acts at most once on it.
type Order struct {
	ID        inventory.ID            `json:"id"` // the step's
	Operation inventory.ID            `json:"operation"`
	Kind      inventory.OperationKind `json:"kind"`
	Service   string                  `json:"service,omitempty"`
	Target    string                  `json:"target,omitempty"` // name of the server acted on, when it is not the agent's own
	Params    inventory.Params        `json:"params,omitzero"`
	Power     *OrderPower             `json:"power,omitempty"` // how to switch the target's power
	Expires   time.Time               `json:"expires"`         // by the controller's clock
	Now       time.Time               `json:"now"`             // the controller's clock when it sent this
}

// OrderPower is how the power of an order's target is switched. The password
// is not in it, so that it is on no agent's disk: GET
// /agent/v1/orders/{id}/secret answers with a PowerSecret while the order is
// this agent's to carry out.
type OrderPower struct {
	Kind    inventory.PowerKind `json:"kind"`
	Address string              `json:"address,omitempty"`
	User    string              `json:"user,omitempty"`
	MAC     string              `json:"mac,omitempty"`
	Command []string            `json:"command,omitempty"`
	TLSPin  string              `json:"tls_pin,omitempty"`
}

// PowerSecret is the password of a management controller.
type PowerSecret struct {
	Password string `json:"password"`
}

// Report is how a server is: POST /agent/v1/report, whenever something of it
// changed and at least every ReportInterval. It is whole each time, but for
// Steps: those are repeated until an answer has come.
type Report struct {
	Time        time.Time           `json:"time"` // the agent's clock
	BootID      string              `json:"boot_id"`
	Version     string              `json:"version"`
	Applied     uint64              `json:"applied"` // Desired.Index in force
	Problem     string              `json:"problem,omitempty"`
	Said        *inventory.Sentence `json:"said,omitempty"` // Problem, for another language
	CertExpires time.Time           `json:"certificate_expires"`
	Services    []ServiceReport     `json:"services"`
	Steps       []StepReport        `json:"steps,omitempty"`
	Missing     []string            `json:"missing,omitempty"` // servers its gossip finds failed, by name
}

// ReportInterval is the longest silence of a healthy agent.
const ReportInterval = 10 * time.Second

// ServiceReport is how a service is.
type ServiceReport struct {
	Name string `json:"name"`
	inventory.ServiceStatus
}

// StepReport is how an order goes.
type StepReport struct {
	ID      inventory.ID             `json:"id"`
	State   inventory.OperationState `json:"state"`
	Message string                   `json:"message,omitempty"`
	Said    *inventory.Sentence      `json:"said,omitempty"` // Message, for another language
	Started time.Time                `json:"started"`
	Ended   time.Time                `json:"ended"`
	Log     []inventory.StepLine     `json:"log,omitempty"` // all lines so far, bounded
}

// Told is the report's message.
func (r *StepReport) Told() inventory.Sentence { return inventory.Read(r.Message, r.Said) }

// Tell makes a message the report's.
func (r *StepReport) Tell(message inventory.Sentence) {
	r.Message, r.Said = message.String(), message.Beside()
}

// AlertReport is a change of state of one alert: POST /agent/v1/alerts takes a
// list of them, in order. The agent keeps each until it is taken; taking one
// twice changes nothing.
type AlertReport struct {
	ID     inventory.ID         `json:"id"` // of the episode, made when it became pending
	Rule   inventory.ID         `json:"rule"`
	Metric string               `json:"metric"`
	Tags   map[string]string    `json:"tags,omitempty"`
	State  inventory.AlertState `json:"state"`
	Value  float64              `json:"value"`
	Since  time.Time            `json:"since"`
	Time   time.Time            `json:"time"` // of this change
}
