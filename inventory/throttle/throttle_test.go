package throttle

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestTheLeastRecentlyUsedIsForgotten(t *testing.T) {
	r := NewRecent[int, int](2)
	*r.At(1), *r.At(2) = 10, 20
	r.Get(1)
	*r.At(3) = 30
	if r.Get(2) != nil || r.Get(1) == nil || *r.Get(3) != 30 || r.Len() != 2 {
		t.Error("the least recently used entry was not the one forgotten")
	}
}

func TestALaneLocksForLongerEachTime(t *testing.T) {
	k := Lock{After: 3, First: time.Minute, Most: 5 * time.Minute}
	now := time.Now()
	var l Lane
	for i, want := range []time.Duration{0, 0, time.Minute, 2 * time.Minute, 4 * time.Minute, 5 * time.Minute, 5 * time.Minute} {
		if locked := l.Fail(now, k); locked != (want > 0) || l.Wait(now) != want {
			t.Errorf("failure %d: locked for %v, want %v", i+1, l.Wait(now), want)
		}
	}
	l.Failures = 1 << 40
	if l.Fail(now, k); l.Wait(now) != k.Most || l.Wait(now.Add(k.Most)) != 0 {
		t.Errorf("locked for %v", l.Wait(now))
	}
}

func TestALimiterGivesBackWithTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(2, time.Second)
		for range 2 {
			if wait := l.Take("2001:db8::1"); wait != 0 {
				t.Fatal(wait)
			}
		}
		if wait := l.Take("2001:db8::2%eth0"); wait != time.Second {
			t.Fatalf("the same customer waits %v", wait)
		}
		if wait := l.Take("2001:db8:0:1::"); wait != 0 {
			t.Fatalf("another customer waits %v", wait)
		}
		time.Sleep(time.Second)
		if wait := l.Take("2001:db8::3"); wait != 0 {
			t.Fatal(wait)
		}
		l.Return("2001:db8::3")
		if wait := l.Take("2001:db8::3"); wait != 0 {
			t.Fatal(wait)
		}
	})
}

func TestNetworks(t *testing.T) {
	for address, want := range map[string][2]string{
		"192.0.2.7":          {"192.0.2.7", "192.0.2.0/24"},
		"::ffff:192.0.2.7":   {"192.0.2.7", "192.0.2.0/24"},
		"2001:db8:1:2:3::4":  {"2001:db8:1:2::/64", "2001:db8:1::/48"},
		"fe80::1%eth0":       {"fe80::/64", "fe80::/48"},
		"":                   {"", ""},
		"a pipe in a test's": {"a pipe in a test's", "a pipe in a test's"},
	} {
		if got := [2]string{Customer(address), Neighbourhood(address)}; got != want {
			t.Errorf("%q: got %q", address, got)
		}
	}
}

func TestRoundUp(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{0: time.Second, 1: time.Second, time.Second: time.Second, 1001 * time.Millisecond: 2 * time.Second} {
		if got := RoundUp(d); got != want {
			t.Errorf("%v became %v", d, got)
		}
	}
}
