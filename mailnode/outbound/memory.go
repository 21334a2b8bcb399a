package outbound

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"mailfleet/mailnode/store"
)

// The table "outbound" has what a client knows beyond the end of the process:
//
//	p domain                a policy (MTA-STS): without it somebody who hides the domain's DNS
//	                        or web server for a while could have mail sent in clear
//	r day NUL domain NUL kind   counts for a report (RFC 8460)
const (
	rowPolicy = 'p'
	rowResult = 'r'
)

const (
	writeEvery = 5 * time.Second
	sweepEvery = time.Hour
	countsKept = 7 * 24 * time.Hour // longer than anybody tries to report them
	writeLimit = 2000               // rows of a change
)

// memory is which rows are to be written.
type memory struct {
	mu      sync.Mutex
	store   *store.Store // nil: nothing is kept
	table   store.Table
	changed map[string]bool

	writing sync.Mutex // held while rows are changed, and until those who have them know
}

// note has a row written soon.
func (m *memory) note(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.store == nil {
		return
	}
	if m.changed == nil {
		m.changed = map[string]bool{}
	}
	m.changed[key] = true
}

// take returns some rows to be written, nil when there are none.
func (m *memory) take() (keys []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range m.changed {
		if len(keys) == writeLimit {
			break
		}
		keys = append(keys, key)
		delete(m.changed, key)
	}
	return keys
}

func policyKey(domain string) string { return string(rowPolicy) + domain }

func resultKey(k [3]string) string { return string(rowResult) + strings.Join(k[:], "\x00") }

// keptPolicy is a policy as a row has it.
type keptPolicy struct {
	Policy *stsPolicy `json:"policy"`
	ID     string     `json:"id"`
	Until  time.Time  `json:"until"`
}

// Recall reads what an earlier run of the program knew, and has it kept in the store from
// now on, while Remember runs. It is called before the first Send.
func (c *Client) Recall(ctx context.Context, st *store.Store) error {
	m := &c.memory
	m.store, m.table = st, st.Table("outbound")
	now := time.Now()
	for row, err := range m.table.Scan(ctx, nil, nil) {
		if err != nil {
			return fmt.Errorf("outbound: %w", err)
		}
		if !c.recall(row.Key, row.Value, now) {
			m.note(string(row.Key)) // nobody has it, so it is deleted
		}
	}
	return nil
}

// recall takes a row; false when it is of no more use.
func (c *Client) recall(key, value []byte, now time.Time) bool {
	switch {
	case len(key) == 0:
	case key[0] == rowPolicy:
		var k keptPolicy
		if json.Unmarshal(value, &k) != nil || k.Policy == nil || now.After(k.Until) || len(c.policies.known) >= stsMost {
			return false
		}
		e := c.policies.entry(string(key[1:]), now)
		e.keep(k.Policy, k.ID, k.Until)
		return true
	case key[0] == rowResult:
		parts := strings.Split(string(key[1:]), "\x00")
		r := &Result{}
		if len(parts) != 3 || parts[0] < now.Add(-countsKept).UTC().Format(time.DateOnly) || json.Unmarshal(value, r) != nil {
			return false
		}
		return c.results.restore([3]string(parts), r)
	}
	return false
}

// Remember writes what is new into the store until ctx ends, and once more then.
func (c *Client) Remember(ctx context.Context) {
	write, sweep := time.NewTicker(writeEvery), time.NewTicker(sweepEvery)
	defer write.Stop()
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			c.write(context.WithoutCancel(ctx))
			return
		case <-write.C:
			c.write(ctx)
		case <-sweep.C:
			c.policies.sweep(time.Now())
		}
	}
}

// write writes all that is to be written.
func (c *Client) write(ctx context.Context) {
	for {
		keys := c.memory.take()
		if len(keys) == 0 {
			return
		}
		if err := c.writeRows(ctx, keys); err != nil {
			for _, key := range keys {
				c.memory.note(key)
			}
			c.log.Warn("what is known of other servers could not be written down, it is tried again", "error", err)
			return
		}
	}
}

// writeRows writes what is known under some keys.
func (c *Client) writeRows(ctx context.Context, keys []string) error {
	m := &c.memory
	m.writing.Lock()
	defer m.writing.Unlock()
	return m.store.Update(ctx, nil, func(tx *store.Tx) error {
		for _, key := range keys {
			value, err := c.row(key)
			if err == nil && value == nil {
				err = tx.Delete(m.table, []byte(key))
			} else if err == nil {
				err = tx.Set(m.table, []byte(key), value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// row is what is known under a key now, nil for nothing.
func (c *Client) row(key string) ([]byte, error) {
	if domain, ok := strings.CutPrefix(key, policyKey("")); ok {
		return c.policies.row(domain)
	}
	if parts := strings.Split(strings.TrimPrefix(key, string(rowResult)), "\x00"); len(parts) == 3 {
		return c.results.row([3]string(parts))
	}
	return nil, nil
}

// row is a policy as it is kept, nil when there is none to be kept.
func (p *policies) row(domain string) ([]byte, error) {
	p.mu.Lock()
	e := p.known[domain]
	p.mu.Unlock()
	if e == nil {
		return nil, nil
	}
	k := e.kept.Load()
	if k == nil {
		return nil, nil
	}
	return json.Marshal(k)
}

// sweep forgets the policies that are over.
func (p *policies) sweep(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, e := range p.known {
		if !e.mu.TryLock() {
			continue // it is in use
		}
		if now.After(e.until) {
			p.drop(name)
		}
		e.mu.Unlock()
	}
}

// drop forgets a domain. p.mu is held.
func (p *policies) drop(domain string) {
	delete(p.known, domain)
	p.changed(policyKey(domain))
}

// restore takes counts of an earlier run; false when there is no room for them.
func (r *results) restore(key [3]string, got *Result) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.counts) >= resultsMost {
		return false
	}
	if r.counts == nil {
		r.counts = map[[3]string]*Result{}
	}
	r.counts[key] = got
	return true
}

// row are counts as they are kept, nil when there are none.
func (r *results) row(key [3]string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := r.counts[key]; got != nil {
		return json.Marshal(got)
	}
	return nil, nil
}
