package inventory

import (
	"encoding/json"
	"strconv"
	"time"
)

// Severity orders alerts by how soon a person must look.
type Severity string

// The severities.
const (
	Info     Severity = "info"
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

// Comparison compares a sample with a rule's value.
type Comparison string

// The comparisons.
const (
	Above   Comparison = ">"
	AtLeast Comparison = ">="
	Below   Comparison = "<"
	AtMost  Comparison = "<="
)

// Duration is a time.Duration that is "1m30s" in JSON; a bare number is taken as seconds.
type Duration time.Duration

// MarshalJSON writes the Go form, "1m30s".
func (d Duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(d).String())
}

// UnmarshalJSON reads the Go form or a number of seconds.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		secs, err := strconv.ParseFloat(string(b), 64)
		if err != nil || secs < 0 || secs > 1e9 {
			return Errorf(Invalid, "%s is not a duration: write 30, \"30s\" or \"1m30s\"", b)
		}
		*d = Duration(secs * float64(time.Second))
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return Errorf(Invalid, "%q is not a duration: write 30, \"30s\" or \"1m30s\"", s)
	}
	*d = Duration(v)
	return nil
}

// Rule is a threshold on a metric, watched on every server.
type Rule struct {
	Meta
	Name       string     `json:"name"`
	Metric     string     `json:"metric"` // measurement_field, e.g. mem_used_percent
	Comparison Comparison `json:"comparison"`
	Value      float64    `json:"value"`
	Clear      float64    `json:"clear"` // resolved when the sample is on the good side of this; between both nothing changes
	For        Duration   `json:"for"`   // the condition must hold this long before it fires
	Severity   Severity   `json:"severity"`
	Servers    []string   `json:"servers,omitempty"`    // names; empty: all
	Recipients []ID       `json:"recipients,omitempty"` // contacts; empty: all
	Enabled    bool       `json:"enabled"`
}

// Contact is somebody with a phone who is told of alerts.
type Contact struct {
	Meta
	Name     string `json:"name"`
	Phone    string `json:"phone"`    // E.164 or national digits, as the gateway wants it
	Language string `json:"language"` // zh or en
}

// AlertState is where an alert stands.
type AlertState string

// The states of an alert. Inactive ones are not kept.
const (
	AlertPending  AlertState = "pending"
	AlertFiring   AlertState = "firing"
	AlertResolved AlertState = "resolved"
)

// Alert is one episode of a rule's condition holding on one series of one server.
type Alert struct {
	Meta
	Rule       ID                `json:"rule"`
	RuleName   string            `json:"rule_name"`
	Server     ID                `json:"server"`
	ServerName string            `json:"server_name"`
	Metric     string            `json:"metric"`
	Tags       map[string]string `json:"tags,omitempty"` // the series: device, mount, interface
	Comparison Comparison        `json:"comparison"`
	Threshold  float64           `json:"threshold"`
	Value      float64           `json:"value"` // last seen
	Severity   Severity          `json:"severity"`
	State      AlertState        `json:"state"`
	Since      time.Time         `json:"since"`    // condition first held
	Fired      time.Time         `json:"fired"`    // zero: not yet
	Resolved   time.Time         `json:"resolved"` // zero: not yet
	Acked      time.Time         `json:"acked"`    // zero: nobody has taken it
	AckedBy    string            `json:"acked_by,omitempty"`
	Window     ID                `json:"window,omitempty"`   // maintenance window it fired in
	MutedBy    string            `json:"muted_by,omitempty"` // what that window is for
	Told       time.Time         `json:"told,omitzero"`      // when people were told that it fires; zero: not (yet)
}

// Muted reports whether a maintenance window keeps the alert from people: they
// were not told of it, and are not told of its end.
func (a *Alert) Muted() bool { return a.Window != "" && a.Told.IsZero() }

// SMSState is where a text message stands.
type SMSState string

// The states of a text message.
const (
	SMSQueued    SMSState = "queued"
	SMSSent      SMSState = "sent"      // the gateway has it
	SMSDelivered SMSState = "delivered" // the gateway says the phone has it
	SMSFailed    SMSState = "failed"    // given up
)

// SMS is one text message to one phone.
type SMS struct {
	Meta
	To       string    `json:"to"`
	Text     string    `json:"text"`
	State    SMSState  `json:"state"`
	Gateway  string    `json:"gateway"`
	Encoding string    `json:"encoding"` // gsm7 or ucs2
	Parts    int       `json:"parts"`
	Attempts int       `json:"attempts"`
	Next     time.Time `json:"next"` // of the next attempt while queued
	Sent     time.Time `json:"sent"`
	Error    string    `json:"error,omitempty"` // of the last attempt
	Said     *Sentence `json:"said,omitempty" doc:"Error, for another language"`
	Alert    ID        `json:"alert,omitempty"`
	Key      string    `json:"-"` // unique: alert, event and phone, so that nothing is sent twice
}
