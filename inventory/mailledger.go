package inventory

import (
	"fmt"
	"math"
	"net/url"
	"slices"
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
	Account ID        `json:"account,omitempty"` // whose mail it was; empty: mail of no account
	Message string    `json:"message"`           // as in Received fields and logs
	From    string    `json:"from"`
	To      string    `json:"to"`
	Host    string    `json:"host,omitempty"` // that refused it
	Code    int       `json:"code"`
	Status  string    `json:"status"` // enhanced status code (RFC 3463)
	Text    string    `json:"text"`
}

// Key is the place of a row among others: by day, then domain, then account.
func (r *LedgerRow) Key() string { return r.Day + "/" + r.Domain + "/" + string(r.Account) + "/" }

// Key is the place of a failure among others: the latest first.
func (f *MailFailure) Key() string {
	return fmt.Sprintf("%019d/%s/%s", math.MaxInt64-f.At.UnixNano(), f.Message, f.To)
}

// LedgerBy are what rows may be told apart by.
var LedgerBy = []string{"day", "domain", "account"}

// LedgerQuery chooses a page of rows, or of failures.
type LedgerQuery struct {
	From, To string   // days, both included
	By       []string // rows that are alike in these are summed up; none: all
	Domains  []string
	Account  ID
	After    string // Key of the last one of the page before
	Limit    int    // 0: MaxLedgerPage
}

// Bounds of what is asked for at once.
const (
	MaxLedgerDays = 366
	MaxLedgerPage = 10_000
)

// LedgerPage are some of the rows, in the order of their keys.
type LedgerPage struct {
	Rows []LedgerRow `json:"rows"`
	Next string      `json:"next,omitempty"` // After of the next page; empty: there is none
}

// MailFailurePage are some of the failures, in the order of their keys.
type MailFailurePage struct {
	Failures []MailFailure `json:"failures"`
	Next     string        `json:"next,omitempty"` // After of the next page; empty: there is none
}

// Values is the query in a URL.
func (q *LedgerQuery) Values() url.Values {
	v := url.Values{"from": {q.From}, "to": {q.To}}
	for name, list := range map[string][]string{"by": q.By, "domain": q.Domains} {
		if len(list) > 0 {
			v[name] = list
		}
	}
	for name, text := range map[string]string{"account": string(q.Account), "after": q.After} {
		if text != "" {
			v.Set(name, text)
		}
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// ParseLedgerQuery reads Values.
func ParseLedgerQuery(v url.Values) (LedgerQuery, error) {
	q := LedgerQuery{
		From: v.Get("from"), To: v.Get("to"), By: v["by"], Domains: v["domain"], Account: ID(v.Get("account")),
		After: v.Get("after"), Limit: MaxLedgerPage,
	}
	for _, by := range q.By {
		if !slices.Contains(LedgerBy, by) {
			return q, FieldErrorf("by", "%q is not one of %v", by, LedgerBy)
		}
	}
	if limit := v.Get("limit"); limit != "" {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 1 || n > MaxLedgerPage {
			return q, FieldErrorf("limit", "limit must be between 1 and %d", MaxLedgerPage)
		}
		q.Limit = n
	}
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
