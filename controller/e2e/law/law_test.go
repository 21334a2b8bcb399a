// Package law holds the tests of the repository's own rules: what may import
// what, and that every package says what it is for. Nothing imports it.
package law

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// pkg is what `go list` tells of a package.
type pkg struct {
	ImportPath, Doc, Name string
	Imports, GoFiles      []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Doc,Name,Imports,GoFiles", "mailfleet/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []pkg
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	if len(list) < 10 {
		t.Fatalf("go list found only %d packages", len(list))
	}
	return list
}

// within tells whether path is root or below it.
func within(path, root string) bool { return path == root || strings.HasPrefix(path, root+"/") }

func ours(path string) bool { return within(path, "mailfleet") }

func std(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && !ours(path)
}

// edges are the imports that are forbidden, each with its reason.
var edges = []struct {
	reason string
	from   func(string) bool
	to     func(string) bool
}{
	{
		"inventory is the vocabulary everybody shares: it depends on nothing but the standard library",
		func(p string) bool { return p == "mailfleet/inventory" },
		func(p string) bool { return !std(p) },
	},
	{
		"rooms below inventory serve every program: they know no program and no alerts",
		func(p string) bool { return within(p, "mailfleet/inventory") },
		func(p string) bool { return ours(p) && !within(p, "mailfleet/inventory") },
	},
	{
		"identity, members and link are used by programs that have no database: they do not know the vocabulary",
		func(p string) bool {
			return slices.Contains([]string{"mailfleet/inventory/identity", "mailfleet/inventory/members", "mailfleet/inventory/link"}, p)
		},
		ours,
	},
	{
		"alerts is pure: it knows inventory and the standard library",
		func(p string) bool { return p == "mailfleet/alerts" },
		func(p string) bool { return !std(p) && p != "mailfleet/inventory" },
	},
	{
		"alerts' channels know alerts and inventory, no program",
		func(p string) bool { return within(p, "mailfleet/alerts") },
		func(p string) bool {
			return ours(p) && !within(p, "mailfleet/alerts") && p != "mailfleet/inventory"
		},
	},
	{
		"a contract is a leaf: inventory and the standard library",
		contract,
		func(p string) bool { return !std(p) && p != "mailfleet/inventory" },
	},
	{
		"a mailnode runs where there is no agent: it never imports one",
		func(p string) bool { return within(p, "mailfleet/mailnode") },
		func(p string) bool { return within(p, "mailfleet/agent") },
	},
	{
		"a mailnode serves mail with the controller away: of it, it knows at most the contract",
		func(p string) bool { return within(p, "mailfleet/mailnode") },
		func(p string) bool { return within(p, "mailfleet/controller") && p != "mailfleet/controller/api" },
	},
	{
		"the console's files know nothing",
		func(p string) bool { return within(p, "mailfleet/ui") },
		func(p string) bool { return !std(p) },
	},
}

func contract(p string) bool {
	return slices.Contains([]string{"mailfleet/controller/api", "mailfleet/agent/api", "mailfleet/mailnode/api"}, p)
}

// layers are a program's rooms from the top; a room imports only rooms further
// down, and rooms of one layer may know each other.
var layers = map[string][][]string{
	"controller": {
		{""},
		{"app", "dev", "cli", "backup"},
		{"rest"},
		{"fleet", "auth"},
		{"ops", "metrics", "dkim", "releases"},
		{"seal", "handshake"},
		{"api"},
	},
	"agent": {
		{""},
		{"app"},
		{"steward", "watch"},
		{"supervise", "push", "uplink", "power", "preflight"},
		{"state", "collect", "releases", "handover"},
		{"durable", "slack", "starter"},
		{"api"},
	},
	"mailnode": {
		{""},
		{"app"},
		{"smtpd", "pop3d", "imapd", "control", "storectl"},
		{"auth", "directory", "gate", "history", "deliver", "guard", "milter", "hook"},
		{"queue"},
		{"outbound", "origin"},
		{"search", "resolve", "recode"},
		{"store"},
		{"message", "envelope"},
		{"api"},
	},
}

// homes names, for each library that has one, the rooms it may be imported in.
var homes = map[string][]string{
	"github.com/hashicorp/serf":                {"mailfleet/inventory/members"},
	"github.com/hashicorp/memberlist":          {"mailfleet/inventory/members"},
	"github.com/hashicorp/yamux":               {"mailfleet/inventory/link"},
	"github.com/shirou/gopsutil":               {"mailfleet/agent/collect"},
	"github.com/bougou/go-ipmi":                {"mailfleet/agent/power"},
	"github.com/coreos/go-systemd":             {"mailfleet/agent/supervise"},
	"github.com/gin-gonic/gin":                 {"mailfleet/controller/rest"},
	"github.com/danielgtaylor/huma":            {"mailfleet/controller/rest"},
	"github.com/emersion/go-smtp":              {"mailfleet/mailnode/smtpd"},
	"github.com/pires/go-proxyproto":           {"mailfleet/mailnode/gate"},
	"github.com/emersion/go-msgauth":           {"mailfleet/mailnode/origin"},
	"blitiri.com.ar/go/spf":                    {"mailfleet/mailnode/origin"},
	"github.com/miekg/dns":                     {"mailfleet/mailnode/resolve"},
	"github.com/emersion/go-milter":            {"mailfleet/mailnode/milter"},
	"github.com/emersion/go-imap":              {"mailfleet/mailnode/imapd"},
	"github.com/emersion/go-sasl":              {"mailfleet/mailnode/auth"},
	"github.com/xdg-go/stringprep":             {"mailfleet/inventory/credential"},
	"github.com/cockroachdb/pebble":            {"mailfleet/mailnode/store"},
	"github.com/influxdata/influxdb-client-go": {"mailfleet/agent/push"},
	"github.com/prometheus/prometheus":         {"mailfleet/controller/metrics"},
	"github.com/uptrace/bun":                   {"mailfleet/inventory/dbstore"},
	"modernc.org/sqlite":                       {"mailfleet/inventory/dbstore"},
	"github.com/pquerna/otp":                   {"mailfleet/controller/auth"},
	"github.com/coreos/go-oidc":                {"mailfleet/controller/auth"},
	"github.com/alexedwards/argon2id":          {"mailfleet/controller/auth", "mailfleet/mailnode/auth"},
}

func TestImportLaw(t *testing.T) {
	for _, p := range packages(t) {
		for _, imp := range p.Imports {
			checkEdges(t, p.ImportPath, imp)
			checkLayers(t, p.ImportPath, imp)
			checkHomes(t, p.ImportPath, imp)
		}
	}
}

func checkEdges(t *testing.T, from, to string) {
	for _, e := range edges {
		if e.from(from) && e.to(to) {
			t.Errorf("%s imports %s: %s", from, to, e.reason)
		}
	}
	if to == "mailfleet/controller/app" || to == "mailfleet/agent/app" || to == "mailfleet/mailnode/app" {
		program := strings.TrimSuffix(to, "/app")
		if from != program && !within(from, "mailfleet/controller/e2e") {
			t.Errorf("%s imports %s: only main and e2e import app", from, to)
		}
	}
}

// checkLayers looks at imports between the rooms of one program, and between
// programs.
func checkLayers(t *testing.T, from, to string) {
	fromProgram, fromRoom := place(from)
	toProgram, toRoom := place(to)
	if fromRoom == "e2e" || layers[fromProgram] == nil || layers[toProgram] == nil {
		return
	}
	if fromProgram != toProgram {
		if toRoom != "api" {
			t.Errorf("%s imports %s: a program reaches another only through its api", from, to)
		}
		return
	}
	a, b := layer(fromProgram, fromRoom), layer(toProgram, toRoom)
	switch {
	case a < 0:
		t.Errorf("%s has no place in the law's layers: give %q one", from, fromRoom)
	case b < a && fromRoom != toRoom:
		t.Errorf("%s imports %s: inside a program imports go down, main → app → faces → logic → store", from, to)
	}
}

// place splits an import path of ours into program and room.
func place(path string) (program, room string) {
	rest, ok := strings.CutPrefix(path, "mailfleet/")
	if !ok {
		return "", ""
	}
	program, rest, _ = strings.Cut(rest, "/")
	room, _, _ = strings.Cut(rest, "/")
	return program, room
}

func layer(program, room string) int {
	return slices.IndexFunc(layers[program], func(rooms []string) bool { return slices.Contains(rooms, room) })
}

func checkHomes(t *testing.T, from, to string) {
	for library, rooms := range homes {
		if within(to, library) && !slices.ContainsFunc(rooms, func(room string) bool { return within(from, room) }) && !within(from, "mailfleet/controller/e2e") {
			t.Errorf("%s imports %s, whose home is %s: one home for each library, so that it can be replaced", from, to, strings.Join(rooms, ", "))
		}
	}
}

func TestPackageDocs(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) == 0 {
			continue // tests only
		}
		want := "Package " + p.Name + " "
		if p.Name == "main" {
			want = "Command "
		}
		if !strings.HasPrefix(p.Doc, want) {
			t.Errorf("%s: its doc comment must begin with %q and say its job and who may import it", p.ImportPath, want)
		}
	}
}
