package app

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"

	"mailfleet/agent/api"
	"mailfleet/inventory"
)

// handOn hands what the controller asks of the mailnode (api.MailRoutes) on to its
// control socket.
func handOn(socket func() string, log *slog.Logger) http.Handler {
	var dialer net.Dialer
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "mailnode"
			r.Out.URL.Path = strings.Replace(r.Out.URL.Path, api.MailPath, "/v1/", 1)
			r.Out.URL.RawPath = ""
		},
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, "unix", socket())
			},
			DisableKeepAlives: true,
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			log.Debug("the mailnode was not asked", "path", r.URL.Path, "error", err)
			refuse(w, inventory.Errorf(inventory.Unavailable, "the mailnode is not running"))
		},
	}
}
