package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"mailfleet/inventory"
	"mailfleet/mailnode/api"
)

// trial is a figure that is taken of both contenders.
type trial struct {
	row    string
	unit   string
	rate   bool    // more is better
	times  float64 // how many times better than the other ours should be; 0 for no such thing
	limit  float64 // what ours should not be above; 0 for no such thing
	needs  []corpus
	cold   string // user whose mail is made cold before; "" for warm
	spared string // directory whose files stay warm because they are not looked at
	rounds int    // of which the best counts
	// single is for what the other takes long for: it is measured in the first round only.
	single  bool
	alone   bool // ours only
	measure func(ctx context.Context, c contender) (float64, error)
}

// storeSuite measures IMAP and POP3 of the mailnode beside those of Debian's Dovecot:
// maildir, everything written to disk before it is acknowledged (mail_fsync=always).
// Both run here, on loopback and without TLS, at the same time; rounds alternate between
// them and the best counts. Warm is what was asked for before; cold is a server that has
// just been started and whose files are not in memory.
func storeSuite(ctx context.Context, s settings) (rows []Row, err error) {
	var trials []trial
	for _, t := range storeTrials() {
		if s.only == nil || s.only.MatchString(t.row) {
			trials = append(trials, t)
		}
	}
	if len(trials) == 0 {
		return nil, errors.New("no row has such a name")
	}
	dir, err := os.MkdirTemp("", "mf") // short, for sockets' sake
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	memory, err := os.MkdirTemp("/dev/shm", "mf")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(memory)) }()
	pair, err := contenders(ctx, s, dir, memory)
	if err != nil {
		return nil, err
	}
	for _, c := range pair {
		defer func() { err = errors.Join(err, c.stop()) }()
		if err := c.start(ctx); err != nil {
			return nil, err
		}
	}
	filled := map[string]bool{}
	for _, t := range trials {
		for _, need := range t.needs {
			if filled[need.name] {
				continue
			}
			filled[need.name] = true
			for _, c := range pair {
				began := time.Now()
				if err := c.fill(ctx, user(need.name), need); err != nil {
					return nil, fmt.Errorf("fill a mailbox of %s: %w", c.name(), err)
				}
				fmt.Printf("filled %s with %d messages in %.1f s\n", c.name(), need.count, time.Since(began).Seconds())
			}
		}
		row, err := compare(ctx, t, pair)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.row, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func contenders(ctx context.Context, s settings, dir, memory string) (pair []contender, err error) {
	for _, name := range []string{"m", "d"} {
		if err := os.Mkdir(dir+"/"+name, 0o755); err != nil {
			return nil, err
		}
	}
	// Dovecot's processes are other users'.
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(memory, 0o755)); err != nil {
		return nil, err
	}
	ours, err := newMailnode(s.bin, dir+"/m", users(), inventory.MailFlow{}, inventory.Route{}, api.IMAP, api.POP3)
	if err != nil {
		return nil, err
	}
	peer, err := newDovecot(ctx, dir+"/d", memory, "")
	return []contender{ours, peer}, err
}

// compare measures both contenders in turn.
func compare(ctx context.Context, t trial, pair []contender) (Row, error) {
	if t.alone {
		pair = pair[:1]
	}
	figures := make([][]float64, len(pair))
	for round := range max(t.rounds, 1) {
		for i, c := range pair {
			if i > 0 && round > 0 && t.single {
				continue
			}
			if t.cold != "" {
				if err := cool(ctx, c, t.cold, t.spared); err != nil {
					return Row{}, err
				}
			}
			v, err := t.measure(ctx, c)
			if err != nil {
				return Row{}, fmt.Errorf("%s: %w", c.name(), err)
			}
			figures[i] = append(figures[i], v)
		}
	}
	fmt.Printf("%s: %.4g %s, load %s\n", t.row, figures, t.unit, load())
	return t.judge(figures, pair[len(pair)-1].name()), nil
}

// judge makes a row of our figures and those of a peer, if there are any.
func (t trial) judge(figures [][]float64, peer string) Row {
	row := Row{Name: t.row, Unit: t.unit, Ours: t.best(figures[0]), Met: true}
	var aims []string
	if !t.alone {
		row.Peer, row.PeerName = t.best(figures[1]), peer
		row.Ratio = row.Ours / row.Peer
		if !t.rate {
			row.Ratio = row.Peer / row.Ours
		}
		switch {
		case t.times > 1:
			row.Met = row.Ratio >= t.times
			aims = append(aims, fmt.Sprintf("≥ %g ×", t.times))
		case t.times == 1:
			row.Met = row.Ratio > 1
			aims = append(aims, "> 1 ×")
		}
	}
	if t.limit > 0 {
		row.Met = row.Met && row.Ours <= t.limit
		aims = append(aims, fmt.Sprintf("≤ %g", t.limit))
	}
	row.Aim = strings.Join(aims, ", ")
	return row
}

func (t trial) best(figures []float64) float64 {
	best := figures[0]
	for _, v := range figures {
		if t.rate == (v > best) {
			best = v
		}
	}
	return best
}

// load is the machine's load average of the last minute.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "?"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
