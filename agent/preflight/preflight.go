// Package preflight looks whether a server is fit for its work (C23): limits,
// kernel settings, clock, disk, DNS, memory, open ports. Each check says what it
// found, what is wanted and what to do; those that can be mended are, when that
// is asked for.
//
// The agent's app imports it. It is the home of reading /proc and /sys for
// checks; what it asks of the machine is System, so that tests need no machine.
package preflight

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"time"

	"mailfleet/inventory"
)

// System is what checks ask of a machine. Paths are absolute.
type System interface {
	ReadFile(path string) ([]byte, error)
	ReadDir(path string) ([]string, error)
	ReadLink(path string) (string, error)
	Stat(path string) (Volume, error)
	// Fsync measures how long a small write to a file in dir takes to be durable.
	Fsync(dir string) (time.Duration, error)
	// Synchronised tells whether the kernel's clock is kept right by somebody (adjtimex(2)).
	Synchronised() (bool, error)
	Addresses() ([]netip.Addr, error) // of this machine's interfaces
	// LookupRoot asks the resolver for what every resolver knows.
	LookupRoot(ctx context.Context) error
	LookupHost(ctx context.Context, name string) ([]string, error)
	LookupAddr(ctx context.Context, address string) ([]string, error)
}

// Volume is a file system, and the device it is on.
type Volume struct {
	Major, Minor uint32 // of the device; major 0: there is none
	Bytes, Free  uint64 // free for everybody
	Inodes       uint64 // 0: it does not count them
	FreeInodes   uint64
	Kind         string // tmpfs, nfs, or empty for what is none of these
}

// Facts are what the agent knows of its server.
type Facts struct {
	Dir      string         // of the agent
	Name     string         // of the server in the fleet
	Address  string         // its services listen on
	Agent    int            // pid of the running agent; 0: not known
	Services []Process      // supervised processes
	Units    []string       // supervised systemd units
	Ports    map[int]string // ports that services are to have → name of the service
	Offset   *time.Duration // of our clock, ahead of the controller's; nil: not measured
	OffsetBy time.Duration  // how far it may be wrong
}

// Process is a supervised process.
type Process struct {
	Service string
	PID     int
}

// Names lists every check, in the order they are shown. They are stable: the
// console translates by them.
var Names = []string{
	"open_files", "stack", "processes",
	"file_max", "somaxconn", "syn_backlog", "port_range", "inotify", "swappiness", "overcommit", "huge_pages",
	"clock_offset", "clock_sync", "time_zone",
	"file_system", "disk_type", "disk_space", "disk_inodes", "fsync",
	"memory", "swap",
	"address", "dns_resolver", "dns_forward", "dns_reverse",
	"open_ports", "port_conflicts",
}

// check is one thing looked at.
type check struct {
	name string
	look func(ctx context.Context, s System, f Facts) result
}

// result is what a check found.
type result struct {
	state  inventory.CheckState
	found  inventory.Sentence
	wanted inventory.Sentence
	advice inventory.Sentence // when it is not ok
	fix    *fix               // what would mend it; nil: nothing the agent can do
}

func checks() []check {
	all := []check{
		{"open_files", limitCheck("Max open files", "open_files", 65536, 4096,
			say("raise the limit of open files: every connection and every file of the store takes one"))},
		{"stack", limitCheck("Max stack size", "stack", 8<<20, 1<<20,
			say("raise the limit of the stack: programs with deep recursion or many threads crash without it"))},
		{"processes", limitCheck("Max processes", "processes", 4096, 512,
			say("raise the limit of processes: threads count too, and a service that cannot start one stops"))},
	}
	for _, k := range kernel {
		all = append(all, check{k.name, k.look})
	}
	return append(all,
		check{"huge_pages", hugePages},
		check{"clock_offset", clockOffset}, check{"clock_sync", clockSync}, check{"time_zone", timeZone},
		check{"file_system", fileSystem}, check{"disk_type", diskType}, check{"disk_space", diskSpace},
		check{"disk_inodes", diskInodes}, check{"fsync", fsync},
		check{"memory", memory}, check{"swap", swap},
		check{"address", address}, check{"dns_resolver", resolver}, check{"dns_forward", forward}, check{"dns_reverse", reverse},
		check{"open_ports", openPorts}, check{"port_conflicts", portConflicts},
	)
}

// Look looks at everything.
func Look(ctx context.Context, s System, f Facts) []inventory.Check {
	var found []inventory.Check
	for _, c := range checks() {
		r := c.look(ctx, s, f)
		one := inventory.Check{
			Name: c.name, State: r.state, Found: r.found.String(), Wanted: r.wanted.String(),
			Said: &inventory.CheckSaid{Found: r.found, Wanted: said(r.wanted)},
		}
		if r.state != inventory.CheckOK {
			one.Advice, one.Fixable, one.Said.Advice = r.advice.String(), r.fix != nil, said(r.advice)
		}
		found = append(found, one)
	}
	return found
}

func say(format string, args ...any) inventory.Sentence { return inventory.Say(format, args...) }

// said is a sentence, or nil for none.
func said(s inventory.Sentence) *inventory.Sentence {
	if s.Template == "" {
		return nil
	}
	return &s
}

// skipped is the result of a check that could not be made here.
func skipped(err error) result {
	if errors.Is(err, fs.ErrNotExist) {
		return result{state: inventory.CheckSkipped, found: say("this machine does not tell")}
	}
	return result{state: inventory.CheckSkipped, found: say("cannot be looked at: %v", err)}
}

// grade is ok, or the worse states for values below warn and fail.
func grade[T int64 | uint64 | float64](value, warn, fail T) inventory.CheckState {
	switch {
	case value < fail:
		return inventory.CheckFailed
	case value < warn:
		return inventory.CheckWarning
	default:
		return inventory.CheckOK
	}
}

// Offset asks the controller for its time and returns how far our clock is
// ahead, and by how much that may be wrong; nil when it does not answer.
func Offset(ctx context.Context, clock func(context.Context) (time.Time, error)) (ahead *time.Duration, by time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	began := time.Now()
	there, err := clock(ctx)
	if err != nil {
		return nil, 0
	}
	took := time.Since(began)
	offset := began.Add(took / 2).Sub(there)
	return &offset, took/2 + time.Second/2
}

// Summary says the outcome of checks in one sentence.
func Summary(checks []inventory.Check) inventory.Sentence {
	n := map[inventory.CheckState]int{}
	for _, c := range checks {
		n[c.State]++
	}
	return inventory.Say("%d checks: %d well, %d warnings, %d failed, %d could not be made",
		len(checks), n[inventory.CheckOK], n[inventory.CheckWarning], n[inventory.CheckFailed], n[inventory.CheckSkipped])
}
