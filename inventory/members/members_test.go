package members

import (
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// quick is lan for tests that wait for a verdict. A busy machine may bring
// about false ones, so no test that uses it relies on there being none.
func quick() timing {
	t := lan()
	t.probe, t.probeTimeout = 200*time.Millisecond, 100*time.Millisecond
	t.gossip = 50 * time.Millisecond
	t.pushPull = 500 * time.Millisecond
	t.reconnect = 500 * time.Millisecond
	t.reclaim = 100 * time.Millisecond
	t.leave = 200 * time.Millisecond
	t.joinFirst, t.joinLast, t.joinSettled = 50*time.Millisecond, 200*time.Millisecond, 500*time.Millisecond
	return t
}

// addresses returns n loopback addresses of a random network on which Port is
// free, as the dev fleet uses them.
func addresses(t *testing.T, n int) []netip.AddrPort {
	t.Helper()
	var list []netip.AddrPort
	for try := 0; len(list) < n; try++ {
		if try == 100 {
			t.Fatal("no free loopback addresses")
		}
		network := [4]byte{127, byte(100 + rand.N(100)), byte(rand.N(256)), 0}
		list = list[:0]
		for i := range n {
			network[3] = byte(i + 1)
			addr := netip.AddrPortFrom(netip.AddrFrom4(network), Port)
			ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr))
			if err != nil {
				break
			}
			if err := ln.Close(); err != nil {
				t.Fatal(err)
			}
			list = append(list, addr)
		}
	}
	return list
}

// agent configures a member; its id is "id-" and its name.
func agent(name, key string, bind netip.AddrPort, join ...netip.AddrPort) Config {
	c := Config{
		Name:   name,
		ID:     "id-" + name,
		Role:   RoleAgent,
		Bind:   bind,
		Key:    key,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	for _, j := range join {
		c.Join = append(c.Join, j.String())
	}
	return c
}

func begin(t *testing.T, c Config, timing timing) *Pool {
	t.Helper()
	p, err := start(c, timing)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// await polls until p sees exactly these members in these states.
func await(t *testing.T, p *Pool, want map[string]Status) {
	t.Helper()
	awaitThat(t, func() bool { return maps.Equal(statuses(p), want) }, func() any { return statuses(p) })
}

func statuses(p *Pool) map[string]Status {
	got := map[string]Status{}
	for _, m := range p.Members() {
		got[m.Name] = m.Status
	}
	return got
}

func awaitThat(t *testing.T, ok func() bool, state func() any) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("not within a minute; at last: %v", state())
		case <-poll.C:
		}
	}
}

const (
	alive  = StatusAlive
	failed = StatusFailed
	left   = StatusLeft
)

func TestKilledMemberIsSeenToFail(t *testing.T) {
	t.Parallel()
	at, key := addresses(t, 4), NewKey()
	a := begin(t, agent("a", key, at[0]), lan())
	b := begin(t, agent("b", key, at[1], at[0]), lan())
	c := begin(t, agent("c", key, at[2], at[0]), lan())
	d := begin(t, agent("d", key, at[3], at[0]), lan())
	for _, p := range []*Pool{a, b, c, d} {
		await(t, p, map[string]Status{"a": alive, "b": alive, "c": alive, "d": alive})
	}
	killed := time.Now()
	if err := d.Close(); err != nil { // no Leave: as if killed
		t.Fatal(err)
	}
	for _, p := range []*Pool{a, b, c} {
		// A busy machine brings about false verdicts, which pass.
		awaitThat(t, func() bool {
			return slices.Equal(p.Failed(RoleAgent), []string{"d"}) && p.Failed(RoleController) == nil &&
				maps.Equal(statuses(p), map[string]Status{"a": alive, "b": alive, "c": alive, "d": failed})
		}, func() any { return []any{statuses(p), p.Failed(RoleAgent), p.Failed(RoleController)} })
	}
	t.Logf("seen by all after %v", time.Since(killed).Round(time.Millisecond))
}

func TestLeavingMemberIsLeftAtOnce(t *testing.T) {
	t.Parallel()
	at, key := addresses(t, 3), NewKey()
	slowToFail := quick() // so that only a goodbye can end a membership
	slowToFail.probe = time.Minute
	a := begin(t, agent("a", key, at[0]), slowToFail)
	b := begin(t, agent("b", key, at[1], at[0]), slowToFail)
	c := begin(t, agent("c", key, at[2], at[0]), slowToFail)
	for _, p := range []*Pool{a, b, c} {
		await(t, p, map[string]Status{"a": alive, "b": alive, "c": alive})
	}
	if err := c.Leave(); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*Pool{a, b} {
		await(t, p, map[string]Status{"a": alive, "b": alive, "c": left})
	}
}

func TestWrongKeyIsRefused(t *testing.T) {
	t.Parallel()
	at := addresses(t, 2)
	a := begin(t, agent("a", NewKey(), at[0]), quick())
	stranger := begin(t, agent("b", NewKey(), at[1]), quick())
	seeds, err := parseSeeds([]string{at[0].String()})
	if err != nil {
		t.Fatal(err)
	}
	if err := stranger.joinMissing(t.Context(), seeds); err == nil {
		t.Error("joined with the wrong key")
	}
	for _, p := range []*Pool{a, stranger} {
		if got := statuses(p); len(got) != 1 {
			t.Errorf("%s sees %v", p.name, got)
		}
	}
}

func TestAgentStartedFirstWaitsForTheController(t *testing.T) {
	t.Parallel()
	at, key := addresses(t, 2), NewKey()
	a := begin(t, agent("a", key, at[0], at[1]), quick())
	await(t, a, map[string]Status{"a": alive})
	controller := agent("main", key, at[1])
	controller.Role = RoleController
	c := begin(t, controller, quick())
	for _, p := range []*Pool{a, c} {
		await(t, p, map[string]Status{"a": alive, "main": alive})
	}
	want := []Member{
		{Name: "a", ID: "id-a", Role: RoleAgent, Addr: at[0], Status: alive},
		{Name: "main", ID: "id-main", Role: RoleController, Addr: at[1], Status: alive},
	}
	if got := c.members(); !slices.Equal(got, want) {
		t.Errorf("members %+v, want %+v", got, want)
	}
	awaitThat(t, func() bool { return c.Members()[0].RTT > 0 }, func() any { return c.Members() })
	if own := c.Members()[1].RTT; own != 0 {
		t.Errorf("distance to itself %v", own)
	}
}

func TestPoolsThatFormedApartGrowTogether(t *testing.T) {
	t.Parallel()
	at, key := addresses(t, 3), NewKey()
	c := agent("a", key, at[0], at[2])
	logger, out := capture(slog.LevelInfo)
	c.Logger = logger
	a := begin(t, c, quick())
	begin(t, agent("b", key, at[1], at[0]), quick())
	var log strings.Builder
	awaitThat(t, func() bool {
		log.WriteString(out.take())
		return strings.Contains(log.String(), "joined the gossip pool") // with b, though its seed is missing
	}, func() any { return log.String() })
	begin(t, agent("c", key, at[2]), quick())
	await(t, a, map[string]Status{"a": alive, "b": alive, "c": alive})
}

func TestRestartRejoinsFromTheSnapshot(t *testing.T) {
	t.Parallel()
	for _, leave := range []bool{false, true} {
		at, key := addresses(t, 2), NewKey()
		a := begin(t, agent("a", key, at[0]), quick())
		first := agent("b", key, at[1], at[0])
		first.Snapshot = filepath.Join(t.TempDir(), "members")
		b := begin(t, first, quick())
		await(t, b, map[string]Status{"a": alive, "b": alive})
		if leave {
			if err := b.Leave(); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}

		second := first
		second.Join = nil
		b = begin(t, second, quick())
		for _, p := range []*Pool{a, b} {
			await(t, p, map[string]Status{"a": alive, "b": alive})
		}
	}
}

func TestNameOfALiveMemberIsNotTaken(t *testing.T) {
	t.Parallel()
	at, key := addresses(t, 3), NewKey()
	patient := quick()
	patient.probe = lan().probe // so that "a" is not failed by mistake
	witness := begin(t, agent("w", key, at[0]), patient)
	owner := begin(t, agent("a", key, at[1], at[0]), patient)
	await(t, witness, map[string]Status{"a": alive, "w": alive})

	newcomer := begin(t, agent("a", key, at[2], at[0]), patient)
	addrOfA := func(p *Pool) netip.AddrPort { return p.Members()[0].Addr }
	// The newcomer sees the witness, and so has asked to be let in.
	await(t, newcomer, map[string]Status{"a": alive, "w": alive})
	if got := addrOfA(witness); got != at[1] {
		t.Errorf("a is now at %v", got)
	}
	if err := owner.Close(); err != nil {
		t.Fatal(err)
	}
	awaitThat(t, func() bool { return addrOfA(witness) == at[2] }, func() any { return witness.Members() })
	await(t, witness, map[string]Status{"a": alive, "w": alive})
}
