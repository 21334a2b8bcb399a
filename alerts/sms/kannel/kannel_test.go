package kannel

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailfleet/alerts/sms"
	"mailfleet/inventory"
)

// reportPath has what Kannel would take for its own %d.
const reportPath = "/reports/%d0%90"

var secret = []byte("0123456789abcdef")

// gatewayTo returns a gateway to a Kannel, which reports to reportURL.
func gatewayTo(t *testing.T, sendsms, reportURL string, change func(*Options)) *Gateway {
	t.Helper()
	o := Options{URL: sendsms, User: user, Password: password, From: sender, ReportURL: reportURL, Secret: secret}
	if change != nil {
		change(&o)
	}
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// reports starts a receiver of delivery reports at a URL.
func reports(t *testing.T) (reportURL string, got chan sms.Report) {
	t.Helper()
	got = make(chan sms.Report, 20)
	parser := gatewayTo(t, "http://127.0.0.1/", reportTo, nil)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		report, err := parser.ParseReport(r)
		if err != nil || r.URL.EscapedPath() != reportPath {
			t.Errorf("%s: %v", r.URL, err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		got <- report
	}))
	t.Cleanup(receiver.Close)
	return receiver.URL + reportPath, got
}

func nextReport(t *testing.T, got chan sms.Report) sms.Report {
	t.Helper()
	select {
	case r := <-got:
		return r
	case <-time.After(time.Minute):
		t.Fatal("no delivery report in time")
		return sms.Report{}
	}
}

func TestRealKannel(t *testing.T) {
	k := startKannel(t)
	reportURL, got := reports(t)
	g := gatewayTo(t, k.sendsms, reportURL, nil)
	const phone = "+8613800138000"

	t.Run("texts arrive as they are", func(t *testing.T) {
		for _, text := range []string{
			"CRITICAL mail-1: disk used /var is 97.3%, > 90%, at 14:05",
			"@£$¥èé [~{}^\\|] € ΔΦ & a+b=c; äöñüà ÄÖÑÜ§ <x> \"y\" 100%d",
		} {
			send(t, g, message(phone, text))
			want := wireMessage{from: sender, to: phone, kind: "text", data: text}
			if m := k.network.next(t, 1)[0]; m != want {
				t.Errorf("got  %+q\nwant %+q", m, want)
			}
			wantDelivered(t, got)
		}
	})
	t.Run("Chinese arrives as UCS-2", func(t *testing.T) {
		for _, text := range []string{"[严重] mail-1 磁盘使用率 /var 97.3%，高于 90%，14:05", "😀 €"} {
			send(t, g, message(phone, text))
			want := wireMessage{from: sender, to: phone, kind: "ucs-2", data: ucs2(text)}
			if m := k.network.next(t, 1)[0]; m != want {
				t.Errorf("got  %+q\nwant %+q", m, want)
			}
			wantDelivered(t, got)
		}
	})
	t.Run("a long text arrives in the parts we count", func(t *testing.T) {
		for _, c := range []struct {
			text, kind string
			first      int // octets of the first part
			coded      func(string) string
		}{
			{strings.Repeat("磁盘告警", 20), "udh data", 134, ucs2},
			{strings.Repeat("0123456789", 17), "udh data", 153, func(s string) string { return s }},
		} {
			m := message(phone, c.text)
			if m.Parts != 2 {
				t.Fatalf("%d parts", m.Parts)
			}
			send(t, g, m)
			parts := k.network.next(t, m.Parts)
			want := c.coded(c.text)
			for i, part := range parts {
				data := want[:min(c.first, len(want))]
				want = want[len(data):]
				// 3GPP TS 23.040 §9.2.3.24.1: length 5, element 0 of 3 octets: reference, parts, this one
				header := part.header
				if part.kind != c.kind || part.data != data || len(header) != 6 || header[:3] != "\x05\x00\x03" || header[4:] != string([]byte{2, byte(i + 1)}) {
					t.Errorf("part %d: %+q, want %s of %+q", i+1, part, c.kind, data)
				}
			}
			if parts[0].header[3] != parts[1].header[3] {
				t.Errorf("the parts have different references: %+q", parts)
			}
			wantDelivered(t, got)
		}
	})
	t.Run("a wrong password is refused for good", func(t *testing.T) {
		wrong := gatewayTo(t, k.sendsms, "", func(c *Options) { c.Password = "wrong-secret" })
		_, err := wrong.Send(t.Context(), message(phone, "x"))
		wantError(t, err, true, "Authorization failed")
	})
	t.Run("a number no network takes is refused for good", func(t *testing.T) {
		_, err := g.Send(t.Context(), message(denied+"1234", "x"))
		wantError(t, err, true, "Not routable")
		if r := nextReport(t, got); r.State != inventory.SMSFailed || r.Reason.None() {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("a number that is none is refused for good", func(t *testing.T) {
		_, err := g.Send(t.Context(), message("nobody", "x"))
		wantError(t, err, true, "denied")
	})
	t.Run("a wrong path is refused for good", func(t *testing.T) {
		wrong := gatewayTo(t, strings.Replace(k.sendsms, "sendsms", "nothing", 1), "", nil)
		_, err := wrong.Send(t.Context(), message(phone, "x"))
		wantError(t, err, true, "404")
	})
	t.Run("a text for a network that is away is taken", func(t *testing.T) {
		stop(t, k.fakesmsc)
		send(t, g, message(phone, "x"))
	})
	t.Run("a gateway that is away is tried again", func(t *testing.T) {
		stop(t, k.smsbox)
		_, err := g.Send(t.Context(), message(phone, "x"))
		wantError(t, err, false, "connection refused")
	})
}

func send(t *testing.T, g *Gateway, m sms.Message) {
	t.Helper()
	receipt, err := g.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(receipt.Answer, "0: Accepted for delivery") && !strings.HasPrefix(receipt.Answer, "3: Queued for later delivery") {
		t.Errorf("Kannel answered %q", receipt.Answer)
	}
}

// wantDelivered waits for the reports that the SMSC has accepted the message
// and that the phone has it.
func wantDelivered(t *testing.T, got chan sms.Report) {
	t.Helper()
	id := message("", "").ID
	seen := make(map[inventory.SMSState]bool)
	for range 2 {
		r := nextReport(t, got)
		if r.ID != id || !r.Reason.None() {
			t.Errorf("got %+v", r)
		}
		seen[r.State] = true
	}
	if !seen[inventory.SMSSent] || !seen[inventory.SMSDelivered] {
		t.Errorf("got reports %v, want sent and delivered", seen)
	}
}

// wantError checks the error's nature and words, and that it keeps the secrets.
func wantError(t *testing.T, err error, permanent bool, words string) {
	t.Helper()
	if err == nil || sms.IsPermanent(err) != permanent || !strings.Contains(err.Error(), words) {
		t.Errorf("got %v (permanent %v), want permanent %v and %q", err, sms.IsPermanent(err), permanent, words)
		return
	}
	for _, word := range []string{password, "wrong-secret", "wörd", "p%26ss"} {
		if strings.Contains(err.Error(), word) {
			t.Errorf("%q gives away %q", err, word)
		}
	}
}

func TestJudge(t *testing.T) {
	const taken, temporary, permanent = "taken", "temporary", "permanent"
	for status, want := range map[int]string{
		200: taken, 202: taken,
		301: permanent, 302: permanent, 307: permanent,
		400: permanent, 401: permanent, 403: permanent, 404: permanent, 405: permanent, 413: permanent,
		408: temporary, 425: temporary, 429: temporary,
		500: temporary, 502: temporary, 503: temporary, 504: temporary,
	} {
		err := judge(status, "so it says")
		got := taken
		if err != nil {
			got = temporary
			if sms.IsPermanent(err) {
				got = permanent
			}
			if !strings.Contains(err.Error(), strconv.Itoa(status)) {
				t.Errorf("%d: %q does not say so", status, err)
			}
		}
		if got != want {
			t.Errorf("%d: %s, want %s", status, got, want)
		}
	}
}

func TestErrorsKeepThePassword(t *testing.T) {
	t.Run("repeated by the gateway", func(t *testing.T) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "no entry\r\nfor "+r.URL.Query().Get("password")+" of "+r.URL.RawQuery)
		}))
		defer server.Close()
		g := gatewayTo(t, server.URL, "", func(c *Options) { c.Password = "open sesame!" })
		_, err := g.Send(t.Context(), message("110", "x"))
		if err == nil || !strings.Contains(err.Error(), "no entry") || strings.ContainsAny(err.Error(), "\r\n") || strings.Contains(err.Error(), "sesame") {
			t.Errorf("got %q", err)
		}
	})
	t.Run("redirected elsewhere", func(t *testing.T) {
		elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
		defer elsewhere.Close()
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/?"+r.URL.RawQuery, http.StatusFound)
		}))
		defer server.Close()
		_, err := gatewayTo(t, server.URL, "", nil).Send(t.Context(), message("110", "x"))
		wantError(t, err, true, "redirects")
	})
	t.Run("no answer", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err = gatewayTo(t, "http://"+l.Addr().String(), "", nil).Send(ctx, message("110", "x"))
		wantError(t, err, false, "deadline")
	})
	t.Run("not HTTP", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 4096)
			n, _ := c.Read(b)
			_, _ = c.Write(b[:n]) // an echo: the error quotes its first line, with the password
			_ = c.Close()
		}()
		_, err = gatewayTo(t, "http://"+l.Addr().String(), "", nil).Send(t.Context(), message("110", "x"))
		wantError(t, err, false, "cannot be reached")
	})
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Options)
		field  string
	}{
		"no URL":               {func(c *Options) { c.URL = "" }, "url"},
		"not HTTP":             {func(c *Options) { c.URL = "ftp://127.0.0.1/" }, "url"},
		"URL with a password":  {func(c *Options) { c.URL = "http://user:hush@127.0.0.1/" }, "url"},
		"URL with a query":     {func(c *Options) { c.URL = "http://127.0.0.1/?password=hush" }, "url"},
		"URL cut off":          {func(c *Options) { c.URL = "http://127.0.0.1:port/hush" }, "url"},
		"no user":              {func(c *Options) { c.User = "" }, "user"},
		"no password":          {func(c *Options) { c.Password = "" }, "user"},
		"report URL not HTTP":  {func(c *Options) { c.ReportURL = "127.0.0.1" }, "report_url"},
		"reports, no secret":   {func(c *Options) { c.Secret = nil }, "secret"},
		"reports, weak secret": {func(c *Options) { c.Secret = []byte("short") }, "secret"},
	} {
		t.Run(name, func(t *testing.T) {
			options := Options{URL: "http://127.0.0.1/", User: "u", Password: "p", ReportURL: "http://127.0.0.1/", Secret: secret}
			c.change(&options)
			_, err := New(options)
			e, ok := errors.AsType[*inventory.Error](err)
			if !ok || e.Field != c.field || strings.Contains(e.Error(), "hush") {
				t.Errorf("got %v, want an error about %s", err, c.field)
			}
		})
	}
}
