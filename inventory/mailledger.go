package inventory

import (
	"net/url"
	"strconv"
	"time"
)

// LedgerRow is what an account sent and got on a day.
type LedgerRow struct {
	Day      string `json:"day" doc:"In UTC" example:"2026-11-27"`
	Domain   string `json:"domain"`            // of the addresses that were written to or from; -: of none
	Account  ID     `json:"account,omitempty"` // empty: mail of no account
	In       int64  `json:"in"`                // messages put into the mailbox
	InBytes  int64  `json:"in_bytes"`
	Out      int64  `json:"out"` // recipients elsewhere who took mail of the account
	OutBytes int64  `json:"out_bytes"`
	Failed   int64  `json:"failed"` // recipients whose mail of the account was given up
}

// Add adds what another server has.
func (r *LedgerRow) Add(o LedgerRow) {
	r.In += o.In
	r.InBytes += o.InBytes
	r.Out += o.Out
	r.OutBytes += o.OutBytes
	r.Failed += o.Failed
}

// MailFailure is mail that was given up.
type MailFailure struct {
	At      time.Time `json:"at"`
	Message string    `json:"message"` // as in Received fields and logs
	From    string    `json:"from"`
	To      string    `json:"to"`
	Host    string    `json:"host,omitempty"` // that refused it
	Code    int       `json:"code"`
	Status  string    `json:"status"` // enhanced status code (RFC 3463)
	Text    string    `json:"text"`
}

// LedgerQuery chooses rows.
type LedgerQuery struct {
	From, To string // days, both included
	Domains  []string
	Account  ID
}

// MaxLedgerDays bounds how many days are asked for at once.
const MaxLedgerDays = 366

// Values is the query in a URL.
func (q *LedgerQuery) Values() url.Values {
	v := url.Values{"from": {q.From}, "to": {q.To}}
	if len(q.Domains) > 0 {
		v["domain"] = q.Domains
	}
	if q.Account != "" {
		v.Set("account", string(q.Account))
	}
	return v
}

// ParseLedgerQuery reads Values.
func ParseLedgerQuery(v url.Values) (LedgerQuery, error) {
	q := LedgerQuery{From: v.Get("from"), To: v.Get("to"), Domains: v["domain"], Account: ID(v.Get("account"))}
	_, err := q.Days()
	return q, err
}

// Days are those from From to To.
func (q *LedgerQuery) Days() (days []string, err error) {
	from, err := time.Parse(time.DateOnly, q.From)
	if err != nil {
		return nil, FieldErrorf("from", "%q is not a day: write 2026-11-27", q.From)
	}
	to, err := time.Parse(time.DateOnly, q.To)
	if err != nil {
		return nil, FieldErrorf("to", "%q is not a day: write 2026-11-27", q.To)
	}
	if to.Before(from) || to.Sub(from) >= MaxLedgerDays*24*time.Hour {
		return nil, FieldErrorf("to", "to must be from's day or up to %s days later", strconv.Itoa(MaxLedgerDays-1))
	}
	for day := from; !day.After(to); day = day.AddDate(0, 0, 1) {
		days = append(days, day.Format(time.DateOnly))
	}
	return days, nil
}
