package rest

import (
	"context"
	"slices"
	"strconv"
	"time"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// maxWait is the longest a read blocks.
const maxWait = 60 * time.Second

// Span is a query parameter that is a time: "30s", "1m30s", or seconds.
type Span struct {
	time.Duration
	set bool
}

// UnmarshalText reads a Go duration or a number of seconds.
func (s *Span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil {
		seconds, nerr := strconv.ParseFloat(string(text), 64)
		if nerr != nil || seconds != seconds || seconds > 1e9 || seconds < -1e9 {
			return inventory.Errorf(inventory.Invalid, "write 30, 30s or 1m30s")
		}
		d = time.Duration(seconds * float64(time.Second))
	}
	if d < 0 {
		return inventory.Errorf(inventory.Invalid, "it must not be negative")
	}
	s.Duration, s.set = d, true
	return nil
}

// Blocking is the input of reads that can wait for a change.
type Blocking struct {
	Index uint64 `query:"index" doc:"X-Index of an earlier answer: wait until something has changed since"`
	Wait  Span   `query:"wait" doc:"How long to wait at most, up to 60s (the default with index)"`
}

// await blocks until one of kinds has changed after the index, if there is
// one, or the wait is over.
func (s *Server) await(ctx context.Context, b Blocking, kinds ...inventory.Kind) error {
	if b.Index == 0 {
		return nil
	}
	if !b.Wait.set {
		b.Wait.Duration = maxWait
	}
	ctx, cancel, err := s.waiting(ctx, b.Wait)
	if err != nil {
		return err
	}
	defer cancel()
	s.Store.Wait(ctx, b.Index, kinds...)
	return nil
}

// waiting bounds ctx by a wait and by Close, and gives the answer time.
func (s *Server) waiting(ctx context.Context, wait Span) (context.Context, context.CancelFunc, error) {
	if wait.Duration > maxWait {
		return nil, nil, inventory.FieldErrorf("wait", "wait is %s; it can be %s at most", wait.Duration, maxWait)
	}
	callOf(ctx).extend(wait.Duration + writeTimeout)
	ctx, cancel := context.WithTimeout(ctx, wait.Duration)
	stop := context.AfterFunc(s.closing, cancel)
	return ctx, func() { stop(); cancel() }, nil
}

// Paging is the input of every list.
type Paging struct {
	Blocking
	Limit  int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"Most items in the answer"`
	Cursor string `query:"cursor" maxLength:"1000" doc:"next of the page before"`
	Order  string `query:"order" enum:"oldest,newest" doc:"By time of creation; the default depends on the list"`
}

// query is the page's question to a table. newest is the list's default order.
func (p Paging) query(newest bool, where map[string][]string) inventory.Query {
	if p.Order != "" {
		newest = p.Order == "newest"
	}
	return inventory.Query{Where: set(where), Limit: p.Limit, Cursor: p.Cursor, Newest: newest}
}

// set drops the fields that no value was given for.
func set(where map[string][]string) map[string][]string {
	for field, values := range where {
		if len(values) == 0 || slices.Equal(values, []string{""}) {
			delete(where, field)
		}
	}
	return where
}

// page is a list's answer.
type page[T any] struct {
	Index uint64 `header:"X-Index" doc:"Send it as index to wait for the next change"`
	Body  api.Page[T]
}

// readPage waits as asked and reads a page on one snapshot.
func readPage[T any](ctx context.Context, s *Server, p Paging, kinds []inventory.Kind, read func(inventory.Tx) ([]T, string, error)) (*page[T], error) {
	if err := s.await(ctx, p.Blocking, kinds...); err != nil {
		return nil, err
	}
	out := &page[T]{}
	err := s.Store.View(ctx, func(tx inventory.Tx) (err error) {
		out.Body.Items, out.Body.Next, err = read(tx)
		out.Index = tx.Index()
		return err
	})
	if out.Body.Items == nil {
		out.Body.Items = []T{}
	}
	return out, err
}
