package inventory

// TenantKind tells what a tenant is.
type TenantKind string

// The kinds of tenant.
const (
	TenantEnterprise TenantKind = "enterprise" // has domains of its own
	TenantReseller   TenantKind = "reseller"   // has enterprises below it as well
)

// Tenant is who domains belong to: an enterprise or a reseller.
type Tenant struct {
	Meta
	Name     string     `json:"name"` // unique
	Kind     TenantKind `json:"kind"`
	Parent   ID         `json:"parent,omitempty"` // reseller it is below; empty: none
	Plan     ID         `json:"plan,omitempty"`   // of its domains that name none
	Domains  int        `json:"max_domains"`      // most domains, those of tenants below included; 0: no limit
	Accounts int        `json:"max_accounts"`     // most accounts, likewise; 0: no limit
	Contact  string     `json:"contact,omitempty"`
}

// Limits bound what an account may use. 0: no limit of its own; the next
// wider one (account, plan, domain, tenant's plan) then holds.
type Limits struct {
	Quota       int64 `json:"quota,omitempty"`        // bytes in the mailbox
	Messages    int64 `json:"messages,omitempty"`     // messages in the mailbox
	MessageSize int64 `json:"message_size,omitempty"` // bytes of one message
	Attachment  int64 `json:"attachment,omitempty"`   // bytes of one attachment; for webmail, nothing asks for it yet
	Recipients  int   `json:"recipients,omitempty"`   // of one message sent
	SentADay    int   `json:"sent_a_day,omitempty"`   // recipients written to in a day
	SMSAMonth   int   `json:"sms_a_month,omitempty"`  // nothing asks for it yet

	SentAnHour     int `json:"sent_an_hour,omitempty"`     // recipients written to in an hour; 0 everywhere: the server's own (Submission)
	MessagesAnHour int `json:"messages_an_hour,omitempty"` // messages sent in an hour; 0 everywhere: likewise
}

// Feature is something an account may or may not use (功能服务定制).
type Feature string

// The features. A mailnode enforces smtp, pop3, imap and forward. Nothing uses the others
// yet: they are kept and handed on.
const (
	FeatureSMTP      Feature = "smtp" // submission
	FeaturePOP3      Feature = "pop3"
	FeatureIMAP      Feature = "imap"
	FeatureForward   Feature = "forward"
	FeatureWebmail   Feature = "webmail"
	FeatureSMS       Feature = "sms"
	FeatureAntispam  Feature = "antispam"
	FeatureAntivirus Feature = "antivirus"
	FeatureCollect   Feature = "collect" // from outside POP accounts
	FeatureDisk      Feature = "disk"
	FeatureCalendar  Feature = "calendar"
)

// Features lists every feature, in the order people see them.
var Features = []Feature{
	FeatureSMTP, FeaturePOP3, FeatureIMAP, FeatureWebmail, FeatureForward, FeatureSMS,
	FeatureAntispam, FeatureAntivirus, FeatureCollect, FeatureDisk, FeatureCalendar,
}

// Plan is a service plan (套餐): limits and feature switches for a group of
// domains or accounts.
type Plan struct {
	Meta
	Name     string           `json:"name"`             // unique
	Tenant   ID               `json:"tenant,omitempty"` // whose plan it is; empty: the operator's, for all
	Limits   Limits           `json:"limits"`
	Features map[Feature]bool `json:"features"` // absent: on
}
