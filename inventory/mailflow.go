package inventory

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Switch turns something on or off; empty leaves it as the wider setting has it.
type Switch string

// The positions of a switch.
const (
	On  Switch = "on"
	Off Switch = "off"
)

// Handling is what is done with mail that fails a check.
type Handling string

// What may be done. Empty leaves it to the wider setting.
const (
	HandleNone       Handling = "none"       // the check is not made
	HandleMark       Handling = "mark"       // the outcome stands in a header field
	HandleQuarantine Handling = "quarantine" // and the message goes to the junk mailbox
	HandleRefuse     Handling = "refuse"     // it is not taken
)

// MailFlow is how a mailnode receives mail, and how it sends on what is for others.
// What is empty or 0 has the value its description names.
type MailFlow struct {
	MessageSize int64 `json:"message_size,omitempty" minimum:"0" doc:"Largest message in bytes, whichever way it comes; a domain and an account may take less. 0: 52428800." example:"52428800"`
	MailMax     int   `json:"mail_max,omitempty" minimum:"0" doc:"Messages of one SMTP connection, which LIMITS announces as MAILMAX (RFC 9422 §4.1). 0: no limit." example:"1000"`

	Receiving  Receiving  `json:"receiving,omitzero" doc:"Mail from other servers."`
	Submission Submission `json:"submission,omitzero" doc:"Mail of the users."`
	Sending    Sending    `json:"sending,omitzero" doc:"Mail to other servers."`
	HooksTo    []string   `json:"hooks_to,omitempty" maxItems:"100" doc:"Networks of addresses that are not public which the domains' hooks may be in. Whoever may set a hook can then make this server post to them. None: hooks reach public addresses only." example:"192.0.2.0/24"`
	Milters    []Milter   `json:"milters,omitempty" maxItems:"16" doc:"Filters that are asked about each message (milter protocol), in this order."`
}

// Receiving is how mail from other servers is taken.
type Receiving struct {
	ProxyFrom   []string `json:"proxy_from,omitempty" maxItems:"100" doc:"Networks whose connections begin with a PROXY header, version 1 or 2. None: nobody's do." example:"192.0.2.0/24"`
	XClientFrom []string `json:"xclient_from,omitempty" maxItems:"100" doc:"Networks that may say by XCLIENT whom they speak for. None: nobody." example:"192.0.2.0/24"`
	TrustedFrom []string `json:"trusted_from,omitempty" maxItems:"100" doc:"Networks whose mail is neither judged, delayed, greylisted nor limited. This machine and the fleet's servers always are." example:"192.0.2.0/24"`

	EarlyTalkers  Switch   `json:"early_talkers,omitempty" enum:"on,off" doc:"Turn away who speaks before the greeting. Empty: on." example:"on"`
	GreetingDelay Duration `json:"greeting_delay,omitempty" doc:"How long the greeting lets early talkers betray themselves. 0: 1s."`
	Blocklists    []string `json:"blocklists,omitempty" maxItems:"20" doc:"DNS zones of addresses whose mail is refused (RFC 5782). None: none is asked." example:"bl.example.test"`
	Greylisting   Switch   `json:"greylisting,omitempty" enum:"on,off" doc:"Defer what comes from a stranger for the first time (RFC 6647). Empty: off." example:"off"`
	GreylistDelay Duration `json:"greylist_delay,omitempty" doc:"How long a stranger must wait before trying again. 0: 5m."`
	ReverseNames  Handling `json:"reverse_names,omitempty" enum:"none,mark,refuse" doc:"What is done when an address has no name that leads back to it. Empty: mark." example:"mark"`
	DMARC         Handling `json:"dmarc,omitempty" enum:"none,mark,quarantine,refuse" doc:"The most that is done with mail that fails its author's DMARC policy. Empty: quarantine." example:"quarantine"`
	Sealers       []string `json:"sealers,omitempty" maxItems:"100" doc:"Domains whose ARC seals are believed: mail that passed DMARC when it came to one of them is not held to fail because it was changed there since (RFC 8617). None: nobody's are." example:"lists.example.test"`
	AddressRate   int      `json:"address_rate,omitempty" minimum:"0" doc:"Messages a minute from one IPv4 address or IPv6 /64. Ten times as many from its IPv4 /24 or IPv6 /48. 0: 300." example:"300"`
	Rates         Switch   `json:"rates,omitempty" enum:"on,off" doc:"Bound what comes from an address and from its network: connections, messages, recipients and mistakes. Empty: on." example:"on"`
	AddressCaps   Switch   `json:"address_caps,omitempty" enum:"on,off" doc:"Bound the connections at once from one IPv4 address or IPv6 /64, and from its network. Empty: on." example:"on"`
	Connections   int      `json:"connections,omitempty" minimum:"0" maximum:"1000000" doc:"Connections for receiving at once, at all ports together. 0: 1000." example:"1000"`

	AddressConnections int `json:"address_connections,omitempty" minimum:"0" maximum:"1000000" doc:"Connections at once from one IPv4 address or IPv6 /64. 0: 50." example:"50"`
	NetworkConnections int `json:"network_connections,omitempty" minimum:"0" maximum:"1000000" doc:"Connections at once from one IPv4 /24 or IPv6 /48; trusted networks and the fleet's servers are not counted. 0: ten times as many as from one address." example:"500"`

	Tarpit    Switch `json:"tarpit,omitempty" enum:"on,off" doc:"Make those wait who make mistakes, the longer the more. Empty: on." example:"on"`
	ErrorRate int    `json:"error_rate,omitempty" minimum:"0" doc:"Mistakes an hour (recipients that do not exist, commands that make no sense) from one IPv4 address or IPv6 /64; beyond it, it is turned away for a while. Ten times as many from its IPv4 /24 or IPv6 /48. 0: 60." example:"60"`

	Listeners []Listener `json:"listeners,omitempty" maxItems:"16" doc:"Ports with switches of their own."`
}

// Listener is the port of a listener for mail from other servers, with switches of its
// own. What a switch leaves empty is as Receiving has it.
type Listener struct {
	Port int `json:"port" minimum:"1" maximum:"65535" doc:"Port to listen on besides the server's own, or that one itself." example:"2525"`

	Rates        Switch `json:"rates,omitempty" enum:"on,off" doc:"Bound what comes from an address and from its network." example:"off"`
	AddressCaps  Switch `json:"address_caps,omitempty" enum:"on,off" doc:"Bound the connections from one address and from its network." example:"off"`
	Tarpit       Switch `json:"tarpit,omitempty" enum:"on,off" doc:"Make those wait who make mistakes." example:"off"`
	EarlyTalkers Switch `json:"early_talkers,omitempty" enum:"on,off" doc:"Turn away who speaks before the greeting." example:"off"`
	ReverseNames Switch `json:"reverse_names,omitempty" enum:"on,off" doc:"Ask for the names of addresses, as reverse_names of receiving has it. Empty: on." example:"off"`
	Blocklists   Switch `json:"blocklists,omitempty" enum:"on,off" doc:"Ask the blocklists of receiving. Empty: on." example:"off"`
	Greylisting  Switch `json:"greylisting,omitempty" enum:"on,off" doc:"Defer what comes from a stranger for the first time. Off is off for all domains; on is for those that say nothing else." example:"on"`

	Connections        int `json:"connections,omitempty" minimum:"0" maximum:"1000000" doc:"Connections at this port at once. 0: as many as at all ports together." example:"100"`
	AddressConnections int `json:"address_connections,omitempty" minimum:"0" maximum:"1000000" doc:"Of them from one IPv4 address or IPv6 /64. 0: as receiving has it." example:"10"`
	NetworkConnections int `json:"network_connections,omitempty" minimum:"0" maximum:"1000000" doc:"Of them from one IPv4 /24 or IPv6 /48. 0: as receiving has it." example:"100"`
}

// Listener is what holds for the listener of a port.
func (r *Receiving) Listener(port int) Listener {
	l := Listener{Port: port}
	if i := slices.IndexFunc(r.Listeners, func(l Listener) bool { return l.Port == port }); i >= 0 {
		l = r.Listeners[i]
	}
	return Listener{
		Port: port, Rates: cmp.Or(l.Rates, r.Rates, On), AddressCaps: cmp.Or(l.AddressCaps, r.AddressCaps, On), Tarpit: cmp.Or(l.Tarpit, r.Tarpit, On),
		EarlyTalkers: cmp.Or(l.EarlyTalkers, r.EarlyTalkers, On), ReverseNames: cmp.Or(l.ReverseNames, On), Blocklists: cmp.Or(l.Blocklists, On),
		Greylisting: cmp.Or(l.Greylisting, r.Greylisting, Off), Connections: l.Connections,
		AddressConnections: cmp.Or(l.AddressConnections, r.AddressConnections), NetworkConnections: cmp.Or(l.NetworkConnections, r.NetworkConnections),
	}
}

func (l *Listener) check(field string) error {
	if l.Port < 1 || l.Port > 65535 {
		return FieldErrorf(field+".port", "%d is not a port", l.Port)
	}
	for name, s := range map[string]Switch{
		"rates": l.Rates, "address_caps": l.AddressCaps, "tarpit": l.Tarpit, "early_talkers": l.EarlyTalkers,
		"reverse_names": l.ReverseNames, "blocklists": l.Blocklists, "greylisting": l.Greylisting,
	} {
		if err := checkSwitch(field+"."+name, s); err != nil {
			return err
		}
	}
	return checkConnections(field+".", l.Connections, l.AddressConnections, l.NetworkConnections)
}

// maxConnections is more than a server can have open.
const maxConnections = 1_000_000

// checkConnections says what is wrong with numbers of connections at once: in all, from an
// address and from its network.
func checkConnections(prefix string, all, address, network int) error {
	for _, n := range []struct {
		name string
		n    int
	}{{"connections", all}, {"address_connections", address}, {"network_connections", network}} {
		if n.n < 0 || n.n > maxConnections {
			return FieldErrorf(prefix+n.name, "%s must be between 0 and %d", n.name, maxConnections)
		}
	}
	return checkNetwork(prefix, address, network)
}

// checkNetwork says that a network is allowed less than one of its addresses.
func checkNetwork(prefix string, address, network int) error {
	if network > 0 && address > network {
		return FieldErrorf(prefix+"network_connections", "a network must be allowed as many connections as one of its addresses, %d at least", address)
	}
	return nil
}

// Submission is how mail of the users is taken.
type Submission struct {
	BrakeFactor    int `json:"brake_factor,omitempty" minimum:"0" doc:"How many times a user's habit a burst may be before it is held. 0: 10." example:"10"`
	SentAnHour     int `json:"sent_an_hour,omitempty" minimum:"0" doc:"Recipients an hour that a user may write to whose account, plan and domain say nothing. 0: 3000." example:"3000"`
	MessagesAnHour int `json:"messages_an_hour,omitempty" minimum:"0" doc:"Messages an hour that a user may send whose account, plan and domain say nothing. 0: 1000." example:"1000"`

	BrakeLeast int `json:"brake_least,omitempty" minimum:"0" doc:"Recipients an hour that are never a burst, whatever the habit. 0: 50." example:"50"`
}

// Sending is how mail to other servers is sent.
type Sending struct {
	Resolvers      []string   `json:"resolvers,omitempty" maxItems:"8" doc:"DNS servers to ask, as address:port. None: those of the machine." example:"127.0.0.1:53"`
	ResolverSafe   Switch     `json:"resolver_safe,omitempty" enum:"on,off" doc:"The resolvers validate DNSSEC and no stranger is on the way to them, so that DANE can be relied on. Empty: off." example:"off"`
	Port           int        `json:"port,omitempty" minimum:"0" maximum:"65535" doc:"Port of other servers. 0: 25." example:"25"`
	From           []string   `json:"from,omitempty" maxItems:"16" doc:"Addresses of this server to send from, at most one of IPv4 and one of IPv6. None: the system's choice." example:"192.0.2.10"`
	Connections    int        `json:"connections,omitempty" minimum:"0" doc:"Connections to other servers at once. 0: 500." example:"500"`
	PerDestination int        `json:"per_destination,omitempty" minimum:"0" doc:"Connections to one destination at once. 0: 20." example:"20"`
	Retry          []Duration `json:"retry,omitempty" maxItems:"50" doc:"Waits between attempts; the last one repeats. None: 1m, 5m, 15m, 30m, 1h, 2h, 4h."`
	Expire         Duration   `json:"expire,omitempty" doc:"After how long a message is given back. 0: 120h."`
	DelayNotice    Duration   `json:"delay_notice,omitempty" doc:"After how long the sender is told that a message waits. 0: 4h."`
	TLSReports     Switch     `json:"tls_reports,omitempty" enum:"on,off" doc:"Tell domains that ask for it how TLS to them went (RFC 8460). Empty: on." example:"on"`
}

// Milter is a filter outside, spoken to by the milter protocol.
type Milter struct {
	Address   string   `json:"address" minLength:"1" maxLength:"200" doc:"Where it listens: inet:host:port or unix:/path." example:"inet:127.0.0.1:11332"`
	OnFailure string   `json:"on_failure,omitempty" enum:"accept,defer" doc:"What becomes of mail while it does not answer. Empty: defer." example:"defer"`
	Timeout   Duration `json:"timeout,omitempty" doc:"How long it may take for one answer. 0: 30s."`
	On        []string `json:"on,omitempty" maxItems:"2" enum:"receiving,submission" doc:"Which mail it sees. None: all." example:"receiving"`
}

// Bounds of a flow's times.
const (
	maxGreeting = 10 * time.Second
	maxGreylist = 24 * time.Hour
	maxExpire   = 30 * 24 * time.Hour
	minRetry    = time.Second

	maxMessageSize = 1 << 30 // a message is committed as one batch
)

// Check says what is wrong with the settings: an Invalid error that names the field.
func (f *MailFlow) Check() error {
	for _, check := range []func() error{f.Receiving.check, f.Submission.check, f.Sending.check} {
		if err := check(); err != nil {
			return err
		}
	}
	for _, n := range f.HooksTo {
		if _, err := ParseNetwork(n); err != nil {
			return FieldErrorf("hooks_to", "%q is not a network: write 192.0.2.0/24 or an address", n)
		}
	}
	if f.MessageSize < 0 || f.MessageSize > maxMessageSize {
		return FieldErrorf("message_size", "the largest message must be between 0 and %d bytes", maxMessageSize)
	}
	if f.MailMax < 0 {
		return FieldErrorf("mail_max", "mail_max must not be negative")
	}
	for i, m := range f.Milters {
		if err := m.check(); err != nil {
			err.Field = "milters[" + strconv.Itoa(i) + "]." + err.Field
			return err
		}
	}
	return nil
}

func (r *Receiving) check() error {
	for field, networks := range map[string][]string{"proxy_from": r.ProxyFrom, "xclient_from": r.XClientFrom, "trusted_from": r.TrustedFrom} {
		for _, n := range networks {
			if _, err := ParseNetwork(n); err != nil {
				return FieldErrorf("receiving."+field, "%q is not a network: write 192.0.2.0/24 or an address", n)
			}
		}
	}
	for _, zone := range r.Blocklists {
		if err := CheckName("receiving.blocklists", zone); err != nil {
			return err
		}
	}
	for _, domain := range r.Sealers {
		if err := CheckName("receiving.sealers", domain); err != nil {
			return err
		}
	}
	for _, s := range []struct {
		field string
		value Switch
	}{{"early_talkers", r.EarlyTalkers}, {"greylisting", r.Greylisting}, {"rates", r.Rates}, {"address_caps", r.AddressCaps}, {"tarpit", r.Tarpit}} {
		if err := checkSwitch("receiving."+s.field, s.value); err != nil {
			return err
		}
	}
	for i, l := range r.Listeners {
		field := "receiving.listeners[" + strconv.Itoa(i) + "]"
		if err := l.check(field); err != nil {
			return err
		}
		is := r.Listener(l.Port)
		if err := checkNetwork(field+".", is.AddressConnections, is.NetworkConnections); err != nil {
			return err
		}
		if slices.ContainsFunc(r.Listeners[:i], func(o Listener) bool { return o.Port == l.Port }) {
			return FieldErrorf(field+".port", "the port %d is there twice", l.Port)
		}
	}
	if err := checkHandling("receiving.reverse_names", r.ReverseNames, HandleNone, HandleMark, HandleRefuse); err != nil {
		return err
	}
	if err := checkHandling("receiving.dmarc", r.DMARC, HandleNone, HandleMark, HandleQuarantine, HandleRefuse); err != nil {
		return err
	}
	switch {
	case time.Duration(r.GreetingDelay) < 0 || time.Duration(r.GreetingDelay) > maxGreeting:
		return FieldErrorf("receiving.greeting_delay", "the greeting can be delayed by %v at most", maxGreeting)
	case time.Duration(r.GreylistDelay) < 0 || time.Duration(r.GreylistDelay) > maxGreylist:
		return FieldErrorf("receiving.greylist_delay", "a stranger can be made to wait for %v at most", maxGreylist)
	}
	if err := checkConnections("receiving.", r.Connections, r.AddressConnections, r.NetworkConnections); err != nil {
		return err
	}
	return notNegative("receiving.", map[string]int{
		"address_rate": r.AddressRate, "error_rate": r.ErrorRate,
	})
}

func (s *Submission) check() error {
	return notNegative("submission.", map[string]int{
		"brake_factor": s.BrakeFactor, "brake_least": s.BrakeLeast, "sent_an_hour": s.SentAnHour, "messages_an_hour": s.MessagesAnHour,
	})
}

func (s *Sending) check() error {
	for _, server := range s.Resolvers {
		if a, err := netip.ParseAddrPort(server); err != nil || a.Port() == 0 {
			return FieldErrorf("sending.resolvers", "%q is not a DNS server: write address:port", server)
		}
	}
	for _, from := range s.From {
		if _, err := netip.ParseAddr(from); err != nil {
			return FieldErrorf("sending.from", "%q is not an IP address", from)
		}
	}
	if s.Port < 0 || s.Port > 65535 {
		return FieldErrorf("sending.port", "%d is not a port", s.Port)
	}
	for _, wait := range s.Retry {
		if time.Duration(wait) < minRetry || time.Duration(wait) > maxExpire {
			return FieldErrorf("sending.retry", "a wait between attempts must be between %v and %v", minRetry, maxExpire)
		}
	}
	for field, d := range map[string]Duration{"expire": s.Expire, "delay_notice": s.DelayNotice} {
		if d < 0 || time.Duration(d) > maxExpire {
			return FieldErrorf("sending."+field, "%s can be %v at most", field, maxExpire)
		}
	}
	if err := checkSwitch("sending.resolver_safe", s.ResolverSafe); err != nil {
		return err
	}
	if err := checkSwitch("sending.tls_reports", s.TLSReports); err != nil {
		return err
	}
	return notNegative("sending.", map[string]int{"connections": s.Connections, "per_destination": s.PerDestination})
}

func (m *Milter) check() *Error {
	kind, where, _ := strings.Cut(m.Address, ":")
	host, port, err := net.SplitHostPort(where)
	n, perr := strconv.Atoi(port)
	inet := kind == "inet" && err == nil && host != "" && perr == nil && n > 0 && n < 65536
	if !inet && !(kind == "unix" && strings.HasPrefix(where, "/")) {
		return FieldErrorf("address", "%q is not where a milter listens: write inet:host:port or unix:/path", m.Address)
	}
	if m.OnFailure != "" && m.OnFailure != "accept" && m.OnFailure != "defer" {
		return FieldErrorf("on_failure", "%q is neither accept nor defer", m.OnFailure)
	}
	if m.Timeout < 0 || time.Duration(m.Timeout) > 10*time.Minute {
		return FieldErrorf("timeout", "a milter can take 10m at most")
	}
	for _, on := range m.On {
		if on != "receiving" && on != "submission" {
			return FieldErrorf("on", "%q is neither receiving nor submission", on)
		}
	}
	return nil
}

// ParseNetwork reads a network, or an address as the network of it alone.
func ParseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}

func checkSwitch(field string, s Switch) error {
	if s != "" && s != On && s != Off {
		return FieldErrorf(field, "%q is neither on nor off", s)
	}
	return nil
}

func checkHandling(field string, h Handling, allowed ...Handling) error {
	if h != "" && !slices.Contains(allowed, h) {
		return FieldErrorf(field, "%q is not one of %v", h, allowed)
	}
	return nil
}

func notNegative(prefix string, values map[string]int) error {
	for name, n := range values {
		if n < 0 {
			return FieldErrorf(prefix+name, "%s must not be negative", name)
		}
	}
	return nil
}
