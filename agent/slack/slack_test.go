package slack

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestThreadsGetSlackAndProgramsDoNot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may set the slack of another thread")
	}
	if err := Widen(); err != nil {
		t.Fatal(err)
	}
	// New threads: each goroutine holds one until all have theirs.
	const many = 8
	var there, over sync.WaitGroup
	there.Add(many)
	for range many {
		over.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			there.Done()
			there.Wait()
			if slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0); err != nil || slack != int(wide) {
				t.Errorf("a thread has a slack of %d ns: %v", slack, err)
			}
		})
	}
	over.Wait()
	program := func() string {
		out, err := exec.CommandContext(t.Context(), "cat", "/proc/self/timerslack_ns").Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	if got := program(); got != strconv.Itoa(int(wide)) {
		t.Errorf("a program inherits %s ns, so this test proves nothing", got)
	}
	var text strings.Builder
	err := Usual(func() error {
		cmd := exec.CommandContext(t.Context(), "cat", "/proc/self/timerslack_ns")
		cmd.Stdout = &text
		return cmd.Run()
	})
	if got := strings.TrimSpace(text.String()); err != nil || got != strconv.Itoa(int(usual)) {
		t.Errorf("a program was started with %s ns: %v", got, err)
	}
	if got := program(); got != strconv.Itoa(int(wide)) {
		t.Errorf("afterwards this process has %s ns", got)
	}
}
