package peers

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// ending notes how a test would have ended.
type ending struct {
	testing.TB
	failed, skipped string
}

func (e *ending) Helper() {}

func (e *ending) Fatalf(format string, args ...any) {
	e.failed = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (e *ending) Skipf(format string, args ...any) {
	e.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// end runs fn as a test.
func end(fn func(t testing.TB)) *ending {
	e, done := new(ending), make(chan struct{})
	go func() {
		defer close(done)
		fn(e)
	}()
	<-done
	return e
}

func TestAMissingPeerFailsItsTest(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	nowhere := func(t testing.TB) { Find(t, "a-package", filepath.Join(dir, "none")) }
	module := func(t testing.TB) { Node(t, dir, "a-module") }
	t.Setenv("PEERS", "")
	for _, fn := range []func(testing.TB){nowhere, module} {
		if e := end(fn); e.failed == "" || e.skipped != "" {
			t.Errorf("without PEERS=skip: %+v", e)
		}
	}
	if e := end(func(t testing.TB) { Find(t, "a-package", program) }); e.failed != "" || e.skipped != "" {
		t.Errorf("one that is there: %+v", e)
	}
	t.Setenv("PEERS", "skip")
	for _, fn := range []func(testing.TB){nowhere, module} {
		if e := end(fn); e.failed != "" || e.skipped == "" {
			t.Errorf("with PEERS=skip: %+v", e)
		}
	}
}
