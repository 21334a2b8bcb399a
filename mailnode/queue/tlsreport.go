package queue

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/message"
	"mailfleet/mailnode/outbound"
	"mailfleet/mailnode/store"
)

// TLSReports sends domains what came of TLS with their hosts (RFC 8460), once a day.
type TLSReports struct {
	Queue *Queue
	// Results returns what was counted on days before the given one and is not forgotten;
	// outbound.Client.Results.
	Results func(before string) []outbound.Result
	// Forget forgets some of it within a change; outbound.Client.Forget.
	Forget func(results []outbound.Result, change func(forget func(tx *store.Tx) error) error) error
	// Off tells that no reports are wanted now.
	Off func() bool
	// Texts returns the TXT records of a name, none without error when there are none.
	Texts func(ctx context.Context, name string) ([]string, error)
	// From is the sender, of a domain of this server; Organization and Contact stand in the
	// report.
	From, Organization, Contact string
	// Sign returns header lines for a message, as receivers want these signed (§3); may be
	// nil.
	Sign func(ctx context.Context, message []byte) ([]byte, error)
}

// tlsReportPatience is how long after the beginning of a day its report is tried, when a
// domain's DNS cannot say where it goes.
const tlsReportPatience = 3 * 24 * time.Hour

// Run sends reports, each soon after the end of its day (UTC), until ctx ends. Those that
// could not be sent then are tried again each hour.
func (r *TLSReports) Run(ctx context.Context) {
	const past = 10 * time.Minute // the hour
	for {
		now := r.Queue.now().UTC()
		next := now.Add(-past).Truncate(time.Hour).Add(time.Hour + past)
		timer := time.NewTimer(next.Sub(now))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
			r.Send(ctx)
		}
	}
}

// Send sends what is due. Counts are forgotten in the change that puts their report into
// the queue, so that a crash neither loses a report nor has it sent twice.
func (r *TLSReports) Send(ctx context.Context) {
	now := r.Queue.now().UTC()
	due := r.Results(now.Format(time.DateOnly)) // in the order of days and domains
	for len(due) > 0 && ctx.Err() == nil {
		day, domain := due[0].Day, due[0].Domain
		n := slices.IndexFunc(due, func(o outbound.Result) bool { return o.Day != day || o.Domain != domain })
		if n < 0 {
			n = len(due)
		}
		results := due[:n]
		due = due[n:]
		err := r.send(ctx, day, domain, results)
		if err == nil || ctx.Err() != nil {
			continue
		}
		if day >= now.Add(-tlsReportPatience).Format(time.DateOnly) {
			r.Queue.log.Warn("a TLS report could not be sent, it is tried again in an hour", "domain", domain, "day", day, "error", err)
			continue
		}
		r.Queue.log.Warn("a TLS report is given up: it could not be sent for days", "domain", domain, "day", day, "error", err)
		if err := r.drop(ctx, results); err != nil {
			r.Queue.log.Warn("the counts of a TLS report that is given up could not be forgotten", "domain", domain, "day", day, "error", err)
		}
	}
}

// drop forgets counts that nobody is told.
func (r *TLSReports) drop(ctx context.Context, results []outbound.Result) error {
	return r.Forget(results, func(forget func(tx *store.Tx) error) error {
		return r.Queue.o.Store.Update(ctx, nil, forget)
	})
}

// addressees are where a domain wants its reports (§3): mail addresses only.
func addressees(texts []string) (list []string) {
	const most = 5
	for _, text := range texts {
		fields := strings.Split(text, ";")
		if strings.TrimSpace(fields[0]) != "v=TLSRPTv1" {
			continue
		}
		for _, f := range fields[1:] {
			uris, ok := strings.CutPrefix(strings.TrimSpace(f), "rua=")
			if !ok {
				continue
			}
			for uri := range strings.SplitSeq(uris, ",") {
				u, err := url.Parse(strings.TrimSpace(uri))
				if err != nil || !strings.EqualFold(u.Scheme, "mailto") || len(list) == most {
					continue
				}
				opaque, err := url.PathUnescape(u.Opaque)
				if err != nil {
					continue
				}
				if a, err := envelope.ParseAddress(opaque); err == nil {
					list = append(list, a.String())
				}
			}
		}
	}
	return list
}

func (r *TLSReports) send(ctx context.Context, day, domain string, results []outbound.Result) error {
	if r.Off() {
		return r.drop(ctx, results)
	}
	texts, err := r.Texts(ctx, "_smtp._tls."+domain)
	if err != nil {
		return err
	}
	to := addressees(texts)
	if len(to) == 0 {
		return r.drop(ctx, results)
	}
	id := day + "-" + rand.Text()[:8] + "@" + domain
	report, err := r.report(id, day, domain, results)
	if err != nil {
		return err
	}
	text, err := r.compose(id, day, domain, to, report)
	if err != nil {
		return err
	}
	if r.Sign != nil {
		signature, err := r.Sign(ctx, text)
		if err != nil {
			return err
		}
		text = append(signature, text...)
	}
	e := envelope.Envelope{ID: "tlsrpt-" + rand.Text()[:12], From: r.From, Priority: envelope.PriorityReport}
	var list []To
	for _, a := range to {
		list = append(list, To{Recipient: envelope.Recipient{Address: a, Notify: envelope.NotifyNever}})
	}
	return r.Forget(results, func(forget func(tx *store.Tx) error) error {
		return r.Queue.submit(ctx, &e, text, list, forget)
	})
}

// submit puts a message made here into the queue, in one change with also.
func (q *Queue) submit(ctx context.Context, e *envelope.Envelope, text []byte, to []To, also func(tx *store.Tx) error) error {
	ticket, err := q.Ticket(e, nil, int64(len(text)), to)
	if err != nil {
		return err
	}
	body, err := q.o.Store.Stage(ctx, bytes.NewReader(text), int64(len(text)))
	if err != nil {
		return err
	}
	defer body.Close()
	if err := q.o.Store.Update(ctx, body, func(tx *store.Tx) error {
		return errors.Join(ticket.Write(tx, body), also(tx))
	}); err != nil {
		return err
	}
	ticket.Plan()
	return nil
}

// The JSON of RFC 8460 §4.4.
type tlsReport struct {
	Organization string `json:"organization-name"`
	Range        struct {
		Start string `json:"start-datetime"`
		End   string `json:"end-datetime"`
	} `json:"date-range"`
	Contact  string      `json:"contact-info"`
	ID       string      `json:"report-id"`
	Policies []tlsPolicy `json:"policies"`
}

type tlsPolicy struct {
	Policy struct {
		Type   string   `json:"policy-type"`
		Lines  []string `json:"policy-string,omitempty"`
		Domain string   `json:"policy-domain"`
		MX     []string `json:"mx-host,omitempty"`
	} `json:"policy"`
	Summary struct {
		Good int64 `json:"total-successful-session-count"`
		Bad  int64 `json:"total-failure-session-count"`
	} `json:"summary"`
	Failures []tlsFailure `json:"failure-details,omitempty"`
}

type tlsFailure struct {
	Type    string `json:"result-type"`
	Host    string `json:"receiving-mx-hostname,omitempty"`
	Address string `json:"receiving-ip,omitempty"`
	Count   int64  `json:"failed-session-count"`
	Text    string `json:"failure-reason-code,omitempty"`
}

func (r *TLSReports) report(id, day, domain string, results []outbound.Result) ([]byte, error) {
	report := tlsReport{Organization: r.Organization, Contact: r.Contact, ID: id}
	report.Range.Start, report.Range.End = day+"T00:00:00Z", day+"T23:59:59Z"
	for _, result := range results {
		var p tlsPolicy
		p.Policy.Type, p.Policy.Lines, p.Policy.Domain, p.Policy.MX = result.PolicyType, result.Policy, domain, result.MX
		p.Summary.Good = result.Success
		for _, f := range result.Failures {
			p.Summary.Bad += f.Sessions
			p.Failures = append(p.Failures, tlsFailure{f.Type, f.Host, f.Address, f.Sessions, f.Text})
		}
		report.Policies = append(report.Policies, p)
	}
	text, err := json.Marshal(report)
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(text); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// compose makes the message (§5.3).
func (r *TLSReports) compose(id, day, domain string, to []string, report []byte) ([]byte, error) {
	start, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	host := domainOf(r.From)
	file := fmt.Sprintf("%s!%s!%d!%d.json.gz", host, domain, start.Unix(), start.Add(24*time.Hour).Unix()-1)
	boundary := rand.Text()
	var b []byte
	b = append(b, "From: <"+r.From+">\r\n"...)
	b = append(b, "To: <"+strings.Join(to, ">,\r\n\t<")+">\r\n"...)
	b = message.AppendField(b, "Subject", "Report Domain: "+domain+" Submitter: "+host+" Report-ID: <"+id+">")
	b = message.AppendField(b, "Date", message.FormatDate(r.Queue.now()))
	b = message.AppendField(b, "Message-ID", message.NewMessageID(host))
	b = append(b, "TLS-Report-Domain: "+domain+"\r\nTLS-Report-Submitter: "+host+"\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"...)
	b = append(b, "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n\tboundary=\""+boundary+"\"\r\n\r\n"...)
	b = append(b, "--"+boundary+"\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nThis is an aggregate TLS report from "+host+".\r\n"...)
	b = append(b, "\r\n--"+boundary+"\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n\tfilename=\""+file+"\"\r\n\r\n"...)
	b = appendBase64(b, report)
	return append(b, "\r\n--"+boundary+"--\r\n"...), nil
}
