package api

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mailfleet/inventory"
)

func TestAStreamIsCutIntoEvents(t *testing.T) {
	const stream = "retry: 2000\n\nid: 7\n\n: beat\nid: 8\n\n" +
		"event: change\nid: 9\ndata: {\"index\":9,\"kind\":\"servers\",\ndata: \"verb\":\"created\",\"id\":\"x\",\"resource\":{\"name\":\"mail-1\"}}\n\n" +
		"event: samples\ndata: {\"server\":\"mail-1\",\"readings\":[{\"metric\":\"cpu_user\",\"value\":1}]}\n\n" +
		"event: unheard-of\ndata: {}\n\n" +
		"event: reset\r\nid: 12\r\ndata: {\"index\":12}\r\n\r\n" +
		"event: change\ndata: cut off"
	var got []StreamEvent
	err := readEvents(strings.NewReader(stream), 0, func(e StreamEvent) bool { got = append(got, e); return true })
	if !errors.Is(err, io.ErrUnexpectedEOF) || len(got) != 3 {
		t.Fatalf("%d events, %v", len(got), err)
	}
	if c := got[0].Change; got[0].ID != 9 || c == nil || c.Kind != inventory.Servers || string(c.Resource) != `{"name":"mail-1"}` {
		t.Errorf("change %+v", got[0])
	}
	if s := got[1].Samples; got[1].ID != 9 || s == nil || s.Server != "mail-1" || s.Readings[0].Metric != "cpu_user" {
		t.Errorf("samples %+v", got[1])
	}
	if r := got[2]; r.ID != 12 || r.Change != nil || r.Samples != nil {
		t.Errorf("reset %+v", r)
	}
	if err := readEvents(strings.NewReader(stream), 0, func(StreamEvent) bool { return false }); err != nil {
		t.Errorf("a reader that has had enough gets %v", err)
	}
	if err := readEvents(strings.NewReader("event: change\ndata: {\n\n"), 0, func(StreamEvent) bool { return true }); err == nil {
		t.Error("a change that is no JSON passes")
	}
}

func FuzzReadEvents(f *testing.F) {
	f.Add("event: change\nid: 9\ndata: {\"index\":9}\n\n")
	f.Add("event: samples\r\ndata: {}\r\n\r\n: beat\n\nid\n\n")
	f.Fuzz(func(t *testing.T, stream string) {
		events := 0
		err := readEvents(strings.NewReader(stream), 0, func(StreamEvent) bool { events++; return true })
		if err == nil || events > strings.Count(stream, "\n") {
			t.Errorf("%d events, %v", events, err)
		}
	})
}

func TestARefusalIsASentenceWhoeverWroteIt(t *testing.T) {
	answers := map[string]struct{ kind, body, want string }{
		"/problem": {"application/problem+json", `{"title":"Conflict","detail":"the name is taken","code":"conflict","request_id":"r1",
			"errors":[{"message":"the name is taken","location":"body.name"},{"message":"too long","location":"body.text"}]}`,
			"the name is taken; body.text: too long (request r1)"},
		"/proxy": {"text/html", "<h1>Bad gateway</h1>", "<h1>Bad gateway</h1>"},
		"/empty": {"", "", "409 Conflict"},
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", answers[r.URL.Path].kind)
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, answers[r.URL.Path].body)
	}))
	defer web.Close()
	c := &Client{Base: web.URL + "/"}
	for path, answer := range answers {
		_, err := c.call(t.Context(), http.MethodGet, path, nil, nil)
		p, ok := errors.AsType[*Problem](err)
		if !ok || p.Status != http.StatusConflict || p.Error() != answer.want {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestTheClientSaysWhatItWants(t *testing.T) {
	got := make(chan *http.Request, 1)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r
		w.Header().Set("X-Index", "8")
		_, _ = io.WriteString(w, `{"items":[]}`)
	}))
	defer web.Close()
	c := &Client{Base: web.URL, Token: "mft_x"}
	_, err := c.ReplaceRule(t.Context(), "a/b c", 7, NewRule{Name: "r", For: inventory.Duration(90 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	r := <-got
	if r.Method != http.MethodPut || r.URL.EscapedPath() != "/api/v1/rules/a%2Fb%20c" || r.Header.Get("If-Match") != `"7"` ||
		r.Header.Get("Authorization") != "Bearer mft_x" || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("asked %s %s %v", r.Method, r.URL.EscapedPath(), r.Header)
	}
	_, index, err := Alerts.Wait(t.Context(), c, map[string][]string{"state": {"firing"}}, 5, 10*time.Second)
	if r := <-got; err != nil || index != 8 || r.URL.RequestURI() != "/api/v1/alerts?index=5&state=firing&wait=10s" || r.Header.Get("If-Match") != "" {
		t.Errorf("asked %s, got index %d, %v", r.URL.RequestURI(), index, err)
	}
}
