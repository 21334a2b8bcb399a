package store

import (
	"context"
	"iter"
	"time"
)

const (
	// pageBytes is how much a page of digests should hold, and maxPage how many messages it
	// has at most.
	pageBytes = 64 << 10
	firstPage = 64
	maxPage   = pageSize
	// pageLull is how long a page waits for whoever takes it before what is held of the
	// database is given back.
	pageLull = 200 * time.Millisecond
)

// Page is some of the messages that were asked for.
type Page struct {
	UIDs     []uint32  // which they are
	Messages []Message // those of them that are there, as Store.Digests yields them
	err      error
	rows     []row
	room     []byte // for their values
}

// DigestPages are the digests of many messages in pages. While one page is used the next
// is read, by one iterator from the first to the last: a disk is read faster that way, and
// two processors are used. It holds three pages, however slowly they are taken.
type DigestPages struct {
	pages chan *Page // the next; closed by the goroutine that reads
	used  chan *Page // those whose memory may be used again
	taken *Page
	stop  chan struct{}
}

// DigestPages begins to read the digests of messages in ascending order. It must be closed.
func (s *Store) DigestPages(ctx context.Context, p Place, uids iter.Seq[uint32]) *DigestPages {
	r := &DigestPages{pages: make(chan *Page, 1), used: make(chan *Page, 3), stop: make(chan struct{})}
	go func() {
		defer close(r.pages)
		w := pageReader{s: s, p: p, to: r, size: firstPage}
		w.run(ctx, uids)
	}()
	return r
}

// Next returns the next page, good until the next call; nil behind the last.
func (r *DigestPages) Next() (*Page, error) {
	if r.taken != nil {
		r.used <- r.taken // there is room for all there are
		r.taken = nil
	}
	page, ok := <-r.pages
	if !ok {
		return nil, nil
	}
	r.taken = page
	return page, page.err
}

// Close ends the reading.
func (r *DigestPages) Close() {
	close(r.stop)
	for range r.pages { // until the goroutine has ended
	}
}

// pageReader is the goroutine of DigestPages.
type pageReader struct {
	s    *Store
	p    Place
	to   *DigestPages
	it   *rowIter // nil: none is held
	size int      // messages of the next page
}

func (w *pageReader) run(ctx context.Context, uids iter.Seq[uint32]) {
	page := newPage()
	more := true
	for uid := range uids {
		if page.UIDs = append(page.UIDs, uid); len(page.UIDs) < w.size {
			continue
		}
		if more = w.fill(ctx, page) && w.give(page); !more {
			break
		}
		page = w.empty()
	}
	if more && len(page.UIDs) > 0 {
		_ = w.fill(ctx, page) && w.give(page)
	}
	w.release()
}

// empty is a page to be filled.
func (w *pageReader) empty() *Page {
	select {
	case page := <-w.to.used:
		page.UIDs, page.Messages, page.rows = page.UIDs[:0], page.Messages[:0], page.rows[:0]
		return page
	default:
		return newPage()
	}
}

func newPage() *Page { return &Page{room: make([]byte, 0, pageBytes*5/4)} }

// fill reads a page. When that fails, the page says why and is the last.
func (w *pageReader) fill(ctx context.Context, page *Page) bool {
	page.err = w.read(ctx, page)
	if page.err != nil {
		w.give(page)
		return false
	}
	return true
}

func (w *pageReader) read(ctx context.Context, page *Page) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.it == nil {
		if w.it, err = w.s.newRowIter(w.p, 'd', page.UIDs[0]); err != nil {
			return err
		}
	}
	values := arena(page.room)
	if page.rows, err = w.it.read(page.rows, page.UIDs, &values); err != nil {
		return err
	}
	if len(page.rows) < len(page.UIDs) { // some are gone, or were never kept
		for m, err := range w.s.Messages(ctx, w.p, page.UIDs, true) {
			if err != nil {
				return err
			}
			page.Messages = append(page.Messages, m)
		}
		return nil
	}
	bytes := 0
	for _, r := range page.rows {
		page.Messages = append(page.Messages, Message{UID: r.uid, Digest: r.value})
		bytes += len(r.value)
	}
	w.size = min(max(len(page.rows)*pageBytes/max(bytes, 1), 1), 2*w.size, maxPage)
	return nil
}

// give hands a page over; false when nobody wants it.
func (w *pageReader) give(page *Page) bool {
	timer := time.NewTimer(pageLull)
	defer timer.Stop()
	for {
		select {
		case w.to.pages <- page:
			return true
		case <-w.to.stop:
			return false
		case <-timer.C:
			w.release()
		}
	}
}

// release gives back what is held of the database.
func (w *pageReader) release() {
	if w.it != nil {
		_ = w.it.Close() // what went wrong was told by read
		w.it = nil
	}
}
