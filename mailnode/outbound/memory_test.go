package outbound

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mailfleet/mailnode/resolve/resolvetest"
	"mailfleet/mailnode/store"
)

// rowsOf are the keys of what is kept.
func rowsOf(t *testing.T, st *store.Store) (keys []string) {
	t.Helper()
	for row, err := range st.Table("outbound").Scan(t.Context(), nil, nil) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, string(row.Key))
	}
	return keys
}

// What a client has learnt of policies, and its counts, survive the end of the program.
func TestMemorySurvives(t *testing.T) {
	ca := newAuthority(t)
	var policy atomic.Value
	policy.Store("version: STSv1\nmax_age: 86400\nmode: enforce\nmx: mx.x.test\n")
	httpsPort, fetched := published(t, ca, &policy)
	r := serve(t, "127.0.0.2", 0, func(r *remote) { r.tls = ca.server(t, "mx.x.test") })
	d := resolvetest.New(t, "x.test. 300 IN MX 1 mx.x.test.", "mx.x.test. 300 IN A 127.0.0.2",
		`_mta-sts.x.test. 0 IN TXT "v=STSv1; id=1;"`, "mta-sts.x.test. 300 IN A 127.0.0.9")
	dir := t.TempDir()
	// life is one run of the program, which ends with what is done in it.
	life := func(do func(c *Client, st *store.Store)) {
		st, err := store.Open(dir, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		c := client(t, d, r.addr.Port(), func(s *Settings) { s.Roots, s.HTTPSPort = ca.pool, httpsPort })
		if err := c.Recall(t.Context(), st); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var remembering sync.WaitGroup
		remembering.Go(func() { c.Remember(ctx) })
		do(c, st)
		cancel()
		remembering.Wait()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
	send := func(c *Client) Outcome { return c.Send(t.Context(), "x.test", nil, letter(text, "u@x.test"))[0] }
	life(func(c *Client, _ *store.Store) {
		if o := send(c); o.State != Sent || r.wasSecure() != "tls" {
			t.Errorf("got %+v", o)
		}
	})
	// Somebody hides the policy and has a server of his own.
	policy.Store("")
	d.Refuse("_mta-sts.x.test", dns.RcodeServerFailure)
	r.mu.Lock()
	r.tls = ca.server(t, "evil.test")
	r.mu.Unlock()
	today := time.Now().UTC().Format(time.DateOnly)
	life(func(c *Client, st *store.Store) {
		if o := send(c); o.State != Temporary || len(r.taken()) != 1 {
			t.Errorf("with the policy hidden: %+v", o)
		}
		if fetched.Load() != 1 {
			t.Errorf("the policy was fetched %d times", fetched.Load())
		}
		if keys := rowsOf(t, st); len(keys) != 2 {
			t.Errorf("kept is %q", keys)
		}
	})
	life(func(c *Client, st *store.Store) {
		if got := c.Results(today); len(got) != 0 {
			t.Errorf("today's counts were given out: %+v", got)
		}
		got := c.Results("9999")
		if len(got) != 1 || got[0].Success != 1 || len(got[0].Failures) != 1 || got[0].Failures[0].Sessions != 1 || got[0].Policy == nil {
			t.Errorf("counted was %+v", got)
		}
		c.memory.note(resultKey([3]string(got[0].key())))
		failed := errors.New("no report could be written")
		if err := c.Forget(got, func(func(*store.Tx) error) error { return failed }); err != failed || len(c.Results("9999")) != 1 {
			t.Errorf("after a failure, %v, known are %+v", err, c.Results("9999"))
		}
		if err := c.Forget(got, func(forget func(*store.Tx) error) error { return st.Update(t.Context(), nil, forget) }); err != nil {
			t.Error(err)
		}
		if keys := rowsOf(t, st); len(keys) != 1 || len(c.Results("9999")) != 0 {
			t.Errorf("kept is %q, known are %+v", keys, c.Results("9999"))
		}
	})
	// What is over is dropped, and what was reported does not come again.
	life(func(c *Client, st *store.Store) {
		if got := c.Results("9999"); len(got) != 0 {
			t.Errorf("counted was %+v once more", got)
		}
		if keys := rowsOf(t, st); len(keys) != 1 {
			t.Errorf("kept is %q", keys)
		}
		e := c.policies.entry("x.test", time.Now())
		e.mu.Lock()
		e.keep(e.policy, e.id, time.Now().Add(-time.Second))
		e.mu.Unlock()
		c.memory.note(policyKey("x.test"))
		c.memory.note(resultKey([3]string{"2020-01-31", "x.test", policySTS}))
		c.results.restore([3]string{"2020-01-31", "x.test", policySTS}, &Result{Day: "2020-01-31"})
		c.write(t.Context())
		if keys := rowsOf(t, st); len(keys) != 2 {
			t.Errorf("kept is %q", keys)
		}
	})
	life(func(c *Client, st *store.Store) {
		if got := c.Results("9999"); len(got) != 0 || len(c.policies.known) != 0 {
			t.Errorf("known are %+v and %v", got, c.policies.known)
		}
		c.write(t.Context())
		if keys := rowsOf(t, st); len(keys) != 0 {
			t.Errorf("kept is %q", keys)
		}
	})
}

// Of more domains than are remembered some are forgotten, in the store too.
func TestMemoryBounded(t *testing.T) {
	st, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	c := client(t, resolvetest.New(t), 1, nil)
	if err := c.Recall(t.Context(), st); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i := range stsMost + 500 {
		domain := fmt.Sprintf("d%d.test", i)
		c.policies.entry(domain, now).keep(&stsPolicy{Mode: "none"}, "1", now.Add(time.Hour))
		c.memory.note(policyKey(domain))
		if i%4000 == 0 {
			c.write(t.Context())
		}
	}
	c.write(t.Context())
	if n := len(rowsOf(t, st)); n > stsMost || n < stsMost/2 {
		t.Errorf("%d rows are kept", n)
	}
	c.policies.sweep(now.Add(2 * time.Hour))
	c.write(t.Context())
	if n := len(rowsOf(t, st)); n != 0 || len(c.policies.known) != 0 {
		t.Errorf("%d rows are kept of what is over", n)
	}
}
