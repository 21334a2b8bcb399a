package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"mailfleet/agent/uplink"
	"mailfleet/controller/api"
	"mailfleet/controller/e2e/fleettest"
	"mailfleet/inventory"
)

const (
	arriveOver = 20 * time.Second // they first come, as machines that are switched on do
	backLimit  = 3 * time.Minute  // for all to be back
	quiet      = 10 * time.Second // before the controller's memory is read
)

// crowdSuite measures one controller with thousands of agents that run in this
// process: each has joined, keeps the real link with a certificate of its own,
// follows its desired state, reports and samples as an agent does. They do not
// gossip, so the controller has less company than it would have and takes each
// for suspect, and down as soon as its link is gone, which is the most work.
func crowdSuite(ctx context.Context, s settings) (rows []Row, err error) {
	f, err := start(ctx, s, "--servers", "1")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Stop(), os.RemoveAll(f.Dir)) }()
	dir, err := os.MkdirTemp("/dev/shm", "mf") // 15,000 files that need not last
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	// It would tell of each, which is not what is measured.
	if err := noRules(ctx, f.Client()); err != nil {
		return nil, err
	}
	fmt.Printf("%d agents join …\n", s.crowd)
	began := time.Now()
	crowd, err := newCrowd(ctx, f, dir, s.crowd)
	if err != nil {
		return nil, err
	}
	fmt.Printf("they have joined in %.0f s and come …\n", time.Since(began).Seconds())
	living, leave := context.WithCancel(ctx)
	defer func() { leave(); crowd.wg.Wait() }()
	crowd.live(living)
	if _, err := crowd.back(ctx, time.Now()); err != nil {
		return nil, err
	}
	pid, memory, err := controllerAtRest(ctx, f)
	if err != nil {
		return nil, err
	}
	rows = append(rows, atMost(fmt.Sprintf("controller of %d agents: resident, at rest", s.crowd), memory, "MB", 1024))

	peak := watchMemory(ctx, pid)
	cut := time.Now()
	crowd.lose()
	if err := cutLinks(f.Info.Console); err != nil {
		return nil, err
	}
	took, err := crowd.back(ctx, cut)
	if err != nil {
		return nil, err
	}
	rows = append(rows,
		atMost(fmt.Sprintf("%d links cut: all agents back", s.crowd), took.Seconds(), "s", 60),
		noted(fmt.Sprintf("%d links cut: most links accepted in a second", s.crowd), mostAccepted(f, cut), "links/s"),
		atMost(fmt.Sprintf("%d links cut: controller resident, peak", s.crowd), peak(), "MB", 1024))

	killed := time.Now()
	crowd.lose()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return nil, err
	}
	if took, err = crowd.back(ctx, killed); err != nil {
		return nil, err
	}
	if pid, memory, err = controllerAtRest(ctx, f); err != nil {
		return nil, err
	}
	rows = append(rows,
		atMost(fmt.Sprintf("controller killed: all %d agents back", s.crowd), took.Seconds(), "s", 60),
		noted("controller killed: most links accepted in a second", mostAccepted(f, killed), "links/s"),
		atMost("controller killed: resident, after all are back", memory, "MB", 1024))
	share, err := idle(ctx, quiet, []int{pid})
	if err != nil {
		return nil, err
	}
	rows = append(rows, noted(fmt.Sprintf("controller of %d agents: CPU at rest", s.crowd), share.share[0], "% of a core"))
	acks, _, err := commands(ctx, f.Client(), "region=sim,label.group=0", inventory.OpServerPreflight, 5)
	if err != nil {
		return nil, err
	}
	return append(rows, noted(fmt.Sprintf("command to %d simulated agents: acknowledgement p99", min(s.crowd, 1000)), quantile(acks, 0.99), "ms")), crowd.err()
}

// noRules deletes the rules a new fleet has.
func noRules(ctx context.Context, c *api.Client) error {
	for r, err := range api.Rules.All(ctx, c, nil) {
		if err != nil {
			return err
		}
		if err := c.DeleteRule(ctx, string(r.ID), 0); err != nil {
			return err
		}
	}
	return nil
}

// noted is a row without an aim.
func noted(name string, ours float64, unit string) Row {
	return Row{Name: name, Ours: ours, Unit: unit, Aim: "-", Met: true}
}

// controllerAtRest finds the controller and, after a while, what it holds in memory, in MB.
func controllerAtRest(ctx context.Context, f *fleettest.Fleet) (pid int, memory float64, err error) {
	pids := f.Processes(controller)
	if len(pids) != 1 {
		return 0, 0, fmt.Errorf("%d controllers", len(pids))
	}
	select {
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	case <-time.After(quiet):
	}
	rss, err := residentBytes(pids[0])
	return pids[0], rss / mega, err
}

// watchMemory returns what tells the most a process held since, in MB.
func watchMemory(ctx context.Context, pid int) func() float64 {
	ctx, stop := context.WithCancel(ctx)
	most := 0.0
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if rss, err := residentBytes(pid); err == nil {
					most = max(most, rss/mega)
				}
			}
		}
	})
	return func() float64 { stop(); watching.Wait(); return most }
}

// mostAccepted counts the links that the controller has logged since, by the second.
func mostAccepted(f *fleettest.Fleet, since time.Time) float64 {
	file, err := os.Open(filepath.Join(f.Dir, "log", "controller.log"))
	if err != nil {
		return 0
	}
	defer func() { _ = file.Close() }()
	seconds := make(map[int64]int)
	most := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line := lines.Text()
		if !strings.Contains(line, `msg="link up"`) {
			continue
		}
		stamp, _, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
		if at, err := time.Parse(time.RFC3339Nano, stamp); err == nil && at.After(since) {
			second := int64(at.Sub(since) / time.Second)
			seconds[second]++
			most = max(most, seconds[second])
		}
	}
	return float64(most)
}

// crowd is many agents in one process.
type crowd struct {
	agents []*simulant
	wg     sync.WaitGroup

	mu       sync.Mutex
	away     int           // agents that have not been heard since lose
	all      chan struct{} // closed and replaced when that comes to none
	failures []error
}

// simulant is one of them.
type simulant struct {
	crowd *crowd
	link  *uplink.Uplink
	steps chan []api.StepReport

	// Guarded by crowd.mu.
	heard bool            // the controller has taken a report since lose
	over  <-chan struct{} // the link that the last report went over
	lost  <-chan struct{} // the link that lose took away
}

// newCrowd has n agents join as an operator and their machines would.
func newCrowd(ctx context.Context, f *fleettest.Fleet, dir string, n int) (*crowd, error) {
	c := f.Client()
	out := &crowd{agents: make([]*simulant, n), away: n, all: make(chan struct{})}
	log := slog.New(slog.DiscardHandler)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(joinAtOnce)
	for i := range n {
		g.Go(func() error {
			name, no := fmt.Sprintf("sim%d", i+1), false
			made, err := c.AddServer(ctx, api.NewServer{
				Name: name, Address: fmt.Sprintf("198.18.%d.%d", i/250, i%250+1), Mailnode: &no, Region: "sim", Labels: map[string]string{"group": fmt.Sprint(i / 1000)},
			})
			if err != nil {
				return err
			}
			home := filepath.Join(dir, name)
			if _, err := uplink.Join(ctx, home, f.Info.Console, made.Token, name); err != nil {
				return err
			}
			link, err := uplink.Open(home, http.NotFoundHandler(), log)
			out.agents[i] = &simulant{crowd: out, link: link, steps: make(chan []api.StepReport, 1)}
			return err
		})
	}
	return out, g.Wait()
}

// live lets all of them live until ctx ends.
func (c *crowd) live(ctx context.Context) {
	for _, a := range c.agents {
		c.wg.Go(func() {
			pause(ctx, rand.N(arriveOver))
			g, ctx := errgroup.WithContext(ctx)
			g.Go(func() error { return a.link.Run(ctx) })
			g.Go(func() error { a.report(ctx); return nil })
			g.Go(func() error { a.follow(ctx); return nil })
			g.Go(func() error { a.sample(ctx); return nil })
			if err := g.Wait(); err != nil && ctx.Err() == nil {
				c.fail(err)
			}
		})
	}
}

func (c *crowd) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.failures) < 10 {
		c.failures = append(c.failures, err)
	}
}

func (c *crowd) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(c.failures...)
}

// lose counts every agent as away until it is heard over another link.
func (c *crowd) lose() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = len(c.agents)
	for _, a := range c.agents {
		a.heard, a.lost = false, a.over
	}
}

// hear notes that the controller has taken a report over a link.
func (a *simulant) hear(over <-chan struct{}) {
	c := a.crowd
	c.mu.Lock()
	defer c.mu.Unlock()
	a.over = over
	if a.heard || over == a.lost {
		return
	}
	a.heard = true
	if c.away--; c.away == 0 {
		close(c.all)
		c.all = make(chan struct{})
	}
}

// back waits until every agent has been heard again.
func (c *crowd) back(ctx context.Context, since time.Time) (time.Duration, error) {
	c.mu.Lock()
	all, away := c.all, c.away
	c.mu.Unlock()
	if away == 0 {
		return time.Since(since), nil
	}
	select {
	case <-all:
		return time.Since(since), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(backLimit):
		c.mu.Lock()
		defer c.mu.Unlock()
		return 0, fmt.Errorf("%d of %d agents are still away after %s", c.away, len(c.agents), backLimit)
	}
}

// report tells the controller how the server is, as the steward does.
func (a *simulant) report(ctx context.Context) {
	tick := time.NewTicker(api.ReportInterval)
	defer tick.Stop()
	var told []api.StepReport
	for ctx.Err() == nil {
		select {
		case <-a.link.Up():
		case <-ctx.Done():
			return
		}
		over := a.link.Up()
		asking, cancel := context.WithTimeout(ctx, 30*time.Second)
		err := a.link.Client().Report(asking, api.Report{
			Time: time.Now().UTC(), BootID: "sim", Version: inventory.Version, CertExpires: a.link.CertExpires(), Steps: told,
		})
		cancel()
		if err != nil {
			pause(ctx, time.Second)
			continue
		}
		if a.link.Up() == over { // or it went over the next one
			a.hear(over)
		}
		told = nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case told = <-a.steps:
		}
	}
}

// follow asks for newer desired states; orders are taken for done.
func (a *simulant) follow(ctx context.Context) {
	var after uint64
	done := make(map[inventory.ID]bool)
	for ctx.Err() == nil {
		select {
		case <-a.link.Up():
		case <-ctx.Done():
			return
		}
		asking, cancel := context.WithTimeout(ctx, 65*time.Second)
		d, ok, err := a.link.Client().Desired(asking, after, 50*time.Second)
		cancel()
		if err != nil {
			pause(ctx, time.Second)
			continue
		}
		if !ok {
			continue
		}
		after = d.Index
		if !d.Only {
			a.link.ComeBackWithin(time.Duration(d.Spread))
		}
		var reports []api.StepReport
		for _, o := range d.Orders {
			if now := time.Now().UTC(); !done[o.ID] {
				done[o.ID] = true
				reports = append(reports, api.StepReport{ID: o.ID, State: inventory.OpSucceeded, Started: now, Ended: now})
			}
		}
		if len(reports) == 0 {
			continue
		}
		select {
		case a.steps <- reports:
		case <-ctx.Done():
		}
	}
}

// sample sends a sample of the size of an agent's at the production interval.
func (a *simulant) sample(ctx context.Context) {
	const interval = 300 * time.Second
	for pause(ctx, rand.N(interval)); ctx.Err() == nil; pause(ctx, interval) {
		var b strings.Builder
		for _, m := range []string{"cpu", "mem", "swap", "disk", "net"} {
			fmt.Fprintf(&b, "%s,server=%s ", m, a.link.Identity().Name)
			for i := range 9 {
				fmt.Fprintf(&b, "f%d=%g,", i, rand.Float64()*1e6)
			}
			fmt.Fprintf(&b, "f9=1 %d\n", time.Now().UnixNano())
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://controller/api/v2/write?org=bench&bucket=samples", strings.NewReader(b.String()))
		if err != nil {
			a.crowd.fail(err)
			return
		}
		res, err := a.link.HTTP().Do(req)
		if err != nil {
			continue // the link is down; a real agent spools
		}
		status := res.StatusCode
		_, _ = io.Copy(io.Discard, res.Body)
		if err := res.Body.Close(); err == nil && status != http.StatusNoContent {
			a.crowd.fail(fmt.Errorf("a sample was answered with status %d", status))
		}
	}
}

// cutLinks breaks every connection that this process has with the address, as
// a switch does that goes down.
func cutLinks(console string) error {
	u, err := url.Parse(console)
	if err != nil {
		return err
	}
	to, err := netip.ParseAddrPort(u.Host)
	if err != nil {
		return err
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range open {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		peer, err := unix.Getpeername(fd)
		if a, ok := peer.(*unix.SockaddrInet4); err != nil || !ok || a.Addr != to.Addr().As4() || a.Port != int(to.Port()) {
			continue
		}
		if err := unix.Shutdown(fd, unix.SHUT_RDWR); err != nil && !errors.Is(err, unix.ENOTCONN) {
			return fmt.Errorf("cut a link: %w", err)
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
