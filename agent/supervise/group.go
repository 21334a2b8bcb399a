package supervise

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"mailfleet/inventory"
)

// cgroups makes cgroups, version 2 (the kernel's cgroup-v2.rst): one for each
// service that has a limit of memory or processors, below mailfleet/<agent> in
// the mounted hierarchy.
type cgroups struct {
	mount string // "": there is none
	agent string // name of this agent's own directory
}

// findCgroups looks for the mounted hierarchy.
func findCgroups(mounts []byte, agent string) cgroups {
	for line := range bytes.Lines(mounts) {
		if f := strings.Fields(string(line)); len(f) > 2 && f[2] == "cgroup2" {
			return cgroups{mount: unescape(f[1]), agent: agent}
		}
	}
	return cgroups{}
}

// unescape undoes what proc_mounts(5) does to spaces.
func unescape(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}

// cpuPeriod is the time a limit of processors is kept over, in microseconds.
const cpuPeriod = 100_000

// settings are the files of a cgroup that put the limits in force, by controller.
func groupSettings(l inventory.ProcessLimits) map[string][][2]string {
	set := map[string][][2]string{}
	if l.Memory > 0 {
		set["memory"] = [][2]string{{"memory.max", strconv.FormatInt(l.Memory, 10)}, {"memory.oom.group", "1"}}
	}
	if l.CPU > 0 {
		set["cpu"] = [][2]string{{"cpu.max", fmt.Sprintf("%d %d", int64(l.CPU*cpuPeriod), cpuPeriod)}}
	}
	return set
}

// make makes the cgroup of a service and opens its directory.
func (c cgroups) make(service string, l inventory.ProcessLimits) (*os.File, error) {
	if c.mount == "" {
		return nil, inventory.Fail("there are no version 2 cgroups on this server")
	}
	have, err := os.ReadFile(filepath.Join(c.mount, "cgroup.controllers"))
	if err != nil {
		return nil, err
	}
	set := groupSettings(l)
	dir := c.mount
	for _, name := range []string{"mailfleet", c.agent, service} {
		for controller := range set {
			if !slices.Contains(strings.Fields(string(have)), controller) {
				return nil, inventory.Fail("the %s controller is not one of this server's version 2 cgroups", controller)
			}
			if err := writeFile(filepath.Join(dir, "cgroup.subtree_control"), "+"+controller); err != nil {
				return nil, err
			}
		}
		dir = filepath.Join(dir, name)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
	}
	for _, files := range set {
		for _, f := range files {
			if err := writeFile(filepath.Join(dir, f[0]), f[1]); err != nil {
				return nil, err
			}
		}
	}
	return os.Open(dir)
}

// writeFile sets a file that the kernel has made.
func writeFile(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// group makes the service's cgroup, if it needs one. Without it the service
// runs all the same; note says what is amiss.
func (s *service) group(l inventory.ProcessLimits) (dir *os.File, note inventory.Sentence) {
	s.dropGroup()
	if len(groupSettings(l)) == 0 {
		return nil, note
	}
	dir, err := s.sup.groups.make(s.name, l)
	if err != nil {
		s.log.Warn("limits of memory and processors are not in force", "err", err)
		return nil, inventory.Say("limits of memory and processors are not in force: %v", err)
	}
	return dir, note
}

// dropGroup removes the cgroup of an earlier process; one with processes in it stays.
func (s *service) dropGroup() {
	if s.record.Group != "" {
		_ = os.Remove(s.record.Group)
		s.record.Group = ""
	}
}

// outOfMemory adds to how a process ended whether the kernel ended processes of the
// service for want of memory.
func (s *service) outOfMemory(exit inventory.Sentence) inventory.Sentence {
	if s.record.Group == "" {
		return exit
	}
	b, err := os.ReadFile(filepath.Join(s.record.Group, "memory.events"))
	if err != nil {
		return exit
	}
	for line := range bytes.Lines(b) {
		if f := strings.Fields(string(line)); len(f) == 2 && f[0] == "oom_kill" && f[1] != "0" {
			return inventory.Say("%s: its limit of memory was reached", exit)
		}
	}
	return exit
}
