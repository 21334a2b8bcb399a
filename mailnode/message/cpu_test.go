package message

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is the processor time f takes on its thread: other work on the machine does
// not count.
func cpuTime(t testing.TB, f func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	used := func() time.Duration {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	f()
	return used() - before
}

// perCPU runs a benchmark's operation and reports what a second of a processor does:
// messages, and when size is given, bytes.
func perCPU(b *testing.B, size int, f func()) {
	b.ReportAllocs()
	took := cpuTime(b, func() {
		for b.Loop() {
			f()
		}
	})
	b.ReportMetric(float64(b.N)/took.Seconds(), "ops/cpu-s")
	if size > 0 {
		b.ReportMetric(float64(b.N)*float64(size)/1e6/took.Seconds(), "MB/cpu-s")
	}
}
