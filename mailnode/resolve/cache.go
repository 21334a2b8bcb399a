package resolve

import (
	"container/list"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// How long things are kept, whatever a record says.
const (
	longest     = 24 * time.Hour
	longestNone = time.Hour       // that there is nothing (RFC 2308 §5)
	plainNone   = time.Minute     // that there is nothing, without a word on how long
	failureKept = 5 * time.Second // that nobody knows (RFC 9520 §3.2)
)

// question is what is asked; name is complete and in lower case.
type question struct {
	name string
	kind uint16
}

// result is what a question came to.
type result struct {
	records []dns.RR // of the type asked for
	name    string   // that they belong to
	secure  bool
	failure error  // ErrNoName, ErrNoData or ErrTemporary
	detail  string // of a temporary failure
	size    int
	expires time.Time
}

// cache keeps results within a number of bytes; the one longest unused goes first.
type cache struct {
	mu      sync.Mutex
	limit   int
	bytes   int
	entries map[question]*list.Element
	order   list.List // of *entry, the last used in front
}

type entry struct {
	question
	result
}

// overhead is about what an entry costs beside its records.
const overhead = 400

func newCache(limit int) *cache { return &cache{limit: limit, entries: map[question]*list.Element{}} }

func (c *cache) get(q question, now time.Time) (result, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[q]
	if e == nil {
		return result{}, false
	}
	found := e.Value.(*entry)
	if !now.Before(found.expires) {
		c.remove(e)
		return result{}, false
	}
	c.order.MoveToFront(e)
	return found.result, true
}

func (c *cache) put(q question, r result, now time.Time) {
	r.size += overhead + 2*len(q.name)
	if !now.Before(r.expires) || r.size > c.limit/4 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[q]; e != nil {
		c.remove(e)
	}
	c.entries[q] = c.order.PushFront(&entry{q, r})
	c.bytes += r.size
	for c.bytes > c.limit {
		c.remove(c.order.Back())
	}
}

func (c *cache) remove(e *list.Element) {
	gone := c.order.Remove(e).(*entry)
	delete(c.entries, gone.question)
	c.bytes -= gone.size
}
