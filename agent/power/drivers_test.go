package power

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/controller/e2e/peers"
	"mailfleet/inventory"
)

const testMAC = "52:54:00:12:34:56"

func TestAMagicPacketIsSentWhereItIsAddressed(t *testing.T) {
	for password, tail := range map[string]string{"": "", "12:34:56:78:9a:bc": "123456789abc"} {
		c := listenUDP(t)
		d, err := newWake(api.OrderPower{Kind: inventory.PowerWake, MAC: testMAC, Address: c.LocalAddr().String()}, password)
		if err != nil {
			t.Fatal(err)
		}
		done, err := Do(t.Context(), d, On)
		if err != nil || !strings.Contains(done.String(), "cannot see") {
			t.Fatalf("%q, %v", done, err)
		}
		b := make([]byte, 200)
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		n, err := c.Read(b)
		want := strings.Repeat("ff", 6) + strings.Repeat("525400123456", 16) + tail
		if got := hex.EncodeToString(b[:n]); err != nil || got != want {
			t.Errorf("got %s, %v\nwant %s", got, err, want)
		}
		_ = c.Close()
		for _, act := range []Act{Off, Cycle} {
			if _, err := Do(t.Context(), d, act); !errors.Is(err, errUnsupported) {
				t.Errorf("%s: %v", act, err)
			}
		}
	}
}

// Two namespaces joined by a cable; what our agent and etherwake send in one is
// captured in the other.
func TestMagicPacketsAreThoseOfEtherwake(t *testing.T) {
	ip, dump, reference := peers.Find(t, "iproute2", "ip"), peers.Find(t, "tcpdump", "tcpdump"), peers.Find(t, "etherwake", "etherwake")
	near, far := fmt.Sprintf("mfn%d", os.Getpid()), fmt.Sprintf("mff%d", os.Getpid())
	if out, err := exec.CommandContext(t.Context(), ip, "netns", "add", near).CombinedOutput(); err != nil {
		t.Skipf("no network namespaces here: %s", out)
	}
	run := func(args ...string) { output(t, ip, args...) }
	t.Cleanup(func() {
		for _, ns := range []string{near, far} {
			_ = exec.CommandContext(context.WithoutCancel(t.Context()), ip, "netns", "del", ns).Run()
		}
	})
	run("netns", "add", far)
	run("link", "add", "w0", "netns", near, "type", "veth", "peer", "name", "w0", "netns", far)
	for ns, address := range map[string]string{near: "198.51.100.1/24", far: "198.51.100.2/24"} {
		run("-n", ns, "addr", "add", address, "broadcast", "198.51.100.255", "dev", "w0")
		run("-n", ns, "link", "set", "w0", "up")
	}
	file := filepath.Join(t.TempDir(), "capture")
	start(t, "/", ip, "netns", "exec", far, dump, "-i", "w0", "-U", "-s", "0", "-Z", "root", "-w", file, "udp port 9 or ether proto 0x0842")
	soon(t, "tcpdump listens", func() bool { i, err := os.Stat(file); return err == nil && i.Size() >= 24 })

	run("netns", "exec", near, reference, "-i", "w0", "-b", testMAC)
	cmd := exec.CommandContext(t.Context(), ip, "netns", "exec", near, os.Args[0])
	cmd.Env = append(os.Environ(), "POWER_TEST_WAKE="+testMAC)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	mac, _ := net.ParseMAC(testMAC)
	broadcast := bytes.Repeat([]byte{0xff}, 6)
	soon(t, "both packets are captured", func() bool {
		text, err := os.ReadFile(file)
		return err == nil && bytes.Count(text, magic(mac)) == 2 && bytes.Contains(text, []byte("\xc6\x33\x64\xff")) && // to 198.51.100.255
			bytes.Count(text, broadcast) >= 4 // frames to everybody
	})
}

func script(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "power")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAProgramOfTheSiteSwitches(t *testing.T) {
	dir := t.TempDir()
	program := script(t, `cd "$1"
[ "$MAILFLEET_POWER_PASSWORD/$MAILFLEET_POWER_SERVER/$MAILFLEET_POWER_USER" = 'a b;c/mail1/root' ] || { echo "password was $MAILFLEET_POWER_PASSWORD" >&2; exit 1; }
case "$2" in
on|off) echo $2 > power;;
cycle) echo on > power; echo >> cycles;;
status) cat power;;
*) exit 64;;
esac
`)
	if err := os.WriteFile(filepath.Join(dir, "power"), []byte("off\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	how := api.OrderPower{Kind: inventory.PowerCommand, User: "root", Command: []string{program, dir}}
	d, err := New(how, "mail1", "a b;c", Options{})
	if err != nil {
		t.Fatal(err)
	}
	walk(t, d)
	if d, err = New(how, "mail1", "hunter2", Options{}); err != nil {
		t.Fatal(err)
	}
	refuses(t, d, "hunter2", "exit status 1: password was ***")
}

func TestAProgramThatDoesNotBehaveIsReported(t *testing.T) {
	for text, want := range map[string]string{
		"echo maybe": "not on, off or unknown",
		"exit 3":     "exit status 3",
		"yes | head -c 1000000; yes bad | head -c 1000000 >&2; exit 1": "exit status 1",
	} {
		d, err := newCommand(api.OrderPower{Command: []string{script(t, text)}}, "mail1", "")
		if err != nil {
			t.Fatal(err)
		}
		refuses(t, d, "", want)
	}
	d, err := newCommand(api.OrderPower{Command: []string{"/nowhere/power"}}, "mail1", "")
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, d, "", "no such file")

	pid := filepath.Join(t.TempDir(), "pid")
	if d, err = newCommand(api.OrderPower{Command: []string{script(t, "trap '' TERM; sleep 300 & echo $! > "+pid+"; wait")}}, "mail1", ""); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() { _, err := d.Status(ctx); failed <- err }()
	var child int
	soon(t, "the program has begun", func() bool {
		text, _ := os.ReadFile(pid)
		_, err := fmt.Sscan(string(text), &child)
		return err == nil
	})
	cancel()
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "was killed") {
		t.Errorf("a program that hangs: %v", err)
	}
	soon(t, "what it started is dead too", func() bool { return !alive(child) })
}

func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(text), ") Z ") && syscall.Kill(pid, 0) == nil
}

func TestTheDevFleetsMachinesAreSpokenTo(t *testing.T) {
	dir := t.TempDir()
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", filepath.Join(dir, "mail1.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	answers := map[string]string{"status": "ok off", "boot": "ok 1234", "reboot": "ok", "on": "error it is on fire"}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 20)
			n, _ := c.Read(b)
			_, _ = c.Write([]byte(answers[strings.TrimSpace(string(b[:n]))] + "\n"))
			_ = c.Close()
		}
	}()
	d, err := New(api.OrderPower{Kind: inventory.PowerDev}, "mail1", "", Options{Machines: dir})
	if err != nil {
		t.Fatal(err)
	}
	if s := status(t, d); s != inventory.PowerOff {
		t.Errorf("status %s", s)
	}
	if _, err := Do(t.Context(), d, On); err == nil || err.Error() != "it is on fire" {
		t.Errorf("on: %v", err)
	}
	m, err := Own(dir, "mail1")
	if err != nil {
		t.Fatal(err)
	}
	if id, err := m.BootID(t.Context()); id != "1234" || err != nil {
		t.Errorf("boot id %q, %v", id, err)
	}
	if err := m.Reboot(t.Context()); err != nil {
		t.Error(err)
	}
	if d, err = New(api.OrderPower{Kind: inventory.PowerDev}, "mail9", "", Options{Machines: dir}); err != nil {
		t.Fatal(err)
	}
	refuses(t, d, "", "no such machine")
	if _, err := Own(dir, "../mail1"); err == nil {
		t.Error("a machine elsewhere")
	}
}

func TestTheMachinesBootIDIsTheKernels(t *testing.T) {
	m, err := Own("", "mail1")
	if err != nil {
		t.Fatal(err)
	}
	id, err := m.BootID(t.Context())
	if err != nil || len(id) != 36 {
		t.Errorf("%q, %v", id, err)
	}
}
