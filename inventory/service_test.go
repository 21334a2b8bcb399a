package inventory

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestSettingsOfAServiceAreCheckedFieldByField(t *testing.T) {
	command := func(change func(*ServiceConfig)) ServiceConfig {
		c := ServiceConfig{Command: []string{"/usr/bin/java", "-jar", "x.jar"}}
		change(&c)
		return c
	}
	probe := func(p Probe) ServiceConfig { return command(func(c *ServiceConfig) { c.Probe = &p }) }
	for _, test := range []struct {
		name   string
		kind   ServiceKind
		config ServiceConfig
		field  string // "": accepted
	}{
		{"a full command", KindCommand, command(func(c *ServiceConfig) {
			c.Dir, c.User, c.StopSignal, c.Reload, c.StopGrace = "/srv", "tomcat", "SIGQUIT", "usr1", Duration(time.Minute)
			c.Env = map[string]string{"JAVA_HOME": "/opt/java"}
			c.Limits = ProcessLimits{OpenFiles: 65536, Stack: 8 << 20, Processes: 4096, Memory: 1 << 30, CPU: 1.5}
			c.After = []string{"slapd", "rspamd"}
			c.Probe = &Probe{Kind: ProbeHTTP, URL: "http://127.0.0.1:8080/health"}
		}), ""},
		{"a bare name", KindCommand, ServiceConfig{Command: []string{"rspamd"}}, ""},
		{"no command", KindCommand, ServiceConfig{}, "command"},
		{"an empty program", KindCommand, ServiceConfig{Command: []string{"", "x"}}, "command"},
		{"a relative program", KindCommand, ServiceConfig{Command: []string{"bin/run"}}, "command"},
		{"a NUL byte", KindCommand, ServiceConfig{Command: []string{"run", "a\x00b"}}, "command"},
		{"too long a command", KindCommand, ServiceConfig{Command: []string{"run", strings.Repeat("x", 200_000)}}, "command"},
		{"a command with a unit", KindCommand, command(func(c *ServiceConfig) { c.Unit = "a.service" }), "unit"},
		{"a command with ports", KindCommand, command(func(c *ServiceConfig) { c.Ports = map[string]int{"smtp": 25} }), "ports"},
		{"a relative directory", KindCommand, command(func(c *ServiceConfig) { c.Dir = "srv" }), "dir"},
		{"a user nobody can be", KindCommand, command(func(c *ServiceConfig) { c.User = "a b" }), "user"},
		{"a variable without a name", KindCommand, command(func(c *ServiceConfig) { c.Env = map[string]string{"": "x"} }), "env"},
		{"the agent's own variable", KindCommand, command(func(c *ServiceConfig) { c.Env = map[string]string{"MAILFLEET_SERVICE": "x"} }), "env"},
		{"a signal nobody has", KindCommand, command(func(c *ServiceConfig) { c.StopSignal = "SEGV" }), "stop_signal"},
		{"a signal to reload nobody has", KindCommand, command(func(c *ServiceConfig) { c.Reload = "9" }), "reload_signal"},
		{"endless grace", KindCommand, command(func(c *ServiceConfig) { c.StopGrace = Duration(time.Hour) }), "stop_grace"},
		{"too few open files", KindCommand, command(func(c *ServiceConfig) { c.Limits.OpenFiles = 3 }), "limits.open_files"},
		{"a negative stack", KindCommand, command(func(c *ServiceConfig) { c.Limits.Stack = -1 }), "limits.stack"},
		{"no memory", KindCommand, command(func(c *ServiceConfig) { c.Limits.Memory = 1 }), "limits.memory"},
		{"no number of processors", KindCommand, command(func(c *ServiceConfig) { c.Limits.CPU = math.NaN() }), "limits.cpu"},
		{"after itself twice", KindCommand, command(func(c *ServiceConfig) { c.After = []string{"a", "a"} }), "after"},
		{"after no name", KindCommand, command(func(c *ServiceConfig) { c.After = []string{"A b"} }), "after"},
		{"a unit", KindUnit, ServiceConfig{Unit: "slapd@main.service"}, ""},
		{"no unit", KindUnit, ServiceConfig{}, "unit"},
		{"a socket", KindUnit, ServiceConfig{Unit: "ssh.socket"}, "unit"},
		{"an option for a unit", KindUnit, ServiceConfig{Unit: "--now.service x"}, "unit"},
		{"a unit with a command", KindUnit, ServiceConfig{Unit: "a.service", Command: []string{"x"}}, "command"},
		{"a unit with limits", KindUnit, ServiceConfig{Unit: "a.service", Limits: ProcessLimits{CPU: 1}}, "limits"},
		{"a mailnode", KindMailnode, ServiceConfig{Ports: map[string]int{"smtp": 25}, Limits: ProcessLimits{OpenFiles: 65536}}, ""},
		{"a mailnode on no port", KindMailnode, ServiceConfig{Ports: map[string]int{"smtp": 70000}}, "ports.smtp"},
		{"a mailnode as another user", KindMailnode, ServiceConfig{User: "mail"}, "user"},
		{"no kind", "daemon", ServiceConfig{}, "kind"},
		{"a probe of no kind", KindCommand, probe(Probe{Kind: "ping"}), "probe.kind"},
		{"a probe of a port", KindCommand, probe(Probe{Kind: ProbeSMTP, Address: "127.0.0.1:25", Interval: Duration(time.Second)}), ""},
		{"a probe of no port", KindCommand, probe(Probe{Kind: ProbeTCP, Address: "127.0.0.1"}), "probe.address"},
		{"a probe of port 0", KindCommand, probe(Probe{Kind: ProbeTCP, Address: "127.0.0.1:0"}), "probe.address"},
		{"a probe of a file", KindCommand, probe(Probe{Kind: ProbeHTTP, URL: "file:///etc/passwd"}), "probe.url"},
		{"a probe without a command", KindCommand, probe(Probe{Kind: ProbeCommand}), "probe.command"},
		{"a hasty probe", KindCommand, probe(Probe{Kind: ProbeTCP, Address: "[::1]:25", Interval: 1}), "probe.interval"},
		{"a patient probe", KindCommand, probe(Probe{Kind: ProbeTCP, Address: "[::1]:25", Timeout: Duration(time.Hour)}), "probe.timeout"},
		{"a forgiving probe", KindCommand, probe(Probe{Kind: ProbeTCP, Address: "[::1]:25", Fails: 1000}), "probe.fails"},
	} {
		err := test.config.Check(test.kind)
		e, refused := errors.AsType[*Error](err)
		switch {
		case test.field == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.field != "" && (!refused || e.Code != Invalid || e.Field != test.field):
			t.Errorf("%s: got %#v, want a refusal of %s", test.name, err, test.field)
		}
	}
}

func TestServicesThatWaitForEachOtherAreNamed(t *testing.T) {
	for _, test := range []struct {
		name  string
		after map[string][]string
		want  string // in the error; "": accepted
	}{
		{"nothing", nil, ""},
		{"a diamond", map[string][]string{"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": nil}, ""},
		{"itself", map[string][]string{"a": {"a"}}, "a after a"},
		{"a circle", map[string][]string{"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}, "a after b after c after a"},
		{"a circle behind", map[string][]string{"a": {"b"}, "b": {"c"}, "c": {"b"}}, "b after c after b"},
		{"a stranger", map[string][]string{"a": {"z"}}, "a starts after z, which is no service"},
	} {
		err := CheckAfter(test.after)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}
