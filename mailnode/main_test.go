package main

import (
	"context"
	"encoding/json"
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

	"mailfleet/mailnode/api"
)

// asProgram, in the environment, makes this test binary the mailnode itself.
const asProgram = "MAILFLEET_MAILNODE_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func program(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// fixture is a mailnode in a directory of its own, running or not.
type fixture struct {
	t      *testing.T
	dir    string // short, for the socket's sake
	config api.Config
	client *api.Client
	cmd    *exec.Cmd
	status *api.Status
}

// hash is the argon2id hash of password, at a cost for tests.
const (
	password = "correct horse"
	hash     = "$argon2id$v=19$m=64,t=1,p=1$TQ0WMvAKd/Aehcd9uoclJQ$9LN6arjB7JAtTwmGK9rtVgcLMHae3cYWKOC5/jZPhwE"
)

func newFixture(t *testing.T) *fixture {
	t.Helper()
	dir, err := os.MkdirTemp("", "mailnode-")
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, dir: dir, client: api.Dial(filepath.Join(dir, "data", api.SocketName))}
	f.config = api.Config{
		Index: 1, Server: "s1", Hostname: "mx.example.test",
		Listeners: []api.Listener{{Protocol: api.SMTP, Address: "127.0.0.1:0"}, {Protocol: api.POP3, Address: "127.0.0.1:0", Local: true}},
		Domains:   []api.Domain{{Name: "example.test"}},
		Accounts: []api.Account{
			{ID: "0198c0de-0000-7000-8000-000000000001", Address: "user1@example.test", PasswordHash: hash},
			{ID: "0198c0de-0000-7000-8000-000000000002", Address: "user2@example.test", PasswordHash: hash},
		},
	}
	t.Cleanup(func() {
		f.kill()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	f.write()
	return f
}

func (f *fixture) file() string { return filepath.Join(f.dir, "mailnode.json") }

// write puts the configuration in place as the agent does.
func (f *fixture) write() {
	f.t.Helper()
	data, err := json.MarshalIndent(f.config, "", "  ")
	if err == nil {
		err = os.WriteFile(f.file()+".new", data, 0o600)
	}
	if err == nil {
		err = os.Rename(f.file()+".new", f.file())
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// start runs the program until it says that it is ready.
func (f *fixture) start() {
	f.t.Helper()
	log, err := os.OpenFile(filepath.Join(f.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	f.cmd = program("run", "--config", f.file(), "--dir", filepath.Join(f.dir, "data"))
	f.cmd.Stdout, f.cmd.Stderr = log, log
	if err := f.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.await()
}

// await polls until the program is ready, for as long as it lives.
func (f *fixture) await() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		status, err := f.client.Status(ctx)
		if err == nil && status.PID == f.cmd.Process.Pid {
			f.status = status
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(f.dir, "log"))
			f.t.Fatalf("it does not get ready: %v\n%s", err, log)
		}
	}
}

// address is where a protocol is listened on.
func (f *fixture) address(p api.Protocol) string {
	f.t.Helper()
	for _, l := range f.status.Listeners {
		if l.Protocol == p {
			return l.Address
		}
	}
	f.t.Fatalf("nothing listens for %s", p)
	return ""
}

// end sends a signal and returns how the program ended.
func (f *fixture) end(signal os.Signal) error {
	f.t.Helper()
	if err := f.cmd.Process.Signal(signal); err != nil {
		f.t.Fatal(err)
	}
	err := f.cmd.Wait()
	f.cmd = nil
	return err
}

func (f *fixture) kill() {
	if f.cmd != nil {
		_ = f.end(syscall.SIGKILL)
	}
}

func TestMailSurvivesARestart(t *testing.T) {
	f := newFixture(t)
	f.start()
	if err := send(f.address(api.SMTP), "user1@example.test", "Subject: kept\r\n\r\nhello\r\n"); err != nil {
		t.Fatal(err)
	}
	before := fetch(t, f.address(api.POP3), "user1@example.test", false)
	start := time.Now()
	if err := f.end(syscall.SIGTERM); err != nil {
		t.Fatalf("SIGTERM: %v", err)
	}
	if d := time.Since(start); d > 20*time.Second { // who finishes nothing has 25
		t.Errorf("stopping took %v", d)
	}
	f.start()
	after := fetch(t, f.address(api.POP3), "user1@example.test", true)
	if len(after) != 1 || fmt.Sprint(before) != fmt.Sprint(after) || !strings.Contains(after[0].text, "\r\nSubject: kept\r\n") {
		t.Errorf("before %q, after %q", before, after)
	}
	if left := fetch(t, f.address(api.POP3), "user1@example.test", false); len(left) != 0 {
		t.Errorf("%d messages are left", len(left))
	}
	counters, err := f.client.Counters(t.Context())
	if err != nil || counters[api.POP3Retrieved] != 1 || counters[api.POP3Deleted] != 1 || counters[api.POP3Logins] != 2 || counters[api.SMTPAccepted] != 0 {
		t.Errorf("counters %v, %v", counters, err)
	}
	if err := f.end(syscall.SIGINT); err != nil {
		t.Fatalf("SIGINT: %v", err)
	}
}

func TestReload(t *testing.T) {
	f := newFixture(t)
	f.start()
	smtp := f.address(api.SMTP)
	good := f.config

	f.config.Index = 2
	f.config.Accounts = f.config.Accounts[:1]
	f.config.Listeners = append([]api.Listener{{Protocol: api.POP3, Address: "127.0.0.2:0"}}, f.config.Listeners[:1]...)
	f.write()
	done, err := f.client.Reload(t.Context())
	if err != nil || done.Index != 2 {
		t.Fatalf("got %v, %v", done, err)
	}
	pop3 := f.address(api.POP3)
	if _, err := net.Dial("tcp", pop3); err == nil {
		t.Errorf("%s is still listened on", pop3)
	}
	f.await()
	if f.address(api.SMTP) != smtp || !strings.HasPrefix(f.address(api.POP3), "127.0.0.2:") || f.status.Accounts != 1 {
		t.Errorf("status %+v", f.status)
	}
	if err := send(smtp, "user2@example.test", "x\r\n"); err == nil || !strings.Contains(err.Error(), "5.1.1") {
		t.Errorf("mail for the account that went: %v", err)
	}

	for name, spoil := range map[string]func(*api.Config){
		"bad value":        func(c *api.Config) { c.Hostname = "" },
		"address not ours": func(c *api.Config) { c.Listeners = []api.Listener{{Protocol: api.SMTP, Address: "192.0.2.1:25"}} },
		"address taken":    func(c *api.Config) { c.Listeners = []api.Listener{{Protocol: api.POP3, Address: smtp}} },
		"no certificate":   func(c *api.Config) { c.TLS = api.TLS{Cert: "/absent", Key: "/absent"} },
	} {
		f.config = good
		f.config.Index = 3
		spoil(&f.config)
		f.write()
		_, err := f.client.Reload(t.Context())
		if _, ok := errors.AsType[*api.Problem](err); !ok {
			t.Errorf("%s: got %v", name, err)
		}
		t.Logf("%s: %v", name, err)
	}
	f.await()
	if f.status.ConfigIndex != 2 || f.address(api.SMTP) != smtp {
		t.Errorf("after bad files the status is %+v", f.status)
	}

	f.config = good
	f.config.Index = 4
	f.write()
	if err := f.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); f.status.ConfigIndex != 4; f.await() {
		if time.Now().After(deadline) {
			t.Fatal("SIGHUP changes nothing")
		}
	}
	if err := send(smtp, "user2@example.test", "x\r\n"); err != nil {
		t.Error(err)
	}
}

func TestSecondProgramInTheSameDirectoryIsRefused(t *testing.T) {
	f := newFixture(t)
	f.start()
	out, err := program("run", "--config", f.file(), "--dir", filepath.Join(f.dir, "data")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "it is in use by another process") {
		t.Errorf("got %v: %s", err, out)
	}
	f.await() // the first one's socket still answers
}

func TestBadConfigurationIsExitCode2WithFileAndLine(t *testing.T) {
	f := newFixture(t)
	for name, test := range map[string]struct{ file, want string }{
		"unknown key": {"{\n  \"sever\": \"x\"\n}", `:2:3: unknown key "sever" in the configuration`},
		"bad port": {"{\n  \"server\": \"s\", \"hostname\": \"h\",\n  \"listeners\": [\n    {\"protocol\": \"smtp\", \"address\": \"127.0.0.1:99999\"}]\n}",
			`:4:37: listeners[0].address: "99999" is not a port`},
		"unreadable": {"", ": cannot read the configuration: no such file or directory"},
	} {
		path := f.file()
		if test.file == "" {
			path += ".absent"
		} else if err := os.WriteFile(path, []byte(test.file), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"config", "test", "--config", path}, {"run", "--config", path, "--dir", f.dir + "/data"}} {
			out, err := program(args...).CombinedOutput()
			bad, ok := errors.AsType[*exec.ExitError](err)
			if !ok || bad.ExitCode() != badConfig || !strings.Contains(string(out), path+test.want) || strings.Count(string(out), "\n") != 1 {
				t.Errorf("%s, %s: got %v: %s", name, args[0], err, out)
			}
		}
	}
}

func TestGoodConfigurationIsSaidToBeGood(t *testing.T) {
	f := newFixture(t)
	out, err := program("config", "test", "--config", f.file()).CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "is good: index 1, 2 listeners, 2 accounts\n") {
		t.Errorf("got %v: %s", err, out)
	}
	if out, err := program("config", "describe").CombinedOutput(); err != nil || !strings.Contains(string(out), `"message_bytes": 52428800`) {
		t.Errorf("got %v: %s", err, out)
	}
	if out, err := program("version").CombinedOutput(); err != nil || len(out) < 3 {
		t.Errorf("got %v: %s", err, out)
	}
}

func TestLongDirectoryIsRefusedInWords(t *testing.T) {
	f := newFixture(t)
	out, err := program("run", "--config", f.file(), "--dir", filepath.Join(f.dir, strings.Repeat("d", 100))).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "use a shorter --dir") {
		t.Errorf("got %v: %s", err, out)
	}
}
