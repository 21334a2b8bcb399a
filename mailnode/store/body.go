package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2"
)

// bodies keeps the bytes of messages. A body may belong to several messages; it
// stays as long as one, or a table, refers to it.
type bodies interface {
	// put adds a body of exactly size bytes to b.
	put(b *pebble.Batch, id BodyID, r io.Reader, size int64) (written, error)
	// drop removes a body.
	drop(b *pebble.Batch, id BodyID, size int64) error
	// section reads n bytes from an offset on.
	section(id BodyID, size, offset, n int64) *bodyReader
}

// BodyID names a body in the store. Ids grow with time, so that bodies lie in the
// database in the order they came, and are not sorted again and again.
type BodyID = ObjectID

// written is what was learnt while a body was read in.
type written struct {
	id     BodyID
	size   int64
	sum    [sha256.Size]byte
	chunks [][]byte // in the batch's memory
}

const (
	// chunkSize is how much of a body stands under one key, and so how much memory a
	// reader of a body holds.
	chunkSize = 64 << 10
	// sealSize is the length of the checksum at a chunk's end. A chunk of a store that
	// had format 1 has none.
	sealSize = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batchBodies keeps bodies in the database, written in the same batch as the
// messages that have them.
type batchBodies struct{ db *pebble.DB }

func (s batchBodies) put(b *pebble.Batch, id BodyID, r io.Reader, size int64) (written, error) {
	made := written{id: id, size: size}
	sum := sha256.New()
	for n := 0; size > 0; n++ {
		part := int(min(size, chunkSize))
		key := chunkKey(id, n)
		op := b.SetDeferred(len(key), part+sealSize)
		copy(op.Key, key)
		chunk := op.Value[:part]
		if _, err := io.ReadFull(r, chunk); err != nil {
			return made, fmt.Errorf("store: reading the message: %w", err)
		}
		binary.BigEndian.PutUint32(op.Value[part:], crc32.Checksum(chunk, castagnoli))
		_, _ = sum.Write(chunk) // it never fails
		made.chunks = append(made.chunks, chunk)
		if err := op.Finish(); err != nil {
			return made, err
		}
		size -= int64(part)
	}
	sum.Sum(made.sum[:0])
	return made, nil
}

func (s batchBodies) drop(b *pebble.Batch, id BodyID, size int64) error {
	for n := range chunks(size) {
		if err := b.Delete(chunkKey(id, n), nil); err != nil {
			return err
		}
	}
	return nil
}

func (s batchBodies) section(id BodyID, size, offset, n int64) *bodyReader {
	offset = min(max(offset, 0), size)
	return &bodyReader{db: s.db, body: id, size: size, at: offset, end: offset + min(max(n, 0), size-offset)}
}

func chunks(size int64) int { return int((size + chunkSize - 1) / chunkSize) }

// chunksReader reads a body that is still in memory.
type chunksReader [][]byte

// ReadAt implements io.ReaderAt.
func (c chunksReader) ReadAt(p []byte, offset int64) (n int, err error) {
	for n < len(p) {
		i := (offset + int64(n)) / chunkSize
		if i >= int64(len(c)) {
			return n, io.EOF
		}
		rest := (offset + int64(n)) % chunkSize
		if rest >= int64(len(c[i])) {
			return n, io.EOF
		}
		n += copy(p[n:], c[i][rest:])
	}
	return n, nil
}

// bodyReader reads a part of a body chunk by chunk. Between two reads it holds no part
// of the database, only its own copy of one chunk: a slow reader costs no more.
type bodyReader struct {
	db      *pebble.DB
	body    BodyID
	size    int64  // of the body
	at, end int64  // what is not yet loaded
	buf     []byte // room for a chunk
	rest    []byte // what is loaded and not yet read
}

// Read implements io.Reader.
func (r *bodyReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if r.at == r.end {
			return 0, io.EOF
		}
		if err := r.load(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// WriteTo implements io.WriterTo, without a buffer of the caller's.
func (r *bodyReader) WriteTo(w io.Writer) (total int64, err error) {
	for {
		if len(r.rest) > 0 {
			n, err := w.Write(r.rest)
			r.rest = r.rest[n:]
			total += int64(n)
			if err != nil {
				return total, err
			}
		}
		if r.at == r.end {
			return total, nil
		}
		if err := r.load(); err != nil {
			return total, err
		}
	}
}

// load gets the chunk in which at stands.
func (r *bodyReader) load() error {
	n := int(r.at / chunkSize)
	v, closer, err := r.db.Get(chunkKey(r.body, n))
	if errors.Is(err, pebble.ErrNotFound) {
		return ErrDamaged
	}
	if err != nil {
		return err
	}
	start := int64(n) * chunkSize
	chunk, err := unseal(v, int(min(chunkSize, r.size-start)))
	if err == nil {
		r.buf = append(r.buf[:0], chunk[r.at-start:min(int64(len(chunk)), r.end-start)]...)
	}
	if err := errors.Join(err, closer.Close()); err != nil {
		return err
	}
	r.rest = r.buf
	r.at += int64(len(r.buf))
	return nil
}

// unseal checks a stored chunk of a known length and takes its checksum off.
func unseal(v []byte, size int) ([]byte, error) {
	switch {
	case len(v) == size:
		return v, nil
	case size >= 0 && len(v) == size+sealSize:
		if binary.BigEndian.Uint32(v[size:]) != crc32.Checksum(v[:size], castagnoli) {
			return nil, ErrDamaged
		}
		return v[:size], nil
	default:
		return nil, ErrDamaged
	}
}

// holding is the record of a body: who it is and how many have it.
type holding struct {
	sum  [sha256.Size]byte
	size int64
	refs uint64
}

func (h holding) encode() []byte {
	b := append([]byte{recordVersion}, h.sum[:]...)
	b = binary.AppendUvarint(b, uint64(h.size))
	return binary.AppendUvarint(b, h.refs)
}

func decodeHolding(b []byte) (holding, error) {
	if len(b) < 1+sha256.Size || b[0] != recordVersion {
		return holding{}, errRecord
	}
	r := fields{b: b[1+sha256.Size:]}
	h := holding{sum: [sha256.Size]byte(b[1:]), size: int64(r.uvarint()), refs: r.uvarint()}
	if r.bad {
		return holding{}, errRecord
	}
	return h, nil
}

// Staged is a body that was read in and is not yet in the database. It must be closed.
type Staged struct {
	written
	digest Digest
	b      *pebble.Batch // its chunks
	known  BodyID        // an equal body that was there
	give   func()        // gives the budget back
}

// Stage reads a body. Nobody stages a second one before the first is closed.
func (s *Store) Stage(ctx context.Context, r io.Reader, size int64) (*Staged, error) {
	give, err := s.take(ctx, size)
	if err != nil {
		return nil, err
	}
	staged, err := s.stage(r, size)
	if err != nil {
		give()
		return nil, err
	}
	staged.give = give
	return staged, nil
}

// Close gives a body up, or what is left of it in memory when it was used.
func (b *Staged) Close() {
	if b.b != nil {
		_ = b.b.Close() // an uncommitted batch only has memory to give back
		b.b = nil
	}
	if b.give != nil {
		b.give()
		b.give = nil
	}
}

// take waits until size bytes may be held in memory, and says how to give them back.
func (s *Store) take(ctx context.Context, size int64) (give func(), err error) {
	if err := s.Room(size); err != nil {
		return nil, err
	}
	weight := min(max(size, 1), batchBudget)
	if err := s.budget.Acquire(ctx, weight); err != nil {
		return nil, err
	}
	return func() { s.budget.Release(weight) }, nil
}

func (s *Store) stage(r io.Reader, size int64) (*Staged, error) {
	id, err := newObjectID()
	if err != nil {
		return nil, err
	}
	// Room for the rows of a message too, lest the bytes be moved.
	b := s.db.NewBatchWithSize(int(size) + chunks(size)*keySize + 4096)
	staged := &Staged{b: b}
	if staged.written, err = s.bodies.put(b, id, r, size); err != nil {
		staged.Close()
		return nil, err
	}
	if s.digest != nil {
		section := io.NewSectionReader(chunksReader(staged.chunks), 0, size)
		if staged.digest, err = s.digest(section); err != nil {
			staged.Close()
			return nil, fmt.Errorf("store: looking into the message: %w", err)
		}
	}
	if staged.known, err = s.equalBody(staged.sum, size); err != nil {
		staged.Close()
		return nil, err
	}
	return staged, nil
}

// equalBody finds a body by its hash; the zero id when there is none.
func (s *Store) equalBody(sum [sha256.Size]byte, size int64) (id BodyID, err error) {
	if size == 0 {
		return BodyID{}, nil
	}
	key := sumKey(sum)
	if s.absent.sure(key) {
		return BodyID{}, nil
	}
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return BodyID{}, nil
	}
	if err != nil {
		return BodyID{}, err
	}
	if len(v) == len(id) {
		id = BodyID(bytes.Clone(v))
	}
	return id, closer.Close()
}
