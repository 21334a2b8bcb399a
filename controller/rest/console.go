package rest

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"errors"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"mailfleet/inventory"
)

// nonceMark is what the console's index.html has where a nonce belongs.
const nonceMark = "__CSP_NONCE__"

const notBuilt = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Mailfleet</title>
<h1>The console is not built</h1>
<p>Run <code>make build</code>, then start the controller again. The API is there: see <a href="/docs">/docs</a>.
`

// console serves the console's files, and its page for every address a
// browser is sent to; it is the router's last resort.
func (s *Server) console(g *gin.Context) {
	name := strings.TrimPrefix(path.Clean("/"+g.Request.URL.Path), "/")
	get := g.Request.Method == http.MethodGet || g.Request.Method == http.MethodHead
	switch {
	case !get || name == "api" || strings.HasPrefix(name, "api/"):
		s.refuse(g, inventory.Errorf(inventory.NotFound, "there is nothing at %s", g.Request.URL.Path))
	case name != "" && name != "index.html" && s.file(g, name):
	case navigation(g.Request, name):
		s.index(g)
	default:
		s.refuse(g, inventory.Errorf(inventory.NotFound, "there is no file %s", g.Request.URL.Path))
	}
}

// navigation tells whether a person goes to the address, so that the console's
// own router can show the screen.
func navigation(r *http.Request, name string) bool {
	if name == "" || name == "index.html" {
		return true
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" && mode != "navigate" {
		return false
	}
	return !strings.HasPrefix(name, "assets/") && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// index answers with the console's page under a nonce of its own.
func (s *Server) index(g *gin.Context) {
	page := []byte(notBuilt)
	if s.Console != nil {
		built, err := fs.ReadFile(s.Console, "index.html")
		switch {
		case err == nil:
			page = built
		case !errors.Is(err, fs.ErrNotExist):
			s.refuse(g, inventory.Wrap(inventory.Internal, err, "the console cannot be read"))
			return
		}
	}
	s.html(g, page)
}

// html answers with a page that may hold scripts and styles of ours alone.
func (s *Server) html(g *gin.Context, page []byte) {
	nonce := rand.Text()
	g.Header("Content-Security-Policy", policy(nonce))
	g.Data(http.StatusOK, "text/html; charset=utf-8", bytes.ReplaceAll(page, []byte(nonceMark), []byte(nonce)))
}

func policy(nonce string) string {
	return "default-src 'none'; script-src 'self' 'nonce-" + nonce + "'; style-src 'self' 'nonce-" + nonce + "'; " +
		"img-src 'self' data:; connect-src 'self'; font-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
}

// file answers with one of the console's files; false when there is none.
// Those in assets have a hash in their name and never change.
func (s *Server) file(g *gin.Context, name string) bool {
	if s.Console == nil || !fs.ValidPath(name) {
		return false
	}
	body, err := fs.ReadFile(s.Console, name)
	if err != nil {
		return false
	}
	kind := mime.TypeByExtension(path.Ext(name))
	if kind == "" {
		kind = "application/octet-stream"
	}
	caching := "no-cache"
	if strings.HasPrefix(name, "assets/") {
		caching = "public, max-age=31536000, immutable"
	}
	g.Header("Cache-Control", caching)
	g.Header("Vary", "Accept-Encoding")
	if packed, ok := s.packed(g.Request, name, body); ok {
		g.Header("Content-Encoding", "gzip")
		body = packed
	}
	g.Header("Content-Length", strconv.Itoa(len(body)))
	g.Data(http.StatusOK, kind, body)
	return true
}

// packed is the file in gzip, as it was built beside it or made here once.
func (s *Server) packed(r *http.Request, name string, body []byte) ([]byte, bool) {
	switch path.Ext(name) {
	case ".js", ".css", ".svg", ".json", ".html", ".txt":
	default:
		return nil, false
	}
	if len(body) < 1024 || !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		return nil, false
	}
	if built, err := fs.ReadFile(s.Console, name+".gz"); err == nil {
		return built, true
	}
	if known, ok := s.gzipped.Load(name); ok {
		return known.([]byte), true
	}
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(body); err != nil {
		return nil, false
	}
	if err := w.Close(); err != nil {
		return nil, false
	}
	if strings.HasPrefix(name, "assets/") { // others may change on disk
		s.gzipped.Store(name, out.Bytes())
	}
	return out.Bytes(), true
}
