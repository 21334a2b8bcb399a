package preflight

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// maxRead bounds what is read of one file.
const maxRead = 4 << 20

// Machine is the machine this runs on. Root is put before all paths of files;
// empty: the real ones.
type Machine struct{ Root string }

var _ System = Machine{}

func (m Machine) path(path string) string { return filepath.Join("/", m.Root, path) }

// ReadFile implements System. A path with .. in it is followed as the kernel does.
func (m Machine) ReadFile(path string) ([]byte, error) {
	f, err := os.Open(m.Root + path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, maxRead))
}

// ReadDir implements System.
func (m Machine) ReadDir(path string) ([]string, error) {
	f, err := os.Open(m.path(path))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return f.Readdirnames(-1)
}

// ReadLink implements System.
func (m Machine) ReadLink(path string) (string, error) { return os.Readlink(m.path(path)) }

// kinds are file systems that are no disk's, by the number statfs(2) gives.
var kinds = map[int64]string{
	unix.TMPFS_MAGIC: "tmpfs", unix.RAMFS_MAGIC: "tmpfs", unix.NFS_SUPER_MAGIC: "nfs",
	unix.SMB_SUPER_MAGIC: "smb", unix.CIFS_SUPER_MAGIC: "smb", unix.SMB2_SUPER_MAGIC: "smb", unix.FUSE_SUPER_MAGIC: "fuse",
}

// Stat implements System.
func (m Machine) Stat(path string) (Volume, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(m.path(path), &fs); err != nil {
		return Volume{}, err
	}
	var st unix.Stat_t
	if err := unix.Stat(m.path(path), &st); err != nil {
		return Volume{}, err
	}
	block := uint64(fs.Bsize)
	return Volume{
		Major: unix.Major(st.Dev), Minor: unix.Minor(st.Dev), Bytes: fs.Blocks * block, Free: fs.Bavail * block,
		Inodes: fs.Files, FreeInodes: fs.Ffree, Kind: kinds[fs.Type],
	}, nil
}

// fsyncs are made to measure one.
const fsyncs = 16

// Fsync implements System: the median of a few.
func (m Machine) Fsync(dir string) (took time.Duration, err error) {
	f, err := os.CreateTemp(m.path(dir), ".fsync-*")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	var times []time.Duration
	page := make([]byte, 4096)
	for range fsyncs {
		began := time.Now()
		if _, err := f.Write(page); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		times = append(times, time.Since(began))
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}

// Synchronised implements System.
func (m Machine) Synchronised() (bool, error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t) // without modes it only reads
	if err != nil {
		return false, err
	}
	return state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, nil
}

// Addresses implements System.
func (m Machine) Addresses() ([]netip.Addr, error) {
	nets, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var all []netip.Addr
	for _, n := range nets {
		if p, err := netip.ParsePrefix(n.String()); err == nil {
			all = append(all, p.Addr().Unmap())
		}
	}
	return all, nil
}

// LookupRoot implements System. A resolver that refuses, or knows no root, answers too.
func (m Machine) LookupRoot(ctx context.Context) error {
	_, err := net.DefaultResolver.LookupNS(ctx, ".")
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
		return nil
	}
	return err
}

// LookupHost implements System.
func (m Machine) LookupHost(ctx context.Context, name string) ([]string, error) {
	return net.DefaultResolver.LookupHost(ctx, name)
}

// LookupAddr implements System.
func (m Machine) LookupAddr(ctx context.Context, address string) ([]string, error) {
	return net.DefaultResolver.LookupAddr(ctx, address)
}
