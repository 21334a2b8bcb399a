package dev

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func options(t *testing.T) Options {
	return Options{Dir: t.TempDir(), Servers: 3, Base: DefaultBase, Interval: time.Second, Out: io.Discard, Log: slog.New(slog.DiscardHandler)}
}

func TestWrongOptionsAreRefused(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"--servers 0":          func(o *Options) { o.Servers = 0 },
		"--servers 201":        func(o *Options) { o.Servers = 201 },
		"--base \"10.0.0\"":    func(o *Options) { o.Base = "10.0.0" },
		"--base \"127.0\"":     func(o *Options) { o.Base = "127.0" },
		"--listen \"8443\"":    func(o *Options) { o.Listen = "8443" },
		"--listen \"0.0.0.0:1": func(o *Options) { o.Listen = "0.0.0.0:1" },
		"--sample-interval":    func(o *Options) { o.Interval = time.Millisecond },
		"--upgrade-gate":       func(o *Options) { o.Agents.UpgradeGate = -1 },
	} {
		o := options(t)
		change(&o)
		if err := Run(t.Context(), o); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestASecondFleetInADirectoryIsRefusedAndResetForgetsOnlyTheFirst(t *testing.T) {
	f := &fleet{Options: options(t)}
	if err := f.validate(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"servers", "mine"} {
		if err := os.Mkdir(filepath.Join(f.Dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	unlock, err := f.claim()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&fleet{Options: f.Options}).claim(); err == nil || !strings.Contains(err.Error(), "is running in") {
		t.Errorf("a second one: %v", err)
	}
	unlock()
	f.Reset = true
	if unlock, err = f.claim(); err != nil {
		t.Fatal(err)
	}
	unlock()
	if _, err := os.Stat(filepath.Join(f.Dir, "servers")); !os.IsNotExist(err) {
		t.Error("the servers were not forgotten")
	}
	if _, err := os.Stat(filepath.Join(f.Dir, "mine")); err != nil {
		t.Error("something that is not the fleet's was removed")
	}
}

func TestAChildThatDiesEarlyIsToldOfAndLaterStartedAgain(t *testing.T) {
	dir := t.TempDir()
	log, mark := filepath.Join(dir, "log"), filepath.Join(dir, "mark")
	died := make(chan string, 1)
	c := newChildren(slog.New(slog.DiscardHandler), func(name, logFile string) { died <- name + ": " + lastLine(logFile) })
	defer c.stop()
	if err := c.start("one", log, "/bin/sh", "-c", "echo first; echo it is broken; exit 3"); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-died:
		if got != "one: it is broken" {
			t.Errorf("told %q", got)
		}
	case <-time.After(time.Minute):
		t.Fatal("nobody was told")
	}
	c.settled()
	if err := c.start("two", log, "/bin/sh", "-c", "echo started >> "+mark+"; exit 1"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		text, _ := os.ReadFile(mark)
		if strings.Count(string(text), "started") >= 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it was not started again")
		}
		time.Sleep(20 * time.Millisecond) // between two looks at what another process wrote
	}
}

func TestStopWaitsForChildrenToEnd(t *testing.T) {
	dir := t.TempDir()
	c := newChildren(slog.New(slog.DiscardHandler), func(string, string) {})
	c.settled()
	end, ready := filepath.Join(dir, "end"), filepath.Join(dir, "ready")
	script := "trap 'echo done > " + end + "; exit 0' TERM; echo > " + ready + "; while :; do sleep 0.05; done"
	if err := c.start("slow", filepath.Join(dir, "log"), "/bin/sh", "-c", script); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := until(ctx, "wait for the child", func() error { _, err := os.Stat(ready); return err }); err != nil {
		t.Fatal(err)
	}
	c.stop()
	if _, err := os.Stat(end); err != nil {
		t.Error("it was not let end by itself")
	}
}
