package power

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

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// TestMain lets this program stand in for an agent in another network
// namespace: see TestMagicPacketsAreThoseOfEtherwake.
func TestMain(m *testing.M) {
	if mac := os.Getenv("POWER_TEST_WAKE"); mac != "" {
		d, err := newWake(api.OrderPower{Kind: inventory.PowerWake, MAC: mac}, "")
		if err == nil {
			err = d.On(context.Background())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// start runs a peer until the test ends.
func start(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	said := &clipped{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said: %s", program, said)
		}
	})
}

func output(t *testing.T, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
	return string(out)
}

// freeUDP is a port on 127.0.0.1 that nothing listens on.
func freeUDP(t *testing.T) int {
	t.Helper()
	c := listenUDP(t)
	defer func() { _ = c.Close() }()
	return c.LocalAddr().(*net.UDPAddr).Port
}

func listenUDP(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// soon polls until ok.
func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// status asks and fails the test on an error.
func status(t *testing.T, d Driver) inventory.PowerState {
	t.Helper()
	s, err := Status(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// walk switches a server that is off through every act.
func walk(t *testing.T, d Driver) {
	t.Helper()
	for _, c := range []struct {
		act  Act
		want inventory.PowerState
		done string
	}{
		{Cycle, inventory.PowerOn, "the power is on"}, // of a server that is off
		{On, inventory.PowerOn, "the power was on already"},
		{Cycle, inventory.PowerOn, "the power was cycled"},
		{Off, inventory.PowerOff, "the power is off"},
		{Off, inventory.PowerOff, "the power was off already"},
		{On, inventory.PowerOn, "the power is on"},
	} {
		done, err := Do(t.Context(), d, c.act)
		if err != nil || done.String() != c.done {
			t.Fatalf("%s: %q, %v; want %q", c.act, done, err, c.done)
		}
		soon(t, "it is "+string(c.want), func() bool { return status(t, d) == c.want })
	}
}

// refuses wants an error that says what and does not tell the password.
func refuses(t *testing.T, d Driver, password, what string) {
	t.Helper()
	_, err := Status(t.Context(), d)
	if err == nil || !strings.Contains(err.Error(), what) {
		t.Errorf("got %v, want something about %q", err, what)
	}
	if err != nil && (password != "" && strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "\n")) {
		t.Errorf("not one sentence without the password: %v", err)
	}
}

// proxy passes datagrams on to a peer, each reply after a time.
func proxy(t *testing.T, to string, late time.Duration) (address string) {
	front := listenUDP(t)
	back, err := net.Dial("udp4", to)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{}, 2)
	client := make(chan net.Addr, 1)
	go func() {
		defer func() { done <- struct{}{} }()
		b := make([]byte, 4096)
		for {
			n, from, err := front.ReadFrom(b)
			if err != nil {
				return
			}
			select {
			case <-client:
			default:
			}
			client <- from
			_, _ = back.Write(b[:n])
		}
	}()
	go func() {
		defer func() { done <- struct{}{} }()
		b := make([]byte, 4096)
		for {
			n, err := back.Read(b)
			if err != nil {
				return
			}
			time.Sleep(late) // this is the slow controller
			from := <-client
			client <- from
			_, _ = front.WriteTo(b[:n], from)
		}
	}()
	t.Cleanup(func() { _ = front.Close(); _ = back.Close(); <-done; <-done })
	return front.LocalAddr().String()
}
