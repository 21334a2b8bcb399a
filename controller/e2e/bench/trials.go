package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// readBuffer is what a client reads into that takes much.
const readBuffer = 256 << 10

func storeTrials() []trial {
	all := []trial{
		appends(1, 1, 1), appends(16, 16, 1), appends(64, 64, 8), appends(64, 1, 1),
	}
	for _, cold := range []bool{false, true} {
		all = append(all,
			temper(cold, trial{
				row: "FETCH of 10,000 full bodies of 10 KB", unit: "MB/s", rate: true, times: 2, needs: []corpus{letters}, rounds: 4, measure: fetchBodies,
			}),
			temper(cold, trial{
				row: "FETCH of 100,000 envelopes and flags", unit: "messages/s", rate: true, times: 2, needs: []corpus{talk}, rounds: 4, measure: fetchEnvelopes,
			}),
			temper(cold, trial{
				row: "POP3 download of 10,000 × 10 KB, pipelined", unit: "messages/s", rate: true, times: 2, needs: []corpus{letters}, rounds: 4, measure: downloads(50),
			}),
			temper(cold, trial{
				row: "POP3 download of 10,000 × 10 KB, one by one", unit: "messages/s", rate: true, times: 2, needs: []corpus{letters}, rounds: 4, measure: downloads(1),
			}))
	}
	all = append(all, trial{
		row: "STORE flags of 10,000", unit: "messages/s", rate: true, times: 1, needs: []corpus{talk}, rounds: 4, measure: storeFlags,
	})
	for _, w := range []struct{ what, word string }{
		{"one Chinese character", rareSign}, {"two Chinese characters", invoiceWord}, {"five Chinese characters", longWord}, {"a Latin word", latinWord}, {"what is nowhere", "鑫龘"},
	} {
		all = append(all, trial{
			row: "SEARCH TEXT in 100,000: " + w.what, unit: "ms", times: 1, limit: 200, needs: []corpus{talk}, rounds: 3, single: true, measure: searches(w.word),
		})
	}
	all = append(all, trial{
		row: "SEARCH SUBJECT in 100,000", unit: "ms", times: 1, limit: 200, needs: []corpus{talk}, rounds: 3, single: true, measure: search("SUBJECT 12345", 1),
	})
	for _, cold := range []bool{false, true} {
		all = append(all,
			temper(cold, trial{
				row: "SELECT of 500,000", unit: "ms", times: 1, limit: 100, needs: []corpus{archive}, spared: "cur", rounds: 4, measure: selects,
			}),
			temper(cold, trial{
				row: "SELECT of 500,000 and flags of the last", unit: "ms", times: 1, needs: []corpus{archive}, spared: "cur", rounds: 4, measure: selectsAndLooks,
			}))
	}
	return append(all,
		trial{row: "memory of an idle IMAP connection, 1,000 of them", unit: "KB", times: 1, limit: 25, rounds: 1, measure: idleIMAP(1000)},
		trial{row: "memory of an idle IMAP connection, 10,000 of them", unit: "KB", limit: 25, alone: true, measure: idleIMAP(10_000)},
		trial{row: "memory of an idle POP3 connection, 1,000 of them", unit: "KB", times: 1, limit: 25, measure: idlePOP3(1000)},
	)
}

// temper makes a trial warm or cold.
func temper(cold bool, t trial) trial {
	if !cold {
		t.row += ", warm"
		return t
	}
	t.row += ", cold"
	t.rounds = 2
	t.cold = user(t.needs[0].name)
	return t
}

// appends measures APPENDs, each acknowledged before the next, over some connections to
// the mailboxes of some users.
func appends(connections, boxes int, times float64) trial {
	row := fmt.Sprintf("durable APPEND of 10 KB, %d connections", connections)
	switch {
	case connections == 1:
		row = "durable APPEND of 10 KB, 1 connection"
	case boxes == 1:
		row += " to one mailbox"
	}
	return trial{row: row, unit: "messages/s", rate: true, times: times, rounds: 5, measure: func(ctx context.Context, c contender) (float64, error) {
		talkers := make([]*talker, connections)
		for i := range talkers {
			var err error
			if talkers[i], err = imap(ctx, c, writer(i%boxes), "", 4<<10); err != nil {
				return 0, err
			}
			defer talkers[i].close()
		}
		before := used(c.processes())
		began := time.Now()
		until := began.Add(1500 * time.Millisecond)
		counts, errs := make([]int, connections), make([]error, connections)
		var all sync.WaitGroup
		for i, t := range talkers {
			all.Go(func() {
				for ; errs[i] == nil && time.Now().Before(until); counts[i]++ {
					errs[i] = t.appendOne(uint64(began.UnixNano()) + uint64(i)<<32 + uint64(counts[i]))
				}
			})
		}
		all.Wait()
		took := time.Since(began).Seconds()
		total := 0
		for _, n := range counts {
			total += n
		}
		// On a machine that others use too this tells more than the rate does.
		fmt.Printf("%s takes %.0f µs of the processor for a message\n", c.name(), (used(c.processes())-before).Seconds()*1e6/float64(total))
		return float64(total) / took, errors.Join(errs...)
	}}
}

// appendOne appends a message that is like no other. Its bytes are not copied, lest the
// client be what is measured.
func (t *talker) appendOne(n uint64) error {
	head, body := letterParts(n, 10<<10)
	command := fmt.Appendf(make([]byte, 0, len(head)+64), "a APPEND INBOX {%d+}\r\n", len(head)+len(body))
	parts := net.Buffers{append(command, head...), body, []byte("\r\n")}
	if _, err := parts.WriteTo(t.Conn); err != nil {
		return err
	}
	_, err := t.answer("APPEND")
	return err
}

// timed is how long a command takes on a connection that is ready.
func timed(ctx context.Context, c contender, user, mailbox, command string) (a answer, seconds float64, err error) {
	t, err := imap(ctx, c, user, mailbox, readBuffer)
	if err != nil {
		return a, 0, err
	}
	defer t.close()
	began := time.Now()
	a, err = t.do(command)
	return a, time.Since(began).Seconds(), err
}

func fetchBodies(ctx context.Context, c contender) (float64, error) {
	a, seconds, err := timed(ctx, c, user(letters.name), "INBOX", "FETCH 1:* BODY.PEEK[]")
	if err == nil && (a.fetched != letters.count || a.literals < int64(letters.count)*10<<10) {
		err = fmt.Errorf("got %d messages of %d bytes", a.fetched, a.literals)
	}
	return float64(a.literals) / 1e6 / seconds, err
}

func fetchEnvelopes(ctx context.Context, c contender) (float64, error) {
	a, seconds, err := timed(ctx, c, user(talk.name), "INBOX", "FETCH 1:* (UID FLAGS ENVELOPE)")
	if err == nil && a.fetched != talk.count {
		err = fmt.Errorf("got %d messages", a.fetched)
	}
	return float64(a.fetched) / seconds, err
}

// storeFlags sets a flag and takes it off again, with all changes told.
func storeFlags(ctx context.Context, c contender) (float64, error) {
	const count = 10_000
	t, err := imap(ctx, c, user(talk.name), "INBOX", readBuffer)
	if err != nil {
		return 0, err
	}
	defer t.close()
	began := time.Now()
	for _, sign := range []string{"+", "-"} {
		a, err := t.do(fmt.Sprintf(`STORE 1:%d %sFLAGS (\Flagged)`, count, sign))
		if err != nil {
			return 0, err
		}
		if a.fetched != count {
			return 0, fmt.Errorf("told of %d changes", a.fetched)
		}
	}
	return 2 * count / time.Since(began).Seconds(), nil
}

// searches looks for a word; the number of hits must be what was written.
func searches(word string) func(context.Context, contender) (float64, error) {
	want := map[string]int{
		rareSign: talk.count / 50, invoiceWord: talk.count / 100, longWord: talk.count / 100, latinWord: talk.count / 500,
	}[word]
	return search(fmt.Sprintf("TEXT {%d+}\r\n%s", len(word), word), want)
}

func search(keys string, want int) func(context.Context, contender) (float64, error) {
	return func(ctx context.Context, c contender) (float64, error) {
		if m, ok := c.(*mailnode); ok {
			if err := m.index(ctx, user(talk.name)); err != nil {
				return 0, err
			}
		}
		a, seconds, err := timed(ctx, c, user(talk.name), "INBOX", "SEARCH CHARSET UTF-8 "+keys)
		if err == nil && a.found != want {
			err = fmt.Errorf("found %d messages instead of %d", a.found, want)
		}
		return 1000 * seconds, err
	}
}

func selects(ctx context.Context, c contender) (float64, error) {
	a, seconds, err := timed(ctx, c, user(archive.name), "", "SELECT INBOX")
	if err == nil && a.exists != archive.count {
		err = fmt.Errorf("there are %d messages", a.exists)
	}
	return 1000 * seconds, err
}

// selectsAndLooks is how long it takes until a message is told of: there is more to read
// for it than for what SELECT answers.
func selectsAndLooks(ctx context.Context, c contender) (float64, error) {
	t, err := imap(ctx, c, user(archive.name), "", readBuffer)
	if err != nil {
		return 0, err
	}
	defer t.close()
	began := time.Now()
	if _, err := t.do("SELECT INBOX"); err != nil {
		return 0, err
	}
	a, err := t.do("FETCH * FLAGS")
	if err == nil && a.fetched != 1 {
		err = fmt.Errorf("got %d messages", a.fetched)
	}
	return 1000 * time.Since(began).Seconds(), err
}

// downloads gets a whole maildrop, with so many commands sent ahead.
func downloads(ahead int) func(context.Context, contender) (float64, error) {
	return func(ctx context.Context, c contender) (float64, error) {
		t, err := pop3(ctx, c, user(letters.name), readBuffer)
		if err != nil {
			return 0, err
		}
		defer t.close()
		before := t.total
		began := time.Now()
		if err := t.download(letters.count, ahead); err != nil {
			return 0, err
		}
		seconds := time.Since(began).Seconds()
		if got := t.total - before; got < int64(letters.count)*10<<10 {
			return 0, fmt.Errorf("got %d bytes", got)
		}
		return float64(letters.count) / seconds, t.say("QUIT")
	}
}

// idleIMAP holds connections that have selected their inbox and idle, over
// the accounts of idlers.
func idleIMAP(count int) func(context.Context, contender) (float64, error) {
	return perConnection(count, func(ctx context.Context, c contender, i int) (*talker, error) {
		t, err := imap(ctx, c, idler(i%idlers), "INBOX", 1<<10)
		if err != nil {
			return nil, err
		}
		if _, err := io.WriteString(t, "a IDLE\r\n"); err != nil {
			return t, err
		}
		line, err := t.line()
		if err == nil && line[0] != '+' {
			err = fmt.Errorf("IDLE: %s", line)
		}
		return t, err
	})
}

// idlePOP3 holds connections that have signed in, each to an account of its own.
func idlePOP3(count int) func(context.Context, contender) (float64, error) {
	return perConnection(count, func(ctx context.Context, c contender, i int) (*talker, error) {
		t, err := pop3(ctx, c, idler(i%idlers), 1<<10)
		if err != nil {
			return nil, err
		}
		return t, t.say("STAT")
	})
}

// perConnection measures the memory of a server that was just started and then had a few
// connections, and again with many.
func perConnection[S server](count int, open func(context.Context, S, int) (*talker, error)) func(context.Context, S) (float64, error) {
	return func(ctx context.Context, c S) (float64, error) {
		if err := errors.Join(c.stop(), c.start(ctx)); err != nil {
			return 0, err
		}
		var held []*talker
		defer func() {
			for _, t := range held {
				t.close()
			}
		}()
		more := func(n int) error {
			for range n {
				t, err := open(ctx, c, len(held))
				if t != nil {
					held = append(held, t)
				}
				if err != nil {
					return fmt.Errorf("connection %d: %w", len(held), err)
				}
			}
			return nil
		}
		if err := more(10); err != nil {
			return 0, err
		}
		before, err := settled(ctx, c)
		if err != nil {
			return 0, err
		}
		if err := more(count); err != nil {
			return 0, err
		}
		after, err := settled(ctx, c)
		return (after - before) / float64(count) / 1024, err
	}
}

// settled is the memory a server holds once it does nothing any more.
func settled(ctx context.Context, c server) (float64, error) {
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(5 * time.Second):
	}
	return held(c.processes())
}
