package kannel

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"

	"mailfleet/alerts/sms"
	"mailfleet/inventory"
)

// The types of delivery report (Kannel User's Guide, "Delivery Reports"), as
// bits of dlr-mask. What comes in %d is one of them.
const (
	typeDelivered = "1"  // to the phone
	typeFailed    = "2"  // not delivered to the phone, for good
	typeQueued    = "4"  // on the SMSC
	typeAccepted  = "8"  // by the SMSC
	typeRejected  = "16" // by the SMSC

	reportMask = "31" // all of them
)

// maxReportQuery is the longest query a report may have, in bytes.
const maxReportQuery = 2048

// reportURL is where Kannel reports on a message. Kannel puts the type in place
// of %d and the SMSC's answer in place of %A; any other percent sign is doubled.
func (g *Gateway) reportURL(id inventory.ID) string {
	return strings.ReplaceAll(g.options.ReportURL, "%", "%%") + "?id=" + string(id) + "&token=" + g.token(id) + "&type=%d&answer=%A"
}

// token proves that a report is on a message we sent: nobody else can make it.
func (g *Gateway) token(id inventory.ID) string {
	mac := hmac.New(sha256.New, g.options.Secret)
	mac.Write([]byte("kannel delivery report " + id))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// ParseReport reads a delivery report, which Kannel sends as a GET of the
// ReportURL. Its error is inventory.Unauthorized when the token is not the one
// of the message, and inventory.Invalid when it is no report.
func (g *Gateway) ParseReport(r *http.Request) (sms.Report, error) {
	if r.Method != http.MethodGet || len(r.URL.RawQuery) > maxReportQuery {
		return sms.Report{}, inventory.Errorf(inventory.Invalid, "this is no delivery report of Kannel")
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return sms.Report{}, inventory.Errorf(inventory.Invalid, "the delivery report's query cannot be read")
	}
	id := inventory.ID(q.Get("id"))
	if g.options.ReportURL == "" || !hmac.Equal([]byte(q.Get("token")), []byte(g.token(id))) {
		return sms.Report{}, inventory.Errorf(inventory.Unauthorized, "the delivery report's token is wrong")
	}
	report := sms.Report{ID: id}
	answer := inventory.Say("no reason given")
	if told := printable(q.Get("answer")); told != "" {
		answer = inventory.Say("%s", told)
	}
	switch q.Get("type") {
	case typeDelivered:
		report.State = inventory.SMSDelivered
	case typeQueued, typeAccepted:
		report.State = inventory.SMSSent
	case typeFailed:
		report.State, report.Reason = inventory.SMSFailed, inventory.Say("the network could not deliver it: %s", answer)
	case typeRejected:
		report.State, report.Reason = inventory.SMSFailed, inventory.Say("the network refuses it: %s", answer)
	default:
		return sms.Report{}, inventory.FieldErrorf("type", "type %.20q is not one of 1, 2, 4, 8 and 16", q.Get("type"))
	}
	return report, nil
}
