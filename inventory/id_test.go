package inventory

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestNewIDsSortByTheOrderTheyWereMadeIn(t *testing.T) {
	last := NewID()
	for range 20_000 { // many within a millisecond, more than the counter's 4,096 holds
		id := NewID()
		if id <= last {
			t.Fatalf("%s came after %s", id, last)
		}
		last = id
	}
}

func TestNewIDsAreUniqueAcrossGoroutines(t *testing.T) {
	const workers, each = 8, 5000
	ids := make([][]ID, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range each {
				ids[w] = append(ids[w], NewID())
			}
		})
	}
	wg.Wait()
	seen := map[ID]bool{}
	for _, some := range ids {
		for i, id := range some {
			if seen[id] {
				t.Fatalf("%s was made twice", id)
			}
			seen[id] = true
			if i > 0 && id <= some[i-1] {
				t.Fatalf("%s came after %s", id, some[i-1])
			}
		}
	}
}

// A clock that is set back does not put new IDs before old ones.
func TestNewIDWhenTheClockGoesBack(t *testing.T) {
	before := NewID()
	synctest.Test(t, func(t *testing.T) { // its clock stands in the year 2000
		if id := NewID(); id <= before {
			t.Errorf("%s came after %s", id, before)
		}
	})
}

func TestNewIDIsAUUIDv7OfNow(t *testing.T) {
	id := NewID()
	parsed, err := ParseID(string(id))
	if err != nil || parsed != id {
		t.Errorf("ParseID: %q, %v", parsed, err)
	}
	if id[14] != '7' || !strings.ContainsRune("89ab", rune(id[19])) {
		t.Errorf("%s has not the version and variant of RFC 9562 §5.7", id)
	}
	if age := time.Since(id.Time()); age < -time.Second || age > time.Minute {
		t.Errorf("%s was made %v ago", id, age)
	}
}

func TestIDTime(t *testing.T) {
	// RFC 9562 appendix A.6
	id := ID("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")
	if got, want := id.Time(), time.Date(2022, 2, 22, 19, 22, 22, 0, time.UTC); !got.Equal(want) {
		t.Errorf("time %v, want %v", got, want)
	}
	for _, id := range []ID{"", "x", "919108f7-52d1-4320-9bac-f847db4148a8", "zzzzzzzz-zzzz-7zzz-zzzz-zzzzzzzzzzzz"} {
		if got := id.Time(); !got.IsZero() {
			t.Errorf("%q has time %v", id, got)
		}
	}
}

func TestParseIDRefuses(t *testing.T) {
	for _, s := range []string{
		"", "x", "017f22e2-79b0-7cc3-98c4-dc0c0c07398", "017f22e2-79b0-7cc3-98c4-dc0c0c07398ff",
		"017f22e279b0-7cc3-98c4-dc0c0c07398f0", "017f22e2-79b0-7cc3-98c4-dc0c0c07398g", "{17f22e2-79b0-7cc3-98c4-dc0c0c07398}",
	} {
		if id, err := ParseID(s); !Is(err, Invalid) {
			t.Errorf("ParseID(%q): %q, %v", s, id, err)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("017F22E2-79B0-7CC3-98C4-DC0C0C07398F")
	f.Add(string(NewID()))
	f.Add("017f22e2-79b0-7cc3-98c4-dc0c0c07398\xff")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if err != nil {
			if id != "" || !Is(err, Invalid) {
				t.Errorf("%q, %v", id, err)
			}
			return
		}
		if string(id) != strings.ToLower(s) {
			t.Errorf("ParseID(%q) is %q", s, id)
		}
		if again, err := ParseID(string(id)); err != nil || again != id {
			t.Errorf("ParseID(%q) is %q, %v", id, again, err)
		}
		id.Time()
	})
}
