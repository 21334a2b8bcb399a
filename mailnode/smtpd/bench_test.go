package smtpd

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkSmtpSource is smtp-source's messages a second of 10 KB, durable in a mailbox of a
// real store. Give it many: -benchtime 20000x.
func BenchmarkSmtpSource(b *testing.B) {
	for _, conns := range []int{1, 64} {
		b.Run(fmt.Sprintf("conns=%d", conns), func(b *testing.B) {
			n := start(b, nil)
			cmd := program(b, "postfix", "smtp-source", "-s", fmt.Sprint(conns), "-m", fmt.Sprint(b.N), "-l", "10240", "-d", "-f", "a@b.test", "-t", "user1@example.test", n.addr)
			b.ResetTimer()
			begun := time.Now()
			mustRun(b, cmd)
			b.ReportMetric(float64(b.N)/time.Since(begun).Seconds(), "msg/s")
			if got := n.Counters.Accepted.Load(); got != int64(b.N) {
				b.Errorf("%d messages were accepted", got)
			}
		})
	}
}

// BenchmarkLoop is the same with a deliverer that forgets: what the protocol costs.
func BenchmarkLoop(b *testing.B) {
	for _, conns := range []int{1, 64} {
		b.Run(fmt.Sprintf("conns=%d", conns), func(b *testing.B) {
			d := drop{newShelf()}
			n := start(b, func(o *Options) { o.Recipients, o.Deliverer, o.Room = d, d, nil })
			cmd := program(b, "postfix", "smtp-source", "-s", fmt.Sprint(conns), "-m", fmt.Sprint(b.N), "-l", "10240", "-d", "-f", "a@b.test", "-t", "user1@example.test", n.addr)
			b.ReportAllocs()
			b.ResetTimer()
			begun := time.Now()
			mustRun(b, cmd)
			b.ReportMetric(float64(b.N)/time.Since(begun).Seconds(), "msg/s")
		})
	}
}
