package rest

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

var (
	noncePolicy = regexp.MustCompile(`script-src 'self' 'nonce-([A-Z2-7]+)'`)
	noncePage   = regexp.MustCompile(`nonce(?:="|" content=")([A-Z2-7]+)"`)
)

// checkPolicy checks a page's policy and that the page has the policy's nonce.
func checkPolicy(t *testing.T, res *http.Response, page string) (nonce string) {
	t.Helper()
	csp := res.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "style-src 'self' 'nonce-", "img-src 'self' data:", "connect-src 'self'",
		"font-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("the policy %q does not hold %s", csp, want)
		}
	}
	if strings.Contains(csp, "unsafe") {
		t.Errorf("the policy %q is unsafe", csp)
	}
	allowed, used := noncePolicy.FindStringSubmatch(csp), noncePage.FindStringSubmatch(page)
	if allowed == nil || used == nil || allowed[1] != used[1] {
		t.Fatalf("the policy's nonce %v is not the page's %v", allowed, used)
	}
	return allowed[1]
}

var script = strings.Repeat("console.log('mailfleet');\n", 100)

func built() fstest.MapFS {
	return fstest.MapFS{
		"index.html":         {Data: []byte(`<meta name="csp-nonce" content="` + nonceMark + `"><script nonce="` + nonceMark + `"></script>`)},
		"assets/app-1234.js": {Data: []byte(script)},
		"assets/logo.png":    {Data: []byte(script)},
		"assets/pre-1.css":   {Data: []byte(script)}, "assets/pre-1.css.gz": {Data: []byte("packed when it was built")},
		"favicon.svg": {Data: []byte("<svg/>")},
	}
}

// get asks the console without a network.
func get(t *testing.T, f *fixture, path string, header ...string) *http.Response {
	t.Helper()
	req := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	f.server.ServeHTTP(w, req)
	return w.Result()
}

func text(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTheConsolesPageHasANonceOfItsOwn(t *testing.T) {
	f := build(t, built())
	nonces := map[string]bool{}
	for _, path := range []string{"/", "/index.html", "/servers/mail-1.example.test", "/rules"} {
		res := get(t, f, path, "Accept", "text/html,*/*", "Sec-Fetch-Mode", "navigate")
		page := text(t, res)
		if res.StatusCode != http.StatusOK || res.Header.Get("Cache-Control") != "no-store" || strings.Contains(page, nonceMark) {
			t.Errorf("%s: %s, %s", path, res.Status, res.Header.Get("Cache-Control"))
		}
		nonces[checkPolicy(t, res, page)] = true
	}
	if len(nonces) != 4 {
		t.Errorf("%d nonces for 4 pages", len(nonces))
	}
}

func TestOnlyPeopleAreSentToTheConsolesPage(t *testing.T) {
	f := build(t, built())
	for path, header := range map[string][]string{
		"/servers":             {"Accept", "application/json"},
		"/rules":               {"Accept", "text/html", "Sec-Fetch-Mode", "cors"},
		"/assets/gone-1.js":    {"Accept", "text/html"},
		"/api/v1/colours":      {"Accept", "text/html", "Sec-Fetch-Mode", "navigate"},
		"/api":                 {"Accept", "text/html"},
		"/..%2f..%2fgo.mod":    {"Accept", "*/*"},
		"/assets/../../go.mod": {"Accept", "*/*"},
		"/assets":              {"Accept", "*/*"},
	} {
		res := get(t, f, path, header...)
		if res.StatusCode != http.StatusNotFound || res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %s %s", path, res.Status, res.Header.Get("Content-Type"))
		}
	}
}

func TestAssetsNeverChangeAndComePacked(t *testing.T) {
	f := build(t, built())
	for range 2 { // made, then remembered
		res := get(t, f, "/assets/app-1234.js", "Accept-Encoding", "gzip, br")
		if res.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || res.Header.Get("Content-Encoding") != "gzip" ||
			!strings.HasPrefix(res.Header.Get("Content-Type"), "text/javascript") || res.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("headers %v", res.Header)
		}
		z, err := gzip.NewReader(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(z); err != nil || string(b) != script {
			t.Errorf("unpacked %d octets, %v", len(b), err)
		}
	}
	if res := get(t, f, "/assets/app-1234.js"); res.Header.Get("Content-Encoding") != "" || text(t, res) != script {
		t.Error("who does not say it can unpack gets it packed")
	}
	if res := get(t, f, "/assets/logo.png", "Accept-Encoding", "gzip"); res.Header.Get("Content-Encoding") != "" {
		t.Error("a picture is packed")
	}
	if res := get(t, f, "/assets/pre-1.css", "Accept-Encoding", "gzip"); text(t, res) != "packed when it was built" {
		t.Error("what was packed when it was built is not used")
	}
	if res := get(t, f, "/favicon.svg"); res.Header.Get("Cache-Control") != "no-cache" || res.Header.Get("Content-Type") != "image/svg+xml" {
		t.Errorf("headers %v", res.Header)
	}
}

func TestWithoutAConsoleAPageSaysHowToBuildIt(t *testing.T) {
	for _, f := range []*fixture{build(t, nil), build(t, fstest.MapFS{})} {
		res := get(t, f, "/")
		if page := text(t, res); res.StatusCode != http.StatusOK || !strings.Contains(page, "make build") {
			t.Errorf("%s: %s", res.Status, page)
		}
	}
}
