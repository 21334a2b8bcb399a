package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	osuser "os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"mailfleet/agent/slack"
	"mailfleet/inventory"
)

// LaunchCommand is the first argument of a program that is to call Launch with
// the rest of them.
const LaunchCommand = "launch-service"

// launching is a process about to be started, in a session of its own, with
// output as its standard output and error.
type launching struct {
	command, env []string
	dir          string
	output       *os.File
	limits       inventory.ProcessLimits
	user         *user    // nil: the agent's
	group        *os.File // directory of the cgroup it begins in; nil: the agent's
}

// becoming is what the process makes of itself before it runs the command:
// limits that are below the agent's own may be set only by the process itself,
// and those above only while it still has the agent's rights.
type becoming struct {
	Program string            `json:"program"`
	Limits  map[string]uint64 `json:"limits,omitempty"`
	User    *user             `json:"user,omitempty"`
}

// resources are the limits a process has, by their names here.
var resources = map[string]struct {
	number int
	noun   inventory.Sentence
}{
	"open_files": {unix.RLIMIT_NOFILE, inventory.Word("open files")},
	"stack":      {unix.RLIMIT_STACK, inventory.Word("bytes of stack")},
	"processes":  {unix.RLIMIT_NPROC, inventory.Word("processes")},
}

func limitsOf(l inventory.ProcessLimits) map[string]uint64 {
	limits := map[string]uint64{}
	for name, value := range map[string]int64{"open_files": l.OpenFiles, "stack": l.Stack, "processes": l.Processes} {
		if value > 0 {
			limits[name] = uint64(value)
		}
	}
	return limits
}

// fork starts the process and takes hold of it.
func (l launching) fork() (*process, error) {
	program, err := exec.LookPath(l.command[0])
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(l.dir); err != nil { // the fork would blame the program
		return nil, inventory.Fail("working directory: %v", err)
	}
	argv := l.command
	if limits := limitsOf(l.limits); len(limits) > 0 || l.user != nil {
		if err := within(limits); err != nil {
			return nil, err
		}
		plan, err := json.Marshal(becoming{Program: program, Limits: limits, User: l.user})
		if err != nil {
			return nil, err
		}
		// This very program, even if its file has been replaced since.
		argv, program = append([]string{os.Args[0], LaunchCommand, string(plan)}, l.command...), "/proc/self/exe"
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer func() { _ = null.Close() }()
	attr := &os.ProcAttr{Dir: l.dir, Env: l.env, Files: []*os.File{null, l.output, l.output}, Sys: &syscall.SysProcAttr{Setsid: true}}
	if l.group != nil {
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, int(l.group.Fd())
	}
	var proc *os.Process
	if err := slack.Usual(func() (err error) {
		proc, err = os.StartProcess(program, argv, attr)
		return err
	}); err != nil {
		return nil, err
	}
	p, err := watch(proc)
	if err == nil {
		var s stat
		if s, err = readStat(p.pid); err == nil { // there even of a zombie: nobody else reaps it
			p.start = s.start
			return p, nil
		}
		p.release()
	}
	_ = proc.Kill()
	_, _ = proc.Wait()
	return nil, err
}

// within refuses limits that the agent has no rights to give.
func within(limits map[string]uint64) error {
	if os.Geteuid() == 0 {
		return nil
	}
	for name, value := range limits {
		r := resources[name]
		var now unix.Rlimit
		if err := unix.Getrlimit(r.number, &now); err != nil {
			return err
		}
		if value > now.Max {
			return inventory.Fail("%d %s are more than the agent's own %d, and it does not run as root", value, r.noun, now.Max)
		}
	}
	return nil
}

// Launch makes this process a service's: it sets limits, becomes the user and
// runs the command. It returns only when that fails, with the exit status; the
// reason is on standard error, which is the service's output.
func Launch(args []string) int {
	fmt.Fprintln(os.Stderr, "mailfleet-agent: the service was not started:", launch(args))
	return 126 // as shells have it: found, and not run
}

func launch(args []string) error {
	if len(args) < 2 {
		return inventory.Fail("no command")
	}
	var b becoming
	if err := json.Unmarshal([]byte(args[0]), &b); err != nil {
		return err
	}
	for name, value := range b.Limits {
		r, ok := resources[name]
		if !ok {
			return inventory.Fail("there is no limit %q", name)
		}
		if err := unix.Setrlimit(r.number, &unix.Rlimit{Cur: value, Max: value}); err != nil {
			return inventory.Fail("limit of %d %s: %v", value, r.noun, err)
		}
	}
	if b.User != nil {
		if err := b.User.become(); err != nil {
			return err
		}
	}
	return inventory.Fail("%s: %v", b.Program, syscall.Exec(b.Program, args[1:], os.Environ()))
}

// user is who a service runs as.
type user struct {
	UID    int   `json:"uid"`
	GID    int   `json:"gid"`
	Groups []int `json:"groups"`

	name, home string
}

// identify looks a user up; nil when a service runs as the agent does.
func identify(name string) (*user, error) {
	if name == "" {
		return nil, nil
	}
	found, err := osuser.Lookup(name)
	if _, unknown := errors.AsType[osuser.UnknownUserError](err); unknown {
		return nil, inventory.Fail("there is no user %s on this server", name)
	}
	if err != nil {
		return nil, inventory.Fail("look up user %s: %v", name, err)
	}
	u := &user{name: name, home: found.HomeDir}
	if u.UID, err = strconv.Atoi(found.Uid); err != nil {
		return nil, inventory.Fail("user %s: %v", name, err)
	}
	if u.UID == os.Geteuid() {
		return nil, nil
	}
	if os.Geteuid() != 0 {
		return nil, inventory.Fail("the agent does not run as root, so the service cannot run as %s", name)
	}
	if u.GID, err = strconv.Atoi(found.Gid); err != nil {
		return nil, inventory.Fail("user %s: %v", name, err)
	}
	groups, err := found.GroupIds()
	if err != nil {
		return nil, inventory.Fail("look up the groups of user %s: %v", name, err)
	}
	for _, id := range groups {
		n, err := strconv.Atoi(id)
		if err != nil {
			return nil, inventory.Fail("user %s: %v", name, err)
		}
		u.Groups = append(u.Groups, n)
	}
	return u, nil
}

// become makes this process the user's.
func (u *user) become() error {
	if err := syscall.Setgroups(u.Groups); err != nil {
		return inventory.Fail("groups %v: %v", u.Groups, err)
	}
	if err := syscall.Setgid(u.GID); err != nil {
		return inventory.Fail("group %d: %v", u.GID, err)
	}
	if err := syscall.Setuid(u.UID); err != nil {
		return inventory.Fail("user %d: %v", u.UID, err)
	}
	return nil
}
