package supervise

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailfleet/inventory"
)

// roleVariable makes the test binary a service, or an agent to be killed.
const roleVariable = "TEST_ROLE"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == LaunchCommand {
		os.Exit(Launch(os.Args[2:]))
	}
	role, argument, _ := strings.Cut(os.Getenv(roleVariable), " ")
	switch role {
	case "":
		os.Exit(m.Run())
	case "serve": // ends when asked
		serve()
	case "stubborn": // does not
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("up")
		<-time.After(time.Hour)
	case "exit": // fails at once
		fmt.Println("failing")
		syscall.Exit(3)
	case "fork": // has children inside and outside of its group and session
		for _, attr := range []*syscall.SysProcAttr{nil, {Setpgid: true}, {Setsid: true}} {
			fork(argument, attr)
		}
		serve()
	case "fill": // writes numbered lines, then serves
		fill(argument)
		serve()
	case "agent":
		agent(argument)
	default:
		panic("no such role: " + role)
	}
}

func serve() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	fmt.Println("up", strings.Join(os.Environ(), " "))
	<-asked
	fmt.Println("bye")
	syscall.Exit(0) // at once: os.Exit takes a second when the race detector is on
}

// fill writes a number of lines, and waits until its output has been cut short.
func fill(number string) {
	n, err := strconv.Atoi(number)
	if err != nil {
		panic(err)
	}
	w := bufio.NewWriter(os.Stdout)
	for i := range n {
		_, _ = fmt.Fprintf(w, "line %d\n", i)
	}
	_ = w.Flush()
	for {
		if info, err := os.Stdout.Stat(); err != nil || info.Size() <= fast.logSize {
			fmt.Println() // of the last line only a part may be left
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func fork(role string, attr *syscall.SysProcAttr) {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), roleVariable+"="+role)
	c.Stdout, c.SysProcAttr = os.Stdout, attr
	if err := c.Start(); err != nil {
		panic(err)
	}
	fmt.Println("child", c.Process.Pid)
}

// agent supervises in a directory until it is killed. Its services are given
// as "name=role" words, and it prints every status as JSON.
func agent(argument string) {
	words := strings.Split(argument, ",")
	s, err := newSupervisor(testOptions(words[0]), fast)
	if err != nil {
		panic(err)
	}
	var specs []Spec
	for _, w := range words[1:] {
		name, role, _ := strings.Cut(w, "=")
		specs = append(specs, spec(name, role))
	}
	if err := s.Apply(specs); err != nil {
		panic(err)
	}
	for out := json.NewEncoder(os.Stdout); ; <-s.Changed() {
		if err := out.Encode(s.Status()); err != nil {
			panic(err)
		}
	}
}

// fast is a policy that lets tests be quick.
var fast = policy{
	firstDelay: 5 * time.Millisecond,
	maxDelay:   50 * time.Millisecond,
	stable:     time.Minute,
	restarts:   5,
	window:     2 * time.Minute,
	lock:       time.Minute,
	ready:      time.Minute,
	settle:     50 * time.Millisecond,
	logSize:    4 << 10,
	logFiles:   2,
	logCheck:   10 * time.Millisecond,
}

func testOptions(dir string) Options {
	return Options{Dir: dir, BootID: "this-boot", Log: slog.New(slog.DiscardHandler)}
}

// spec is a service that plays a role and is to run.
func spec(name, role string) Spec {
	return Spec{
		Name:      name,
		Command:   []string{os.Args[0]},
		Env:       map[string]string{roleVariable: role},
		Want:      inventory.WantRunning,
		StopGrace: time.Minute,
	}
}

func newTest(t *testing.T, dir string) *Supervisor {
	t.Helper()
	return newTestWith(t, dir, fast)
}

// newTestWith makes a Supervisor that leaves nothing behind.
func newTestWith(t *testing.T, dir string, p policy) *Supervisor {
	t.Helper()
	s, err := newSupervisor(testOptions(dir), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.ctx.Err() == nil {
			apply(t, s)
			await(t, s, "no services", func() bool { return len(s.Status()) == 0 })
		}
		closeSupervisor(t, s)
	})
	return s
}

func closeSupervisor(t *testing.T, s *Supervisor) {
	t.Helper()
	if s.ctx.Err() != nil {
		return
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func apply(t *testing.T, s *Supervisor, specs ...Spec) {
	t.Helper()
	if err := s.Apply(specs); err != nil {
		t.Fatal(err)
	}
}

// await waits until a condition holds, looking whenever a service has changed
// and now and then.
func await(t *testing.T, s *Supervisor, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for !holds() {
		select {
		case <-s.Changed():
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			t.Fatalf("no %s; services are %+v", what, s.Status())
		}
	}
}

func status(s *Supervisor, name string) inventory.ServiceStatus {
	for _, r := range s.Status() {
		if r.Name == name {
			return r.ServiceStatus
		}
	}
	return inventory.ServiceStatus{}
}

// awaitState waits for a service to be in a state and returns its status.
func awaitState(t *testing.T, s *Supervisor, name string, state inventory.ServiceState) inventory.ServiceStatus {
	t.Helper()
	await(t, s, name+" "+string(state), func() bool { return status(s, name).State == state })
	return status(s, name)
}

// awaitRestart waits for a service to run as another process than pid.
func awaitRestart(t *testing.T, s *Supervisor, name string, pid int) inventory.ServiceStatus {
	t.Helper()
	await(t, s, name+" restarted", func() bool {
		st := status(s, name)
		return st.State == inventory.ServiceRunning && st.PID != pid
	})
	return status(s, name)
}

// awaitLine waits for a service to write n lines that begin with prefix, and
// returns what follows it in each.
func awaitLine(t *testing.T, dir, name, prefix string, n int) []string {
	t.Helper()
	o := &output{path: filepath.Join(dir, "services", name, "output.log"), size: fast.logSize, files: fast.logFiles}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		lines, err := o.tail(1000)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, l := range lines {
			if rest, ok := strings.CutPrefix(l, prefix); ok {
				found = append(found, rest)
			}
		}
		if len(found) >= n {
			return found
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d lines %q, want %d; the output is %q", len(found), prefix, n, lines)
		}
	}
}

// children waits for the pids of a forking service's last n children.
func children(t *testing.T, dir, name string, n int) (pids []int) {
	t.Helper()
	for _, word := range awaitLine(t, dir, name, "child ", n) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids[len(pids)-n:]
}

func alive(pid int) bool {
	s, err := readStat(pid)
	return err == nil && !s.ended
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// bystander starts a process that is no service.
func bystander(t *testing.T, env ...string) stat {
	t.Helper()
	c := exec.CommandContext(context.Background(), os.Args[0])
	c.Env = append(env, roleVariable+"=serve")
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	s, err := readStat(c.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
