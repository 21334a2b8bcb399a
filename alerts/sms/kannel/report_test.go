package kannel

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"mailfleet/alerts/sms"
	"mailfleet/inventory"
)

const reportTo = "http://127.0.0.1:8080/sms/kannel"

// reportRequest is what Kannel sends for a message of g, with fields changed.
func reportRequest(t *testing.T, g *Gateway, id inventory.ID, fields map[string]string) *http.Request {
	t.Helper()
	u, err := url.Parse(strings.NewReplacer("%d", "1", "%A", "").Replace(g.reportURL(id)))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	for name, value := range fields {
		q.Set(name, value)
	}
	u.RawQuery = q.Encode()
	return httptest.NewRequest(http.MethodGet, u.String(), nil)
}

func TestParseReport(t *testing.T) {
	g := gatewayTo(t, "http://127.0.0.1/", reportTo, nil)
	id := inventory.NewID()
	for name, c := range map[string]struct {
		fields map[string]string
		want   sms.Report
	}{
		"delivered": {nil, sms.Report{State: inventory.SMSDelivered}},
		"failed":    {map[string]string{"type": "2", "answer": "id:1 stat:EXPIRED"}, sms.Report{State: inventory.SMSFailed, Reason: inventory.Say("the network could not deliver it: %s", inventory.Say("%s", "id:1 stat:EXPIRED"))}},
		"queued":    {map[string]string{"type": "4"}, sms.Report{State: inventory.SMSSent}},
		"accepted":  {map[string]string{"type": "8", "answer": "ACK/"}, sms.Report{State: inventory.SMSSent}},
		"rejected":  {map[string]string{"type": "16"}, sms.Report{State: inventory.SMSFailed, Reason: inventory.Say("the network refuses it: %s", inventory.Say("no reason given"))}},
		"odd words": {map[string]string{"type": "2", "answer": "a\nb\x00\xff" + strings.Repeat("c", 300)}, sms.Report{State: inventory.SMSFailed, Reason: inventory.Say("the network could not deliver it: %s", inventory.Say("%s", "a b  "+strings.Repeat("c", 195)))}},
	} {
		t.Run(name, func(t *testing.T) {
			c.want.ID = id
			got, err := g.ParseReport(reportRequest(t, g, id, c.fields))
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}

func TestParseReportRefuses(t *testing.T) {
	g := gatewayTo(t, "http://127.0.0.1/", reportTo, nil)
	id, other := inventory.NewID(), inventory.NewID()
	post := reportRequest(t, g, id, nil)
	post.Method = http.MethodPost
	broken := reportRequest(t, g, id, nil)
	broken.URL.RawQuery += "&answer=%zz"
	otherSecret := gatewayTo(t, "http://127.0.0.1/", reportTo, func(c *Options) { c.Secret = []byte("fedcba9876543210") })
	for name, c := range map[string]struct {
		request *http.Request
		want    inventory.Code
	}{
		"no token":                 {reportRequest(t, g, id, map[string]string{"token": ""}), inventory.Unauthorized},
		"a wrong token":            {reportRequest(t, g, id, map[string]string{"token": strings.Repeat("0", 32)}), inventory.Unauthorized},
		"another message's token":  {reportRequest(t, g, id, map[string]string{"id": string(other)}), inventory.Unauthorized},
		"another secret's token":   {reportRequest(t, otherSecret, id, nil), inventory.Unauthorized},
		"no id":                    {reportRequest(t, g, id, map[string]string{"id": ""}), inventory.Unauthorized},
		"an unknown type":          {reportRequest(t, g, id, map[string]string{"type": "32"}), inventory.Invalid},
		"no type":                  {reportRequest(t, g, id, map[string]string{"type": ""}), inventory.Invalid},
		"a POST":                   {post, inventory.Invalid},
		"a query that is broken":   {broken, inventory.Invalid},
		"a query that is too long": {reportRequest(t, g, id, map[string]string{"answer": strings.Repeat("x", maxReportQuery)}), inventory.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := g.ParseReport(c.request); !inventory.Is(err, c.want) {
				t.Errorf("got %+v, %v, want %s", got, err, c.want)
			}
		})
	}
	t.Run("a gateway that asked for none", func(t *testing.T) {
		deaf := gatewayTo(t, "http://127.0.0.1/", "", nil)
		if _, err := deaf.ParseReport(reportRequest(t, g, id, nil)); !inventory.Is(err, inventory.Unauthorized) {
			t.Errorf("got %v", err)
		}
	})
}

func FuzzParseReport(f *testing.F) {
	g, err := New(Options{URL: "http://127.0.0.1/", User: "u", Password: "p", ReportURL: reportTo, Secret: secret})
	if err != nil {
		f.Fatal(err)
	}
	const id = inventory.ID("0198c0de-0000-7000-8000-000000000001")
	f.Add("id=" + string(id) + "&token=" + g.token(id) + "&type=1&answer=")
	f.Add("id=" + string(id) + "&token=" + g.token(id) + "&type=16&answer=%00%ff")
	f.Add("token=" + g.token("") + "&type=2")
	f.Add("id=%zz;a=b&type=1")
	f.Fuzz(func(t *testing.T, query string) {
		report, err := g.ParseReport(&http.Request{Method: http.MethodGet, URL: &url.URL{RawQuery: query}})
		if err != nil {
			if !reflect.DeepEqual(report, sms.Report{}) {
				t.Errorf("an error and %+v", report)
			}
			return
		}
		q, err := url.ParseQuery(query)
		if err != nil || q.Get("token") != g.token(report.ID) {
			t.Errorf("%q was taken: %+v", query, report)
		}
		if reason := report.Reason.String(); len([]rune(reason)) > 300 || strings.ContainsAny(reason, "\r\n\x00") {
			t.Errorf("reason %q", report.Reason)
		}
	})
}
