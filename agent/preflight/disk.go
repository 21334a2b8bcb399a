package preflight

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mailfleet/inventory"
)

const gib = 1 << 30

// fileSystem looks what mail would be kept on.
func fileSystem(_ context.Context, s System, f Facts) result {
	v, err := s.Stat(f.Dir)
	if err != nil {
		return skipped(err)
	}
	r := result{state: inventory.CheckOK, found: say("%s", v.Kind), wanted: say("a local disk, ext4 or xfs for instance")}
	switch v.Kind {
	case "tmpfs":
		r.state, r.advice = inventory.CheckFailed, say("keep %s on a disk: this is memory, and mail would be gone with the power", f.Dir)
	case "nfs", "smb", "fuse":
		r.state, r.advice = inventory.CheckWarning, say("keep %s on a disk of this machine: the store needs locks and fsync that can be trusted", f.Dir)
	case "":
		r.found = say("a file system of a disk")
	}
	return r
}

// diskType tells spinning disks, on which each fsync costs a turn.
func diskType(_ context.Context, s System, f Facts) result {
	v, err := s.Stat(f.Dir)
	if err != nil {
		return skipped(err)
	}
	if v.Major == 0 {
		return result{state: inventory.CheckSkipped, found: say("not on a device of its own")}
	}
	device := fmt.Sprintf("/sys/dev/block/%d:%d", v.Major, v.Minor)
	text, err := s.ReadFile(device + "/queue/rotational")
	if err != nil { // a partition: its disk knows
		text, err = s.ReadFile(device + "/../queue/rotational")
	}
	if err != nil {
		return skipped(err)
	}
	if link, err := s.ReadLink(device); err == nil && virtual(link) {
		return result{state: inventory.CheckOK, found: say("virtual: what is below is not told"), wanted: say("solid state")}
	}
	if strings.TrimSpace(string(text)) == "1" {
		return result{
			state: inventory.CheckWarning, found: say("spinning"), wanted: say("solid state"),
			advice: say("keep mail on a solid-state disk, or behind a controller with a battery: a spinning one makes about 100 writes a second durable"),
		}
	}
	return result{state: inventory.CheckOK, found: say("solid state"), wanted: say("solid state")}
}

// virtual tells disks that a hypervisor makes up: it calls them spinning
// whatever they are.
func virtual(link string) bool {
	for part := range strings.SplitSeq(link, "/") {
		if strings.HasPrefix(part, "virtio") || strings.HasPrefix(part, "xvd") {
			return true
		}
	}
	return false
}

func diskSpace(_ context.Context, s System, f Facts) result {
	v, err := s.Stat(f.Dir)
	if err != nil {
		return skipped(err)
	}
	percent := 100 * float64(v.Free) / max(1, float64(v.Bytes))
	return result{
		state: worse(grade(percent, 15, 5), grade(v.Free, 4*gib, gib)), found: say("%.1f GB free, %.0f %%", float64(v.Free)/1e9, percent),
		wanted: say("15 %% and 4 GB free"), advice: say("make room, or mail is turned away when the disk is full"),
	}
}

func worse(a, b inventory.CheckState) inventory.CheckState {
	if a == inventory.CheckFailed || b == inventory.CheckOK {
		return a
	}
	return b
}

func diskInodes(_ context.Context, s System, f Facts) result {
	v, err := s.Stat(f.Dir)
	if err != nil {
		return skipped(err)
	}
	if v.Inodes == 0 {
		return result{state: inventory.CheckOK, found: say("not limited"), wanted: say("10 %% free")}
	}
	percent := 100 * float64(v.FreeInodes) / float64(v.Inodes)
	return result{
		state: grade(percent, 10, 2), found: say("%d free, %.0f %%", v.FreeInodes, percent), wanted: say("10 %% free"),
		advice: say("remove files that are not needed: without inodes no file can be made, however much space there is"),
	}
}

// fsync measures what each delivery waits for.
func fsync(_ context.Context, s System, f Facts) result {
	took, err := s.Fsync(f.Dir)
	if err != nil {
		return skipped(err)
	}
	r := result{
		state: inventory.CheckOK, found: say("%s", took.Round(10*time.Microsecond)), wanted: say("at most 10ms"),
		advice: say("find out why writes take so long to be durable (a busy or spinning disk, a network volume): every delivery waits for it"),
	}
	switch {
	case took > 100*time.Millisecond:
		r.state = inventory.CheckFailed
	case took > 10*time.Millisecond:
		r.state = inventory.CheckWarning
	}
	return r
}

func memory(_ context.Context, s System, _ Facts) result {
	m, err := memInfo(s)
	if err != nil {
		return skipped(err)
	}
	return result{
		state: grade(m["MemTotal"], 950<<20, 400<<20), found: say("%s", size(m["MemTotal"])), wanted: say("at least 1 GB"),
		advice: say("give the machine more memory: mail services and the kernel's cache of files live on it"),
	}
}

// swap looks whether memory runs short: much of it lies on the disk, or there is
// nothing to fall back on.
func swap(_ context.Context, s System, _ Facts) result {
	m, err := memInfo(s)
	if err != nil {
		return skipped(err)
	}
	total, used := m["SwapTotal"], m["SwapTotal"]-min(m["SwapFree"], m["SwapTotal"])
	r := result{state: inventory.CheckOK, found: say("%s of %s used", size(used), size(total)), wanted: say("little used; with less than 2 GB of memory, some")}
	switch {
	case total == 0 && m["MemTotal"] < 1900<<20:
		r.state, r.found, r.advice = inventory.CheckWarning, say("none"), say("add a gigabyte of swap: with so little memory a peak ends a service")
	case total == 0:
		r.found = say("none")
	case used > total/2:
		r.state, r.advice = inventory.CheckWarning, say("find out what takes the memory, or add some: a machine that swaps answers late")
	}
	return r
}

func size(n uint64) string { return fmt.Sprintf("%.1f GB", float64(n)/gib) }

// memInfo reads /proc/meminfo, in bytes.
func memInfo(s System) (map[string]uint64, error) {
	text, err := s.ReadFile("/proc/meminfo")
	if err != nil {
		return nil, err
	}
	m := map[string]uint64{}
	for line := range bytes.Lines(text) {
		name, rest, ok := strings.Cut(string(line), ":")
		fields := strings.Fields(rest)
		if !ok || len(fields) == 0 {
			continue
		}
		if n, err := strconv.ParseUint(fields[0], 10, 50); err == nil {
			m[name] = n << 10
		}
	}
	if m["MemTotal"] == 0 {
		return nil, fmt.Errorf("/proc/meminfo has no MemTotal")
	}
	return m, nil
}
