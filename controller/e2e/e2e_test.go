// Package e2e tests all programs together, as separate processes on loopback
// addresses, the way make run starts them. Nothing imports it.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"mailfleet/controller/e2e/fleettest"
	"mailfleet/controller/e2e/peers"
	"mailfleet/inventory"
)

// bin holds the programs, built with the race detector.
var bin string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "mf")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin = dir
	if err := fleettest.Build(context.Background(), bin, true); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stopShared()
	return m.Run()
}

// The fleet that tests share which do not break it.
var shared struct {
	once  sync.Once
	fleet *fleettest.Fleet
	dir   string
	err   error
}

func stopShared() {
	if shared.fleet != nil {
		if err := shared.fleet.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop the shared fleet:", err)
		}
	}
	_ = os.RemoveAll(shared.dir)
}

// theFleet returns the shared fleet of three servers.
func theFleet(t *testing.T) *fleettest.Fleet {
	t.Helper()
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "mf"); shared.err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		shared.fleet, shared.err = fleettest.Start(ctx, bin, shared.dir, "--sample-interval", "2s")
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	t.Cleanup(func() { checkRaces(t, shared.fleet) })
	return shared.fleet
}

// ownFleet starts a fleet that the test may break.
func ownFleet(t *testing.T, args ...string) *fleettest.Fleet {
	t.Helper()
	dir, err := os.MkdirTemp("", "mf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f, err := fleettest.Start(ctx, bin, dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Stop(); err != nil {
			t.Errorf("stop the fleet: %v", err)
		}
		checkRaces(t, f)
		if t.Failed() {
			t.Log(f.Logs())
		}
	})
	return f
}

func checkRaces(t *testing.T, f *fleettest.Fleet) {
	if race := f.Races(); race != "" {
		t.Errorf("the race detector found: %s", race)
	}
	if t.Failed() {
		t.Log(f.Logs())
	}
}

// api asks as a script would, with nothing but HTTP and JSON.
type script struct {
	t *testing.T
	f *fleettest.Fleet
}

func (s script) try(method, path string, body any, header ...string) (int, http.Header, map[string]any) {
	s.t.Helper()
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(context.WithoutCancel(s.t.Context()), method, s.f.Info.Console+path, in)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.f.Info.Token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := s.f.HTTP()
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, map[string]any{"error": err.Error()}
	}
	defer fleettest.Drain(res.Body)
	text, _ := io.ReadAll(res.Body)
	out := map[string]any{}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &out); err != nil {
			s.t.Fatalf("%s %s: %s: not JSON: %s", method, path, res.Status, text)
		}
	}
	return res.StatusCode, res.Header, out
}

func (s script) do(want int, method, path string, body any, header ...string) map[string]any {
	s.t.Helper()
	got, _, out := s.try(method, path, body, header...)
	if got != want {
		s.t.Fatalf("%s %s: %d instead of %d: %v", method, path, got, want, out)
	}
	return out
}

func (s script) get(path string) map[string]any {
	s.t.Helper()
	return s.do(http.StatusOK, http.MethodGet, path, nil)
}

func items(m map[string]any) []map[string]any {
	var out []map[string]any
	list, _ := m["items"].([]any)
	for _, i := range list {
		if o, ok := i.(map[string]any); ok {
			out = append(out, o)
		}
	}
	return out
}

func str(m map[string]any, key string) string  { s, _ := m[key].(string); return s }
func num(m map[string]any, key string) float64 { n, _ := m[key].(float64); return n }

// service finds a service in a server's answer.
func (s script) service(server, name string) map[string]any {
	s.t.Helper()
	list, _ := s.get("/api/v1/servers/" + server)["services"].([]any)
	for _, v := range list {
		if o, ok := v.(map[string]any); ok && o["name"] == name {
			return o
		}
	}
	s.t.Fatalf("server %s has no service %s", server, name)
	return nil
}

// operate asks for an operation on a mailnode and waits for its end.
func (s script) operate(kind, server string) map[string]any {
	s.t.Helper()
	code, header, op := s.try(http.MethodPost, "/api/v1/operations", map[string]any{
		"kind": kind, "targets": []map[string]string{{"server": server, "service": "mailnode"}}, "reason": "test",
	}, "Idempotency-Key", fmt.Sprint(time.Now().UnixNano()))
	if code != http.StatusAccepted || header.Get("Location") == "" {
		s.t.Fatalf("POST operations: %d, Location %q: %v", code, header.Get("Location"), op)
	}
	return s.outcome(header.Get("Location"))
}

// outcome waits for the end of an operation, across a death of the controller.
func (s script) outcome(path string) (op map[string]any) {
	s.t.Helper()
	eventually(s.t, "the end of "+path, func() bool {
		code, _, got := s.try(http.MethodGet, path+"?wait=5s", nil)
		op = got
		return code == http.StatusOK && inventory.OperationState(str(got, "state")).Final()
	})
	return op
}

// patience is how long is waited for what other processes do. It says nothing
// of how long that should take: other tests may have the processor.
const patience = 3 * time.Minute

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		time.Sleep(50 * time.Millisecond) // between two looks at other processes
	}
}

// peer runs a real mail program, of the Debian package of the same name.
func peer(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), peers.Find(t, name, name), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
