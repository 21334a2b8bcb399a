package queue

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/outbound"
	"mailfleet/mailnode/store"
)

// EntryState says how a part is.
type EntryState string

// The states.
const (
	StateHeld    EntryState = "held"    // until an operator releases it
	StateFuture  EntryState = "future"  // the sender wants it to go later
	StateActive  EntryState = "active"  // it is being tried
	StateWaiting EntryState = "waiting" // for its first or next attempt
)

// Entry is a part of the queue as operators see it.
type Entry struct {
	ID          string // of the part
	Message     string // ID of the envelope
	From        string
	Account     string
	Destination string // domain, or local
	Route       string // host it is sent to in place of the domain's, "" for none
	Recipients  []string
	Hidden      int  // recipients who are not shown: they are of other domains than those asked about
	Inbound     bool // of the domains asked about are recipients only
	Size        int64
	Priority    envelope.Priority
	Received    time.Time
	Expires     time.Time
	Next        time.Time
	Attempts    int
	State       EntryState
	Why         string // it was held when it came, "" for held by an operator
	Last        string // how the last attempt ended, "" for none
	LastCode    int
	LastHost    string
	LastAt      time.Time
}

// Filter picks entries; fields that are empty pick all. Texts are compared without case.
type Filter struct {
	IDs         []string // of parts
	Message     string   // ID of the envelope
	Destination string
	Sender      string // address, or @domain, or an account's id
	Recipient   string // address, or part of one
	State       EntryState
	Last        string        // part of how the last attempt ended
	Braked      bool          // held when it came, and not by an operator
	Older       time.Duration // at least so long in the queue
	Younger     time.Duration // at most
	// Within are domains, one of which the sender or a recipient is of. Of mail that others
	// send, only what concerns the domains is seen and changed.
	Within []string
	// Whole leaves out what those who look after Within must not change as a whole: mail that
	// other accounts of the fleet send, or that goes to other domains too.
	Whole bool
}

// narrow leaves of an entry what those see who look after some domains, in lower case; false
// when that is nothing.
func (e *Entry) narrow(domains []string) bool {
	if slices.Contains(domains, domainOf(e.From)) {
		return true
	}
	all := len(e.Recipients)
	e.Recipients = slices.DeleteFunc(e.Recipients, func(r string) bool { return !slices.Contains(domains, domainOf(r)) })
	e.Inbound, e.Hidden = true, all-len(e.Recipients)
	return len(e.Recipients) > 0
}

func (f *Filter) match(e *Entry, now time.Time) bool {
	age := now.Sub(e.Received)
	has := func(s, part string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(part)) }
	switch {
	case len(f.IDs) > 0 && !slices.Contains(f.IDs, e.ID),
		f.Message != "" && f.Message != e.Message,
		f.Destination != "" && !strings.EqualFold(f.Destination, e.Destination),
		f.State != "" && f.State != e.State,
		f.Last != "" && !has(e.Last, f.Last),
		f.Braked && e.Why == "",
		len(f.Within) > 0 && !e.narrow(f.Within),
		f.Whole && e.Inbound && (e.Account != "" || e.Hidden > 0),
		f.Older > 0 && age < f.Older, f.Younger > 0 && age > f.Younger:
		return false
	case strings.HasPrefix(f.Sender, "@") && !strings.EqualFold(f.Sender[1:], domainOf(e.From)):
		return false
	case f.Sender != "" && f.Sender[0] != '@' && !strings.EqualFold(f.Sender, e.From) && (e.Inbound || f.Sender != e.Account):
		return false
	}
	if e.Inbound {
		e.Account = "" // it is somebody else's
	}
	return f.Recipient == "" || slices.ContainsFunc(e.Recipients, func(r string) bool { return has(r, f.Recipient) })
}

// found is an entry with what it was made of.
type found struct {
	Entry
	ref
	*part
	*letter
}

// errEnough ends a walk.
var errEnough = errors.New("queue: enough")

// walk goes through the entries that a filter picks, from a part on.
func (q *Queue) walk(ctx context.Context, from []byte, f Filter, yield func(found) error) error {
	now := q.now()
	var m *letter
	var id [16]byte
	for row, err := range q.table.Scan(ctx, from, []byte{rowPart + 1}) {
		if err != nil {
			return err
		}
		r, ok := refOf(row.Key)
		if !ok {
			return errRecord
		}
		p, err := decodePart(row.Value)
		if err != nil {
			continue // recover has told
		}
		if m == nil || id != r.id {
			if m, err = q.message(r.id); err != nil {
				m = nil
				continue // it has left since the walk began
			}
			id = r.id
		}
		e := q.entry(r, p, m, now)
		if !f.match(&e, now) {
			continue
		}
		if err := yield(found{e, r, p, m}); err != nil {
			return err
		}
	}
	return nil
}

func (q *Queue) entry(r ref, p *part, m *letter, now time.Time) Entry {
	e := Entry{
		ID: r.String(), Message: m.Envelope.ID, From: cmp.Or(p.From, m.Envelope.From), Account: m.Envelope.Account,
		Destination: p.Destination, Size: m.Size, Priority: m.Envelope.Priority, Received: m.Received,
		Expires: m.Expires, Next: p.Next, Attempts: p.Attempts, State: StateWaiting,
	}
	for _, to := range p.To {
		e.Recipients = append(e.Recipients, to.Address)
	}
	if p.Route != nil {
		e.Route = p.Route.Host
	}
	if p.Last != nil {
		e.Last, e.LastCode, e.LastHost, e.LastAt = p.Last.Text, p.Last.Code, p.Last.Host, p.Last.At
	}
	q.mu.Lock()
	_, active := q.memory.active[r]
	q.mu.Unlock()
	switch {
	case p.Held:
		e.State, e.Why = StateHeld, m.Envelope.Held
	case active:
		e.State = StateActive
	case p.Attempts == 0 && m.Envelope.HoldUntil.After(now):
		e.State = StateFuture
	}
	return e
}

// List returns up to limit entries that a filter picks, the oldest first, and a cursor
// for those that follow, "" when there are none.
func (q *Queue) List(ctx context.Context, f Filter, cursor string, limit int) (list []Entry, next string, err error) {
	from := []byte{rowPart}
	if cursor != "" {
		key, err := hex.DecodeString(cursor)
		if err != nil || len(key) != 20 {
			return nil, "", errors.New("the cursor is none of this list")
		}
		from = append(append(from, key...), 0)
	}
	err = q.walk(ctx, from, f, func(e found) error {
		if len(list) == limit {
			next = list[limit-1].ID
			return errEnough
		}
		list = append(list, e.Entry)
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return list, next, err
}

// Total is how much a filter picks.
type Total struct {
	Entries, Recipients int
	Bytes               int64 // of messages, each counted for each entry
	Oldest              time.Time
}

func (t *Total) add(e *Entry) {
	t.Entries++
	t.Recipients += len(e.Recipients)
	t.Bytes += e.Size
	if t.Oldest.IsZero() || e.Received.Before(t.Oldest) {
		t.Oldest = e.Received
	}
}

// Count counts what a filter picks.
func (q *Queue) Count(ctx context.Context, f Filter) (t Total, err error) {
	err = q.walk(ctx, []byte{rowPart}, f, func(e found) error {
		t.add(&e.Entry)
		return nil
	})
	return t, err
}

// Destination sums up what waits for a destination.
type Destination struct {
	Name string
	Total
	Active   int
	DeadTill time.Time // it is left alone until then
	Last     string    // a last reply
}

// Summary sums up what a filter picks by destination, those with most recipients first.
func (q *Queue) Summary(ctx context.Context, f Filter) ([]Destination, error) {
	sums := map[string]*Destination{}
	err := q.walk(ctx, []byte{rowPart}, f, func(e found) error {
		d := sums[e.Entry.Destination]
		if d == nil {
			d = &Destination{Name: e.Entry.Destination}
			sums[d.Name] = d
		}
		d.add(&e.Entry)
		d.Last = cmp.Or(e.Entry.Last, d.Last)
		return nil
	})
	if err != nil {
		return nil, err
	}
	list := make([]Destination, 0, len(sums))
	now := q.now()
	q.mu.Lock()
	for _, d := range sums {
		if l := q.memory.lanes[d.Name]; l != nil {
			d.Active = l.active
			if l.deadTill.After(now) {
				d.DeadTill = l.deadTill
			}
		}
		list = append(list, *d)
	}
	q.mu.Unlock()
	slices.SortFunc(list, func(a, b Destination) int {
		return cmp.Or(cmp.Compare(b.Recipients, a.Recipients), cmp.Compare(a.Name, b.Name))
	})
	return list, nil
}

// Hold keeps what a filter picks from being tried until it is released.
func (q *Queue) Hold(ctx context.Context, f Filter) (int, error) {
	return q.alter(ctx, f, func(p *part) bool {
		was := p.Held
		p.Held = true
		return !was
	})
}

// Release takes Hold back; what is due is tried at once.
func (q *Queue) Release(ctx context.Context, f Filter) (int, error) {
	return q.alter(ctx, f, func(p *part) bool {
		was := p.Held
		p.Held = false
		return was
	})
}

// RetryNow has what a filter picks tried at once, also at destinations that are left
// alone for now. What is held stays so.
func (q *Queue) RetryNow(ctx context.Context, f Filter) (int, error) {
	now := q.now()
	revived := map[string]bool{}
	return q.alter(ctx, f, func(p *part) bool {
		if p.Held {
			return false
		}
		p.Next = now
		if name := q.lane(p); !revived[name] {
			revived[name] = true
			q.revive(name)
		}
		return true
	})
}

func (q *Queue) revive(lane string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := q.memory.lanes[lane]; l != nil {
		l.failures, l.deadTill = 0, time.Time{}
	}
}

// Reroute has what a filter picks sent to a host, nil: to the one it would go to by
// itself, and tried at once.
func (q *Queue) Reroute(ctx context.Context, f Filter, to *outbound.Route) (int, error) {
	now := q.now()
	return q.alter(ctx, f, func(p *part) bool {
		if p.Destination == local {
			return false
		}
		p.Route, p.Next = to, now
		return true
	})
}

// batch is how many entries one change alters.
const batch = 200

// alter changes the parts a filter picks; change returns false for one that stays as it is.
func (q *Queue) alter(ctx context.Context, f Filter, change func(*part) bool) (n int, err error) {
	defer q.acts.begin()()
	return q.each(ctx, f, func(list []found) (int, error) {
		var refs []ref
		var parts []*part
		err := q.o.Store.Update(ctx, nil, func(tx *store.Tx) error {
			refs, parts = refs[:0], parts[:0]
			for _, e := range list {
				row, err := tx.Get(q.table, e.key())
				if err != nil {
					return err
				}
				if row == nil {
					continue
				}
				p, err := decodePart(row)
				if err != nil {
					return err
				}
				if !change(p) {
					continue
				}
				p.Changes++
				if err := tx.Set(q.table, e.key(), p.encode()); err != nil {
					return err
				}
				refs, parts = append(refs, e.ref), append(parts, p)
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
		for i, r := range refs {
			q.plan(r, parts[i])
		}
		return len(refs), nil
	})
}

// each gives what a filter picks to do, some at a time.
func (q *Queue) each(ctx context.Context, f Filter, do func([]found) (int, error)) (total int, err error) {
	var list []found
	flush := func() error {
		n, err := do(list)
		total += n
		list = nil
		return err
	}
	err = q.walk(ctx, []byte{rowPart}, f, func(e found) error {
		if list = append(list, e); len(list) < batch {
			return nil
		}
		return flush()
	})
	if err == nil && len(list) > 0 {
		err = flush()
	}
	return total, err
}

// Delete takes what a filter picks out of the queue, of an entry only the recipients that
// are shown. With report, senders are told as of
// any mail that could not be delivered.
func (q *Queue) Delete(ctx context.Context, f Filter, report bool) (int, error) {
	o := outbound.Outcome{State: outbound.Permanent, Code: 554, Enhanced: "5.7.1", Text: "the operator of this server has taken the message out of the queue"}
	defer q.acts.begin()()
	return q.each(ctx, f, func(list []found) (int, error) {
		var all errgroup.Group
		all.SetLimit(32) // changes that are made at once share a sync
		for _, e := range list {
			c := change{it: item{ref: e.ref}, p: e.part, m: e.letter, now: q.now()}
			for _, to := range e.part.To {
				if slices.Contains(e.Recipients, to.Address) {
					c.done = append(c.done, decision{to: to, Outcome: o})
				}
			}
			all.Go(func() error { return q.deleteOne(ctx, &c, report) })
		}
		return len(list), all.Wait()
	})
}

func (q *Queue) deleteOne(ctx context.Context, c *change, report bool) error {
	if report {
		if err := q.prepare(ctx, c); err != nil {
			return err
		}
	}
	if c.staged != nil {
		defer c.staged.Close()
	}
	err := q.alone(ctx, c)
	if errors.Is(err, errGone) {
		return nil
	}
	if err == nil {
		q.follow(c)
	}
	return err
}

// Export returns the message of a part as it would be sent, for an .eml file.
func (q *Queue) Export(partID string) (io.Reader, int64, error) {
	key, err := hex.DecodeString(partID)
	if err != nil || len(key) != 20 {
		return nil, 0, store.ErrNoMessage
	}
	m, err := q.message([16]byte(key[:16]))
	if err != nil {
		return nil, 0, store.ErrNoMessage
	}
	open, err := q.open([16]byte(key[:16]), m)
	if err != nil {
		return nil, 0, err
	}
	return open(), m.Size, nil
}
