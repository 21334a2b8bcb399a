package systemd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"

	"mailfleet/agent/supervise"
	"mailfleet/controller/e2e/peers"
	"mailfleet/inventory"
)

const (
	managerName = "org.freedesktop.systemd1"
	managerPath = godbus.ObjectPath("/org/freedesktop/systemd1")
)

// bed is a real bus with a stand-in for systemd on it.
type bed struct {
	t       *testing.T
	address string
	conn    *godbus.Conn
	units   *Units

	mu          sync.Mutex
	subscribers []string
	known       map[string]*mocked
	calls       []string
	jobs        int
	kill        func() // ends the bus
}

// mocked is a unit.
type mocked struct {
	active, sub string
	pid         uint32
	result      string
	code        int32
	status      int32
	ends        string // how a job on it ends; empty: done
	refuses     string // name of the error a job is refused with
	since       time.Time
}

func newBed(t *testing.T) *bed {
	t.Helper()
	peers.Find(t, "dbus-daemon", "dbus-daemon")
	b := &bed{t: t, address: "unix:path=" + filepath.Join(t.TempDir(), "bus"), known: make(map[string]*mocked)}
	b.startBus()
	b.units = &Units{address: b.address, journal: "journalctl"}
	t.Cleanup(func() {
		if err := b.units.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// startBus starts a bus and the manager on it.
func (b *bed) startBus() {
	b.t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(b.t.Context()), "dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address", "--address="+b.address)
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.kill = sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	b.t.Cleanup(b.kill)
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		b.t.Fatal(err)
	}
	if b.conn, err = godbus.Connect(b.address); err != nil {
		b.t.Fatal(err)
	}
	if err := b.conn.Export(manager{b}, managerPath, managerName+".Manager"); err != nil {
		b.t.Fatal(err)
	}
	if reply, err := b.conn.RequestName(managerName, godbus.NameFlagDoNotQueue); err != nil || reply != godbus.RequestNameReplyPrimaryOwner {
		b.t.Fatal(reply, err)
	}
}

func pathOf(unit string) godbus.ObjectPath {
	return managerPath + "/unit/" + godbus.ObjectPath(dbus.PathBusEscape(unit))
}

// add makes a unit.
func (b *bed) add(name string, m *mocked) {
	b.t.Helper()
	b.mu.Lock()
	b.known[name] = m
	b.mu.Unlock()
	if err := b.conn.Export(properties{b, name}, pathOf(name), "org.freedesktop.DBus.Properties"); err != nil {
		b.t.Fatal(err)
	}
}

// change changes a unit and tells of it.
func (b *bed) change(name string, fn func(*mocked)) {
	b.mu.Lock()
	fn(b.known[name])
	active := b.known[name].active
	b.mu.Unlock()
	if err := b.conn.Emit(pathOf(name), "org.freedesktop.DBus.Properties.PropertiesChanged",
		managerName+".Unit", map[string]godbus.Variant{"ActiveState": godbus.MakeVariant(active)}, []string{}); err != nil {
		b.t.Error(err)
	}
}

func (b *bed) called() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.calls)
}

// manager answers as org.freedesktop.systemd1.Manager.
type manager struct{ b *bed }

func (m manager) Subscribe(sender godbus.Sender) *godbus.Error {
	m.b.mu.Lock()
	defer m.b.mu.Unlock()
	m.b.subscribers = append(m.b.subscribers, string(sender))
	return nil
}

func (m manager) StartUnit(name, mode string) (godbus.ObjectPath, *godbus.Error) {
	return m.job("start", name, mode, func(u *mocked) { u.active, u.sub, u.pid = "active", "running", 4711 })
}

func (m manager) StopUnit(name, mode string) (godbus.ObjectPath, *godbus.Error) {
	return m.job("stop", name, mode, func(u *mocked) { u.active, u.sub, u.pid = "inactive", "dead", 0 })
}

func (m manager) ReloadUnit(name, mode string) (godbus.ObjectPath, *godbus.Error) {
	return m.job("reload", name, mode, func(*mocked) {})
}

// job does it a moment later and then says, to each who has subscribed, that the
// job is removed.
func (m manager) job(verb, name, mode string, do func(*mocked)) (godbus.ObjectPath, *godbus.Error) {
	m.b.mu.Lock()
	defer m.b.mu.Unlock()
	m.b.calls = append(m.b.calls, verb+" "+name+" "+mode)
	u := m.b.known[name]
	if u == nil {
		return "", &godbus.Error{Name: managerName + ".NoSuchUnit", Body: []any{"Unit " + name + " not found."}}
	}
	if u.refuses != "" {
		return "", &godbus.Error{Name: u.refuses, Body: []any{"no"}}
	}
	m.b.jobs++
	id, ends := uint32(m.b.jobs), u.ends
	path := managerPath + godbus.ObjectPath(fmt.Sprintf("/job/%d", id))
	if ends == "never" {
		return path, nil
	}
	go func() {
		if ends == "" {
			m.b.change(name, do)
			ends = "done"
		}
		m.b.mu.Lock()
		to := slices.Clone(m.b.subscribers)
		m.b.mu.Unlock()
		for _, subscriber := range to {
			m.b.conn.Send(&godbus.Message{
				Type: godbus.TypeSignal,
				Headers: map[godbus.HeaderField]godbus.Variant{
					godbus.FieldDestination: godbus.MakeVariant(subscriber),
					godbus.FieldPath:        godbus.MakeVariant(managerPath),
					godbus.FieldInterface:   godbus.MakeVariant(managerName + ".Manager"),
					godbus.FieldMember:      godbus.MakeVariant("JobRemoved"),
					godbus.FieldSignature:   godbus.MakeVariant(godbus.SignatureOf(id, path, name, ends)),
				},
				Body: []any{id, path, name, ends},
			}, nil)
		}
	}()
	return path, nil
}

// properties answers as org.freedesktop.DBus.Properties of a unit.
type properties struct {
	b    *bed
	unit string
}

func (p properties) GetAll(of string) (map[string]godbus.Variant, *godbus.Error) {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	u := p.b.known[p.unit]
	out := make(map[string]godbus.Variant)
	switch of {
	case managerName + ".Unit":
		loaded := "loaded"
		if u.active == "" {
			loaded, u = "not-found", &mocked{active: "inactive", sub: "dead"}
		}
		out["LoadState"], out["ActiveState"], out["SubState"] = godbus.MakeVariant(loaded), godbus.MakeVariant(u.active), godbus.MakeVariant(u.sub)
		out["StateChangeTimestamp"] = godbus.MakeVariant(uint64(u.since.UnixMicro()))
	case managerName + ".Service":
		out["MainPID"], out["Result"] = godbus.MakeVariant(u.pid), godbus.MakeVariant(u.result)
		out["ExecMainCode"], out["ExecMainStatus"] = godbus.MakeVariant(u.code), godbus.MakeVariant(u.status)
	}
	return out, nil
}

func TestAUnitIsStartedWatchedAndStopped(t *testing.T) {
	b := newBed(t)
	since := time.Now().Add(-time.Hour).Truncate(time.Microsecond)
	b.add("tomcat.service", &mocked{active: "inactive", sub: "dead", result: "success", since: since})
	b.add("gone.service", &mocked{})
	is := func() (supervise.UnitState, <-chan struct{}) {
		t.Helper()
		s, changed, err := b.units.Watch(t.Context(), "tomcat.service")
		if err != nil {
			t.Fatal(err)
		}
		return s, changed
	}
	s, changed := is()
	if s.State != inventory.ServiceStopped || s.PID != 0 || !s.Since.Equal(since) || !s.Exit.None() {
		t.Errorf("at first it is %+v", s)
	}
	if err := b.units.Start(t.Context(), "tomcat.service"); err != nil {
		t.Fatal(err)
	}
	tells(t, changed)
	if s, changed = is(); s.State != inventory.ServiceRunning || s.PID != 4711 {
		t.Errorf("started, it is %+v", s)
	}
	if err := b.units.Reload(t.Context(), "tomcat.service"); err != nil {
		t.Fatal(err)
	}
	b.change("tomcat.service", func(u *mocked) {
		u.active, u.sub, u.pid, u.result, u.code, u.status = "failed", "failed", 0, "exit-code", exited, 3
	})
	tells(t, changed)
	if s, changed = is(); s.State != inventory.ServiceCrashed || s.Exit.Template != "exit status {1}" || s.Exit.String() != "exit status 3" {
		t.Errorf("when it has failed it is %+v", s)
	}
	if err := b.units.Stop(t.Context(), "tomcat.service"); err != nil {
		t.Fatal(err)
	}
	tells(t, changed)
	if got, want := b.called(), []string{"start tomcat.service replace", "reload tomcat.service replace", "stop tomcat.service replace"}; !slices.Equal(got, want) {
		t.Errorf("systemd was asked to %q", got)
	}
	if _, _, err := b.units.Watch(t.Context(), "gone.service"); !inventory.Is(err, inventory.NotFound) {
		t.Errorf("of a unit that is not there: %v", err)
	}
}

// tells waits until a channel is closed.
func tells(t *testing.T, changed <-chan struct{}) {
	t.Helper()
	select {
	case <-changed:
	case <-time.After(time.Minute):
		t.Fatal("nothing tells of the change")
	}
}

func TestWhatSystemdRefusesIsOneSentence(t *testing.T) {
	b := newBed(t)
	b.add("bad.service", &mocked{active: "failed", sub: "failed", ends: "failed", result: "signal", code: killed, status: 9})
	b.add("late.service", &mocked{active: "inactive", ends: "never"})
	b.add("needy.service", &mocked{active: "inactive", ends: "dependency", result: "success"})
	b.add("masked.service", &mocked{active: "inactive", refuses: managerName + ".UnitMasked"})
	b.add("secret.service", &mocked{active: "inactive", refuses: "org.freedesktop.DBus.Error.AccessDenied"})
	for unit, want := range map[string]string{
		"bad.service":    "systemd could not start unit bad.service: signal 9",
		"needy.service":  "systemd could not start unit needy.service: the job ended as dependency",
		"nobody.service": "systemd knows no unit nobody.service",
		"masked.service": "unit masked.service is masked",
		"secret.service": "it must run as root",
		"late.service":   "systemd did not start unit late.service in time",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if unit == "late.service" {
			cancel()
			ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
		}
		err := b.units.Start(ctx, unit)
		cancel()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", unit, err, want)
		}
	}
}

func TestABusThatComesBackIsUsedAgain(t *testing.T) {
	b := newBed(t)
	away := &Units{address: "unix:path=" + filepath.Join(t.TempDir(), "absent")}
	if _, _, err := away.Watch(t.Context(), "x.service"); !inventory.Is(err, inventory.Unavailable) {
		t.Errorf("without a bus: %v", err)
	}
	running := &mocked{active: "active", sub: "running", pid: 7}
	b.add("x.service", running)
	_, changed, err := b.units.Watch(t.Context(), "x.service")
	if err != nil {
		t.Fatal(err)
	}
	_ = b.conn.Close()
	b.mu.Lock()
	b.subscribers = nil
	b.mu.Unlock()
	b.units.mu.Lock()
	lost := b.units.bus.lost
	b.units.mu.Unlock()
	b.kill()
	tells(t, lost)
	tells(t, changed)
	b.startBus()
	b.add("x.service", running)
	if s, _, err := b.units.Watch(t.Context(), "x.service"); err != nil || s.PID != 7 {
		t.Errorf("over the next bus: %+v %v", s, err)
	}
}

func TestUnitStatesAreThoseOfServices(t *testing.T) {
	for _, c := range []struct {
		active, sub string
		want        inventory.ServiceState
	}{
		{"active", "running", inventory.ServiceRunning},
		{"reloading", "reload", inventory.ServiceRunning},
		{"activating", "start-pre", inventory.ServiceStarting},
		{"activating", "auto-restart", inventory.ServiceBackoff},
		{"deactivating", "stop-sigterm", inventory.ServiceStopping},
		{"inactive", "dead", inventory.ServiceStopped},
		{"failed", "failed", inventory.ServiceCrashed},
		{"something-new", "", inventory.ServiceUnknown},
	} {
		if got := stateOf(map[string]any{"ActiveState": c.active, "SubState": c.sub}, nil); got.State != c.want {
			t.Errorf("%s/%s is %s, want %s", c.active, c.sub, got.State, c.want)
		}
	}
	for want, p := range map[string]map[string]any{
		"":              {"Result": "success", "ExecMainCode": int32(exited)},
		"exit status 2": {"Result": "exit-code", "ExecMainCode": int32(exited), "ExecMainStatus": int32(2)},
		"signal 11":     {"Result": "core-dump", "ExecMainCode": int32(dumped), "ExecMainStatus": int32(11)},
		"oom-kill":      {"Result": "oom-kill", "ExecMainCode": int32(killed), "ExecMainStatus": int32(9)},
		"timeout":       {"Result": "timeout"},
	} {
		if got := exitOf(p); got.String() != want {
			t.Errorf("%v is %q, want %q", p, got, want)
		}
	}
}

// The journal is shown by a program that takes journalctl's arguments.
func journalctl(t *testing.T, script string) *Units {
	t.Helper()
	file := filepath.Join(t.TempDir(), "journalctl")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return &Units{journal: file}
}

func TestTheJournalOfAUnitIsRead(t *testing.T) {
	u := journalctl(t, `echo "$@"; echo two; printf 'no end'`)
	got, err := u.Log(t.Context(), "x.service", 3)
	if want := []string{"--unit x.service --lines 3 --output cat --no-pager --quiet", "two", "no end"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q %v", got, err)
	}
	if _, err := journalctl(t, "echo 'No journal files were found.' >&2; exit 1").Log(t.Context(), "x.service", 3); err == nil ||
		err.Error() != "the journal of unit x.service cannot be read: exit status 1: No journal files were found." {
		t.Errorf("without a journal: %v", err)
	}
	u = journalctl(t, `echo one; echo "$7"; while :; do echo more; sleep 0.01; done`)
	enough := errors.New("enough")
	var seen []string
	err = u.Follow(t.Context(), "x.service", 1, func(line string) error {
		if seen = append(seen, line); len(seen) == 4 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || len(seen) != 4 || seen[0] != "one" || seen[3] != "more" {
		t.Errorf("followed: %q %v", seen, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := u.Follow(ctx, "x.service", 1, func(string) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("when nobody listens any more: %v", err)
	}
}

// TestTheSupervisorRunsAUnit drives the supervisor with the real bus below it.
func TestTheSupervisorRunsAUnit(t *testing.T) {
	b := newBed(t)
	b.units.journal = "/bin/true"
	b.add("rspamd.service", &mocked{active: "inactive", sub: "dead", result: "success"})
	s, err := supervise.New(supervise.Options{Dir: t.TempDir(), BootID: "boot", Units: b.units, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Apply([]supervise.Spec{{Name: "rspamd", Unit: "rspamd.service", Want: inventory.WantRunning}}); err != nil {
		t.Fatal(err)
	}
	becomes := func(want inventory.ServiceState) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; {
			changed := s.Changed()
			list := s.Status()
			if len(list) == 1 && list[0].State == want {
				return
			}
			select {
			case <-changed:
			case <-time.After(time.Until(deadline)):
				t.Fatalf("it does not become %s: %+v", want, list)
			}
		}
	}
	becomes(inventory.ServiceRunning)
	if err := s.Restart(t.Context(), "rspamd"); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(t.Context(), "rspamd"); err != nil {
		t.Fatal(err)
	}
	becomes(inventory.ServiceStopped)
	if got := strings.Join(b.called(), ","); got != strings.ReplaceAll("start @,stop @,start @,stop @", "@", "rspamd.service replace") {
		t.Errorf("systemd was asked to %s", got)
	}
}
