package deliver

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"mailfleet/mailnode/directory"
	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/outbound"
	"mailfleet/mailnode/queue"
	"mailfleet/mailnode/resolve"
	"mailfleet/mailnode/resolve/resolvetest"
	"mailfleet/mailnode/store"
)

// These, in the environment, make this test binary the victim of the kill test.
const (
	crashDir  = "MAILFLEET_DELIVER_CRASH_DIR"
	crashDNS  = "MAILFLEET_DELIVER_CRASH_DNS"
	crashPort = "MAILFLEET_DELIVER_CRASH_PORT"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := victim(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// kinds of messages: whom they are for.
var kinds = map[string][]string{
	"here":   {"user1@example.test"},
	"team":   {"team@example.test"},
	"far":    {"x@far.test"},
	"failed": {"fail@far.test"},
	"late":   {"later@far.test", "x@far.test"},
	"mixed":  {"user1@example.test", "x@far.test", "fail@far.test"},
}

// victim accepts messages and sends them until it is killed, and prints the kind and the
// name of each when it was accepted.
func victim(dir string) error {
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		return err
	}
	r, err := resolve.New(resolve.Settings{Servers: []string{os.Getenv(crashDNS)}}, quiet)
	if err != nil {
		return err
	}
	var port int
	if _, err := fmt.Sscan(os.Getenv(crashPort), &port); err != nil {
		return err
	}
	places := &Places{Store: s, Directory: directory.New(table()), Logger: quiet}
	q := queue.New(queue.Options{
		Store: s, Sender: outbound.New(outbound.Settings{Hostname: "mx.example.test", Port: port}, r, quiet), Local: places, Logger: quiet,
		Settings: queue.Settings{Hostname: "mx.example.test", Retries: []time.Duration{30 * time.Millisecond}},
	})
	go q.Run(context.Background())
	d := New(Options{Store: s, Queue: q, Places: places, Logger: quiet})
	var out sync.Mutex
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				for kind, addresses := range kinds {
					name := fmt.Sprintf("%016x", rand.Uint64())
					text := "X-Name: " + name + "\r\n\r\n" + strings.Repeat("line\r\n", rand.IntN(1<<rand.IntN(12)))
					e := envelope.Envelope{ID: name, From: "user2@example.test", Recipients: to(addresses...)}
					if err := d.Accept(context.Background(), e, []byte("Received: x\r\n"), strings.NewReader(text), int64(len(text))); err != nil {
						fmt.Fprintln(os.Stderr, err)
						return
					}
					out.Lock()
					fmt.Println(kind, name)
					out.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return nil
}

// Killed again and again while it accepts and delivers, the server loses nothing: each
// message it accepted is in each mailbox once, at the remote, or in one report. The remote
// may have those once more for each kill whose 250 was not yet written down: of each of 20
// connections the message being sent and the four before it.
func TestAcceptedMailSurvivesKill(t *testing.T) {
	s, d := world(t)
	dir := t.TempDir()
	const rounds = 5
	accepted := map[string]string{} // name → kind
	for range rounds {
		for line := range killAfter(t, dir, d, s.port, 60+rand.IntN(200)) {
			kind, name, _ := strings.Cut(line, " ")
			accepted[name] = kind
		}
	}
	n := start(t, dir, store.Options{}, d, s.port, queue.Settings{Retries: []time.Duration{30 * time.Millisecond}})
	n.run()
	n.drained(t)
	verdict, err := n.store.Verify(t.Context(), store.Check{Problem: func(p store.Problem) { t.Errorf("the store is not whole: %v", p) }})
	if err != nil || verdict.Problems > 0 {
		t.Fatalf("the store: %+v, %v", verdict, err)
	}
	boxes := map[string]map[string]int{
		"user1": names(n.mail(t, user1, ""), false), "user2": names(n.mail(t, user2, ""), false),
		"report": names(n.mail(t, user2, ""), true),
		"far":    names(s.got("x@far.test"), false), "guest": names(s.got("guest@far.test"), false), "later": names(s.got("later@far.test"), false),
	}
	where := map[string][]string{
		"here": {"user1"}, "team": {"user1", "user2", "guest"}, "far": {"far"}, "failed": {"report"},
		"late": {"later", "far"}, "mixed": {"user1", "far", "report"},
	}
	twice := 0
	for name, kind := range accepted {
		for _, box := range where[kind] {
			switch got := boxes[box][name]; {
			case got == 1:
			case got > 1 && got <= 1+rounds && (box == "far" || box == "guest" || box == "later"):
				twice += got - 1 // once for each kill, at most
			default:
				t.Errorf("the message %s (%s) is %d times in %s", name, kind, got, box)
			}
		}
	}
	// What was not acknowledged may be there, but not in a mailbox twice.
	for _, box := range []string{"user1", "user2", "report"} {
		for name, got := range boxes[box] {
			if got > 1 {
				t.Errorf("the message %s is %d times in %s", name, got, box)
			}
		}
	}
	if most := rounds * 20 * 5; twice > most {
		t.Errorf("%d copies too many are at the remote; %d could have been under way", twice, most)
	}
	t.Logf("%d accepted messages, %d copies too many at the remote", len(accepted), twice)
}

// names counts the messages by name, reports or others.
func names(texts []string, reports bool) map[string]int {
	counts := map[string]int{}
	for _, text := range texts {
		if strings.Contains(text, "multipart/report") != reports {
			continue
		}
		_, rest, ok := strings.Cut(text, "X-Name: ")
		if !ok {
			counts["none"]++
			continue
		}
		counts[rest[:16]]++
	}
	return counts
}

// killAfter runs a victim, kills it after it has printed n lines, and returns all whole
// lines it printed.
func killAfter(t *testing.T, dir string, d *resolvetest.Server, port, n int) map[string]bool {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir, crashDNS+"="+d.Addr, crashPort+"="+fmt.Sprint(port))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := map[string]bool{}
	for r := bufio.NewReader(out); ; {
		line, err := r.ReadString('\n')
		if err != nil { // what is cut off was not acknowledged
			break
		}
		lines[strings.TrimSuffix(line, "\n")] = true
		if len(lines) == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || len(lines) < n {
		t.Fatalf("the victim ended by itself after %d lines: %v", len(lines), err)
	}
	return lines
}
