package api

import (
	"strings"
	"time"

	"mailfleet/inventory"
)

// Config is the mailnode's whole configuration: one JSON file. The agent writes
// it from the desired state; the mailnode starts from the file alone. Keys that
// are not listed here are errors. `mailfleet-mailnode config describe` prints
// this structure with the texts below.
type Config struct {
	Index      uint64     `json:"index" doc:"Number of the desired state this file was made from. Reported by status." example:"42"`
	Server     string     `json:"server" doc:"Name of the server in the fleet." example:"cn-north-1"`
	Hostname   string     `json:"hostname" doc:"Name this server gives itself in greetings and Received headers (RFC 5321 §4.1.1.1)." example:"mx1.example.test"`
	Listeners  []Listener `json:"listeners" doc:"Addresses to listen on. At least one."`
	TLS        TLS        `json:"tls,omitzero" doc:"Certificate for STARTTLS, STLS, submissions, pop3s and imaps. Without it none of them is offered."`
	Drained    bool       `json:"drained,omitempty" doc:"Turn new connections away (421, -ERR or BYE); those there are go on." example:"false"`
	Limits     Limits     `json:"limits,omitzero" doc:"What the server takes before it refuses. Zero or absent means the default."`
	Domains    []Domain   `json:"domains" doc:"Domains that are local. Mail for any other domain is refused (550 5.7.1)."`
	Postmaster string     `json:"postmaster,omitempty" doc:"Address of the account that gets the mail for postmaster where a domain has no postmaster account of its own (RFC 5321 §4.5.1). Without it such mail is answered 450." example:"user1@example.test"`
	Accounts   []Account  `json:"accounts" doc:"Accounts whose mailboxes are on this server."`

	Mail   inventory.MailFlow `json:"mail,omitzero" doc:"How mail is received and how it is sent on."`
	Groups []Group            `json:"groups,omitempty" doc:"Addresses of local domains whose mail goes to others."`
	Away   []Away             `json:"away,omitempty" doc:"Accounts of local domains whose mailboxes are on other servers."`
	Peers  []Peer             `json:"peers,omitempty" doc:"The other servers of the fleet."`

	ForwardSecret string `json:"forward_secret,omitempty" doc:"What rewritten senders of forwarded mail (SRS) are made with: the same on all servers of the fleet, so that reports find their way back through any. Absent means one of this server's own." example:"secret"`

	AwayPartial bool `json:"away_partial,omitempty" doc:"There are more accounts on other servers than away lists: mail for an address that is not known is deferred (450), not refused." example:"false"`
}

// Protocol names what a listener speaks.
type Protocol string

// The protocols a listener can speak.
const (
	SMTP  Protocol = "smtp"  // RFC 5321, with STARTTLS when there is a certificate
	POP3  Protocol = "pop3"  // RFC 1939, with STLS when there is a certificate
	POP3S Protocol = "pop3s" // RFC 1939 over TLS from the first byte (RFC 8314 §3.3)
	IMAP  Protocol = "imap"  // RFC 9051, with STARTTLS when there is a certificate
	IMAPS Protocol = "imaps" // RFC 9051 over TLS from the first byte (RFC 8314 §3.2)

	Submission  Protocol = "submission"  // RFC 6409, with STARTTLS when there is a certificate
	Submissions Protocol = "submissions" // RFC 6409 over TLS from the first byte (RFC 8314 §3.3)
	LMTP        Protocol = "lmtp"        // RFC 2033
)

// Protocols lists them all.
var Protocols = []Protocol{SMTP, Submission, Submissions, LMTP, POP3, POP3S, IMAP, IMAPS}

// UnixPrefix begins the address of a listener on a Unix socket, before its path.
const UnixPrefix = "unix:"

// Secure reports whether a protocol is spoken over TLS from the first byte.
func (p Protocol) Secure() bool { return p == POP3S || p == IMAPS || p == Submissions }

// Feature is what an account must not have switched off to use the protocol.
func (p Protocol) Feature() inventory.Feature {
	switch p {
	case Submission, Submissions:
		return inventory.FeatureSMTP
	case POP3S:
		return inventory.FeaturePOP3
	case IMAPS:
		return inventory.FeatureIMAP
	}
	return inventory.Feature(p)
}

// Listener is one address the mailnode listens on.
type Listener struct {
	Protocol Protocol `json:"protocol" doc:"smtp, submission, submissions, lmtp, pop3, pop3s, imap or imaps (those that end in s need a certificate)." example:"smtp"`
	Address  string   `json:"address" doc:"IP address and port, or for lmtp unix: and the path of a socket. No IP address means all of them; port 0 means a free one, which status then names." example:"127.0.10.1:1025"`
	Local    bool     `json:"local,omitempty" doc:"Take passwords without TLS here. For addresses that only this machine, or a network as safe, can reach." example:"false"`
}

// Socket is the path of the socket the listener listens on; "" when it has an IP address.
func (l Listener) Socket() string {
	if path, unix := strings.CutPrefix(l.Address, UnixPrefix); unix {
		return path
	}
	return ""
}

// TLS names the files of the server's certificate. They are read again at each reload.
type TLS struct {
	Cert string `json:"cert" doc:"File with the certificate chain, PEM." example:"/etc/mailfleet/mailnode.crt"`
	Key  string `json:"key" doc:"File with the private key, PEM." example:"/etc/mailfleet/mailnode.key"`
}

// Limits are what the server takes before it refuses.
type Limits struct {
	MessageBytes          int64 `json:"message_bytes,omitempty" doc:"Largest message in bytes; larger ones are refused (552)." default:"52428800"`
	Recipients            int   `json:"recipients,omitempty" doc:"Recipients of one message; further ones are deferred (452)." default:"100"`
	Connections           int   `json:"connections,omitempty" doc:"Connections held at once, for each protocol." default:"1000"`
	ConnectionsPerAddress int   `json:"connections_per_address,omitempty" doc:"Connections held at once from one IPv4 address or one IPv6 /64, for each protocol." default:"50"`
	FreeBytes             int64 `json:"free_bytes,omitempty" doc:"Free disk space in bytes below which no mail is received (452)." default:"268435456"`
}

// Domain is a local domain.
type Domain struct {
	Name       string `json:"name" doc:"The domain." example:"example.test"`
	Postmaster string `json:"postmaster,omitempty" doc:"Who gets its mail for postmaster, when no account, alias or group is called that." example:"user1@example.test"`

	MessageBytes int64 `json:"message_bytes,omitempty" doc:"Largest message its groups take, when that is less than the server takes; larger ones are refused (552 5.2.3). Absent means what the server takes." example:"20971520"`

	Mail          inventory.DomainMail `json:"mail,omitzero" doc:"How its mail is handled."`
	RoutePassword string               `json:"route_password,omitempty" doc:"Password for the smart host of mail.route." example:"secret"`
	HookSecrets   []HookSecret         `json:"hook_secrets,omitempty" doc:"What events for the hooks of mail.hooks are signed with."`
	DKIM          []DKIMKey            `json:"dkim,omitempty" doc:"Keys that sign its mail, each with its own signature."`
}

// HookSecret is what events for a hook are signed with.
type HookSecret struct {
	Hook   string `json:"hook" doc:"The hook's id." example:"0198c0de-0000-7000-8000-00000000000b"`
	Secret string `json:"secret" doc:"The key of the HMAC." example:"secret"`
}

// DKIMKey signs a domain's mail (RFC 6376).
type DKIMKey struct {
	Selector string `json:"selector" doc:"Where its record is, below _domainkey." example:"mf202611e"`
	Private  string `json:"private" doc:"The private key, PEM: an RSA or Ed25519 one." example:"-----BEGIN PRIVATE KEY-----"`
}

// Group is an address whose mail goes to others.
type Group struct {
	Address string            `json:"address" doc:"Its address, in a local domain." example:"team@example.test"`
	Members []string          `json:"members" doc:"Whom its mail goes to, here or elsewhere." example:"user1@example.test"`
	Writers inventory.Writers `json:"writers" doc:"Who may write to it: anyone, domain (users of the domain, signed in) or members." example:"anyone"`
}

// Away is an account of a local domain whose mailbox is on another server.
type Away struct {
	Address   string   `json:"address" doc:"The account's address." example:"user9@example.test"`
	Aliases   []string `json:"aliases,omitempty" doc:"Its other addresses." example:"nine@example.test"`
	Server    string   `json:"server" doc:"Name of its home server. While that is not one of peers, its mail waits." example:"cn-south-1"`
	Suspended bool     `json:"suspended,omitempty" doc:"Its mail is refused." example:"false"`
}

// Peer is another server of the fleet.
type Peer struct {
	Name    string `json:"name" doc:"Its name." example:"cn-south-1"`
	Address string `json:"address" doc:"Its IP address and the port it takes mail on." example:"192.0.2.20:25"`
}

// Account is an address with a mailbox on this server.
type Account struct {
	ID           string `json:"id" doc:"The account's UUID. Mail is kept under it, so an address can change." example:"0198c0de-0000-7000-8000-000000000001"`
	Address      string `json:"address" doc:"The account's address, in a local domain. Upper and lower case are the same." example:"user1@example.test"`
	PasswordHash string `json:"password_hash,omitempty" doc:"Argon2id hash of the password in PHC form. Without it nobody can sign in with a password of the account's own." example:"$argon2id$v=19$m=65536,t=1,p=2$c2FsdHNhbHRzYWx0c2FsdA$RdescudvJCsgt3ub+b+dWRWJTmaaJObG6gO6jkyCe5I"`
	Suspended    bool   `json:"suspended,omitempty" doc:"Refuse its mail (550 5.2.1) and its sign-ins; keep its mailbox." example:"false"`

	SCRAM        string        `json:"scram,omitempty" doc:"Keys of the same password for SCRAM-SHA-256 (RFC 7677). Without them only PLAIN and LOGIN can sign in with it." example:"SCRAM-SHA-256$100000:9YbqjtE2k0nDPbVJQhQZTQ==$JTRYTlQ6L24t1PfGoSXUFw/1HBYP1HQVMcvFyPXN0Kk=:Yb0W/Zf0BB4qv7S+Cj0cQ8pEJz3xQGhkqXpE0fGQ0gk="`
	AppPasswords []AppPassword `json:"app_passwords,omitempty" doc:"Passwords made for one application or device each."`

	QuotaBytes    int64               `json:"quota_bytes,omitempty" doc:"Most bytes its mailboxes hold together; beyond it mail is deferred (452 4.2.2) and IMAP refuses with OVERQUOTA. Absent means no limit." example:"1073741824"`
	QuotaMessages int64               `json:"quota_messages,omitempty" doc:"Most messages its mailboxes hold together, in the same way. Absent means no limit." example:"100000"`
	MessageBytes  int64               `json:"message_bytes,omitempty" doc:"Largest message it takes, when that is less than the server takes; larger ones are refused (552 5.2.3, TOOBIG). Absent means what the server takes." example:"20971520"`
	Off           []inventory.Feature `json:"off,omitempty" doc:"What is switched off for it: by smtp (submission), pop3 or imap nobody signs in to it, with forward its mail stays in its mailbox." example:"pop3"`

	Aliases  []string          `json:"aliases,omitempty" doc:"Its other addresses, in local domains." example:"one@example.test"`
	Forward  inventory.Forward `json:"forward,omitzero" doc:"Where its mail goes besides its mailbox, or instead of it."`
	Language string            `json:"language,omitempty" doc:"The language it is written to in: zh-CN or en. Absent means zh-CN." example:"en"`

	Recipients int `json:"recipients,omitempty" doc:"Most recipients of a message it sends, when that is less than the server takes. Absent means what the server takes." example:"50"`
	SentADay   int `json:"sent_a_day,omitempty" doc:"Most recipients it writes to in a day. Absent means no limit." example:"500"`

	SentAnHour     int `json:"sent_an_hour,omitempty" doc:"Most recipients it writes to in an hour. Absent means those of mail.submission." example:"500"`
	MessagesAnHour int `json:"messages_an_hour,omitempty" doc:"Most messages it sends in an hour. Absent means those of mail.submission." example:"200"`
}

// AppPassword is a password made for one application or device. It is long and
// random, so that a fast hash keeps it.
type AppPassword struct {
	ID        string     `json:"id" doc:"Its UUID, by which sign-ins name it." example:"0198c0de-0000-7000-8000-00000000000a"`
	Name      string     `json:"name" doc:"What its user calls it." example:"phone"`
	Hash      string     `json:"hash" doc:"SHA-256 of the password, as $sha256$ and base64 without padding." example:"$sha256$K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols"`
	SCRAM     string     `json:"scram,omitempty" doc:"Its keys for SCRAM-SHA-256, with salt and iterations of the account's own." example:"SCRAM-SHA-256$100000:9YbqjtE2k0nDPbVJQhQZTQ==$JTRYTlQ6L24t1PfGoSXUFw/1HBYP1HQVMcvFyPXN0Kk=:Yb0W/Zf0BB4qv7S+Cj0cQ8pEJz3xQGhkqXpE0fGQ0gk="`
	Protocols []Protocol `json:"protocols,omitempty" doc:"What it is good for: smtp (which is submission), pop3, imap. None named means all." example:"pop3"`
	Expires   time.Time  `json:"expires,omitzero" doc:"When it stops being good (RFC 3339). Absent means never." example:"2030-01-01T00:00:00Z"`
}

// DefaultLimits are the limits of a file that names none.
func DefaultLimits() Limits {
	return Limits{}.withDefaults()
}

func (l Limits) withDefaults() Limits {
	fill := func(n *int, def int) {
		if *n == 0 {
			*n = def
		}
	}
	if l.MessageBytes == 0 {
		l.MessageBytes = 50 << 20
	}
	if l.FreeBytes == 0 {
		l.FreeBytes = 256 << 20
	}
	fill(&l.Recipients, 100)
	fill(&l.Connections, 1000)
	fill(&l.ConnectionsPerAddress, 50)
	return l
}
