package queue

import (
	"container/heap"
	"slices"
	"time"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/outbound"
)

// item is a part in memory.
type item struct {
	ref
	changes uint32 // of the part when the item was made: another number makes it void
}

// waiting is an item that is not due yet.
type waiting struct {
	item
	at       int64 // Unix time in milliseconds
	lane     *lane
	sender   string
	priority envelope.Priority
}

// calendar is a heap of what is not due yet, the next in front.
type calendar []waiting

func (c calendar) Len() int           { return len(c) }
func (c calendar) Less(i, k int) bool { return c[i].at < c[k].at }
func (c calendar) Swap(i, k int)      { c[i], c[k] = c[k], c[i] }
func (c *calendar) Push(v any)        { *c = append(*c, v.(waiting)) }
func (c *calendar) Pop() any {
	old := *c
	v := old[len(old)-1]
	old[len(old)-1] = waiting{}
	*c = old[:len(old)-1]
	return v
}

// lane is a destination with what is due for it.
type lane struct {
	name    string
	classes []*class // the highest priority first
	due     int
	active  int  // attempts at it
	lined   bool // it is in the line of lanes that can go on
	parts   int  // due, active or not due yet: with 0 the lane is forgotten

	limit    float64 // of attempts at once, grown by success and halved by failure
	failures int     // sessions in a row that came to nothing
	deadTill time.Time
	why      outbound.Outcome // it is dead

	shelf shelf
}

// class is what is due of one priority; its senders take turns.
type class struct {
	priority envelope.Priority
	turns    []*sender
	senders  map[string]*sender
}

type sender struct {
	name  string
	items []item
}

// pick is an item with whose it is.
type pick struct {
	item
	sender   string
	priority envelope.Priority
}

// The limit of a destination begins low and is never below one.
const (
	firstLimit = 5
	// dead is how many sessions in a row must fail until a destination is left alone.
	dead = 3
)

func (l *lane) add(it item, from string, p envelope.Priority) {
	i, found := slices.BinarySearchFunc(l.classes, p, func(c *class, p envelope.Priority) int { return int(p) - int(c.priority) })
	if !found {
		l.classes = slices.Insert(l.classes, i, &class{priority: p, senders: map[string]*sender{}})
	}
	c := l.classes[i]
	s := c.senders[from]
	if s == nil {
		s = &sender{name: from}
		c.senders[from] = s
		c.turns = append(c.turns, s)
	}
	s.items = append(s.items, it)
	l.due++
}

// take takes out the next item; there must be one.
func (l *lane) take() pick {
	c := l.classes[0]
	s := c.turns[0]
	it := s.items[0]
	s.items = s.items[1:]
	c.turns = c.turns[1:]
	if len(s.items) > 0 {
		c.turns = append(c.turns, s)
	} else {
		delete(c.senders, s.name)
	}
	if len(c.turns) == 0 {
		l.classes = l.classes[1:]
	}
	l.due--
	return pick{it, s.name, c.priority}
}

// upcoming returns the items that take would take out next, n at most.
func (l *lane) upcoming(n int) (list []item) {
	for _, c := range l.classes {
		for round, more := 0, true; more; round++ {
			more = false
			for _, s := range c.turns {
				if len(list) == n {
					return list
				}
				if round < len(s.items) {
					list, more = append(list, s.items[round]), true
				}
			}
		}
	}
	return list
}

// succeeded and failed adapt to what a destination bears.
func (l *lane) succeeded(most int) {
	l.failures, l.deadTill = 0, time.Time{}
	l.limit = min(l.limit+1/l.limit, float64(most))
}

func (l *lane) failed(now time.Time, why outbound.Outcome) {
	l.failures++
	l.limit = max(l.limit/2, 1)
	if l.failures < dead {
		return
	}
	const longest = 30 * time.Minute
	rest := longest
	if n := l.failures - dead; n < 5 {
		rest = time.Minute << n
	}
	l.deadTill, l.why = now.Add(rest), why
}

// schedule is what is in memory, for one mutex.
type schedule struct {
	calendar calendar
	lanes    map[string]*lane
	line     []*lane       // that have something due and room for an attempt, in turns
	active   map[ref]*pick // being tried: what came meanwhile, to be tried after that
	parts    int
}

func newSchedule() schedule { return schedule{lanes: map[string]*lane{}, active: map[ref]*pick{}} }

// plan adds an item, to be tried at a time.
func (s *schedule) plan(it item, destination, from string, p envelope.Priority, at, now time.Time, most int) {
	l := s.lanes[destination]
	if l == nil {
		l = &lane{name: destination, limit: min(firstLimit, float64(most))}
		s.lanes[destination] = l
	}
	l.parts++
	s.parts++
	if at.After(now) {
		heap.Push(&s.calendar, waiting{it, at.UnixMilli(), l, from, p})
		return
	}
	l.add(it, from, p)
	s.stand(l)
}

// stand puts a lane into the line when it has something to do there.
func (s *schedule) stand(l *lane) {
	if !l.lined && l.due > 0 && l.active < max(int(l.limit), 1) {
		l.lined = true
		s.line = append(s.line, l)
	}
}

// wakeMost is how much is moved at once: nobody else can do anything meanwhile.
const wakeMost = 10_000

// wake moves what is due to the lanes and returns when the next will be, 0 for never.
func (s *schedule) wake(now time.Time) time.Duration {
	for n := 0; len(s.calendar) > 0; n++ {
		if n == wakeMost {
			return time.Millisecond
		}
		if wait := s.calendar[0].at - now.UnixMilli(); wait > 0 {
			return time.Duration(wait) * time.Millisecond
		}
		w := heap.Pop(&s.calendar).(waiting)
		w.lane.add(w.item, w.sender, w.priority)
		s.stand(w.lane)
	}
	return 0
}

// next takes the next item to be tried, and the lane's failure when it is dead.
func (s *schedule) next(now time.Time) (it item, l *lane, why *outbound.Outcome, ok bool) {
	for len(s.line) > 0 {
		l = s.line[0]
		s.line = s.line[1:]
		l.lined = false
		if it, ok = s.take(l); !ok {
			continue
		}
		l.active++
		s.stand(l)
		if now.Before(l.deadTill) {
			copied := l.why
			why = &copied
		}
		return it, l, why, true
	}
	return it, nil, nil, false
}

// take takes the next item of a lane that can be tried now.
func (s *schedule) take(l *lane) (it item, ok bool) {
	for l.due > 0 {
		got := l.take()
		if old, busy := s.active[got.ref]; busy {
			if old != nil { // the older one is void
				s.leave(l)
			}
			s.active[got.ref] = &got
			continue
		}
		s.active[got.ref] = nil
		return got.item, true
	}
	return it, false
}

// another takes an item of the lane that one who is there has done, if it may stay. others
// tells that another can begin where there is something to do.
func (s *schedule) another(l *lane, now time.Time, others bool) (item, bool) {
	if len(s.line) > 0 && !others || l.active > max(int(l.limit), 1) || now.Before(l.deadTill) {
		return item{}, false
	}
	return s.take(l)
}

// done ends an attempt.
func (s *schedule) done(it item, l *lane) {
	again := s.active[it.ref]
	delete(s.active, it.ref)
	if again != nil {
		l.add(again.item, again.sender, again.priority)
	}
	s.leave(l)
	s.stand(l)
}

// free gives up the right to an attempt that next gave.
func (s *schedule) free(l *lane) {
	l.active--
	s.stand(l)
	s.drop(l)
}

// leave takes an item off a lane's count.
func (s *schedule) leave(l *lane) {
	l.parts--
	s.parts--
	s.drop(l)
}

// drop forgets a lane with which nothing is the matter.
func (s *schedule) drop(l *lane) {
	if l.parts == 0 && l.active == 0 && l.failures == 0 {
		delete(s.lanes, l.name)
	}
}

// forget drops lanes that have nothing to do and whose failures are long past.
func (s *schedule) forget(now time.Time) {
	for name, l := range s.lanes {
		if l.parts == 0 && l.active == 0 && now.After(l.deadTill) {
			delete(s.lanes, name)
		}
	}
}
