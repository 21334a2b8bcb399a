package app

import (
	"context"
	"errors"
	"io"
	"time"

	"mailfleet/inventory"
	"mailfleet/mailnode/guard"
	"mailfleet/mailnode/outbound"
	"mailfleet/mailnode/queue"
	"mailfleet/mailnode/store"
)

// waiting is the queue and the ledger as operators see them.
type waiting struct {
	queue *queue.Queue
	brake *guard.Brake
	store *store.Store
}

func filterOf(f inventory.QueueFilter) queue.Filter {
	return queue.Filter{
		IDs: f.IDs, Message: f.Message, Destination: f.Destination, Sender: f.Sender, Recipient: f.Recipient,
		State: queue.EntryState(f.State), Last: f.Last, Older: time.Duration(f.Older), Younger: time.Duration(f.Younger), Within: f.Within,
		Whole: f.Act != "" && f.Act != inventory.ActDelete,
	}
}

func totalOf(t queue.Total) inventory.QueueTotal {
	return inventory.QueueTotal{Entries: t.Entries, Recipients: t.Recipients, Bytes: t.Bytes, Oldest: t.Oldest}
}

// List implements control.Queue.
func (w waiting) List(ctx context.Context, q inventory.QueueQuery) (inventory.QueuePage, error) {
	page := inventory.QueuePage{Entries: []inventory.QueueEntry{}}
	list, next, err := w.queue.List(ctx, filterOf(q.QueueFilter), q.After, q.Limit)
	for i := range list {
		page.Entries = append(page.Entries, entryOf(&list[i]))
	}
	page.Next = next
	return page, err
}

func entryOf(e *queue.Entry) inventory.QueueEntry {
	return inventory.QueueEntry{
		ID: e.ID, Message: e.Message, From: e.From, Account: inventory.ID(e.Account), Destination: e.Destination, Route: e.Route,
		Recipients: e.Recipients, Hidden: e.Hidden, Inbound: e.Inbound, Size: e.Size, Priority: int(e.Priority), Received: e.Received, Expires: e.Expires, Next: e.Next,
		Attempts: e.Attempts, State: inventory.QueueState(e.State), Last: e.Last, LastCode: e.LastCode, LastHost: e.LastHost, LastAt: e.LastAt,
	}
}

// listPage is how many entries are read at once of a queue that is gone through.
const listPage = 1000

// Export implements control.Queue.
func (w waiting) Export(ctx context.Context, f inventory.QueueFilter, give func(inventory.QueueEntry, io.Reader, int64) error) error {
	message := "" // given last
	for after := ""; ; {
		list, next, err := w.queue.List(ctx, filterOf(f), after, listPage)
		if err != nil {
			return err
		}
		for i := range list {
			e := &list[i]
			var text io.Reader
			size := int64(0)
			if e.Message != message {
				text, size, err = w.queue.Export(e.ID)
				if errors.Is(err, store.ErrNoMessage) {
					continue // it has left since it was listed
				}
				if err != nil {
					return err
				}
			}
			if err := give(entryOf(e), text, size); err != nil {
				return err
			}
			message = e.Message
		}
		if after = next; next == "" {
			return nil
		}
	}
}

// Summary implements control.Queue.
func (w waiting) Summary(ctx context.Context, f inventory.QueueFilter) (inventory.QueueSummary, error) {
	out := inventory.QueueSummary{Destinations: []inventory.QueueDestination{}}
	list, err := w.queue.Summary(ctx, filterOf(f))
	for _, d := range list {
		total := totalOf(d.Total)
		out.Total.Add(total)
		out.Destinations = append(out.Destinations, inventory.QueueDestination{
			Name: d.Name, QueueTotal: total, Active: d.Active, Rests: d.DeadTill, Last: d.Last,
		})
	}
	return out, err
}

// Act implements control.Queue.
func (w waiting) Act(ctx context.Context, act inventory.QueueAct, o inventory.QueueOrder) (int, error) {
	f := filterOf(o.Filter)
	switch act {
	case inventory.ActHold:
		return w.queue.Hold(ctx, f)
	case inventory.ActRelease:
		return w.release(ctx, f)
	case inventory.ActRetry:
		return w.queue.RetryNow(ctx, f)
	case inventory.ActDelete:
		return w.queue.Delete(ctx, f, o.Report)
	case inventory.ActReroute:
		var to *outbound.Route
		if o.Route != nil {
			to = smartHost(*o.Route, "")
		}
		return w.queue.Reroute(ctx, f, to)
	case inventory.ActExport:
		return 0, inventory.FieldErrorf("act", "queued mail is exported by GET /v1/queue/export: nothing becomes of it")
	}
	return 0, inventory.FieldErrorf("act", "%q is not one of %v", act, inventory.QueueActs)
}

// release lets mail go. Accounts whose mail the brake held may send again: somebody has
// looked.
func (w waiting) release(ctx context.Context, f queue.Filter) (int, error) {
	braked := map[string]bool{}
	for after := ""; ; {
		list, next, err := w.queue.List(ctx, f, after, listPage)
		if err != nil {
			return 0, err
		}
		for _, e := range list {
			if e.State == queue.StateHeld && e.Why != "" && e.Account != "" {
				braked[e.Account] = true
			}
		}
		if after = next; next == "" {
			break
		}
	}
	for account := range braked {
		if err := w.brake.Release(ctx, account); err != nil {
			return 0, err
		}
	}
	return w.queue.Release(ctx, f)
}

// Message implements control.Queue.
func (w waiting) Message(_ context.Context, id string) (io.Reader, int64, error) {
	message, size, err := w.queue.Export(id)
	if errors.Is(err, store.ErrNoMessage) {
		err = inventory.Errorf(inventory.NotFound, "the entry %s is not in the queue any more", id)
	}
	return message, size, err
}
