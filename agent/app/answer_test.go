package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"mailfleet/agent/api"
	"mailfleet/agent/supervise"
	"mailfleet/inventory"
)

// agentOf is an agent's answers over a supervisor of one service.
func agentOf(t *testing.T, script string) (*api.Client, *supervise.Supervisor) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	services, err := supervise.New(supervise.Options{Dir: t.TempDir(), BootID: "boot", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	a := &App{services: services, log: log}
	web := httptest.NewServer(a.routes())
	t.Cleanup(func() {
		if err := services.StopAll(context.Background()); err != nil {
			t.Error(err)
		}
		web.Close()
		if err := services.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := services.Apply([]supervise.Spec{{Name: "job", Command: []string{"/bin/sh", "-c", script}, Want: inventory.WantRunning}}); err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	return &api.Client{HTTP: &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(to), DisableKeepAlives: true}}}, services
}

func TestTheControllerFollowsALog(t *testing.T) {
	// The shell's own word about a child that got the signal too goes nowhere.
	agent, services := agentOf(t, `exec 2>/dev/null; echo one; echo two; trap 'echo three; exit 0' TERM; while :; do sleep 0.02; done`)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if log, err := agent.Log(t.Context(), "job", 5); err == nil && slices.Equal(log.Lines, []string{"one", "two"}) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the job says nothing")
		}
	}
	lines, err := agent.Follow(t.Context(), "job", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lines.Close() }()
	next := func() string {
		t.Helper()
		l, err := lines.Next()
		if err != nil || l == nil {
			t.Fatalf("%v %v", l, err)
		}
		return l.Line
	}
	if got := next(); got != "two" {
		t.Errorf("it begins with %q", got)
	}
	if err := services.Stop(t.Context(), "job"); err != nil {
		t.Fatal(err)
	}
	if got := next(); got != "three" {
		t.Errorf("it goes on with %q", got)
	}
	if err := services.Apply(nil); err != nil { // removed: there is no more to come
		t.Fatal(err)
	}
	if l, err := lines.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("it ends with %v %v", l, err)
	}
	if _, err := agent.Follow(t.Context(), "nothing", 1); !inventory.Is(err, inventory.NotFound) {
		t.Errorf("the log of nothing: %v", err)
	}
}

func TestTheControllerReadsACrash(t *testing.T) {
	agent, _ := agentOf(t, "echo help; exit 9")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		c, err := agent.Crash(t.Context(), "job")
		if err == nil && c.Exit == "exit status 9" && len(c.Lines) > 0 && c.Lines[0] == "help" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the crash is %+v, %v", c, err)
		}
	}
	if _, err := agent.Crash(t.Context(), "nothing"); !inventory.Is(err, inventory.NotFound) {
		t.Errorf("the crash of nothing: %v", err)
	}
}
