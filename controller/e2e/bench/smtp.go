package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"mailfleet/inventory"
	"mailfleet/mailnode/api"
)

// relay is a server whose ways of mail are measured: into mailboxes, and on to others.
type relay interface {
	server
	smtp() string // address that takes mail for the mailboxes
	submit(ctx context.Context, user string) (*talker, error)
	// landed waits until so many messages are in the mailboxes.
	landed(ctx context.Context, count int) (landing, error)
	// pile has messages put into the queue, with a parameter of MAIL, while nothing is
	// sent on; sending has begun or begins within seconds when it returns.
	pile(ctx context.Context, put func(parameter string) error) error
}

// landing is how many messages were in the mailboxes at a time.
type landing struct {
	count int
	at    time.Time
}

// bout is a measurement that yields the figures of several rows.
type bout struct {
	rows    []trial
	rounds  int
	measure func(ctx context.Context, c relay) ([]float64, error)
	share   *trial // row of the last figure as a share of what log makes, if that is asked for
	log     burden
}

// smtpSuite measures the ways of mail through the mailnode beside those of Debian's
// Postfix, which hands mail for mailboxes to Dovecot by LMTP: maildir, everything written
// to disk before it is acknowledged (mail_fsync=always, and Postfix's queue as it always
// is). Both run here, on loopback and without TLS; rounds alternate between them and the
// best counts.
func smtpSuite(ctx context.Context, s settings) (rows []Row, err error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	var bouts []bout
	for _, b := range smtpBouts(fmt.Sprintf("%s:%d", remoteHost, port), s.mailing) {
		wanted := func(t trial) bool { return s.only == nil || s.only.MatchString(t.row) }
		if slices.ContainsFunc(b.rows, wanted) || b.share != nil && wanted(*b.share) {
			bouts = append(bouts, b)
		}
	}
	if len(bouts) == 0 {
		return nil, errors.New("no row has such a name")
	}
	dir, err := os.MkdirTemp("", "mf") // short, for sockets' sake
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	pair, err := relays(ctx, s.bin, dir, port)
	if err != nil {
		return nil, err
	}
	for _, c := range pair {
		defer func() { err = errors.Join(err, c.stop()) }()
		if err := c.start(ctx); err != nil {
			return nil, err
		}
	}
	for _, b := range bouts {
		more, err := b.fight(ctx, pair, dir)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	if s.only != nil {
		rows = slices.DeleteFunc(rows, func(r Row) bool { return !s.only.MatchString(r.Name) })
	}
	return rows, nil
}

// remoteHost is where the contenders send mail on to: an address that is none of theirs.
const remoteHost = "127.0.0.2"

func relays(ctx context.Context, bin, dir string, port int) ([]relay, error) {
	for _, name := range []string{"", "m", "p", "d"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil { // the other's processes are other users'
		return nil, err
	}
	const plenty = 1_000_000_000
	flow := inventory.MailFlow{Submission: inventory.Submission{BrakeLeast: plenty, SentAnHour: plenty, MessagesAnHour: plenty}}
	route := inventory.Route{Host: remoteHost, Port: port, TLS: "opportunistic"}
	ours, err := newMailnode(bin, filepath.Join(dir, "m"), append(boxes(), mailer, single), flow, route, api.SMTP, api.Submission, api.IMAP)
	if err != nil {
		return nil, err
	}
	peer, err := newPostfix(ctx, filepath.Join(dir, "p"), filepath.Join(dir, "d"), port)
	return []relay{ours, peer}, err
}

// fight measures both in turn.
func (b bout) fight(ctx context.Context, pair []relay, dir string) (rows []Row, err error) {
	figures := make([][][]float64, len(b.rows)) // of each row, of each contender, of each round
	for i := range figures {
		figures[i] = make([][]float64, len(pair))
	}
	var bare []float64
	for range max(b.rounds, 1) {
		for i, c := range pair {
			if b.share != nil { // more than once: others may use the disk meanwhile
				v, err := bareLog(ctx, dir, b.log)
				if err != nil {
					return nil, err
				}
				bare = append(bare, v)
			}
			values, err := b.measure(ctx, c)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", b.rows[0].row, c.name(), err)
			}
			for k, v := range values {
				figures[k][i] = append(figures[k][i], v)
			}
		}
	}
	peer := pair[len(pair)-1].name()
	for k, t := range b.rows {
		fmt.Printf("%s: %.4g %s, load %s\n", t.row, figures[k], t.unit, load())
		rows = append(rows, t.judge(figures[k], peer))
	}
	if b.share != nil {
		log, last := slices.Max(bare), rows[len(rows)-1]
		fmt.Printf("a bare log, one fsync for all that wait, takes %.0f records of %d KB a second from %d\n", log, b.log.size>>10, b.log.writers)
		rows = append(rows, b.share.judge([][]float64{{100 * last.Ours / log}, {100 * last.Peer / log}}, peer))
	}
	return rows, nil
}
