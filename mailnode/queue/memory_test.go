package queue

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"
	"time"
)

// A million recipients, each with a message of his own, take little memory, due or not,
// and are found quickly.
func TestMemoryOfAMillion(t *testing.T) {
	const million = 1_000_000
	const own = 100_000 // with as many destinations
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for name, x := range map[string]struct {
		destinations int
		at           func(i int) time.Time
	}{
		"waiting for a later time": {1000, func(i int) time.Time { return now.Add(time.Duration(1+i%3600) * time.Second) }},
		"due":                      {1000, func(int) time.Time { return now }},
		"each its own destination": {own, func(int) time.Time { return now }},
	} {
		t.Run(name, func(t *testing.T) {
			senders, domains := make([]string, 1000), make([]string, x.destinations)
			for i := range senders {
				senders[i] = fmt.Sprintf("0198c0de-0000-7000-8000-%012d", i)
			}
			for i := range domains {
				domains[i] = fmt.Sprintf("domain%d.test", i)
			}
			total := million
			if x.destinations == own {
				total = own
			}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			s := newSchedule()
			for i := range total {
				var it item
				binary.BigEndian.PutUint64(it.id[:], uint64(i))
				s.plan(it, domains[i%len(domains)], senders[i%len(senders)], 0, x.at(i), now, 20)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			each := (after.HeapAlloc - before.HeapAlloc) / uint64(total)
			most := uint64(150)
			if x.destinations == own {
				most = 900
			}
			t.Logf("%d bytes a recipient", each)
			if each > most {
				t.Errorf("a queued recipient takes %d bytes in memory, want at most %d", each, most)
			}
			later := now.Add(2 * time.Hour)
			for s.wake(later) > 0 {
				continue
			}
			seen := map[ref]bool{}
			for range total {
				it, l, _, ok := s.next(later)
				if !ok {
					t.Fatalf("after %d nothing more is due", len(seen))
				}
				seen[it.ref] = true
				l.active--
				s.stand(l)
				s.done(it, l)
			}
			if len(seen) != total || s.parts != 0 || len(s.lanes) != 0 {
				t.Errorf("%d were tried; left are %d parts in %d lanes", len(seen), s.parts, len(s.lanes))
			}
		})
	}
}
