package embedded

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"mailfleet/controller/metrics"
	"mailfleet/controller/metrics/storetest"
)

// openAt opens a store that the test closes itself.
func openAt(t testing.TB, dir string) *Store {
	t.Helper()
	store, err := Open(Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// open opens a store for the length of the test.
func open(t testing.TB, dir string) *Store {
	t.Helper()
	store := openAt(t, dir)
	t.Cleanup(func() { closeStore(t, store) })
	return store
}

func closeStore(t testing.TB, store *Store) {
	t.Helper()
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) metrics.Store { return openAt(t, t.TempDir()) })
}

func TestSecondOpenIsRefused(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	if second, err := Open(Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)}); err == nil {
		closeStore(t, second)
		t.Error("a second store opened in the same directory")
	}
}

func TestRetentionBelowABlockIsRefused(t *testing.T) {
	if _, err := Open(Options{Dir: t.TempDir(), Retention: time.Hour, Logger: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("a retention of one hour was accepted")
	}
}

func TestServerCannotTakeMoreThanItsSeries(t *testing.T) {
	store := open(t, t.TempDir())
	store.quota.perServer, store.quota.total = 3, 5
	base := storetest.Base()
	write := func(server, metric string, seconds int) error {
		return store.Write(t.Context(), []metrics.Sample{storetest.Sample(server, metric, base.Add(time.Duration(seconds)*time.Second), 1)})
	}
	for i, c := range []struct {
		server, metric string
		ok             bool
	}{
		{"a", "m1", true}, {"a", "m2", true}, {"a", "m3", true}, {"a", "m4", false}, {"a", "m1", true},
		{"b", "m1", true}, {"b", "m2", true}, {"c", "m1", false}, {"b", "m2", true},
	} {
		err := write(c.server, c.metric, i)
		if _, rejected := errors.AsType[*metrics.RejectedError](err); rejected == c.ok || (err != nil && !rejected) {
			t.Errorf("write %d, %s of %s: got %v, want accepted %v", i, c.metric, c.server, err, c.ok)
		}
	}
}

func TestEngineErrorOpensItAnew(t *testing.T) {
	dir := t.TempDir()
	store := open(t, dir)
	base := storetest.Base()
	storetest.MustWrite(t, store, storetest.Sample("a", "load_1", base, 1))
	before := store.db
	store.writing.Lock()
	err := store.fail(errors.New("disk on fire"))
	store.writing.Unlock()
	if !errors.Is(err, metrics.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	storetest.MustWrite(t, store, storetest.Sample("a", "load_1", base.Add(time.Second), 2))
	if store.db == before {
		t.Error("the spoilt engine is still in use")
	}
	storetest.WantPoints(t, storetest.MustRange(t, store, storetest.All("a", "load_1")), base, 0, 1, 1, 2)
}

func TestLoggedEngineErrorIsNoted(t *testing.T) {
	trap := &errorTrap{Handler: slog.DiscardHandler, seen: new(atomic.Bool)}
	log := slog.New(trap).With("component", "tsdb").WithGroup("g")
	log.Info("chatter")
	log.Warn("warning")
	if trap.seen.Load() {
		t.Error("less than an error was noted")
	}
	if log.Error("failed to log"); !trap.seen.Load() {
		t.Error("an error was not noted")
	}
}
