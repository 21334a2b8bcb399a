package imapd

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// BenchmarkColdMailbox measures commands for the newest of 100,000 messages right after the
// server was started: time from SELECT on, and the processor's.
func BenchmarkColdMailbox(b *testing.B) {
	const count = 100_000
	dir := b.TempDir()
	at := func(c *config) { c.dir = dir }
	n := start(b, at)
	n.fill(b, 1, count, small)
	n.stop()
	for name, command := range map[string]string{
		"STORE": fmt.Sprintf(`UID STORE %d +FLAGS (\Seen)`, count), "SEARCH": fmt.Sprintf("UID SEARCH UID %d:* UNSEEN", count-10),
		"COPY": fmt.Sprintf("UID COPY %d INBOX", count), "CLOSE": "CLOSE",
	} {
		b.Run(name, func(b *testing.B) {
			var waited, worked time.Duration
			for range b.N {
				n := start(b, at)
				p := n.signedIn(b, 1)
				begun, before := time.Now(), processor(b)
				p.do("a SELECT INBOX", "a OK")
				p.do("b "+command, "b OK")
				waited, worked = waited+time.Since(begun), worked+processor(b)-before
				n.stop()
			}
			b.ReportMetric(float64(waited.Microseconds())/1000/float64(b.N), "ms-waited/op")
			b.ReportMetric(float64(worked.Microseconds())/1000/float64(b.N), "ms-processor/op")
		})
	}
}

// processor is the time of processors this process has taken.
func processor(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
