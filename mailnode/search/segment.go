package search

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"iter"
	"maps"
	"slices"
)

const (
	// newDocs is how many messages a new segment has. Fewer are not worth one: it takes
	// less time to look at them.
	newDocs = 256
	// maxDocs is how many messages a segment has at most.
	maxDocs = 4096
	// maxEntries is how many entries one message has at most. One with more is in
	// every answer.
	maxEntries = 1 << 16
	// blockSize is how large a block is made.
	blockSize = 16 << 10
)

// headVersion and segmentVersion open head and meta rows, so that another form can be told
// apart. An index of a form that is not known is dropped and made anew. A head of form 1
// does not say how texts were taken: as textVersion 1 is.
const (
	headVersion    = 2
	segmentVersion = 1
)

// textVersion is how the texts of messages are taken. A segment whose texts were taken in
// another way says "maybe" of all its messages until it is made anew (see renew): what it
// has may not be what a search looks for. It grows when message finds more in a message
// than before, or folds otherwise.
//
//	1  without what lies beyond the limits of depth and parts
//	2  with it
const textVersion = 2

var errDamaged = errors.New("search: the index is damaged or of another form")

// builder gathers the entries of a segment. Documents are numbered from 0.
type builder struct {
	uids    []uint32
	whole   []uint16       // documents with too many entries
	number  map[string]int // field, kind, text → number of an entry
	entries [][]uint16     // documents of each entry, ascending
	key     []byte
}

func newBuilder() *builder { return &builder{number: map[string]int{}} }

// begin adds a document.
func (b *builder) begin(uid uint32) (doc uint16) {
	b.uids = append(b.uids, uid)
	return uint16(len(b.uids) - 1)
}

// add notes that a document has an entry, and tells whether that was new. Documents
// come in order.
func (b *builder) add(doc uint16, f field, k kind, text []byte) bool {
	b.key = append(append(b.key[:0], byte(f), byte(k)), text...)
	i, ok := b.number[string(b.key)]
	if !ok {
		i = len(b.entries)
		b.number[string(b.key)] = i
		b.entries = append(b.entries, nil)
	}
	docs := b.entries[i]
	if len(docs) > 0 && docs[len(docs)-1] == doc {
		return false
	}
	b.entries[i] = append(docs, doc)
	return true
}

// finish makes the segment.
func (b *builder) finish() *writer {
	w := &writer{meta: meta{uids: b.uids, whole: b.whole}}
	for _, key := range slices.Sorted(maps.Keys(b.number)) {
		w.add([]byte(key), b.entries[b.number[key]])
	}
	w.flush()
	return w
}

// blockInfo is a directory's entry: the first text of a block.
type blockInfo struct {
	field field
	kind  kind
	first []byte
}

// meta is what a segment begins with.
type meta struct {
	uids   []uint32
	whole  []uint16
	blocks []blockInfo // of block 1, 2, …
}

// writer makes a segment of entries that come in their order.
type writer struct {
	meta    meta
	blocks  [][]byte
	entries int
	block   blockWriter
	info    blockInfo
}

// add adds an entry: field, kind and text, and its documents.
func (w *writer) add(key []byte, docs []uint16) {
	f, k, text := field(key[0]), kind(key[1]), key[2:]
	if w.block.n > 0 && (f != w.info.field || k != w.info.kind || w.block.size() >= blockSize) {
		w.flush()
	}
	if w.block.n == 0 {
		w.info = blockInfo{f, k, bytes.Clone(text)}
	}
	w.entries++
	w.block.add(text, encodeDocs(docs, len(w.meta.uids)))
}

// flush ends the block.
func (w *writer) flush() {
	if w.block.n > 0 {
		w.blocks = append(w.blocks, w.block.encode())
		w.meta.blocks = append(w.meta.blocks, w.info)
		w.block = blockWriter{}
	}
}

// blockWriter makes a block:
//
//	uvarint  number of texts
//	uvarint  bytes of the texts
//	texts, a zero byte before and after each
//	uvarint  bytes of the documents of each
//	documents of each
type blockWriter struct {
	n       int
	texts   []byte
	lengths []byte
	docs    []byte
}

func (w *blockWriter) size() int { return len(w.texts) + len(w.lengths) + len(w.docs) }

func (w *blockWriter) add(text, docs []byte) {
	if w.n == 0 {
		w.texts = append(w.texts, 0)
	}
	w.n++
	w.texts = append(append(w.texts, text...), 0)
	w.lengths = binary.AppendUvarint(w.lengths, uint64(len(docs)))
	w.docs = append(w.docs, docs...)
}

func (w *blockWriter) encode() []byte {
	out := binary.AppendUvarint(nil, uint64(w.n))
	out = binary.AppendUvarint(out, uint64(len(w.texts)))
	return slices.Concat(out, w.texts, w.lengths, w.docs)
}

// encodeDocs makes a list of documents: differences, or a bit for each of n when that
// is no longer.
func encodeDocs(docs []uint16, n int) []byte {
	bits := (n + 7) / 8
	out := make([]byte, 0, min(bits, 2*len(docs)))
	next := uint16(0)
	for _, d := range docs {
		out = binary.AppendUvarint(out, uint64(d-next))
		next = d + 1
		if len(out) >= bits {
			out = make([]byte, bits)
			for _, d := range docs {
				out[d/8] |= 1 << (d % 8)
			}
			return out
		}
	}
	return out
}

// docsOf goes through a list of documents of n.
func docsOf(b []byte, n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		if len(b) == (n+7)/8 {
			for i, bits := range b {
				for ; bits != 0; bits &= bits - 1 {
					if d := i*8 + trailing(bits); d >= n || !yield(d) {
						return
					}
				}
			}
			return
		}
		next := uint64(0)
		for len(b) > 0 {
			v, size := binary.Uvarint(b)
			if size <= 0 || v > uint64(n) {
				return
			}
			b = b[size:]
			if next += v; next >= uint64(n) || !yield(int(next)) {
				return
			}
			next++
		}
	}
}

// block is a block that is read.
type block struct {
	texts   []byte
	lengths []byte
	docs    []byte
}

func readBlock(b []byte) (block, error) {
	n, i := binary.Uvarint(b)
	if i <= 0 {
		return block{}, errDamaged
	}
	size, j := binary.Uvarint(b[i:])
	if j <= 0 || size > uint64(len(b)-i-j) {
		return block{}, errDamaged
	}
	b = b[i+j:]
	texts, rest := b[:size], b[size:]
	lengths := rest
	for range n {
		_, k := binary.Uvarint(rest)
		if k <= 0 {
			return block{}, errDamaged
		}
		rest = rest[k:]
	}
	return block{texts, lengths[:len(lengths)-len(rest)], rest}, nil
}

// find goes through the documents of the texts that a pattern is found in. A zero byte
// at the pattern's beginning or end stands for that of a text.
func (b block) find(pattern []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		lengths, docs := b.lengths, b.docs
		at := 0 // everything before is passed, in lengths and docs too
		for {
			i := bytes.Index(b.texts[at:], pattern)
			if i < 0 {
				return
			}
			inside := at + i
			if pattern[0] == 0 {
				inside++
			}
			for range bytes.Count(b.texts[at:inside], []byte{0}) - 1 {
				n, k := binary.Uvarint(lengths)
				if n > uint64(len(docs)) {
					return
				}
				lengths, docs = lengths[k:], docs[n:]
			}
			n, k := binary.Uvarint(lengths)
			if n > uint64(len(docs)) || !yield(docs[:n]) {
				return
			}
			lengths, docs = lengths[k:], docs[n:]
			end := bytes.IndexByte(b.texts[inside:], 0)
			if end < 0 {
				return
			}
			at = inside + end
		}
	}
}

// all goes through the texts and their documents.
func (b block) all() iter.Seq2[[]byte, []byte] {
	return func(yield func(text, docs []byte) bool) {
		lengths, docs := b.lengths, b.docs
		for text := range bytes.SplitSeq(bytes.Trim(b.texts, "\x00"), []byte{0}) {
			n, k := binary.Uvarint(lengths)
			if k <= 0 || n > uint64(len(docs)) || !yield(text, docs[:n]) {
				return
			}
			lengths, docs = lengths[k:], docs[n:]
		}
	}
}

// within are the numbers of the blocks, from (included) to (excluded), that have the
// entries of a field and kind which begin with prefix.
func (m *meta) within(f field, k kind, prefix []byte) (from, to int) {
	compare := func(b blockInfo, text []byte) int {
		return cmp.Or(cmp.Compare(b.field, f), cmp.Compare(b.kind, k), bytes.Compare(b.first, text))
	}
	first, exact := slices.BinarySearchFunc(m.blocks, prefix, compare)
	if !exact && first > 0 && m.blocks[first-1].field == f && m.blocks[first-1].kind == k {
		first--
	}
	last := first
	for last < len(m.blocks) && m.blocks[last].field == f && m.blocks[last].kind == k &&
		(last == first || bytes.HasPrefix(m.blocks[last].first, prefix) || bytes.Compare(m.blocks[last].first, prefix) < 0) {
		last++
	}
	return first + 1, last + 1
}
