// Package ui holds the built web interfaces: the operators' console. It only
// embeds files; controller/app hands them to controller/rest, which serves them
// under its policy. Only controller/app and tests import it.
//
// The console is built by `npm run build` in this folder, which `make build`
// runs first. Without that the package still compiles: Console then holds no
// index.html, and the controller says on its page how to build it.
package ui

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Console returns the built console: index.html, favicon.svg and, below assets,
// files whose names carry a hash of their content. In index.html every
// __CSP_NONCE__ stands for the nonce of the answer's Content-Security-Policy.
func Console() fs.FS {
	console, err := fs.Sub(dist, "dist/console")
	if err != nil {
		panic(err) // the path is a constant and valid
	}
	return console
}
