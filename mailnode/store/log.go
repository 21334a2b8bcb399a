package store

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// kind says in a log entry what was changed.
type kind byte

const (
	created kind = iota + 1
	delivered
	expunged
	flagged
	copied
	mailboxes // their names, uses, rights, annotations, subscriptions
	accounts  // made or deleted
	updated   // by another room
	digested
	migrated // from an older format; what was before cannot be replayed
	repaired
)

const (
	// logKeep is how many log entries are kept, at most logBytes of them.
	logKeep  = 1 << 18
	logBytes = 256 << 20
	// logStride is the grain in which log entries are dropped.
	logStride = 64
	// entryHead is the length of the fixed part of a log entry: form, kind, time,
	// bytes of all entries up to and with this one.
	entryHead = 1 + 1 + 8 + 8
)

// history is what is known of the log without reading it. It is guarded by Store.mu.
type history struct {
	seq   uint64 // number of the last entry
	first uint64 // number of the oldest entry kept
	gone  uint64 // bytes of all entries before first
	total uint64 // bytes of all entries ever written
	keep  uint64 // how many are kept
	cuts  []cut  // where the log may be cut, after first
}

// cut is an entry and the bytes of all before it.
type cut struct{ seq, before uint64 }

// note takes up an entry of a size, the next one.
func (h *history) note(seq, size uint64) {
	if h.first == 0 {
		h.first = seq
	}
	if seq%logStride == 0 {
		h.cuts = append(h.cuts, cut{seq, h.total})
	}
	h.total += size
	h.seq = seq
}

// trim forgets the oldest entries when there are well over as many as are kept.
func (h *history) trim() {
	if h.seq-h.first < h.keep+h.keep/8 && h.total-h.gone < logBytes+logBytes/8 {
		return
	}
	for len(h.cuts) > 0 && (h.seq-h.cuts[0].seq >= h.keep || h.total-h.cuts[0].before >= logBytes) {
		h.first, h.gone = h.cuts[0].seq, h.cuts[0].before
		h.cuts = h.cuts[1:]
	}
}

// appendLog ends a change with its log entry, which carries all its writes but the
// chunks of new bodies, and once in a while drops the oldest entries.
func (s *Store) appendLog(k kind, tx *Tx) error {
	h := &s.history
	if first := h.first; first > 0 {
		if h.trim(); h.first > first {
			if err := tx.b.DeleteRange(logKey(first), logKey(h.first), nil); err != nil {
				return err
			}
		}
	}
	seq := h.seq + 1
	e := entry{kind: k, time: tx.at.UnixNano(), bodies: tx.staged, ops: tx.b.Repr()[tx.mark:], count: tx.b.Count() - tx.chunks}
	e.total = h.total + uint64(e.size())
	h.note(seq, uint64(e.size()))
	key := logKey(seq)
	op := tx.b.SetDeferred(len(key), e.size())
	// Making room may have moved the writes: they are looked up again.
	e.ops = tx.b.Repr()[tx.mark : tx.mark+len(e.ops)]
	copy(op.Key, key)
	e.encode(op.Value)
	return op.Finish()
}

// entry is a log entry.
type entry struct {
	kind   kind
	time   int64  // nanoseconds since 1970
	total  uint64 // bytes of all entries up to and with this one
	bodies []chunked
	count  uint32 // writes in ops
	ops    []byte // writes in the form of Pebble's batches
}

// chunked is a body whose chunks are part of a change.
type chunked struct {
	id     BodyID
	chunks uint32
}

var errEntry = errors.New("store: a log entry is damaged or of another form")

func (e *entry) size() int { return entryHead + 4 + len(e.bodies)*20 + 4 + len(e.ops) + 4 }

func (e *entry) encode(b []byte) {
	b = append(b[:0], recordVersion, byte(e.kind))
	b = binary.BigEndian.AppendUint64(b, uint64(e.time))
	b = binary.BigEndian.AppendUint64(b, e.total)
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.bodies)))
	for _, body := range e.bodies {
		b = append(b, body.id[:]...)
		b = binary.BigEndian.AppendUint32(b, body.chunks)
	}
	b = binary.BigEndian.AppendUint32(b, e.count)
	b = append(b, e.ops...)
	binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeEntry(b []byte) (entry, error) {
	be := binary.BigEndian
	if len(b) < entryHead+12 || b[0] != recordVersion {
		return entry{}, errEntry
	}
	b, sum := b[:len(b)-4], be.Uint32(b[len(b)-4:])
	if crc32.Checksum(b, castagnoli) != sum {
		return entry{}, errEntry
	}
	e := entry{kind: kind(b[1]), time: int64(be.Uint64(b[2:])), total: be.Uint64(b[10:])}
	n := be.Uint32(b[18:])
	b = b[22:]
	if uint64(len(b)) < uint64(n)*20+4 {
		return entry{}, errEntry
	}
	for range n {
		e.bodies = append(e.bodies, chunked{BodyID(b[:16]), be.Uint32(b[16:])})
		b = b[20:]
	}
	e.count, e.ops = be.Uint32(b), slices.Clone(b[4:])
	return e, nil
}

// totalOf is the running total in a log entry; entries of format 1 have none.
func totalOf(v []byte) uint64 {
	if len(v) < entryHead || v[0] != recordVersion {
		return 0
	}
	return binary.BigEndian.Uint64(v[10:])
}

// batchHead is the length of the head of Pebble's batches: sequence number, count.
const batchHead = 12

// replay makes the change of log entry seq in another database that has all changes
// before it. chunk gets a chunk of a body from where the entry came from; one that is
// not there any more is nil: a later entry removes it.
func replay(db *pebble.DB, seq uint64, value []byte, chunk func(key []byte) ([]byte, error)) (err error) {
	e, err := decodeEntry(value)
	if err != nil {
		return err
	}
	b := db.NewBatch()
	defer func() { err = errors.Join(err, b.Close()) }()
	repr := make([]byte, batchHead, batchHead+len(e.ops))
	binary.LittleEndian.PutUint32(repr[8:], e.count)
	if err := b.SetRepr(append(repr, e.ops...)); err != nil {
		return err
	}
	for _, body := range e.bodies {
		for n := range int(body.chunks) {
			key := chunkKey(body.id, n)
			v, err := chunk(key)
			if err != nil {
				return err
			}
			if v == nil {
				continue
			}
			if err := b.Set(key, v, nil); err != nil {
				return err
			}
		}
	}
	if err := b.Set(logKey(seq), value, nil); err != nil {
		return err
	}
	return db.Apply(b, pebble.Sync)
}
