package durable

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const (
	// segmentsPerQueue is into how many files a full queue is divided: the
	// oldest file as a whole makes room for the new.
	segmentsPerQueue = 8
	// maxUnsaved is how many items are held in memory while the disk refuses them.
	maxUnsaved = 256
	// segmentSuffix follows the number of a segment's first item in its name.
	segmentSuffix = ".log"
)

// Item is something in a queue. Later items have greater numbers.
type Item[T any] struct {
	Seq   uint64
	Value T
}

// Queue is a first-in-first-out queue on disk, bounded in bytes: when it is
// full the oldest items are dropped. What was appended is there after a
// restart until it is acknowledged; an acknowledgement that was lost gives the
// items again, never fewer. It is safe for concurrent use.
type Queue[T any] struct {
	dir   string
	max   int64
	log   *slog.Logger
	added chan struct{}

	mu       sync.Mutex
	segments []*segment[T] // oldest first; the last one is written to
	unsaved  []unsaved     // newer than all in segments
	next     uint64        // Seq of the next item
	acked    uint64        // all up to here are done with
	dropped  uint64
}

// segment is one file of a queue.
type segment[T any] struct {
	log   *Log[record[T]]
	items []slot // not acknowledged, oldest first
}

type slot struct {
	seq uint64
	at  span
}

// unsaved is an item the disk has not taken yet, as the line to write.
type unsaved struct {
	seq  uint64
	line []byte
}

// record is a line of a segment: an item, or word that all items up to Ack
// are done with.
type record[T any] struct {
	Seq  uint64 `json:"seq,omitempty"`
	Item *T     `json:"item,omitempty"`
	Ack  uint64 `json:"ack,omitempty"`
}

// OpenQueue opens or creates the queue in the directory dir, which is its
// alone. It takes at most max bytes there, and a little more while it writes.
func OpenQueue[T any](dir string, max int64, log *slog.Logger) (*Queue[T], error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return nil, err
	}
	q := &Queue[T]{dir: dir, max: max, log: log, added: make(chan struct{}, 1), next: 1}
	if err := q.load(); err != nil {
		_ = q.Close()
		return nil, fmt.Errorf("open queue: %w", err)
	}
	if q.Len() > 0 {
		q.added <- struct{}{}
	}
	return q, nil
}

func (q *Queue[T]) load() error {
	entries, err := os.ReadDir(q.dir)
	if err != nil {
		return err
	}
	var firsts []uint64
	for _, e := range entries {
		number, ok := strings.CutSuffix(e.Name(), segmentSuffix)
		if first, err := strconv.ParseUint(number, 10, 64); ok && err == nil {
			firsts = append(firsts, first)
		}
	}
	slices.Sort(firsts)
	for _, first := range firsts {
		if err := q.openSegment(first); err != nil {
			return err
		}
	}
	if len(q.segments) == 0 {
		return q.openSegment(q.next)
	}
	q.forget(q.acked)
	return nil
}

// openSegment opens or creates the segment that begins with item first, and
// makes it the last.
func (q *Queue[T]) openSegment(first uint64) error {
	s := &segment[T]{}
	q.next = max(q.next, first)
	path := filepath.Join(q.dir, fmt.Sprintf("%020d%s", first, segmentSuffix))
	var err error
	s.log, err = openLog(path, q.log, func(r record[T], at span) {
		q.acked = max(q.acked, r.Ack)
		if r.Item != nil {
			s.items = append(s.items, slot{r.Seq, at})
		}
		q.next = max(q.next, r.Seq+1, r.Ack+1)
	})
	if err != nil {
		return err
	}
	q.segments = append(q.segments, s)
	return nil
}

// Append puts values at the end. An error that is not about the values
// themselves says that the disk refused: they are queued all the same, held in
// memory until it takes them.
func (q *Queue[T]) Append(values ...T) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	fresh := make([]unsaved, len(values))
	for i, v := range values {
		seq := q.next + uint64(i)
		line, err := encode(record[T]{Seq: seq, Item: &v})
		if err != nil {
			return err
		}
		fresh[i] = unsaved{seq, line}
	}
	q.next += uint64(len(values))
	q.unsaved = append(q.unsaved, fresh...)
	err := q.save()
	if over := len(q.unsaved) - maxUnsaved; over > 0 {
		q.unsaved = slices.Delete(q.unsaved, 0, over)
		q.dropped += uint64(over)
	}
	select {
	case q.added <- struct{}{}:
	default:
	}
	return err
}

// save writes what is unsaved to the last segment, then sees to the bounds.
func (q *Queue[T]) save() error {
	lines := make([][]byte, len(q.unsaved))
	for i, u := range q.unsaved {
		lines[i] = u.line
	}
	last := q.segments[len(q.segments)-1]
	at, err := last.log.write(lines)
	if err != nil {
		return err
	}
	for i, u := range q.unsaved {
		last.items = append(last.items, slot{u.seq, at[i]})
	}
	q.unsaved = nil
	return q.bound()
}

// bound starts a new segment when the last is long enough, and drops the
// oldest segments while there are too many bytes.
func (q *Queue[T]) bound() error {
	last := q.segments[len(q.segments)-1]
	if last.log.Size() >= q.max/segmentsPerQueue {
		if err := q.openSegment(q.next); err != nil {
			return err
		}
	}
	for len(q.segments) > 1 && q.size() > q.max {
		q.dropped += uint64(len(q.segments[0].items))
		if err := q.removeFirst(); err != nil {
			return err
		}
	}
	return nil
}

func (q *Queue[T]) size() (n int64) {
	for _, s := range q.segments {
		n += s.log.Size()
	}
	return n
}

func (q *Queue[T]) removeFirst() error {
	s := q.segments[0]
	q.segments = q.segments[1:]
	return errors.Join(os.Remove(s.log.path), s.log.Close())
}

// Peek returns up to n of the oldest items and leaves them where they are. One
// that can no longer be read is dropped.
func (q *Queue[T]) Peek(n int) []Item[T] {
	q.mu.Lock()
	defer q.mu.Unlock()
	var items []Item[T]
	for _, s := range q.segments {
		s.items = slices.DeleteFunc(s.items, func(at slot) bool {
			if len(items) == n {
				return false
			}
			r, err := s.log.read(at.at)
			if err != nil || r.Item == nil {
				q.log.Warn("a queued item cannot be read and is dropped", "dir", q.dir, "err", err)
				q.dropped++
				return true
			}
			items = append(items, Item[T]{at.seq, *r.Item})
			return false
		})
	}
	for _, u := range q.unsaved {
		if len(items) == n {
			break
		}
		if r, err := decode[record[T]](u.line); err == nil {
			items = append(items, Item[T]{u.seq, *r.Item})
		}
	}
	return items
}

// Ack takes all items up to and including seq out of the queue. After an error
// they are out of it until a restart.
func (q *Queue[T]) Ack(seq uint64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if seq <= q.acked {
		return nil
	}
	q.acked = min(seq, q.next-1)
	q.forget(q.acked)
	// Before anything is written, so that a full disk gets room.
	for len(q.segments) > 1 && len(q.segments[0].items) == 0 {
		if err := q.removeFirst(); err != nil {
			return err
		}
	}
	last := q.segments[len(q.segments)-1]
	if err := last.log.Append(record[T]{Ack: q.acked}); err != nil {
		return err
	}
	return q.bound()
}

// forget removes the items up to seq from memory.
func (q *Queue[T]) forget(seq uint64) {
	for _, s := range q.segments {
		s.items = slices.DeleteFunc(s.items, func(at slot) bool { return at.seq <= seq })
	}
	q.unsaved = slices.DeleteFunc(q.unsaved, func(u unsaved) bool { return u.seq <= seq })
}

// Added has a value after items were appended, and after an open that found some.
func (q *Queue[T]) Added() <-chan struct{} { return q.added }

// Len is the number of items.
func (q *Queue[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := len(q.unsaved)
	for _, s := range q.segments {
		n += len(s.items)
	}
	return n
}

// Dropped is the number of items lost to the bounds since the queue was opened.
func (q *Queue[T]) Dropped() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

// Close closes the files.
func (q *Queue[T]) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	var err error
	for _, s := range q.segments {
		err = errors.Join(err, s.log.Close())
	}
	return err
}
