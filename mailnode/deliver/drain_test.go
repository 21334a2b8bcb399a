package deliver

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailfleet/controller/e2e/peers"
	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/queue"
	"mailfleet/mailnode/resolve/resolvetest"
	"mailfleet/mailnode/store"
)

// smtpSink starts Postfix's sink on an address of this machine and returns its port.
func smtpSink(t testing.TB, host string) int {
	t.Helper()
	program := peers.Find(t, "postfix", "/usr/sbin/smtp-sink")
	port := freePort(t, host)
	cmd := exec.Command(program, "-u", "postfix", fmt.Sprintf("%s:%d", host, port), "1000")
	if os.Getuid() != 0 {
		cmd = exec.Command(program, fmt.Sprintf("%s:%d", host, port), "1000")
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	answers(t, host, port)
	return port
}

func freePort(t testing.TB, host string) int {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// answers waits until something listens on a port.
func answers(t testing.TB, host string, port int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		c, err := net.Dial("tcp", net.JoinHostPort(host, fmt.Sprint(port)))
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing listens on %s:%d: %v", host, port, err)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// BenchmarkDrain is how fast a full queue goes out to a sink, messages of 10 KB, each to
// one recipient, everything durable.
func BenchmarkDrain(b *testing.B) {
	port := smtpSink(b, "127.0.0.2")
	d := resolvetest.New(b, "far.test. 300 IN A 127.0.0.2")
	n := start(b, b.TempDir(), store.Options{}, d, port, queue.Settings{})
	body := strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n", 160)
	fill := make(chan int, b.N)
	for i := range b.N {
		fill <- i
	}
	close(fill)
	done := make(chan error)
	for range 64 {
		go func() {
			var err error
			for i := range fill {
				text := fmt.Sprintf("X-Number: %d\r\nSubject: x\r\n\r\n%s", i, body)
				e := envelope.Envelope{ID: "D", From: "a@example.test", Recipients: to(fmt.Sprintf("x%d@far.test", i))}
				if err == nil {
					err = n.Accept(context.Background(), e, nil, strings.NewReader(text), int64(len(text)))
				}
			}
			done <- err
		}()
	}
	for range 64 {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	before := ownCPU(b)
	n.run()
	for n.queue.Depth() > 0 {
		<-time.After(time.Millisecond)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(float64((ownCPU(b)-before).Microseconds())/float64(b.N), "cpu-µs/message")
	n.drained(b)
}

// ownCPU is the processor time that this process has used: on a busy machine it says more
// than the clock.
func ownCPU(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
