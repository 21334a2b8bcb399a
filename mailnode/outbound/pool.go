package outbound

import (
	"sync"
	"time"
)

// pool keeps connections that wait for their next message.
type pool struct {
	mu     sync.Mutex
	idle   map[string][]*conn // the last put in is at the end
	count  int
	closed bool

	ending sync.WaitGroup // connections that are being ended, or will be when their time is over
}

// get takes a connection out, nil when there is none.
func (p *pool) get(key string) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.idle[key]
	for len(list) > 0 {
		c := list[len(list)-1]
		list = list[:len(list)-1]
		p.set(key, list)
		if c.expiry.Stop() {
			p.ending.Done()
			return c
		}
	}
	return nil
}

func (p *pool) set(key string, list []*conn) {
	p.count += len(list) - len(p.idle[key])
	if len(list) == 0 {
		delete(p.idle, key)
		return
	}
	p.idle[key] = list
}

// put keeps a connection for a while, or ends it.
func (p *pool) put(c *conn, set *Settings) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.count >= set.IdleMost || c.messages >= c.limit("MAILMAX", set.PerConnection) {
		p.ending.Go(c.quit)
		return
	}
	if p.idle == nil {
		p.idle = map[string][]*conn{}
	}
	p.set(c.key, append(p.idle[c.key], c))
	p.ending.Add(1)
	c.expiry = time.AfterFunc(set.Idle, func() { p.expire(c) })
}

func (p *pool) expire(c *conn) {
	defer p.ending.Done()
	p.mu.Lock()
	list := p.idle[c.key]
	for i, other := range list {
		if other == c {
			p.set(c.key, append(append([]*conn{}, list[:i]...), list[i+1:]...))
			break
		}
	}
	p.mu.Unlock()
	c.quit()
}

// close ends all connections that wait, and waits until they are.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	var all []*conn
	for _, list := range p.idle {
		all = append(all, list...)
	}
	p.idle, p.count = nil, 0
	p.mu.Unlock()
	for _, c := range all {
		if c.expiry.Stop() {
			p.ending.Done()
			p.ending.Go(c.quit)
		}
	}
	p.ending.Wait()
}
