package members

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// written collects what a logger writes, one line a record.
type written struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.Write(p)
}

// take returns and forgets what was written.
func (w *written) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.buf.Reset()
	return w.buf.String()
}

func capture(level slog.Level) (*slog.Logger, *written) {
	out := &written{}
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})), out
}

func TestLibraryLinesBecomeRecords(t *testing.T) {
	logger, out := capture(slog.LevelDebug)
	library := bridgeTo(logger)
	for _, line := range []string{
		"[DEBUG] memberlist: d", "[TRACE] serf: t\n", "[INFO] serf: i", "[WARN] serf: w", "[ERR] memberlist: e", "[ERROR] memberlist: e",
		"no level", "[ODD] level", "", "[ERR] two\nlines",
	} {
		library.Print(line)
	}
	want := `level=DEBUG msg="memberlist: d"
level=DEBUG msg="serf: t"
level=DEBUG msg="serf: i"
level=WARN msg="serf: w"
level=ERROR msg="memberlist: e"
level=ERROR msg="memberlist: e"
level=WARN msg="no level"
level=WARN msg="[ODD] level"
level=WARN msg=""
level=ERROR msg="two\nlines"
`
	if got := out.take(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestFloodOfLibraryLinesIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, out := capture(slog.LevelInfo)
		library := bridgeTo(logger)
		for i := range 1000 {
			library.Printf("[ERR] memberlist: rubbish from stranger %d", i)
			library.Print("[INFO] serf: does not count")
		}
		if got := strings.Count(out.take(), "\n"); got != logLimit {
			t.Errorf("%d lines of 1000, want %d", got, logLimit)
		}
		time.Sleep(logWindow)
		library.Print("[ERR] memberlist: later")
		if got := out.take(); !strings.Contains(got, fmt.Sprintf("dropped=%d", 1000-logLimit)) || !strings.Contains(got, "later") {
			t.Errorf("got %s", got)
		}
	})
}

func TestHealthyPoolIsQuiet(t *testing.T) {
	t.Parallel()
	at, key := addresses(t, 2), NewKey()
	logger, out := capture(slog.LevelInfo)
	begin(t, agent("a", key, at[0]), lan())
	c := agent("b", key, at[1], at[0])
	c.Logger = logger
	b := begin(t, c, lan())
	await(t, b, map[string]Status{"a": alive, "b": alive})
	if err := b.Leave(); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	want := "level=INFO msg=\"joined the gossip pool\" component=members peers=1\n"
	if got := out.take(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
