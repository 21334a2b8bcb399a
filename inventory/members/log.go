package members

import (
	"context"
	"log"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	// logWindow and logLimit bound what strangers who send rubbish to the
	// gossip port can make us log.
	logWindow = 10 * time.Second
	logLimit  = 50
)

// bridge is the writer behind the library's loggers. One write is one line,
// "[LEVEL] text", which becomes one record of that level; only the library's
// information is our debug, since it reports every attempt to reconnect.
type bridge struct {
	logger *slog.Logger

	mu      sync.Mutex
	window  time.Time // when the current window began
	lines   int       // logged in it
	dropped int       // and not logged
}

// bridgeTo returns a logger for the library that writes to logger.
func bridgeTo(logger *slog.Logger) *log.Logger {
	return log.New(&bridge{logger: logger}, "", 0)
}

func (b *bridge) Write(line []byte) (int, error) {
	level, text := parseLine(line)
	ctx := context.Background()
	if !b.logger.Enabled(ctx, level) {
		return len(line), nil
	}
	ok, dropped := b.admit(time.Now())
	if dropped > 0 {
		b.logger.WarnContext(ctx, "too many gossip log lines, some were dropped", "dropped", dropped)
	}
	if ok {
		b.logger.Log(ctx, level, text)
	}
	return len(line), nil
}

// admit tells whether another line may be logged, and how many were dropped
// in the window that has just ended.
func (b *bridge) admit(now time.Time) (ok bool, dropped int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.window) >= logWindow {
		dropped = b.dropped
		b.window, b.lines, b.dropped = now, 0, 0
	}
	if b.lines >= logLimit {
		b.dropped++
		return false, 0
	}
	b.lines++
	return true, dropped
}

// parseLine splits "[LEVEL] text"; a line without a level is a warning.
func parseLine(line []byte) (slog.Level, string) {
	all := strings.TrimSpace(string(line))
	level, text, _ := strings.Cut(all, " ")
	switch level {
	case "[TRACE]", "[DEBUG]", "[INFO]":
		return slog.LevelDebug, text
	case "[WARN]":
		return slog.LevelWarn, text
	case "[ERR]", "[ERROR]":
		return slog.LevelError, text
	}
	return slog.LevelWarn, all
}
