package search

import (
	"context"
	"encoding/binary"
	"slices"
)

// head is what there is of a mailbox's index: its segments in the order of their UIDs.
type head struct{ segments []segment }

// segment is one of a head's.
type segment struct {
	id            uint32 // never used again in the mailbox
	first, last   uint32 // UIDs of its first and last message; all between that were there are in it
	docs, entries uint32
	blocks        uint32
	bytes         uint64
	texts         uint32 // the textVersion of its entries
}

// old reports whether the texts of a segment were taken in another way than now.
func (s *segment) old() bool { return s.texts != textVersion }

// through is the UID up to which messages are in the index.
func (h *head) through() uint32 {
	if len(h.segments) == 0 {
		return 0
	}
	return h.segments[len(h.segments)-1].last
}

func (h *head) encode() []byte {
	b := []byte{headVersion}
	for _, s := range h.segments {
		for _, n := range []uint32{s.id, s.first, s.last, s.docs, s.entries, s.blocks} {
			b = binary.AppendUvarint(b, uint64(n))
		}
		b = binary.AppendUvarint(b, s.bytes)
		b = binary.AppendUvarint(b, uint64(s.texts))
	}
	return b
}

func decodeHead(b []byte) (h head, err error) {
	if b == nil {
		return h, nil
	}
	if len(b) == 0 || b[0] == 0 || b[0] > headVersion {
		return h, errDamaged
	}
	d := decoder{b: b[1:]}
	for len(d.b) > 0 && !d.bad {
		s := segment{id: d.uint32(), first: d.uint32(), last: d.uint32(), docs: d.uint32(), entries: d.uint32(), blocks: d.uint32(), bytes: d.uint(), texts: 1}
		if b[0] > 1 {
			s.texts = d.uint32()
		}
		if s.docs > maxDocs || s.first > s.last || s.first <= h.through() {
			return head{}, errDamaged
		}
		h.segments = append(h.segments, s)
	}
	if d.bad {
		return head{}, errDamaged
	}
	return h, nil
}

func (m *meta) encode() []byte {
	b := []byte{segmentVersion}
	b = binary.AppendUvarint(b, uint64(len(m.uids)))
	last := uint32(0)
	for _, uid := range m.uids {
		b = binary.AppendUvarint(b, uint64(uid-last))
		last = uid
	}
	b = binary.AppendUvarint(b, uint64(len(m.whole)))
	for _, doc := range m.whole {
		b = binary.AppendUvarint(b, uint64(doc))
	}
	for _, i := range m.blocks {
		b = append(b, byte(i.field), byte(i.kind))
		b = binary.AppendUvarint(b, uint64(len(i.first)))
		b = append(b, i.first...)
	}
	return b
}

func decodeMeta(b []byte) (m meta, err error) {
	if len(b) == 0 || b[0] != segmentVersion {
		return m, errDamaged
	}
	d := decoder{b: b[1:]}
	n := d.uint()
	if n > maxDocs {
		return m, errDamaged
	}
	m.uids = make([]uint32, n)
	last := uint32(0)
	for i := range m.uids {
		last += d.uint32()
		m.uids[i] = last
	}
	whole := d.uint()
	for i := uint64(0); i < whole && !d.bad; i++ {
		doc := d.uint()
		if doc >= n {
			return m, errDamaged
		}
		m.whole = append(m.whole, uint16(doc))
	}
	for len(d.b) > 0 && !d.bad {
		k := d.take(2)
		first := d.take(d.uint())
		if !d.bad {
			m.blocks = append(m.blocks, blockInfo{field(k[0]), kind(k[1]), first})
		}
	}
	if d.bad {
		return m, errDamaged
	}
	return m, nil
}

// decoder takes numbers off its bytes. After a bad one all are zero.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uint() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) uint32() uint32 {
	n := d.uint()
	if n > 1<<32-1 {
		d.bad, d.b = true, nil
	}
	return uint32(n)
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

// Keys.

func accountKey(account string) []byte { return append([]byte(account), 0) }

func mailboxKey(p Place) []byte {
	return binary.BigEndian.AppendUint32(accountKey(p.Account), p.Mailbox)
}

func headKey(p Place) []byte { return append(mailboxKey(p), 'h') }

func blockKey(p Place, segment, block uint32) []byte {
	k := binary.BigEndian.AppendUint32(append(mailboxKey(p), 's'), segment)
	return binary.BigEndian.AppendUint32(k, block)
}

// after is the first key that does not begin with prefix.
func after(prefix []byte) []byte {
	end := slices.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// head reads a mailbox's head.
func (x *Index) head(ctx context.Context, p Place) (head, error) {
	b, err := x.rows.Get(ctx, headKey(p))
	if err != nil {
		return head{}, err
	}
	return decodeHead(b)
}

// meta reads a segment's meta.
func (x *Index) meta(ctx context.Context, p Place, id uint32) (meta, error) {
	b, err := x.rows.Get(ctx, blockKey(p, id, 0))
	if err != nil {
		return meta{}, err
	}
	return decodeMeta(b)
}

// blocks goes through blocks of a segment. That all are there matters: one that is
// missing would hide messages.
func (x *Index) blocks(ctx context.Context, p Place, id uint32, from, to int, each func(block) error) error {
	if from >= to {
		return nil
	}
	n := 0
	for row, err := range x.rows.Scan(ctx, blockKey(p, id, uint32(from)), blockKey(p, id, uint32(to))) {
		if err != nil {
			return err
		}
		b, err := readBlock(row.Value)
		if err != nil {
			return err
		}
		if err := each(b); err != nil {
			return err
		}
		n++
	}
	if n != to-from {
		return errDamaged
	}
	return nil
}
