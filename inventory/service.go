package inventory

import (
	"cmp"
	"errors"
	"maps"
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Signals are the names a service's stop and reload signals may have.
var Signals = []string{"HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "WINCH", "KILL"}

// The values of ServiceConfig and Probe that are 0.
const (
	DefaultStopGrace     = 10 * time.Second
	DefaultProbeInterval = 10 * time.Second
	DefaultProbeTimeout  = 5 * time.Second
	DefaultProbeFails    = 3
)

// Bounds of a service's settings.
const (
	maxWords     = 1000             // of a command, variables of an environment, services to start after
	maxText      = 128 << 10        // octets of a command or environment
	maxStopGrace = 10 * time.Minute // longer than anything needs that is not stuck
	maxProbe     = time.Hour        // between questions
)

var (
	unitRE = regexp.MustCompile(`^[A-Za-z0-9:_.\\@-]{1,240}\.service$`) // systemd.unit(5)
	userRE = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?$`)   // useradd(8), and dots
)

// Check says what is wrong with the settings of a service of a kind: an
// Invalid error that names the field. It is what controller and agent both ask,
// so it looks at nothing of the server; names in After are checked by CheckAfter.
func (c ServiceConfig) Check(kind ServiceKind) error {
	for _, check := range []func(ServiceKind) error{c.checkProgram, c.checkEnv, c.checkProcess, c.checkAfter} {
		if err := check(kind); err != nil {
			return err
		}
	}
	if c.Probe != nil {
		return c.Probe.check()
	}
	return nil
}

// checkProgram looks at what is run, and that there is nothing of another kind.
func (c ServiceConfig) checkProgram(kind ServiceKind) error {
	switch kind {
	case KindCommand:
		if err := checkCommand("command", c.Command); err != nil {
			return err
		}
	case KindUnit:
		if !unitRE.MatchString(c.Unit) {
			return FieldErrorf("unit", "the unit %q must be the name of a systemd service, such as nginx.service", c.Unit)
		}
	case KindMailnode:
	default:
		return FieldErrorf("kind", "%q is not a kind of service: write command or unit", kind)
	}
	for _, f := range []struct {
		field string
		set   bool
		kinds []ServiceKind
	}{
		{"command", len(c.Command) > 0, []ServiceKind{KindCommand}},
		{"unit", c.Unit != "", []ServiceKind{KindUnit}},
		{"dir", c.Dir != "", []ServiceKind{KindCommand}},
		{"user", c.User != "", []ServiceKind{KindCommand}},
		{"stop_signal", c.StopSignal != "", []ServiceKind{KindCommand}},
		{"reload_signal", c.Reload != "", []ServiceKind{KindCommand}},
		{"stop_grace", c.StopGrace != 0, []ServiceKind{KindCommand}},
		{"env", len(c.Env) > 0, []ServiceKind{KindCommand, KindMailnode}},
		{"limits", c.Limits != ProcessLimits{}, []ServiceKind{KindCommand, KindMailnode}},
		{"ports", len(c.Ports) > 0, []ServiceKind{KindMailnode}},
		{"release", c.Release != "", []ServiceKind{KindMailnode, KindCommand}},
		{"mail", c.Mail != nil, []ServiceKind{KindMailnode}},
	} {
		switch {
		case !f.set || slices.Contains(f.kinds, kind):
		case kind == KindUnit:
			return FieldErrorf(f.field, "%s is not for a systemd unit: write it into the unit itself", f.field)
		default:
			return FieldErrorf(f.field, "%s is not for a service of kind %s", f.field, kind)
		}
	}
	for listener, port := range c.Ports {
		if port < 0 || port > 65535 {
			return FieldErrorf("ports."+listener, "%d is not a port", port)
		}
	}
	if c.Mail == nil {
		return nil
	}
	if err := c.Mail.Check(); err != nil {
		return under("mail", err)
	}
	for i, l := range c.Mail.Receiving.Listeners {
		for name, port := range c.Ports {
			if port == l.Port && name != "smtp" {
				return FieldErrorf("mail.receiving.listeners["+strconv.Itoa(i)+"].port", "the port %d is already that of %s", port, name)
			}
		}
	}
	return nil
}

// under puts a name before the field that an error is about.
func under(name string, err error) error {
	if e, ok := errors.AsType[*Error](err); ok && e.Field != "" {
		e.Field = name + "." + e.Field
	}
	return err
}

// checkCommand accepts a program, a path from the root or a bare name, and its arguments.
func checkCommand(field string, command []string) error {
	if len(command) == 0 || command[0] == "" {
		return FieldErrorf(field, "name the program to run")
	}
	if program := command[0]; strings.Contains(program, "/") && !path.IsAbs(program) {
		return FieldErrorf(field, "the program %s must be an absolute path or a bare name", program)
	}
	size := 0
	for _, word := range command {
		if strings.ContainsRune(word, 0) {
			return FieldErrorf(field, "the command has a NUL byte")
		}
		size += len(word) + 1
	}
	if len(command) > maxWords || size > maxText {
		return FieldErrorf(field, "the command has %d words of %d octets; %d and %d are the most", len(command), size, maxWords, maxText)
	}
	return nil
}

func (c ServiceConfig) checkEnv(ServiceKind) error {
	size := 0
	for name, value := range c.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(value, 0) {
			return FieldErrorf("env", "%q cannot be an environment variable", name)
		}
		if strings.HasPrefix(name, "MAILFLEET_") {
			return FieldErrorf("env", "variables that begin with MAILFLEET_ are the agent's own")
		}
		size += len(name) + len(value) + 2
	}
	if len(c.Env) > maxWords || size > maxText {
		return FieldErrorf("env", "the environment has %d variables of %d octets; %d and %d are the most", len(c.Env), size, maxWords, maxText)
	}
	return nil
}

// checkProcess looks at how the process is run and ended.
func (c ServiceConfig) checkProcess(ServiceKind) error {
	if c.Dir != "" && (!path.IsAbs(c.Dir) || strings.ContainsRune(c.Dir, 0)) {
		return FieldErrorf("dir", "the working directory %q must be an absolute path", c.Dir)
	}
	if c.User != "" && !userRE.MatchString(c.User) {
		return FieldErrorf("user", "%q cannot be the name of a user", c.User)
	}
	for field, name := range map[string]string{"stop_signal": c.StopSignal, "reload_signal": c.Reload} {
		if name != "" && !slices.Contains(Signals, SignalName(name)) {
			return FieldErrorf(field, "%q is not a signal a service can be sent: write one of %s", name, strings.Join(Signals, ", "))
		}
	}
	if c.StopGrace < 0 || time.Duration(c.StopGrace) > maxStopGrace {
		return FieldErrorf("stop_grace", "the grace of a stop must be between 0 and %v", maxStopGrace)
	}
	return c.Limits.check()
}

// SignalName is the signal's name as Signals has it: SIGTERM and term are TERM.
func SignalName(name string) string { return strings.TrimPrefix(strings.ToUpper(name), "SIG") }

func (l ProcessLimits) check() error {
	for _, limit := range []struct {
		field      string
		value      int64
		least, end int64
	}{
		{"open_files", l.OpenFiles, 16, 1 << 30},
		{"stack", l.Stack, 64 << 10, 1 << 40},
		{"processes", l.Processes, 1, 1 << 22},
		{"memory", l.Memory, 4 << 20, 1 << 50},
	} {
		if limit.value != 0 && (limit.value < limit.least || limit.value > limit.end) {
			return FieldErrorf("limits."+limit.field, "%s must be 0, for no limit of its own, or between %d and %d", limit.field, limit.least, limit.end)
		}
	}
	if l.CPU != 0 && !(l.CPU >= 0.01 && l.CPU <= 4096) { // NaN is refused too
		return FieldErrorf("limits.cpu", "cpu must be 0, for no limit, or between 0.01 and 4096 processors")
	}
	return nil
}

func (c ServiceConfig) checkAfter(ServiceKind) error {
	if len(c.After) > maxWords {
		return FieldErrorf("after", "a service can start after %d others at most", maxWords)
	}
	for i, name := range c.After {
		if err := CheckName("after", name); err != nil {
			return err
		}
		if slices.Contains(c.After[:i], name) {
			return FieldErrorf("after", "after names %s twice", name)
		}
	}
	return nil
}

func (p *Probe) check() error {
	switch p.Kind {
	case ProbeCommand:
		if err := checkCommand("probe.command", p.Command); err != nil {
			return err
		}
	case ProbeHTTP:
		u, err := url.Parse(p.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
			return FieldErrorf("probe.url", "%q is not a URL to ask: write http://host:port/path or https://…", p.URL)
		}
	case ProbeTCP, ProbeSMTP, ProbeIMAP, ProbePOP3:
		_, port, err := net.SplitHostPort(p.Address)
		if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 1 || n > 65535 {
			return FieldErrorf("probe.address", "%q is not an address to ask: write host:port", p.Address)
		}
	default:
		return FieldErrorf("probe.kind", "%q is not a kind of probe: write command, tcp, smtp, imap, pop3 or http", p.Kind)
	}
	interval, timeout := p.Times()
	switch {
	case p.Interval < 0 || interval < time.Second || interval > maxProbe:
		return FieldErrorf("probe.interval", "a probe's interval must be between 1s and %v", maxProbe)
	case p.Timeout < 0 || timeout < 10*time.Millisecond || timeout > time.Minute:
		return FieldErrorf("probe.timeout", "a probe's timeout must be between 10ms and 1m")
	case p.Fails < 0 || p.Fails > 100:
		return FieldErrorf("probe.fails", "fails must be between 1 and 100, or 0 for %d", DefaultProbeFails)
	}
	return nil
}

// Times are the probe's interval and timeout, defaults put in.
func (p *Probe) Times() (interval, timeout time.Duration) {
	return time.Duration(cmp.Or(p.Interval, Duration(DefaultProbeInterval))), time.Duration(cmp.Or(p.Timeout, Duration(DefaultProbeTimeout)))
}

// CheckService says what is wrong with a service that is about to be stored:
// with its settings, and with its start order among the others of its server.
func CheckService(tx Tx, s *Service) error {
	if err := CheckName("name", s.Name); err != nil {
		return err
	}
	if err := s.Check(s.Kind); err != nil {
		return err
	}
	if s.Release != "" {
		if err := checkRelease(tx, s); err != nil {
			return err
		}
	}
	if len(s.After) == 0 {
		return nil
	}
	others, _, err := tx.Services().List(Query{Where: map[string][]string{"server": {string(s.Server)}}})
	if err != nil {
		return err
	}
	after := map[string][]string{}
	for _, o := range others {
		after[o.Name] = o.After
	}
	after[s.Name] = s.After
	return CheckAfter(after)
}

// Program is what a service's releases are of: the mailnode, or the service's own name.
func (s *Service) Program() string {
	if s.Kind == KindMailnode {
		return ProgramMailnode
	}
	return s.Name
}

func checkRelease(tx Tx, s *Service) error {
	r, err := tx.Releases().Get(s.Release)
	if Is(err, NotFound) {
		return FieldErrorf("release", "there is no release %q", s.Release)
	}
	if err != nil {
		return err
	}
	if r.Program != s.Program() {
		return FieldErrorf("release", "release %s is of %s, not of %s", r.Number, r.Program, s.Program())
	}
	return nil
}

// CheckAfter looks at the start order of a server's services, by name the ones
// each starts after: all must be there, and none wait for itself through others.
func CheckAfter(after map[string][]string) error {
	for _, name := range slices.Sorted(maps.Keys(after)) {
		for _, first := range after[name] {
			if _, ok := after[first]; !ok {
				return FieldErrorf("after", "%s starts after %s, which is no service of this server", name, first)
			}
		}
	}
	if cycle := Cycle(after); cycle != nil {
		return FieldErrorf("after", "services would wait for each other: %s", strings.Join(cycle, " after "))
	}
	return nil
}

// Cycle returns names of which each starts after the next, the last one being
// the first again; nil when there are none. Names that are no keys are passed over.
func Cycle(after map[string][]string) []string {
	const visiting, done = 1, 2
	state := make(map[string]int, len(after))
	var way []string
	var visit func(name string) []string
	visit = func(name string) []string {
		switch state[name] {
		case done:
			return nil
		case visiting:
			return append(slices.Clone(way[slices.Index(way, name):]), name)
		}
		state[name] = visiting
		way = append(way, name)
		for _, first := range after[name] {
			if _, ok := after[first]; !ok {
				continue
			}
			if cycle := visit(first); cycle != nil {
				return cycle
			}
		}
		way = way[:len(way)-1]
		state[name] = done
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if cycle := visit(name); cycle != nil {
			return cycle
		}
	}
	return nil
}
