package api

import (
	"time"

	"mailfleet/inventory"
)

// Page is every list's shape. Next is the cursor of the next page, empty at the end.
type Page[T any] struct {
	Items []T    `json:"items" nullable:"false"`
	Next  string `json:"next"`
}

// Server is a server as the API shows it: what is stored, and what is known now.
type Server struct {
	inventory.Server
	Connected bool                `json:"connected"`                  // its agent holds a link to this controller
	LastSeen  time.Time           `json:"last_seen"`                  // zero: never
	Witnesses []string            `json:"witnesses" nullable:"false"` // who misses it now: "link", "gossip", or a server's name
	Services  []inventory.Service `json:"services" nullable:"false"`
}

// NewServer asks for a server to be added to the fleet.
type NewServer struct {
	Name    string            `json:"name" example:"mail-hk-1" doc:"Host name; unique, never changes"`
	Address string            `json:"address" example:"192.0.2.10" doc:"IP address its services listen on"`
	Region  string            `json:"region,omitempty" example:"hk"`
	Labels  map[string]string `json:"labels,omitempty"`
	// Ports of its mailnode by listener; absent: the standard ports.
	Ports map[string]int `json:"ports,omitempty"`
	// Mailnode adds a mailnode service, wanted running. Default true.
	Mailnode *bool `json:"mailnode,omitempty"`
}

// ServerChange changes a server. Absent fields stay.
type ServerChange struct {
	Address *string           `json:"address,omitempty"`
	Region  *string           `json:"region,omitempty"`
	Labels  map[string]string `json:"labels,omitempty" doc:"Replaces all labels"`
}

// Enrolment is what an operator needs to let a server's agent join. The token is shown this once.
type Enrolment struct {
	Server  Server    `json:"server"`
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
	Command string    `json:"command" doc:"The line to run on the server"`
}

// NewService asks for a command or systemd unit to be supervised on a server.
type NewService struct {
	Server string                `json:"server" doc:"Id or name"`
	Name   string                `json:"name"`
	Kind   inventory.ServiceKind `json:"kind,omitempty" enum:"command,unit" doc:"Default command"`
	Want   inventory.Want        `json:"want,omitempty" enum:"running,stopped"`
	inventory.ServiceConfig
}

// NewTarget names a server, by id or name, and the service on it.
type NewTarget struct {
	Server  string `json:"server"`
	Service string `json:"service,omitempty"`
}

// NewRule asks for a threshold, or replaces one.
type NewRule struct {
	Name       string             `json:"name" minLength:"1" maxLength:"100"`
	Metric     string             `json:"metric" example:"mem_used_percent"`
	Comparison string             `json:"comparison" doc:"One of > >= < <= (also above, below, gt, ge, lt, le)"`
	Value      float64            `json:"value"`
	Clear      *float64           `json:"clear,omitempty" doc:"Resolved beyond this; default the value itself"`
	For        inventory.Duration `json:"for,omitempty" doc:"How long it must hold, e.g. 1m30s"`
	Severity   inventory.Severity `json:"severity,omitempty" enum:"info,warning,critical" default:"warning"`
	Servers    []string           `json:"servers,omitempty" doc:"Names; empty: all"`
	Recipients []inventory.ID     `json:"recipients,omitempty" doc:"Contacts; empty: all"`
	Enabled    *bool              `json:"enabled,omitempty" doc:"Default true"`
}

// NewContact asks for somebody to be told of alerts, or replaces one.
type NewContact struct {
	Name     string `json:"name" minLength:"1" maxLength:"100"`
	Phone    string `json:"phone" example:"+8613800138000"`
	Language string `json:"language,omitempty" enum:"zh,en" default:"zh"`
}

// NewSMS asks for one text message to be sent.
type NewSMS struct {
	To   string `json:"to" example:"+8613800138000"`
	Text string `json:"text" minLength:"1" maxLength:"670"`
}

// NewDomain asks for a mail domain.
// Replacing one, absent fields below the postmaster stay.
type NewDomain struct {
	Name        string            `json:"name" example:"example.test"`
	Postmaster  string            `json:"postmaster,omitempty" doc:"Account that gets postmaster@"`
	Tenant      *string           `json:"tenant,omitempty" doc:"It belongs to, id or name; empty: the operator"`
	Plan        *string           `json:"plan,omitempty" doc:"Of its accounts that name none, id or name; empty: the tenant's"`
	Limits      *inventory.Limits `json:"limits,omitempty" doc:"Of its accounts"`
	MaxAccounts *int              `json:"max_accounts,omitempty" minimum:"0" doc:"0: no limit"`
}

// NewAccount asks for a mailbox.
type NewAccount struct {
	Address  string `json:"address" example:"user1@example.test"`
	Name     string `json:"name,omitempty"`
	Password string `json:"password" minLength:"8" maxLength:"256"`
	Server   string `json:"server,omitempty" doc:"Home server, id or name; absent: the one with the fewest accounts"`

	Plan     string                     `json:"plan,omitempty" doc:"Id or name; absent: the domain's"`
	Limits   inventory.Limits           `json:"limits,omitempty"`
	Features map[inventory.Feature]bool `json:"features,omitempty" doc:"Absent: as the plan has it"`

	Aliases  []string          `json:"aliases,omitempty" maxItems:"100" doc:"Its other addresses"`
	Forward  inventory.Forward `json:"forward,omitempty" doc:"Where its mail goes besides, or instead of, its mailbox"`
	Language string            `json:"language,omitempty" enum:"zh-CN,en" doc:"It is written to in; absent: zh-CN"`
}

// NewDomainMail replaces how a domain's mail is handled. Its hooks have routes of
// their own and stay.
type NewDomainMail struct {
	inventory.DomainMail
	RoutePassword *string `json:"route_password,omitempty" maxLength:"256" doc:"For the smart host. Absent: it stays while host, port and user do; never shown"`
}

// NewHook asks for somebody to be told of events.
type NewHook struct {
	URL    string   `json:"url" minLength:"1" maxLength:"2000" example:"https://hooks.example.test/mail" doc:"Where events are posted to"`
	Events []string `json:"events,omitempty" maxItems:"10" enum:"received,delivered,deferred,bounced" doc:"Which; absent: all"`
	Secret string   `json:"secret,omitempty" minLength:"16" maxLength:"256" doc:"That events are signed with; absent: one is made"`
}

// IssuedHook is a hook with its secret, which is shown once.
type IssuedHook struct {
	inventory.Hook
	Secret string `json:"secret" doc:"That events are signed with"`
}

// NewGroup asks for a group, or replaces one.
type NewGroup struct {
	Address string            `json:"address" example:"team@example.test"`
	Name    string            `json:"name,omitempty" maxLength:"200"`
	Members []string          `json:"members" minItems:"1" maxItems:"2000" doc:"Addresses here, of other groups, or elsewhere"`
	Writers inventory.Writers `json:"writers,omitempty" enum:"anyone,domain,members" doc:"Default anyone"`
}

// NewDKIMKey asks for a key that takes over from the domain's present one of its kind.
type NewDKIMKey struct {
	Domain    string `json:"domain" doc:"Id or name"`
	Algorithm string `json:"algorithm" enum:"rsa-sha256,ed25519-sha256"`
}

// DKIMKeyChange changes what a key is used for.
type DKIMKeyChange struct {
	State string `json:"state" enum:"active,retired" doc:"active: it signs, and the one that did is retired; retired: it signs no more"`
}

// DNSRecord is a record that a domain's mail needs.
type DNSRecord struct {
	Purpose string              `json:"purpose" enum:"mx,spf,dkim,dmarc,mta-sts,tls-rpt,discovery"`
	Type    string              `json:"type" enum:"MX,TXT,SRV,CNAME"`
	Name    string              `json:"name" example:"_dmarc.example.test"`
	Value   string              `json:"value"`
	Zone    string              `json:"zone" doc:"The record as a line of a zone file"`
	Needed  bool                `json:"needed" doc:"Without it mail is lost or not believed"`
	State   string              `json:"state" enum:"unchecked,right,missing,different,unknown" doc:"What the DNS has; unknown: it did not answer"`
	Found   []string            `json:"found" nullable:"false" doc:"What stands in its place"`
	Note    string              `json:"note,omitempty" doc:"What is wrong, in a sentence"`
	Said    *inventory.Sentence `json:"said,omitempty" doc:"Note, for another language"`
}

// DomainRecords are the records to publish for a domain.
type DomainRecords struct {
	Domain  string      `json:"domain"`
	Records []DNSRecord `json:"records" nullable:"false"`
	Policy  string      `json:"policy,omitempty" doc:"MTA-STS policy, to be served at https://mta-sts.DOMAIN/.well-known/mta-sts.txt; absent: none"`
}

// AccountTerms is an account as GET shows it: what is stored, and what it comes to.
type AccountTerms struct {
	inventory.Account
	Effective inventory.Terms `json:"effective"` // with its plan, its domain and its tenant
}

// AccountChange changes an account. Absent fields stay.
type AccountChange struct {
	Name     *string                 `json:"name,omitempty"`
	Password *string                 `json:"password,omitempty" minLength:"8" maxLength:"256"`
	State    *inventory.AccountState `json:"state,omitempty" enum:"active,suspended"`

	Plan     *string                    `json:"plan,omitempty" doc:"Id or name; empty: the domain's"`
	Limits   *inventory.Limits          `json:"limits,omitempty" doc:"Replaces all"`
	Features map[inventory.Feature]bool `json:"features,omitempty" doc:"Replaces all; absent: they stay"`

	Aliases  []string           `json:"aliases,omitzero" maxItems:"100" doc:"Replaces all; absent: they stay"`
	Forward  *inventory.Forward `json:"forward,omitempty" doc:"Replaces all"`
	Language *string            `json:"language,omitempty" enum:"zh-CN,en"`
}

// NewAppPassword asks for an application password of an account.
type NewAppPassword struct {
	Name      string    `json:"name" minLength:"1" maxLength:"100" example:"phone"`
	Protocols []string  `json:"protocols,omitempty" maxItems:"10" enum:"smtp,pop3,imap" doc:"What it is good for; absent: everything"`
	Expires   time.Time `json:"expires,omitzero" doc:"Absent: never"`
}

// IssuedAppPassword is an application password with its secret, which is shown once.
type IssuedAppPassword struct {
	inventory.AppPassword
	Secret string `json:"secret" doc:"The password to enter in the application"`
}

// Status is the fleet at a glance.
type Status struct {
	Version  string                         `json:"version"`
	Started  time.Time                      `json:"started"`
	Index    uint64                         `json:"index"`
	Servers  map[inventory.ServerState]int  `json:"servers"`
	Services map[inventory.ServiceState]int `json:"services"`
	Alerts   map[inventory.Severity]int     `json:"alerts"`                    // firing
	Problems []string                       `json:"problems" nullable:"false"` // of the controller itself: disk full, gateway away
	Said     []inventory.Sentence           `json:"said" nullable:"false" doc:"The problems, for another language"`
}

// Series is one metric of one device of one server.
type Series struct {
	Metric string            `json:"metric"`
	Tags   map[string]string `json:"tags"` // server, and device, mount or interface
	Points [][2]float64      `json:"points" nullable:"false" doc:"[unix seconds, value], oldest first"`
}

// Samples answers a question for samples. Without a metric it holds only Metrics.
type Samples struct {
	Metrics []string  `json:"metrics" nullable:"false"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Step    float64   `json:"step" doc:"Seconds between points"`
	Series  []Series  `json:"series" nullable:"false"`
}

// Reading is the newest sample of one series.
type Reading struct {
	Server string            `json:"server"` // name
	Metric string            `json:"metric"`
	Tags   map[string]string `json:"tags,omitempty"`
	Time   time.Time         `json:"time"`
	Value  float64           `json:"value"`
}

// Log is the tail of a service's output.
type Log struct {
	Lines []string `json:"lines" nullable:"false"`
}

// AuditCheck is the result of verifying the audit chain.
type AuditCheck struct {
	Entries int                 `json:"entries"`
	Intact  bool                `json:"intact"`
	Problem string              `json:"problem,omitempty"` // names the first entry that does not fit
	Said    *inventory.Sentence `json:"said,omitempty" doc:"Problem, for another language"`
}

// Event is one item of the stream /api/v1/events: the SSE event name is
// "change" (with an id to resume from) for an inventory.Event, "samples" for
// fresh Readings of one server, and "reset" when the id to resume from is too
// old and everything must be read afresh.
type Event struct {
	inventory.Event
	// Resource is the thing as GET would show it; absent when deleted. Changes
	// of things the reader may not see are left out.
	Resource any `json:"resource,omitempty"`
}

// FreshSamples is the data of a "samples" event: readings just taken.
type FreshSamples struct {
	Server   string    `json:"server"` // name
	Readings []Reading `json:"readings" nullable:"false"`
}

// Problem is an RFC 9457 error.
type Problem struct {
	Type      string              `json:"type,omitempty"`
	Title     string              `json:"title"`
	Status    int                 `json:"status"`
	Detail    string              `json:"detail"`
	Said      *inventory.Sentence `json:"said,omitempty" doc:"Detail, for another language"`
	Code      inventory.Code      `json:"code"`
	RequestID string              `json:"request_id"`
	Errors    []ProblemDetail     `json:"errors,omitempty"`
	Version   uint64              `json:"version,omitempty" doc:"The current one, when If-Match was another"`
}

// ProblemDetail is one thing wrong with a request.
type ProblemDetail struct {
	Message  string              `json:"message"`
	Said     *inventory.Sentence `json:"said,omitempty" doc:"Message, for another language"`
	Location string              `json:"location"` // body.targets[0].server
	Value    any                 `json:"value,omitempty"`
}

// Error makes a Problem a Go error: the sentence and the request id to ask about.
func (p *Problem) Error() string {
	s := p.Detail
	if s == "" {
		s = p.Title
	}
	for _, e := range p.Errors {
		if e.Message != p.Detail {
			s += "; " + e.Location + ": " + e.Message
		}
	}
	if p.RequestID != "" {
		s += " (request " + p.RequestID + ")"
	}
	return s
}
