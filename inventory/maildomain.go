package inventory

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DomainMail is how mail of a domain is handled. What is empty is as the server
// has it.
type DomainMail struct {
	Delimiter string `json:"delimiter,omitempty" maxLength:"4" doc:"What parts a sub-address from its account's (RFC 5233): one character, or none for no sub-addresses. Empty: +." example:"+"`
	CatchAll  string `json:"catch_all,omitempty" maxLength:"254" doc:"Who gets what is for nobody. Empty: such mail is refused." example:"user1@example.test"`
	Abuse     string `json:"abuse,omitempty" maxLength:"254" doc:"Who gets the mail for abuse. Empty: who gets it for postmaster." example:"user1@example.test"`

	DMARC        Handling `json:"dmarc,omitempty" enum:"none,mark,quarantine,refuse" doc:"The most that is done with mail that fails its author's DMARC policy." example:"quarantine"`
	Greylisting  Switch   `json:"greylisting,omitempty" enum:"on,off" doc:"Defer what comes from a stranger for the first time." example:"off"`
	Blocklists   Switch   `json:"blocklists,omitempty" enum:"on,off" doc:"Refuse mail from addresses on the server's blocklists. Empty: on." example:"on"`
	ReverseNames Handling `json:"reverse_names,omitempty" enum:"none,mark,refuse" doc:"What is done when an address has no name that leads back to it." example:"mark"`

	Route  Route    `json:"route,omitzero" doc:"Smart host that takes the domain's mail to others. None: it is sent to where it is for."`
	Hooks  []Hook   `json:"hooks,omitempty" maxItems:"10" doc:"Who is told by HTTP of what becomes of the domain's mail."`
	MTASTS string   `json:"mta_sts,omitempty" enum:"none,testing,enforce" doc:"Mode of the MTA-STS policy that the DNS records announce (RFC 8461). Empty: none." example:"none"`
	Report string   `json:"report,omitempty" maxLength:"254" doc:"Who gets the reports of others on the domain (DMARC, TLS). Empty: postmaster." example:"postmaster@example.test"`
	Policy Handling `json:"policy,omitempty" enum:"none,quarantine,refuse" doc:"What others are asked to do with mail that only pretends to be the domain's (DMARC). Empty: none." example:"none"`
}

// NoDelimiter is the Delimiter of a domain without sub-addresses.
const NoDelimiter = "none"

// Route is a smart host.
type Route struct {
	Host string `json:"host,omitempty" maxLength:"253" doc:"Name or IP address." example:"relay.example.test"`
	Port int    `json:"port,omitempty" minimum:"0" maximum:"65535" doc:"0: 587, with TLS from the first byte 465." example:"587"`
	TLS  string `json:"tls,omitempty" enum:"opportunistic,required,implicit" doc:"opportunistic: STARTTLS when it is offered; required: STARTTLS with a good certificate, or no mail; implicit: TLS from the first byte. Empty: required." example:"required"`
	User string `json:"user,omitempty" maxLength:"254" doc:"Who to sign in as. Empty: without signing in." example:"relay"`

	HasPassword bool `json:"has_password,omitempty" doc:"A password is kept. It is never shown." example:"true"`
}

// Hook is somebody who is told of events by HTTP.
type Hook struct {
	ID     ID       `json:"id,omitempty" maxLength:"36" doc:"Given when it is made." example:"0198c0de-0000-7000-8000-00000000000b"`
	URL    string   `json:"url" maxLength:"2000" doc:"Where events are posted to." example:"https://hooks.example.test/mail"`
	Events []string `json:"events,omitempty" maxItems:"10" enum:"received,delivered,deferred,bounced" doc:"Which. None: all." example:"bounced"`
}

// HookEvents are what a hook may be told of.
var HookEvents = []string{"received", "delivered", "deferred", "bounced"}

// Check says what is wrong with the settings of a domain: an Invalid error that
// names the field. Whether the addresses lead anywhere it does not know.
func (m *DomainMail) Check() error {
	if d := m.Delimiter; d != "" && d != NoDelimiter && (len(d) != 1 || !strings.ContainsAny(d, "+-_.=~#%&")) {
		return FieldErrorf("delimiter", "%q cannot part a sub-address: write one of + - _ . = ~ # %% &, or none", d)
	}
	for field, address := range map[string]string{"catch_all": m.CatchAll, "abuse": m.Abuse, "report": m.Report} {
		if address == "" {
			continue
		}
		if _, _, err := ParseAddress(field, address); err != nil {
			return err
		}
	}
	for field, s := range map[string]Switch{"greylisting": m.Greylisting, "blocklists": m.Blocklists} {
		if err := checkSwitch(field, s); err != nil {
			return err
		}
	}
	for _, h := range []struct {
		field   string
		value   Handling
		allowed []Handling
	}{
		{"dmarc", m.DMARC, []Handling{HandleNone, HandleMark, HandleQuarantine, HandleRefuse}},
		{"reverse_names", m.ReverseNames, []Handling{HandleNone, HandleMark, HandleRefuse}},
		{"policy", m.Policy, []Handling{HandleNone, HandleQuarantine, HandleRefuse}},
	} {
		if err := checkHandling(h.field, h.value, h.allowed...); err != nil {
			return err
		}
	}
	if m.MTASTS != "" && !slices.Contains([]string{"none", "testing", "enforce"}, m.MTASTS) {
		return FieldErrorf("mta_sts", "%q is not one of none, testing, enforce", m.MTASTS)
	}
	if err := m.Route.check(); err != nil {
		return err
	}
	for i, h := range m.Hooks {
		if err := h.check("hooks[" + strconv.Itoa(i) + "]"); err != nil {
			return err
		}
	}
	return nil
}

func (r *Route) check() error {
	switch {
	case r.Host == "" && *r != Route{}:
		return FieldErrorf("route.host", "name the smart host")
	case strings.ContainsAny(r.Host, " \t\r\n/@"):
		return FieldErrorf("route.host", "%q is not the name of a host", r.Host)
	case r.Port < 0 || r.Port > 65535:
		return FieldErrorf("route.port", "%d is not a port", r.Port)
	case r.TLS != "" && !slices.Contains([]string{"opportunistic", "required", "implicit"}, r.TLS):
		return FieldErrorf("route.tls", "%q is not one of opportunistic, required, implicit", r.TLS)
	case r.TLS == "opportunistic" && r.User != "":
		return FieldErrorf("route.tls", "a password is not sent where TLS is not required")
	}
	return nil
}

func (h *Hook) check(field string) error {
	u, err := url.Parse(h.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return FieldErrorf(field+".url", "%q is not a URL to post to: write https://host/path", h.URL)
	}
	for _, e := range h.Events {
		if !slices.Contains(HookEvents, e) {
			return FieldErrorf(field+".events", "%q is not an event: there are %v", e, HookEvents)
		}
	}
	return nil
}

// Writers are who may write to a group.
type Writers string

// Who may.
const (
	WritersAnyone  Writers = "anyone"
	WritersDomain  Writers = "domain"  // the users of its domain, signed in
	WritersMembers Writers = "members" // its members: users of the fleet signed in, others by the address they write from
)

// Group is an address whose mail goes to others: a distribution list, or with one
// member an alias.
type Group struct {
	Meta
	Address string   `json:"address"` // local@domain, lower case, unique among accounts, their aliases and groups
	Domain  string   `json:"domain"`
	Name    string   `json:"name"`
	Members []string `json:"members"` // addresses here, of other groups, or elsewhere
	Writers Writers  `json:"writers"`
}

// MaxMembers bounds how many members a group has; a group may be a member of another.
const MaxMembers = 2000

// Check says what is wrong with a group: an Invalid error that names the field.
func (g *Group) Check() error {
	if len(g.Members) == 0 || len(g.Members) > MaxMembers {
		return FieldErrorf("members", "a group needs 1 to %d members", MaxMembers)
	}
	for i, m := range g.Members {
		field := "members[" + strconv.Itoa(i) + "]"
		address, _, err := ParseAddress(field, m)
		if err != nil {
			return err
		}
		if address == g.Address {
			return FieldErrorf(field, "a group cannot be a member of itself")
		}
		if slices.Contains(g.Members[:i], m) {
			return FieldErrorf(field, "%s is there twice", m)
		}
	}
	if !slices.Contains([]Writers{WritersAnyone, WritersDomain, WritersMembers}, g.Writers) {
		return FieldErrorf("writers", "%q is not one of anyone, domain, members", g.Writers)
	}
	return nil
}

// Forward is where an account's mail goes besides, or instead of, its mailbox.
type Forward struct {
	To   []string `json:"to,omitempty" maxItems:"20" doc:"Addresses, here or elsewhere." example:"user2@example.test"`
	Keep bool     `json:"keep,omitempty" doc:"A copy stays in the mailbox." example:"true"`
}

// Bounds of what an account has.
const (
	MaxAliases  = 100
	MaxForwards = 20
)

// Check says what is wrong with where an account's mail goes.
func (f Forward) Check(own string) error {
	if len(f.To) > MaxForwards {
		return FieldErrorf("forward.to", "mail can be forwarded to %d addresses at most", MaxForwards)
	}
	for _, to := range f.To {
		address, _, err := ParseAddress("forward.to", to)
		if err != nil {
			return err
		}
		if address == own {
			return FieldErrorf("forward.to", "mail cannot be forwarded to where it comes from: say that a copy is kept")
		}
	}
	return nil
}

// Languages are those that people are written to in.
var Languages = []string{"zh-CN", "en"}

// CheckLanguage refuses a language nobody is written to in; empty is the first.
func CheckLanguage(l string) error {
	if l != "" && !slices.Contains(Languages, l) {
		return FieldErrorf("language", "%q is not one of %v", l, Languages)
	}
	return nil
}

// DKIMKey signs the mail of a domain. Algorithms, states and the form of keys and
// records are those of domainkey.
type DKIMKey struct {
	Meta
	Domain    string    `json:"domain"`
	Selector  string    `json:"selector"` // unique in its domain
	Algorithm string    `json:"algorithm"`
	State     string    `json:"state"`  // next, active or retired
	Since     time.Time `json:"since"`  // of State
	Record    string    `json:"record"` // TXT to publish
	Private   []byte    `json:"-"`      // PEM, sealed
}
