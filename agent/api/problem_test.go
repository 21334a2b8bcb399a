package api

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"mailfleet/inventory"
)

func TestARefusalKeepsItsPartsAndThatOfAnEarlierAgentItsText(t *testing.T) {
	for name, c := range map[string]struct {
		kind     string
		status   int
		body     string
		code     inventory.Code
		template string
		text     string
	}{
		"with parts": {ProblemType, 404, `{"detail":"there is no service web","said":{"template":"there is no service {1}","params":["web"]}}`,
			inventory.NotFound, "there is no service {1}", "there is no service web"},
		"of a mailnode":            {ProblemType, 422, `{"title":"No","status":422,"detail":"an age must not be negative"}`, inventory.Invalid, "an age must not be negative", "an age must not be negative"},
		"of an earlier agent":      {"text/plain; charset=utf-8", 404, "service web has not crashed\n", inventory.NotFound, "service web has not crashed", "service web has not crashed"},
		"parts that say otherwise": {ProblemType, 503, `{"detail":"busy","said":{"template":"all is well"}}`, inventory.Unavailable, "busy", "busy"},
		"no such path":             {"text/plain; charset=utf-8", 404, "404 page not found\n", inventory.Internal, "the agent answered {1}", "the agent answered 404 Not Found"},
		"no problem":               {"text/html", 502, "<h1>Bad gateway</h1>", inventory.Internal, "the agent answered {1}", "the agent answered 502 Bad Gateway"},
		"no JSON":                  {ProblemType, 500, "{", inventory.Internal, "the agent answered {1}", "the agent answered 500 Internal Server Error"},
	} {
		t.Run(name, func(t *testing.T) {
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.kind)
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer web.Close()
			res, err := web.Client().Get(web.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			e, ok := errors.AsType[*inventory.Error](problem(res))
			if !ok || e.Code != c.code || e.Message != c.text || e.Said.Template != c.template && e.Said.Within[1].Template != c.template {
				t.Errorf("%+v", e)
			}
		})
	}
}
