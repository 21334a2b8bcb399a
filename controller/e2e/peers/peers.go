// Package peers finds the programs of others that tests talk to: mail servers and
// clients of Debian, libraries of npm. It starts the servers that are a work of their
// own to start: Postfix and Dovecot. Only tests import it, of every program, and the
// benchmarks of e2e.
package peers

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Find returns where a program is that a Debian package brings; name may be a
// whole path. A test whose peer is not installed fails, or is skipped with
// PEERS=skip.
func Find(t testing.TB, debianPackage, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, name, "install the Debian package "+debianPackage)
	}
	return path
}

// Node returns where node is, when npm's package is in a folder's node_modules. A
// test without either ends as in Find.
func Node(t testing.TB, folder, npmPackage string) string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(folder, "node_modules", npmPackage)); err != nil {
		missing(t, "npm's "+npmPackage, "run make peers")
	}
	return Find(t, "nodejs", "node")
}

// Root ends a test as Find does unless it runs as root, which what it needs takes.
func Root(t testing.TB, what string) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("PEERS") == "skip" {
		t.Skipf("PEERS=skip: %s takes root", what)
	}
	t.Fatalf("%s takes root: run the tests as root, or set PEERS=skip", what)
}

// Folder is a new directory for a peer: its name is short enough for sockets in it.
func Folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "peer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func missing(t testing.TB, what, how string) {
	t.Helper()
	if os.Getenv("PEERS") == "skip" {
		t.Skipf("PEERS=skip: %s is not installed", what)
	}
	t.Fatalf("%s is not installed: %s, or set PEERS=skip", what, how)
}

// server is a peer that runs.
type server interface {
	Start(ctx context.Context) error
	Stop() error
	Log() string
}

// during has a server run as long as the test.
func during(t testing.TB, name string, s server) {
	t.Helper()
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", name, s.Log())
		}
	})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}
