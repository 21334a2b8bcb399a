package collect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/shirou/gopsutil/v3/common"
	"github.com/shirou/gopsutil/v3/disk"
)

// diskSamples tells the space and inodes of every disk.
func diskSamples(ctx context.Context) ([]Sample, error) {
	// The agent's own view of the mounts, which is what statfs goes by; gopsutil
	// would take that of process 1.
	ctx = context.WithValue(ctx, common.EnvKey, common.EnvMap{"HOST_PROC_MOUNTINFO": "/proc/self/mountinfo"})
	partitions, err := disk.PartitionsWithContext(ctx, true)
	if err != nil {
		return nil, err
	}
	onDisk, err := diskTypes()
	if err != nil {
		return nil, err
	}
	var samples []Sample
	var errs []error
	for _, p := range disks(partitions, onDisk, isDir) {
		u, err := disk.UsageWithContext(ctx, p.Mountpoint)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.Mountpoint, err))
			continue
		}
		samples = append(samples, diskSample(p, u))
	}
	return samples, errors.Join(errs...)
}

func diskSample(p disk.PartitionStat, u *disk.UsageStat) Sample {
	s := Sample{
		Measurement: "disk",
		Tags:        map[string]string{"device": p.Device, "mount": p.Mountpoint},
		Fields: map[string]float64{
			"total":        float64(u.Total),
			"used":         float64(u.Used),
			"free":         float64(u.Free), // to those who are not root
			"used_percent": u.UsedPercent,   // of used and free together
		},
	}
	if u.InodesTotal > 0 { // btrfs and vfat have no such number
		s.Fields["inodes_total"] = float64(u.InodesTotal)
		s.Fields["inodes_used"] = float64(u.InodesUsed)
		s.Fields["inodes_free"] = float64(u.InodesFree)
		s.Fields["inodes_used_percent"] = u.InodesUsedPercent
	}
	return s
}

// disks chooses the mounts to tell of. Those of file systems without a device
// are left out, but for ZFS and a container's root; so are those that cannot be
// written, which are always full, and network file systems, where asking may
// block for ever. Each device is told once, by its whole file system where that
// is mounted, otherwise by the part with the shortest path.
func disks(partitions []disk.PartitionStat, onDisk map[string]bool, isDir func(string) bool) []disk.PartitionStat {
	visible := make(map[string]disk.PartitionStat)
	for _, p := range partitions { // a later mount hides an earlier one
		visible[p.Mountpoint] = p
	}
	chosen := make(map[string]disk.PartitionStat)
	for mount, p := range visible {
		containerRoot := p.Fstype == "overlay" && mount == "/"
		if !onDisk[p.Fstype] && !containerRoot || !isDir(mount) {
			continue
		}
		if old, ok := chosen[p.Device]; !ok || comparePart(p, old) < 0 {
			chosen[p.Device] = p
		}
	}
	var list []disk.PartitionStat
	for _, p := range chosen {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b disk.PartitionStat) int { return strings.Compare(a.Mountpoint, b.Mountpoint) })
	return list
}

// comparePart orders mounts of one device by how well they stand for it.
func comparePart(a, b disk.PartitionStat) int {
	aPart, bPart := slices.Contains(a.Opts, "bind"), slices.Contains(b.Opts, "bind")
	switch {
	case aPart != bPart && aPart:
		return 1
	case aPart != bPart:
		return -1
	case len(a.Mountpoint) != len(b.Mountpoint):
		return len(a.Mountpoint) - len(b.Mountpoint)
	default:
		return strings.Compare(a.Mountpoint, b.Mountpoint)
	}
}

// diskTypes are the kernel's types of file system that lie on a disk and can
// be written.
func diskTypes() (map[string]bool, error) {
	b, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return nil, err
	}
	types := map[string]bool{"zfs": true}
	for line := range strings.Lines(string(b)) {
		if fstype, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "\t"); ok {
			types[fstype] = true
		}
	}
	for _, readOnly := range []string{"squashfs", "iso9660", "udf", "cramfs", "erofs", "romfs"} {
		delete(types, readOnly)
	}
	return types, nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
