package api

import (
	"time"

	"mailfleet/inventory"
)

// NewOperation asks for an act on servers or services: on the targets named,
// or on all that the selector finds.
type NewOperation struct {
	Kind     inventory.OperationKind `json:"kind"`
	Targets  []NewTarget             `json:"targets,omitempty" maxItems:"1000"`
	Selector string                  `json:"selector,omitempty" maxLength:"500" example:"region=hk,service=mailnode" doc:"Terms that must all hold: region, state, server, service, pool, label.NAME; = or != and values parted by |"`
	Reason   string                  `json:"reason,omitempty" maxLength:"1000"`
	Expires  inventory.Duration      `json:"expires,omitempty" doc:"Not delivered within this: expired. Default 5m, of a batch from when it is its turn"`
	Confirm  string                  `json:"confirm,omitempty" doc:"What the preview asks to be typed: the server's name, or the number of targets when there are several"`
	Versions map[string]uint64       `json:"versions,omitempty" doc:"Version seen of each target, by server id or server id/service; another one: 412"`
	Override []string                `json:"override,omitempty" doc:"Names of the refusals of the preview to pass over" example:"controller"`
	Approval bool                    `json:"approval,omitempty" doc:"Wait for the consent of a second person"`
	Window   *bool                   `json:"window,omitempty" doc:"Open a maintenance window for the time it takes. Default true for what interrupts a service, and for server.poweron"`

	Params  NewParams   `json:"params,omitempty"`
	Rolling *NewRolling `json:"rolling,omitempty" doc:"Absent: all targets at once"`
}

// NewParams are what some kinds need besides targets.
type NewParams struct {
	Release string                   `json:"release,omitempty" doc:"service.upgrade, agent.upgrade: id of the release"`
	Fixes   []string                 `json:"fixes,omitempty" doc:"server.tune: names of checks"`
	Queue   *inventory.QueueOrder    `json:"queue,omitempty" doc:"queue.*: which entries, and how"`
	Config  *inventory.ServiceConfig `json:"config,omitempty" doc:"config.apply: what is set here replaces the service's"`
	Server  *NewServer               `json:"server,omitempty" doc:"server.add: the server to make; no targets then"`
}

// NewRolling says how to go over the targets.
type NewRolling struct {
	Batch          int                `json:"batch,omitempty" minimum:"1" default:"1" doc:"Targets at once"`
	MaxUnavailable int                `json:"max_unavailable,omitempty" minimum:"1" doc:"Of all that the selector covers, down or in hand for whatever reason. Default: batch"`
	Health         inventory.Duration `json:"health,omitempty" doc:"How long a batch must be well before the next. Default 5s"`
	Drain          *bool              `json:"drain,omitempty" doc:"Drain each target first and undrain it after. Default true for what interrupts a service"`
	Compensate     *bool              `json:"compensate,omitempty" doc:"Undo on failure what was opened. Default true"`
}

// Impact is what an operation would do: POST /operations/preview.
type Impact struct {
	Targets  []ImpactTarget       `json:"targets" nullable:"false"`
	Users    int                  `json:"users"`       // accounts at home on what is interrupted
	Sessions int                  `json:"sessions"`    // mail connections that would end; -1: not known
	Queued   int                  `json:"queued"`      // entries of queues that are meant; -1: not known
	Down     int                  `json:"unavailable"` // of the same service, already down or in hand
	Confirm  string               `json:"confirm"`     // what must be typed; empty: nothing
	Warnings []string             `json:"warnings" nullable:"false"`
	Said     []inventory.Sentence `json:"said" nullable:"false" doc:"The warnings, for another language"`
	Refusals []Refusal            `json:"refusals" nullable:"false"` // each must be passed over by name
	Approval bool                 `json:"approval"`                  // the fleet's policy wants a second person
	Batches  int                  `json:"batches"`
	Versions map[string]uint64    `json:"versions"` // to send back as seen
}

// Refusal is a reason not to do something that an operator can pass over.
type Refusal struct {
	Name    string             `json:"name"` // controller, last-replica, unavailable
	Message string             `json:"message"`
	Said    inventory.Sentence `json:"said" doc:"Message, for another language"`
}

// ImpactTarget is one target as it is now.
type ImpactTarget struct {
	inventory.Target
	ServerName   string                 `json:"server_name"`
	State        inventory.ServerState  `json:"state"`
	ServiceState inventory.ServiceState `json:"service_state,omitempty"`
	Users        int                    `json:"users"`
	Sessions     int                    `json:"sessions"`
	Queued       int                    `json:"queued"` // entries of its queue that are meant; -1: not known
}

// ServiceChange changes a service. Absent fields stay; a service takes its
// settings up at its next start.
type ServiceChange struct {
	Config *inventory.ServiceConfig `json:"config,omitempty" doc:"Replaces all settings"`
}

// NewPower sets how a server's power is switched.
type NewPower struct {
	Kind     inventory.PowerKind `json:"kind" enum:"ipmi,redfish,wol,command,dev"`
	Address  string              `json:"address,omitempty" maxLength:"300" example:"192.0.2.9" doc:"Of the management controller; a URL for redfish; wol: broadcast address, default 255.255.255.255"`
	User     string              `json:"user,omitempty" maxLength:"100"`
	Password *string             `json:"password,omitempty" maxLength:"200" doc:"Write-only. Absent: the one kept stays"`
	MAC      string              `json:"mac,omitempty" example:"52:54:00:12:34:56"`
	Via      string              `json:"via,omitempty" doc:"Server whose agent acts, id or name; absent: any of the same region that is up, then any"`
	Command  []string            `json:"command,omitempty"`
	TLSPin   string              `json:"tls_pin,omitempty" doc:"redfish: SHA-256 of its certificate, hexadecimal"`
}

// PowerStatus answers a test of a power driver.
type PowerStatus struct {
	State   inventory.PowerState `json:"state"`
	Message string               `json:"message,omitempty"`
	Said    *inventory.Sentence  `json:"said,omitempty" doc:"Message, for another language"`
	Via     string               `json:"via"` // server whose agent asked
	Took    inventory.Duration   `json:"took"`
}

// NewTenant asks for a tenant, or replaces one.
type NewTenant struct {
	Name        string               `json:"name" minLength:"1" maxLength:"100"`
	Kind        inventory.TenantKind `json:"kind,omitempty" enum:"enterprise,reseller" default:"enterprise"`
	Parent      string               `json:"parent,omitempty" doc:"Reseller it is below, id or name"`
	Plan        string               `json:"plan,omitempty" doc:"Id or name"`
	MaxDomains  int                  `json:"max_domains,omitempty" minimum:"0"`
	MaxAccounts int                  `json:"max_accounts,omitempty" minimum:"0"`
	Contact     string               `json:"contact,omitempty" maxLength:"200"`
}

// NewPlan asks for a service plan, or replaces one.
type NewPlan struct {
	Name     string                     `json:"name" minLength:"1" maxLength:"100"`
	Tenant   string                     `json:"tenant,omitempty" doc:"Whose it is, id or name; absent: the operator's"`
	Limits   inventory.Limits           `json:"limits,omitempty"`
	Features map[inventory.Feature]bool `json:"features,omitempty" doc:"Absent: on"`
}

// NewPool asks for a pool, or replaces one.
type NewPool struct {
	Name           string      `json:"name" minLength:"1" maxLength:"100"`
	Service        string      `json:"service"`
	Description    string      `json:"description,omitempty" maxLength:"500"`
	Members        []NewMember `json:"members,omitempty" maxItems:"1000"`
	MaxUnavailable int         `json:"max_unavailable,omitempty" minimum:"1" default:"1"`
	PerRegion      int         `json:"per_region,omitempty" minimum:"0"`
}

// NewMember puts a server into a pool.
type NewMember struct {
	Server string `json:"server" doc:"Id or name"`
	Weight *int   `json:"weight,omitempty" minimum:"0" maximum:"65535" doc:"Default 1"`
}

// PoolMember is how a server is in a pool: PUT /pools/{id}/members/{server}.
type PoolMember struct {
	Weight *int `json:"weight,omitempty" minimum:"0" maximum:"65535" doc:"Default 1; 0: drained"`
}

// NewWindow asks for a maintenance window.
type NewWindow struct {
	Servers []string  `json:"servers,omitempty" doc:"Ids or names; absent: the whole fleet"`
	From    time.Time `json:"from,omitempty" doc:"Absent: now"`
	To      time.Time `json:"to"`
	Reason  string    `json:"reason" minLength:"1" maxLength:"1000"`
}

// NewPerson lets somebody sign in.
type NewPerson struct {
	Name     string            `json:"name" minLength:"1" maxLength:"100"`
	Role     inventory.Role    `json:"role"`
	Scope    []inventory.Scope `json:"scope,omitempty" doc:"Where the role holds: fleet, tenant:NAME, domain:NAME, account:ADDRESS; absent: the fleet"`
	Email    string            `json:"email,omitempty" maxLength:"254" doc:"For sign-in through an OpenID provider"`
	Password string            `json:"password,omitempty" maxLength:"256" doc:"Absent: one is made and shown this once"`
}

// NewPersonMade is a person just made.
type NewPersonMade struct {
	inventory.Person
	Password string `json:"password,omitempty"` // made for them; shown this once, to be changed at the first sign-in
}

// PersonChange changes a person. Absent fields stay.
type PersonChange struct {
	Role     *inventory.Role    `json:"role,omitempty"`
	Scope    *[]inventory.Scope `json:"scope,omitempty"`
	Email    *string            `json:"email,omitempty"`
	Disabled *bool              `json:"disabled,omitempty"`
	Password *string            `json:"password,omitempty" doc:"Ends all their sessions; to be changed at the next sign-in"`
	TOTP     *bool              `json:"totp,omitempty" enum:"false" doc:"false takes the second factor away, for somebody who lost it"`
	Unlock   bool               `json:"unlock,omitempty" doc:"Forget failed sign-ins"`
}

// Policy is what the fleet asks of people and of operations: GET and PUT /policy.
type Policy struct {
	PasswordLength int                       `json:"password_length" minimum:"8" maximum:"128"` // least characters
	PasswordAge    inventory.Duration        `json:"password_age"`                              // after which it must be changed; 0: never
	TOTPRoles      []inventory.Role          `json:"totp_roles" nullable:"false"`               // roles that must have a second factor
	ApprovalKinds  []inventory.OperationKind `json:"approval_kinds" nullable:"false"`           // operations that want a second person
	TokenLife      inventory.Duration        `json:"token_life"`                                // longest life of a token; 0: no limit
}

// LiveSession is somebody signed in: to the console, or to a mail face (C14).
type LiveSession struct {
	ID      string       `json:"id"`                // to end it by
	Kind    string       `json:"kind"`              // console, smtp, submission, pop3, imap, webmail
	Who     string       `json:"who"`               // sign-in name or address; empty: not signed in (yet)
	Account inventory.ID `json:"account,omitempty"` // signed in to by mail
	Server  string       `json:"server,omitempty"`  // name
	Address string       `json:"address"`           // it comes from
	Since   time.Time    `json:"since"`
	Active  time.Time    `json:"active"`
	TLS     bool         `json:"tls"`
	Client  string       `json:"client,omitempty"`  // user agent, IMAP ID
	Current bool         `json:"current,omitempty"` // the one that asks
}

// LogLine is a line of a log that is followed: GET /services/{id}/log?follow=true.
type LogLine struct {
	Line    string `json:"line"`
	Skipped int64  `json:"skipped,omitempty" doc:"Octets before it that are not shown: the reader was too slow, or they were lost"`
}

// Crash is how a service last ended without being asked to.
type Crash struct {
	Time     time.Time           `json:"time"`
	Exit     string              `json:"exit" example:"exit status 1"`
	Said     *inventory.Sentence `json:"said,omitempty" doc:"Exit, for another language"`
	Restarts int                 `json:"restarts" doc:"By the supervisor, before it ended"`
	Lines    []string            `json:"lines" nullable:"false" doc:"The last 200 of its output, oldest first"`
}

// Preflight is how fit a server is for its work: GET /servers/{id}/preflight.
type Preflight struct {
	inventory.Preflight
	ServerName string               `json:"server_name"`
	Worst      inventory.CheckState `json:"worst"` // outcome of its worst check
}

// PreflightReport is what an agent found: POST /agent/v1/preflight.
type PreflightReport struct {
	Checked time.Time         `json:"checked"`
	Checks  []inventory.Check `json:"checks"`
}
