package collect

import (
	"context"
	"errors"
	"math"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/disk"
	"golang.org/x/sys/unix"
)

// one returns the sample of a measurement that has the tag, if it is given.
func one(t *testing.T, samples []Sample, measurement, tag, value string) Sample {
	t.Helper()
	for _, s := range samples {
		if s.Measurement == measurement && s.Tags[tag] == value {
			return s
		}
	}
	t.Fatalf("no sample %s %s=%s in %+v", measurement, tag, value, samples)
	return Sample{}
}

func collectAll(t *testing.T, c *Collector) []Sample {
	t.Helper()
	samples, err := c.Collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return samples
}

func TestEveryFigureOfMissionC4IsThere(t *testing.T) {
	names := make(map[string]bool)
	for _, r := range Readings(collectAll(t, New())) {
		names[r.Metric] = true
		if r.Value < 0 {
			t.Errorf("%s %v is %v", r.Metric, r.Tags, r.Value)
		}
		if strings.HasSuffix(r.Metric, "_percent") && r.Value > 100 {
			t.Errorf("%s %v is %v", r.Metric, r.Tags, r.Value)
		}
	}
	for measurement, fields := range map[string]string{
		"load": "load1 load5 load15 processes",
		"cpu":  "user system nice idle iowait steal",
		"mem":  "total used free used_percent available cached buffers shared",
		"swap": "total used free used_percent cached shared",
		"disk": "total used free used_percent inodes_total inodes_used inodes_free inodes_used_percent",
		"net":  "bytes_recv bytes_sent packets_recv packets_sent errin errout",
	} {
		for field := range strings.FieldsSeq(fields) {
			if !names[measurement+"_"+field] {
				t.Errorf("%s_%s is missing", measurement, field)
			}
		}
	}
}

func TestCPUSharesAreOfTheTimeSinceTheLastCollection(t *testing.T) {
	c := New()
	first := one(t, collectAll(t, c), "cpu", "", "")
	for start := time.Now(); time.Since(start) < minStretch; {
		// keeps one CPU busy
	}
	second := one(t, collectAll(t, c), "cpu", "", "")
	for _, s := range []Sample{first, second} {
		var sum float64
		for _, v := range s.Fields {
			sum += v
		}
		if math.Abs(sum-100) > 0.01 {
			t.Fatalf("%v sums up to %v", s.Fields, sum)
		}
	}
	// Half of that at least must show, whoever else runs.
	if share := 50 / float64(cpus(t)); second.Fields["user"] < share {
		t.Fatalf("user is %v, want %v at least", second.Fields["user"], share)
	}
}

func cpus(t *testing.T) int {
	n, err := cpu.Counts(true)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestCPUSharesAreRepeatedWhenAskedTooSoon(t *testing.T) {
	c := New()
	first := one(t, collectAll(t, c), "cpu", "", "")
	second := one(t, collectAll(t, c), "cpu", "", "")
	for field, v := range first.Fields {
		if second.Fields[field] != v {
			t.Fatalf("first %v, then %v", first.Fields, second.Fields)
		}
	}
}

func TestShares(t *testing.T) {
	before := cpu.TimesStat{User: 100, System: 50, Nice: 1, Idle: 1000, Iowait: 10, Irq: 1, Softirq: 2, Steal: 5}
	after := cpu.TimesStat{User: 120, System: 55, Nice: 6, Idle: 1050, Iowait: 9, Irq: 4, Softirq: 4, Steal: 15}
	got := shares(before, after)
	for field, want := range map[string]float64{"user": 21.0526, "system": 10.5263, "nice": 5.2632, "idle": 52.6316, "iowait": 0, "steal": 10.5263} {
		if math.Abs(got[field]-want) > 0.001 {
			t.Errorf("%s is %v, want %v", field, got[field], want)
		}
	}
	if got := shares(after, after); got != nil {
		t.Errorf("shares of no time: %v", got)
	}
}

func TestDisksAgreeWithTheKernel(t *testing.T) {
	var want unix.Statfs_t
	if err := unix.Statfs("/", &want); err != nil {
		t.Fatal(err)
	}
	samples, err := diskSamples(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	root := one(t, samples, "disk", "mount", "/")
	if root.Tags["device"] == "" {
		t.Fatalf("tags are %v", root.Tags)
	}
	if got, want := root.Fields["total"], float64(want.Blocks)*float64(want.Bsize); got != want {
		t.Fatalf("total is %v, want %v", got, want)
	}
	if got, want := root.Fields["inodes_total"], float64(want.Files); got != want {
		t.Fatalf("inodes_total is %v, want %v", got, want)
	}
}

func TestDisksChoosesEachDeviceOnce(t *testing.T) {
	part := func(device, mount, fstype string, opts ...string) disk.PartitionStat {
		return disk.PartitionStat{Device: device, Mountpoint: mount, Fstype: fstype, Opts: opts}
	}
	onDisk := map[string]bool{"ext4": true, "btrfs": true, "zfs": true}
	for _, c := range []struct {
		name   string
		mounts []disk.PartitionStat
		want   string
	}{
		{"pseudo file systems", []disk.PartitionStat{
			part("proc", "/proc", "proc"), part("tmpfs", "/run", "tmpfs"), part("/dev/sda1", "/", "ext4"), part("host:/home", "/home", "nfs4"),
		}, "/"},
		{"a container", []disk.PartitionStat{
			part("overlay", "/", "overlay"), part("/dev/sda1", "/etc/hosts", "ext4", "rw", "bind"), part("/dev/sda1", "/var/lib/mail", "ext4", "rw", "bind"),
			part("overlay", "/merged", "overlay"),
		}, "/ /var/lib/mail"},
		{"subvolumes and binds", []disk.PartitionStat{
			part("/dev/sdb", "/a", "btrfs", "bind"), part("/dev/sdb", "/whole/volume", "btrfs"), part("/dev/sdb", "/whole/volume/again", "btrfs"),
		}, "/whole/volume"},
		{"data sets", []disk.PartitionStat{part("pool/a", "/a", "zfs"), part("pool/b", "/b", "zfs")}, "/a /b"},
		{"hidden", []disk.PartitionStat{part("/dev/sda1", "/mnt", "ext4"), part("/dev/sdb1", "/mnt", "ext4")}, "/mnt"},
	} {
		got := disks(c.mounts, onDisk, func(path string) bool { return path != "/etc/hosts" })
		var mounts []string
		for _, p := range got {
			mounts = append(mounts, p.Mountpoint)
		}
		if s := strings.Join(mounts, " "); s != c.want {
			t.Errorf("%s: %s, want %s", c.name, s, c.want)
		}
	}
}

func TestNetCountsWhatWasSent(t *testing.T) {
	const size = 1 << 20
	loopback := func() Sample {
		samples, err := netSamples(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return one(t, samples, "net", "interface", "lo")
	}
	before := loopback()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	sent := make(chan error, 1)
	go func() {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			_, err = conn.Write(make([]byte, size))
			err = errors.Join(err, conn.Close())
		}
		sent <- err
	}()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for n, b := 0, make([]byte, 64<<10); n < size; {
		k, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		n += k
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	after := loopback()
	for _, field := range []string{"bytes_recv", "bytes_sent"} {
		if after.Fields[field] < before.Fields[field]+size {
			t.Errorf("%s went from %v to %v", field, before.Fields[field], after.Fields[field])
		}
	}
}

type fakeSource struct {
	samples []Sample
	err     error
	hangs   bool
}

func (f fakeSource) Name() string { return "fake" }
func (f fakeSource) Collect(ctx context.Context) ([]Sample, error) {
	if f.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return f.samples, f.err
}

func TestSourceThatFailsCostsOnlyItsOwnSamples(t *testing.T) {
	good := fakeSource{samples: []Sample{{Measurement: "mail", Fields: map[string]float64{"received": 3, "ratio": math.NaN()}}}}
	c := New(fakeSource{err: errors.New("nobody answers")}, good)
	samples, err := c.Collect(t.Context())
	if err == nil || err.Error() != "collect fake: nobody answers" {
		t.Fatalf("error is %v", err)
	}
	one(t, samples, "load", "", "")
	mail := one(t, samples, "mail", "", "")
	if len(mail.Fields) != 1 || mail.Fields["received"] != 3 {
		t.Fatalf("fields are %v: what is no number must go", mail.Fields)
	}
}

func TestSourceThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Collector{other: []Source{fakeSource{hangs: true}, fakeSource{samples: []Sample{{Measurement: "mail"}}}}}
		start := time.Now()
		samples, err := c.Collect(t.Context())
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != sourceTimeout {
			t.Fatalf("%v after %v", err, time.Since(start))
		}
		one(t, samples, "mail", "", "")
	})
}

func BenchmarkCollect(b *testing.B) {
	c := New()
	if _, err := c.Collect(b.Context()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := c.Collect(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func TestOnlyTheFiguresThatRulesUseAreTaken(t *testing.T) {
	c := New(fakeSource{samples: []Sample{{Measurement: "mail", Fields: map[string]float64{"received": 1}}}})
	samples, err := c.CollectFor(t.Context(), []string{"load_load5", "swap_used_percent"})
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]bool)
	for _, r := range Readings(samples) {
		got[r.Metric] = true
	}
	for metric, want := range map[string]bool{
		"load_load5": true, "swap_used_percent": true, "mail_received": true,
		"load_processes": false, "disk_used_percent": false, "cpu_user": false,
	} {
		if got[metric] != want {
			t.Errorf("%s is there: %t", metric, got[metric])
		}
	}
}
