package preflight

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"mailfleet/inventory"
)

// fake is a machine made of files and answers.
type fake struct {
	files, links map[string]string
	volume       Volume
	fsync        time.Duration
	synchronised bool
	addresses    []netip.Addr
	root         error
	hosts, names map[string][]string
}

func (f *fake) ReadFile(path string) ([]byte, error) {
	if text, ok := f.files[path]; ok {
		return []byte(text), nil
	}
	return nil, fs.ErrNotExist
}

func (f *fake) ReadDir(dir string) ([]string, error) {
	names := map[string]bool{}
	for _, all := range []map[string]string{f.files, f.links} {
		for name := range all {
			if rest, ok := strings.CutPrefix(name, dir+"/"); ok {
				first, _, _ := strings.Cut(rest, "/")
				names[first] = true
			}
		}
	}
	if len(names) == 0 {
		return nil, fs.ErrNotExist
	}
	return slices.Sorted(maps.Keys(names)), nil
}

func (f *fake) ReadLink(path string) (string, error) {
	if to, ok := f.links[path]; ok {
		return to, nil
	}
	return "", fs.ErrNotExist
}

func (f *fake) Stat(string) (Volume, error)         { return f.volume, nil }
func (f *fake) Fsync(string) (time.Duration, error) { return f.fsync, nil }
func (f *fake) Synchronised() (bool, error)         { return f.synchronised, nil }
func (f *fake) Addresses() ([]netip.Addr, error)    { return f.addresses, nil }
func (f *fake) LookupRoot(context.Context) error    { return f.root }
func lookup(in map[string][]string, name string) ([]string, error) {
	if found, ok := in[name]; ok {
		return slices.Clone(found), nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}
func (f *fake) LookupHost(_ context.Context, n string) ([]string, error) { return lookup(f.hosts, n) }
func (f *fake) LookupAddr(_ context.Context, a string) ([]string, error) { return lookup(f.names, a) }

func limits(files, stack, processes string) string {
	const line = "%-26s%-21s%-21s%s\n"
	return fmt.Sprintf(line, "Limit", "Soft Limit", "Hard Limit", "Units") + fmt.Sprintf(line, "Max stack size", stack, "unlimited", "bytes") +
		fmt.Sprintf(line, "Max processes", processes, processes, "processes") + fmt.Sprintf(line, "Max open files", files, files, "files")
}

// good is a machine with which all is well, and what its agent knows.
func good() (*fake, Facts) {
	offset := 300 * time.Millisecond
	m := &fake{
		files: map[string]string{
			"/proc/100/limits":                            limits("1048576", "8388608", "63000"),
			"/proc/200/limits":                            limits("65536", "unlimited", "63000"),
			"/proc/sys/fs/file-max":                       "9223372036854775807\n",
			"/proc/sys/net/core/somaxconn":                "4096\n",
			"/proc/sys/net/ipv4/tcp_max_syn_backlog":      "4096\n",
			"/proc/sys/net/ipv4/ip_local_port_range":      "32768\t60999\n",
			"/proc/sys/fs/inotify/max_user_watches":       "524288\n",
			"/proc/sys/fs/inotify/max_user_instances":     "8192\n",
			"/proc/sys/vm/swappiness":                     "10\n",
			"/proc/sys/vm/overcommit_memory":              "1\n",
			"/sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
			"/usr/share/zoneinfo/Asia/Shanghai":           "TZif2",
			"/sys/dev/block/8:1/../queue/rotational":      "0\n",
			"/proc/meminfo":                               "MemTotal:        8000000 kB\nMemFree: 1 kB\nSwapTotal:       1000000 kB\nSwapFree:        900000 kB\n",
			"/proc/net/tcp":                               tcp("0100007F:0CEA 0A 1", "0A0200C0:0019 0A 2", "00000000:0016 0A 3", "00000000:0050 01 4"),
			"/proc/net/tcp6":                              tcp("00000000000000000000000000000000:266B 0A 5"),
			"/proc/200/comm":                              "mailfleet-mailn\n",
			"/proc/300/comm":                              "sshd\n",
			"/proc/100/comm":                              "mailfleet-agent\n",
			"/proc/200/environ":                           "PATH=/bin\x00MAILFLEET_SERVICE=x:mailnode:y\x00",
		},
		links: map[string]string{
			"/etc/localtime": "/usr/share/zoneinfo/Asia/Shanghai",
			"/proc/200/fd/3": "socket:[2]", "/proc/300/fd/3": "socket:[3]", "/proc/100/fd/9": "socket:[5]", "/proc/200/fd/4": "/dev/null",
		},
		volume:       Volume{Major: 8, Minor: 1, Bytes: 100 * gib, Free: 50 * gib, Inodes: 1000, FreeInodes: 900},
		fsync:        2 * time.Millisecond,
		synchronised: true,
		addresses:    []netip.Addr{netip.MustParseAddr("192.0.2.10")},
		hosts:        map[string][]string{"mx1.example.test": {"192.0.2.10"}},
		names:        map[string][]string{"192.0.2.10": {"mx1.example.test."}},
	}
	return m, Facts{
		Dir: "/var/lib/mailfleet-agent", Name: "mx1.example.test", Address: "192.0.2.10", Agent: 100,
		Services: []Process{{"mailnode", 200}}, Ports: map[int]string{25: "mailnode"}, Offset: &offset,
	}
}

// tcp writes /proc/net/tcp from words of address, state and inode.
func tcp(sockets ...string) string {
	text := "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	for i, s := range sockets {
		f := strings.Fields(s)
		text += fmt.Sprintf("%4d: %s 00000000:0000 %s 00000000:00000000 00:00000000 00000000     0        0 %s 1\n", i, f[0], f[1], f[2])
	}
	return text
}

func TestAllIsWellOnAGoodServer(t *testing.T) {
	m, facts := good()
	checks := Look(t.Context(), m, facts)
	var names []string
	for _, c := range checks {
		names = append(names, c.Name)
		if c.State != inventory.CheckOK || c.Found == "" || c.Wanted == "" || c.Advice != "" || c.Fixable {
			t.Errorf("%+v", c)
		}
	}
	if !slices.Equal(names, Names) {
		t.Errorf("the names are %v", names)
	}
}

func TestEachCheckFindsWhatIsWrong(t *testing.T) {
	minute := -time.Minute
	for _, test := range []struct {
		check  string
		change func(*fake, *Facts)
		state  inventory.CheckState
		found  string // part of it
	}{
		{"open_files", func(m *fake, _ *Facts) { m.files["/proc/200/limits"] = limits("1024", "8388608", "63000") }, inventory.CheckFailed, "1024, of mailnode"},
		{"open_files", func(m *fake, _ *Facts) { m.files["/proc/100/limits"] = limits("20000", "8388608", "63000") }, inventory.CheckWarning, "20000, of the agent"},
		{"open_files", func(m *fake, f *Facts) {
			f.Agent, f.Services = 0, nil
			m.files["/proc/self/limits"] = limits("20000", "1", "1")
		}, inventory.CheckWarning, "of this process"},
		{"open_files", func(_ *fake, f *Facts) { f.Agent, f.Services = 0, nil }, inventory.CheckSkipped, "does not tell"},
		{"stack", func(m *fake, _ *Facts) { m.files["/proc/200/limits"] = limits("65536", "65536", "63000") }, inventory.CheckFailed, "65536"},
		{"processes", func(m *fake, _ *Facts) { m.files["/proc/200/limits"] = limits("65536", "8388608", "100") }, inventory.CheckFailed, "100"},
		{"file_max", func(m *fake, _ *Facts) { m.files["/proc/sys/fs/file-max"] = "100000" }, inventory.CheckWarning, "100000"},
		{"somaxconn", func(m *fake, _ *Facts) { m.files["/proc/sys/net/core/somaxconn"] = "64" }, inventory.CheckFailed, "64"},
		{"somaxconn", func(m *fake, _ *Facts) { m.files["/proc/sys/net/core/somaxconn"] = "many" }, inventory.CheckSkipped, "many"},
		{"somaxconn", func(m *fake, _ *Facts) { delete(m.files, "/proc/sys/net/core/somaxconn") }, inventory.CheckSkipped, "does not tell"},
		{"syn_backlog", func(m *fake, _ *Facts) { m.files["/proc/sys/net/ipv4/tcp_max_syn_backlog"] = "512" }, inventory.CheckWarning, "512"},
		{"port_range", func(m *fake, _ *Facts) { m.files["/proc/sys/net/ipv4/ip_local_port_range"] = "50000 60000" }, inventory.CheckWarning, "50000 60000"},
		{"inotify", func(m *fake, _ *Facts) { m.files["/proc/sys/fs/inotify/max_user_watches"] = "8192" }, inventory.CheckWarning, "8192, 8192"},
		{"swappiness", func(m *fake, _ *Facts) { m.files["/proc/sys/vm/swappiness"] = "60" }, inventory.CheckWarning, "60"},
		{"overcommit", func(m *fake, _ *Facts) { m.files["/proc/sys/vm/overcommit_memory"] = "2" }, inventory.CheckWarning, "2"},
		{"huge_pages", func(m *fake, _ *Facts) { m.files[hugePageFile] = "[always] madvise never" }, inventory.CheckWarning, "always"},
		{"clock_offset", func(_ *fake, f *Facts) { f.Offset = &minute }, inventory.CheckFailed, "1m0s behind"},
		{"clock_offset", func(_ *fake, f *Facts) { off := 5 * time.Second; f.Offset = &off }, inventory.CheckWarning, "5s ahead"},
		{"clock_offset", func(_ *fake, f *Facts) { off := 5 * time.Second; f.Offset, f.OffsetBy = &off, 4*time.Second }, inventory.CheckOK, "5s ahead"},
		{"clock_offset", func(_ *fake, f *Facts) { f.Offset = nil }, inventory.CheckSkipped, "not asked"},
		{"clock_sync", func(m *fake, _ *Facts) { m.synchronised = false }, inventory.CheckWarning, "nobody"},
		{"time_zone", func(m *fake, _ *Facts) { delete(m.files, "/usr/share/zoneinfo/Asia/Shanghai") }, inventory.CheckWarning, "not installed"},
		{"file_system", func(m *fake, _ *Facts) { m.volume.Kind = "tmpfs" }, inventory.CheckFailed, "tmpfs"},
		{"file_system", func(m *fake, _ *Facts) { m.volume.Kind = "nfs" }, inventory.CheckWarning, "nfs"},
		{"disk_type", func(m *fake, _ *Facts) { m.files["/sys/dev/block/8:1/../queue/rotational"] = "1" }, inventory.CheckWarning, "spinning"},
		{"disk_type", func(m *fake, _ *Facts) {
			m.files["/sys/dev/block/8:1/../queue/rotational"] = "1"
			m.links["/sys/dev/block/8:1"] = "../../devices/virtio0/block/vda/vda1"
		}, inventory.CheckOK, "virtual"},
		{"disk_type", func(m *fake, _ *Facts) { m.volume.Major = 0 }, inventory.CheckSkipped, "not on a device"},
		{"disk_space", func(m *fake, _ *Facts) { m.volume.Free = 10 * gib }, inventory.CheckWarning, "10 %"},
		{"disk_space", func(m *fake, _ *Facts) { m.volume.Free = gib / 2 }, inventory.CheckFailed, "0.5 GB"},
		{"disk_inodes", func(m *fake, _ *Facts) { m.volume.FreeInodes = 10 }, inventory.CheckFailed, "1 %"},
		{"disk_inodes", func(m *fake, _ *Facts) { m.volume.Inodes = 0 }, inventory.CheckOK, "not limited"},
		{"fsync", func(m *fake, _ *Facts) { m.fsync = 30 * time.Millisecond }, inventory.CheckWarning, "30ms"},
		{"fsync", func(m *fake, _ *Facts) { m.fsync = time.Second }, inventory.CheckFailed, "1s"},
		{"memory", func(m *fake, _ *Facts) { m.files["/proc/meminfo"] = "MemTotal: 300000 kB\n" }, inventory.CheckFailed, "0.3 GB"},
		{"memory", func(m *fake, _ *Facts) { m.files["/proc/meminfo"] = "nothing\n" }, inventory.CheckSkipped, "MemTotal"},
		{"swap", func(m *fake, _ *Facts) { m.files["/proc/meminfo"] = "MemTotal: 1000000 kB\n" }, inventory.CheckWarning, "none"},
		{"swap", func(m *fake, _ *Facts) {
			m.files["/proc/meminfo"] = "MemTotal: 8000000 kB\nSwapTotal: 1000000 kB\nSwapFree: 0 kB\n"
		}, inventory.CheckWarning, "1.0 GB of 1.0 GB"},
		{"address", func(m *fake, _ *Facts) { m.addresses = nil }, inventory.CheckFailed, "on no interface"},
		{"address", func(_ *fake, f *Facts) { f.Address = "127.0.10.1" }, inventory.CheckOK, "127.0.10.1"},
		{"dns_resolver", func(m *fake, _ *Facts) { m.root = errors.New("i/o timeout") }, inventory.CheckFailed, "no answer: i/o timeout"},
		{"dns_forward", func(m *fake, _ *Facts) { m.hosts["mx1.example.test"] = []string{"192.0.2.99"} }, inventory.CheckWarning, "192.0.2.99"},
		{"dns_forward", func(m *fake, _ *Facts) { m.hosts = nil }, inventory.CheckWarning, "no such host"},
		{"dns_forward", func(_ *fake, f *Facts) { f.Address = "127.0.10.1" }, inventory.CheckSkipped, "loopback"},
		{"dns_reverse", func(m *fake, _ *Facts) { m.names["192.0.2.10"] = []string{"pool-10.isp.test."} }, inventory.CheckWarning, "pool-10.isp.test"},
		{"dns_reverse", func(_ *fake, f *Facts) { f.Name = "mx1" }, inventory.CheckSkipped, "not a full host name"},
		{"open_ports", func(m *fake, _ *Facts) {
			m.files["/proc/net/tcp"] += tcp("00000000:006F 0A 7", "0100007F:0277 0A 8", "0A0200C0:1F90 0A 9")
			m.files["/proc/400/comm"], m.links["/proc/400/fd/5"] = "rpcbind\n", "socket:[7]"
		}, inventory.CheckWarning, "0.0.0.0:111 (rpcbind), 192.0.2.10:8080 (somebody unseen)"},
		{"open_ports", func(m *fake, f *Facts) {
			m.files["/proc/net/tcp"] += tcp("00000000:0185 0A 7")
			m.files["/proc/400/comm"], m.links["/proc/400/fd/5"] = "slapd\n", "socket:[7]"
			m.files["/proc/400/cgroup"], f.Units = "0::/system.slice/slapd.service\n", []string{"slapd.service"}
		}, inventory.CheckOK, "none"},
		{"port_conflicts", func(m *fake, _ *Facts) {
			m.files["/proc/net/tcp"] = tcp("00000000:0019 0A 7")
			m.files["/proc/400/comm"], m.links["/proc/400/fd/5"] = "master\n", "socket:[7]"
		}, inventory.CheckFailed, "0.0.0.0:25 of mailnode is held by master"},
		{"port_conflicts", func(_ *fake, f *Facts) { f.Ports = nil }, inventory.CheckSkipped, "no ports"},
	} {
		m, facts := good()
		test.change(m, &facts)
		for _, c := range Look(t.Context(), m, facts) {
			if c.Name != test.check {
				continue
			}
			if c.State != test.state || !strings.Contains(c.Found, test.found) {
				t.Errorf("%s: got %s %q, want %s %q", c.Name, c.State, c.Found, test.state, test.found)
			}
			if bad := c.State == inventory.CheckWarning || c.State == inventory.CheckFailed; bad && (c.Advice == "" || c.Wanted == "" || c.Fixable != Fixable(c.Name)) {
				t.Errorf("%s has no advice, or is fixable by mistake: %+v", c.Name, c)
			}
		}
	}
}

func TestTheMachineItselfAnswers(t *testing.T) {
	dir := t.TempDir()
	for _, c := range Look(t.Context(), Machine{}, Facts{Dir: dir, Address: "127.0.0.1"}) {
		switch c.Name {
		case "open_files", "processes", "disk_space", "fsync", "memory", "open_ports", "address", "file_system":
			if c.State == inventory.CheckSkipped {
				t.Errorf("this machine does not tell: %+v", c)
			}
		}
	}
	if left, err := (Machine{}).ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("files are left: %v %v", left, err)
	}
}

func TestOffsetIsHalfTheWayThere(t *testing.T) {
	ahead, by := Offset(t.Context(), func(context.Context) (time.Time, error) { return time.Now().Add(-time.Hour), nil })
	if ahead == nil || (*ahead-time.Hour).Abs() > 30*time.Second || by < time.Second/2 {
		t.Errorf("ahead by %v, within %v", ahead, by)
	}
	if ahead, _ := Offset(t.Context(), func(context.Context) (time.Time, error) { return time.Time{}, errors.New("away") }); ahead != nil {
		t.Errorf("measured without a controller: %v", ahead)
	}
}

func FuzzSockets(f *testing.F) {
	f.Add(tcp("0100007F:0019 0A 12", "00000000000000000000000001000000:0050 0A 3"))
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range parseSockets([]byte(text)) {
			if !s.at.IsValid() || s.inode == "" {
				t.Errorf("%q gives %+v", text, s)
			}
		}
		_, _ = parseLimit([]byte(text), "Max open files")
		_ = path.Base(chosen(text))
	})
}
