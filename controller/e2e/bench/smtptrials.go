package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Users who send.
var (
	mailer = user("mailer")
	single = user("single")
)

func smtpBouts(remote string, mailing int) (all []bout) {
	for _, size := range []int{10, 4, 200} {
		for _, connections := range []int{1, 16, 64, 256} {
			all = append(all, deliveries(connections, size, "", pour))
			if connections == 64 && size == 10 {
				all = append(all, deliveries(connections, size, ", pipelined", write))
			}
		}
	}
	return append(all,
		drain(remote),
		mailings(remote, mailing),
		bout{
			rows: []trial{{row: "memory of an idle SMTP connection, 1,000 of them", unit: "KB", times: 1, limit: 25}},
			measure: func(ctx context.Context, c relay) ([]float64, error) {
				v, err := perConnection(1000, func(ctx context.Context, c relay, _ int) (*talker, error) { return mailTalk(ctx, c.smtp()) })(ctx, c)
				return []float64{v}, err
			},
		})
}

// deliveries measures mail into mailboxes: how fast it is accepted, and how fast it is
// there. The mailnode accepts what is there; Postfix what is in its queue. It is sent by
// smtp-source, and once in a way that leaves less of the machine to the sender.
func deliveries(connections, kilobytes int, how string, send func(context.Context, relay, burden) error) bout {
	name := fmt.Sprintf("mail of %d KB from %d connections", kilobytes, connections)
	if connections == 1 {
		name = fmt.Sprintf("mail of %d KB from 1 connection", kilobytes)
	}
	name += how
	b := bout{
		rows: []trial{
			{row: name + ", accepted", unit: "messages/s", rate: true, times: 1},
			{row: name + ", into mailboxes", unit: "messages/s", rate: true, times: 1},
		},
		share: &trial{row: name + ", into mailboxes, share of a bare log", unit: "%", rate: true},
		log:   burden{writers: connections, size: kilobytes << 10},
	}
	if connections == 64 && kilobytes == 10 {
		b.rows[0].times, b.rows[1].times, b.rounds = 8, 15, 3
	}
	b.measure = func(ctx context.Context, c relay) ([]float64, error) {
		load := b.log
		load.count = max(2*connections, 64)
		// A first few tell how fast connections begin, a second's worth how fast they go on.
		for _, seconds := range []float64{1, 5} {
			_, there, err := deliver(ctx, c, send, load)
			if err != nil {
				return nil, err
			}
			load.count = max(load.count, int(there*seconds))
		}
		accepted, there, err := deliver(ctx, c, send, load)
		return []float64{accepted, there}, err
	}
	return b
}

// deliver sends messages into mailboxes and tells how many a second were accepted and how
// many got there.
func deliver(ctx context.Context, c relay, send func(context.Context, relay, burden) error, b burden) (accepted, there float64, err error) {
	before, err := c.landed(ctx, 0)
	if err != nil {
		return 0, 0, err
	}
	spent := used(c.processes())
	began := time.Now()
	if err := send(ctx, c, b); err != nil {
		return 0, 0, err
	}
	took := time.Since(began)
	if _, ours := c.(*mailnode); ours { // on a machine that others use too this tells more than the rate does
		fmt.Printf("%s takes %.0f µs of the processor for a message\n", c.name(), (used(c.processes())-spent).Seconds()*1e6/float64(b.count))
	}
	after, err := c.landed(ctx, before.count+b.count)
	return float64(b.count) / took.Seconds(), float64(b.count) / max(took, after.at.Sub(began)).Seconds(), err
}

// drain measures how fast a full queue goes out to smtp-sink: from the first message that
// it gets to the last.
func drain(address string) bout {
	const count = 12_000
	load := burden{writers: 64, size: 10 << 10, count: count}
	return bout{
		rows:  []trial{{row: "queue drained to smtp-sink, messages of 10 KB", unit: "messages/s", rate: true, times: 10}},
		share: &trial{row: "queue drained to smtp-sink, share of a bare log", unit: "%", rate: true},
		log:   load,
		measure: func(ctx context.Context, c relay) ([]float64, error) {
			dir, err := os.MkdirTemp("", "mf")
			if err != nil {
				return nil, err
			}
			defer func() { _ = os.RemoveAll(dir) }()
			if err := os.Chmod(dir, 0o755); err != nil {
				return nil, err
			}
			s, err := startSink(ctx, dir, address)
			if err != nil {
				return nil, err
			}
			rate, err := drained(ctx, c, s, load)
			return []float64{rate}, errors.Join(err, s.running.end())
		},
	}
}

func drained(ctx context.Context, c relay, s *sink, b burden) (float64, error) {
	err := c.pile(ctx, func(parameter string) error { return submitAll(ctx, c, parameter, b) })
	if err != nil {
		return 0, err
	}
	var first time.Time
	begun, spent := 0, time.Duration(0)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		n, err := s.count()
		switch {
		case err != nil:
			return 0, err
		case n >= b.count:
			if _, ours := c.(*mailnode); ours {
				fmt.Printf("%s takes %.0f µs of the processor to send a message on\n", c.name(), (used(c.processes())-spent).Seconds()*1e6/float64(b.count-begun))
			}
			return float64(b.count-begun) / time.Since(first).Seconds(), nil
		case n > 0 && first.IsZero():
			first, begun, spent = time.Now(), n, used(c.processes())
		}
		if begun > b.count/10 {
			return 0, fmt.Errorf("%d of %d messages were sent on before there were all", begun, b.count)
		}
		if pause(ctx, 5*time.Millisecond); ctx.Err() != nil {
			return 0, ctx.Err()
		}
	}
	n, err := s.count()
	return 0, errors.Join(err, fmt.Errorf("of %d messages %d have been sent on", b.count, n))
}

// mailings measures a mailing, and how long a user's message to the same domain takes
// that is sent while it goes on.
func mailings(address string, recipients int) bout {
	name := fmt.Sprintf("a mailing to %d recipients", recipients)
	return bout{
		rows: []trial{
			{row: name, unit: "s", times: 1},
			{row: name + ": a user's message meanwhile, median", unit: "ms", times: 1},
			{row: name + ": a user's message meanwhile, slowest", unit: "ms", times: 1},
		},
		measure: func(ctx context.Context, c relay) ([]float64, error) {
			r, err := startRemote(ctx, address)
			if err != nil {
				return nil, err
			}
			defer r.serving.Wait()
			defer r.close()
			return mailOut(ctx, c, r, recipients)
		},
	}
}

func mailOut(ctx context.Context, c relay, r *remote, recipients int) ([]float64, error) {
	const each, senders = 100, 4
	var next atomic.Int64
	errs := make([]error, senders)
	began := time.Now()
	var all sync.WaitGroup
	for i := range senders {
		all.Go(func() {
			t, err := c.submit(ctx, mailer)
			if err != nil {
				errs[i] = err
				return
			}
			defer t.close()
			for errs[i] == nil {
				from := int(next.Add(each)) - each
				if from >= recipients {
					return
				}
				var to []string
				for k := from; k < min(from+each, recipients); k++ {
					to = append(to, fmt.Sprintf("reader%d@far.test", k))
				}
				errs[i] = t.post(mailer, "", to, uint64(from), 10<<10)
			}
		})
	}
	over := make(chan struct{})
	var latencies []float64
	var failed error
	var user sync.WaitGroup
	user.Go(func() { latencies, failed = meanwhile(ctx, c, r, over) })
	all.Wait()
	err := errors.Join(errs...)
	if err == nil {
		err = r.await(ctx, recipients)
	}
	took := time.Since(began).Seconds()
	close(over)
	user.Wait()
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	slices.Sort(latencies)
	return []float64{took, latencies[len(latencies)/2], latencies[len(latencies)-1]}, nil
}

// meanwhile has a user send a message, and the next when that has arrived, until the
// mailing is over; it tells how long each took in ms.
func meanwhile(ctx context.Context, c relay, r *remote, over <-chan struct{}) (took []float64, err error) {
	t, err := c.submit(ctx, single)
	if err != nil {
		return nil, err
	}
	defer t.close()
	for i := uint64(0); ; i++ {
		select {
		case <-over:
			if i == 0 {
				err = errors.New("the mailing was over before a user had sent a message")
			}
			return took, err
		case <-time.After(100 * time.Millisecond):
		}
		address := fmt.Sprintf("%s%d@far.test", mark, i)
		began := time.Now()
		if err := t.post(single, "", []string{address}, i, 10<<10); err != nil {
			return nil, err
		}
		arrived, err := r.arrival(ctx, address)
		if err != nil {
			return nil, err
		}
		took = append(took, 1000*arrived.Sub(began).Seconds())
	}
}
