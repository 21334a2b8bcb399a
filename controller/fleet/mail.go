package fleet

import (
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	agentapi "mailfleet/agent/api"
	"mailfleet/inventory"
)

// MailSessions asks a server for a page of the connections to its mailnode.
func (f *Fleet) MailSessions(ctx context.Context, id inventory.ID, q inventory.MailSessionQuery) (inventory.MailSessionPage, error) {
	return askMail(ctx, f, id, func(c *agentapi.Client) (inventory.MailSessionPage, error) { return c.MailSessions(ctx, q) })
}

const (
	countLimit  = 3 * time.Second // for a server to tell how many of something it has
	countAtOnce = 16              // servers that are asked at the same time
)

// CountMailSessions asks servers how many connections their mailnodes hold.
// Those that do not answer are not among the counts.
func (f *Fleet) CountMailSessions(ctx context.Context, ids []inventory.ID) map[inventory.ID]int {
	return count(ctx, ids, func(ctx context.Context, id inventory.ID) (int, error) {
		page, err := f.MailSessions(ctx, id, inventory.MailSessionQuery{Limit: 1})
		return page.Total, err
	})
}

// count asks servers for a count each, some at the same time.
func count[N any](ctx context.Context, ids []inventory.ID, ask func(context.Context, inventory.ID) (N, error)) map[inventory.ID]N {
	ctx, cancel := context.WithTimeout(ctx, countLimit)
	defer cancel()
	var mu sync.Mutex
	counts := make(map[inventory.ID]N, len(ids))
	var asking errgroup.Group
	asking.SetLimit(countAtOnce)
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		asking.Go(func() error {
			n, err := ask(ctx, id)
			if err != nil {
				return nil // not known
			}
			mu.Lock()
			defer mu.Unlock()
			counts[id] = n
			return nil
		})
	}
	_ = asking.Wait()
	return counts
}

// EndMailSession has a server end a connection to its mailnode. NotFound: it is not there (any more).
func (f *Fleet) EndMailSession(ctx context.Context, id inventory.ID, session string) error {
	_, err := askMail(ctx, f, id, func(c *agentapi.Client) (struct{}, error) { return struct{}{}, c.EndMailSession(ctx, session) })
	return err
}

// EndMailSessions has a server end the connections that a query means, and returns how many they were.
func (f *Fleet) EndMailSessions(ctx context.Context, id inventory.ID, q inventory.MailSessionQuery) (int, error) {
	return askMail(ctx, f, id, func(c *agentapi.Client) (int, error) { return c.EndMailSessions(ctx, q) })
}

// Mailboxes asks an account's server for its folders.
func (f *Fleet) Mailboxes(ctx context.Context, id, account inventory.ID) (inventory.Mailboxes, error) {
	return askMail(ctx, f, id, func(c *agentapi.Client) (inventory.Mailboxes, error) { return c.Mailboxes(ctx, account) })
}

// SignIns asks an account's server for the last sign-ins to it.
func (f *Fleet) SignIns(ctx context.Context, id, account inventory.ID) ([]inventory.MailSignIn, error) {
	return askMail(ctx, f, id, func(c *agentapi.Client) ([]inventory.MailSignIn, error) { return c.SignIns(ctx, account) })
}

// Queue asks a server for a page of its mailnode's queue.
func (f *Fleet) Queue(ctx context.Context, id inventory.ID, q inventory.QueueQuery) (inventory.QueuePage, error) {
	return askMail(ctx, f, id, func(c *agentapi.Client) (inventory.QueuePage, error) { return c.Queue(ctx, q) })
}

// QueueSummary asks a server to sum up what a filter picks of its mailnode's queue.
func (f *Fleet) QueueSummary(ctx context.Context, id inventory.ID, q inventory.QueueFilter) (inventory.QueueSummary, error) {
	return askMail(ctx, f, id, func(c *agentapi.Client) (inventory.QueueSummary, error) { return c.QueueSummary(ctx, q) })
}

// QueuedMessage opens a message of a server's queue. Whoever asked closes it. NotFound:
// it is not there (any more).
func (f *Fleet) QueuedMessage(ctx context.Context, id inventory.ID, entry string) (message io.ReadCloser, size int64, err error) {
	message, err = askMail(ctx, f, id, func(c *agentapi.Client) (m io.ReadCloser, err error) {
		m, size, err = c.QueuedMessage(ctx, entry)
		return m, err
	})
	return message, size, err
}

// Holds asks a server for the accounts whose mail is held.
func (f *Fleet) Holds(ctx context.Context, id inventory.ID) ([]inventory.MailHold, error) {
	return askMail(ctx, f, id, func(c *agentapi.Client) ([]inventory.MailHold, error) { return c.Holds(ctx) })
}

// ReleaseHold has an account's server let it send again and its held mail go. NotFound: it is not held.
func (f *Fleet) ReleaseHold(ctx context.Context, id, account inventory.ID) (int, error) {
	return askMail(ctx, f, id, func(c *agentapi.Client) (int, error) { return c.ReleaseHold(ctx, account) })
}

// DeleteHeld has an account's server delete its held mail. NotFound: it is not held.
func (f *Fleet) DeleteHeld(ctx context.Context, id, account inventory.ID) (int, error) {
	return askMail(ctx, f, id, func(c *agentapi.Client) (int, error) { return c.DeleteHeld(ctx, account) })
}

// ExportQueue opens the stream of what a filter picks of a server's queue. Whoever asked
// closes it.
func (f *Fleet) ExportQueue(ctx context.Context, id inventory.ID, q inventory.QueueFilter) (io.ReadCloser, error) {
	return askMail(ctx, f, id, func(c *agentapi.Client) (io.ReadCloser, error) { return c.ExportQueue(ctx, q) })
}

// Ledger asks a server for a page of its ledger.
func (f *Fleet) Ledger(ctx context.Context, id inventory.ID, q inventory.LedgerQuery) (inventory.LedgerPage, error) {
	return askMail(ctx, f, id, func(c *agentapi.Client) (inventory.LedgerPage, error) { return c.Ledger(ctx, q) })
}

// MailFailures asks a server for a page of what was noted of mail that was given up.
func (f *Fleet) MailFailures(ctx context.Context, id inventory.ID, q inventory.LedgerQuery) (inventory.MailFailurePage, error) {
	return askMail(ctx, f, id, func(c *agentapi.Client) (inventory.MailFailurePage, error) { return c.MailFailures(ctx, q) })
}

// CountQueued asks servers how much a filter picks of their queues. Those that do not
// answer are not among the counts.
func (f *Fleet) CountQueued(ctx context.Context, ids []inventory.ID, q inventory.QueueFilter) map[inventory.ID]inventory.QueueTotal {
	return count(ctx, ids, func(ctx context.Context, id inventory.ID) (inventory.QueueTotal, error) {
		sum, err := f.QueueSummary(ctx, id, q)
		return sum.Total, err
	})
}

// askMail asks a server's mailnode through its agent. What the mailnode does not have is
// NotFound, what it cannot make sense of Invalid; when it gives no answer it is Unavailable.
func askMail[T any](ctx context.Context, f *Fleet, id inventory.ID, ask func(*agentapi.Client) (T, error)) (out T, err error) {
	var s *inventory.Server
	err = f.store.View(ctx, func(tx inventory.Tx) (err error) {
		s, err = server(tx, string(id))
		return err
	})
	if err != nil {
		return out, err
	}
	client, err := f.agent(s)
	if err != nil {
		return out, err
	}
	if out, err = ask(client); err != nil && !inventory.Is(err, inventory.NotFound) && !inventory.Is(err, inventory.Invalid) {
		return out, inventory.Wrap(inventory.Unavailable, err, "the mailnode of %s did not answer", s.Name)
	}
	return out, err
}
