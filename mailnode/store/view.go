package store

import (
	"iter"
	"slices"
	"sort"
)

// viewChunk is how many messages of a View stand together.
const viewChunk = 512

// View is a mailbox at one moment. It never changes and may be kept and used by many.
// Messages stand in the order of their UIDs and are numbered from 0.
//
// Views of a mailbox share what did not change between them. The last chunk, tail, may
// have more elements behind its end: they belong to later views.
type View struct {
	Mailbox Mailbox

	age    uint64   // how many changes made it
	chunks [][]Item // none is empty
	starts []int    // number of the first message of each
	tail   []Item   // what follows them
	start  int      // number of its first message
}

// Len is the number of messages.
func (v *View) Len() int { return v.start + len(v.tail) }

// At returns message i. It is not to be changed.
func (v *View) At(i int) *Item {
	if i >= v.start {
		return &v.tail[i-v.start]
	}
	c := i / viewChunk // right as long as nothing was expunged
	if c >= len(v.starts) || v.starts[c] > i || i-v.starts[c] >= len(v.chunks[c]) {
		c = sort.SearchInts(v.starts, i+1) - 1
	}
	return &v.chunks[c][i-v.starts[c]]
}

// Search returns the number of the first message whose UID is at least uid, and
// whether it is that one.
func (v *View) Search(uid uint32) (i int, found bool) {
	items, start := v.tail, v.start
	if len(v.tail) == 0 || uid < v.tail[0].UID {
		c := sort.Search(len(v.chunks), func(c int) bool { return v.chunks[c][len(v.chunks[c])-1].UID >= uid })
		if c < len(v.chunks) {
			items, start = v.chunks[c], v.starts[c]
		}
	}
	n, found := slices.BinarySearchFunc(items, uid, func(i Item, uid uint32) int { return int(int64(i.UID) - int64(uid)) })
	return start + n, found
}

// All goes through the messages.
func (v *View) All() iter.Seq2[int, *Item] {
	return func(yield func(int, *Item) bool) {
		n := 0
		for c := range len(v.chunks) + 1 {
			items := v.chunk(c)
			for i := range items {
				if !yield(n, &items[i]) {
					return
				}
				n++
			}
		}
	}
}

// chunk is chunk c, of which the last is the tail.
func (v *View) chunk(c int) []Item {
	switch {
	case c < len(v.chunks):
		return v.chunks[c]
	case c == len(v.chunks):
		return v.tail
	default:
		return nil
	}
}

// Difference is what happened between two views. UIDs are in ascending order.
type Difference struct{ Gone, Come, Changed []uint32 }

// Since tells what happened since an earlier view of the same mailbox: UIDs of
// messages that have gone and come, and of those in both whose flags changed.
func (v *View) Since(old *View) Difference {
	var d Difference
	was, is := cursor{v: old}, cursor{v: v}
	for {
		a, b := was.get(), is.get()
		switch {
		case len(a) == 0 && len(b) == 0:
			return d
		case len(b) == 0 || len(a) > 0 && a[0].UID < b[0].UID:
			d.Gone = append(d.Gone, a[0].UID)
			was.skip(1)
		case len(a) == 0 || b[0].UID < a[0].UID:
			d.Come = append(d.Come, b[0].UID)
			is.skip(1)
		case &a[0] == &b[0]: // the same memory
			n := min(len(a), len(b))
			was.skip(n)
			is.skip(n)
		default:
			if a[0].ModSeq != b[0].ModSeq {
				d.Changed = append(d.Changed, b[0].UID)
			}
			was.skip(1)
			is.skip(1)
		}
	}
}

// cursor goes through a view.
type cursor struct {
	v    *View
	c, i int
}

// get returns the messages from here to the end of their chunk, none at the end of all.
func (c *cursor) get() []Item {
	for c.c <= len(c.v.chunks) {
		if items := c.v.chunk(c.c)[c.i:]; len(items) > 0 {
			return items
		}
		c.c, c.i = c.c+1, 0
	}
	return nil
}

func (c *cursor) skip(n int) { c.i += n }

// delta is what a change does to the messages of a mailbox.
type delta struct {
	added   []Item   // with UIDs above all others
	changed []Item   // in ascending order
	gone    []uint32 // in ascending order
}

// alter is the view after a change. Only the newest view of a mailbox is altered.
func (v *View) alter(m Mailbox, d delta) *View {
	next := *v
	next.Mailbox = m
	next.age++
	if len(d.changed) > 0 || len(d.gone) > 0 {
		next.rewrite(d)
	}
	for _, item := range d.added {
		next.add(item)
	}
	return &next
}

// add appends a message. What lies behind the end of the slices is the newest view's.
func (v *View) add(i Item) {
	if len(v.tail) == viewChunk {
		v.chunks = append(v.chunks, v.tail)
		v.starts = append(v.starts, v.start)
		v.start += len(v.tail)
		v.tail = nil
	}
	v.tail = append(v.tail, i)
}

// rewrite replaces the chunks in which messages changed or went.
func (v *View) rewrite(d delta) {
	old := *v
	v.chunks = make([][]Item, 0, cap(old.chunks))
	v.starts = make([]int, 0, cap(old.chunks))
	v.start = 0
	for c := range len(old.chunks) + 1 {
		items := old.chunk(c)
		if len(items) > 0 {
			items = d.within(items)
		}
		if c == len(old.chunks) {
			v.tail = items
			break
		}
		if len(items) > 0 {
			v.chunks = append(v.chunks, items)
			v.starts = append(v.starts, v.start)
			v.start += len(items)
		}
	}
	if len(v.chunks) > 2*v.start/viewChunk+8 {
		v.pack()
	}
}

// within returns a chunk as it is after the change: itself when nothing in it
// changed.
func (d *delta) within(items []Item) []Item {
	last := items[len(items)-1].UID
	changed, gone := take(&d.changed, last, func(i Item) uint32 { return i.UID }), take(&d.gone, last, func(uid uint32) uint32 { return uid })
	if len(changed) == 0 && len(gone) == 0 {
		return items
	}
	next := make([]Item, 0, max(len(items), cap(items)))
	for _, i := range items {
		if len(gone) > 0 && gone[0] == i.UID {
			gone = gone[1:]
			continue
		}
		if len(changed) > 0 && changed[0].UID == i.UID {
			i = changed[0]
			changed = changed[1:]
		}
		next = append(next, i)
	}
	return next
}

// take cuts the elements with UIDs up to last off a list.
func take[T any](list *[]T, last uint32, uid func(T) uint32) []T {
	n := sort.Search(len(*list), func(i int) bool { return uid((*list)[i]) > last })
	head := (*list)[:n]
	*list = (*list)[n:]
	return head
}

// pack makes full chunks of what many removals have left.
func (v *View) pack() {
	packed := View{Mailbox: v.Mailbox, age: v.age}
	for _, i := range v.All() {
		packed.add(*i)
	}
	*v = packed
}
