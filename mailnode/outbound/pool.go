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
	if p.closed || p.count >= set.IdleMost || c.messages >= set.PerConnection {
		go c.quit() // bounded by its time limit
		return
	}
	if p.idle == nil {
		p.idle = map[string][]*conn{}
	}
	p.set(c.key, append(p.idle[c.key], c))
	c.expiry = time.AfterFunc(set.Idle, func() { p.expire(c) })
}

func (p *pool) expire(c *conn) {
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

// close ends all connections that wait.
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
			c.quit()
		}
	}
}
