package store

import (
	"bytes"
	"context"
	"math/big"

	"github.com/cockroachdb/pebble/v2"
)

// tolerant goes through keys, and past those in blocks that Pebble finds damaged.
type tolerant struct{ it *pebble.Iterator }

// each calls f for each key that can be read and lost for each stretch that cannot,
// which lies between the keys from and to (both excluded; nil at the ends).
func (t *tolerant) each(ctx context.Context, f func(key, value []byte) error, lost func(from, to []byte, cause error)) error {
	var last []byte
	ok := t.it.First()
	for n := 0; ; n++ {
		for ; ok; ok = t.it.Next() {
			value, err := t.it.ValueAndErr()
			if err != nil {
				if !pebble.IsCorruptionError(err) {
					return err
				}
				key := bytes.Clone(t.it.Key())
				lost(last, append(bytes.Clone(key), 0), err)
				last = key
				continue
			}
			last = append(last[:0], t.it.Key()...)
			if err := f(t.it.Key(), value); err != nil {
				return err
			}
			if n++; n%1024 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
		}
		cause := t.it.Error()
		if cause == nil || !pebble.IsCorruptionError(cause) {
			return cause
		}
		if last == nil {
			lost(nil, nil, cause)
			return nil
		}
		ok = t.skip(last)
		var to []byte
		if ok {
			to = bytes.Clone(t.it.Key())
		}
		lost(last, to, cause)
		if damaged := !ok && t.it.Error() != nil; damaged { // to its end
			return nil
		}
	}
}

// skip finds, behind a key, the first that can be read again: keys taken as numbers, it
// doubles the distance until something can be read, and then halves what lies between.
func (t *tolerant) skip(key []byte) bool {
	last := new(big.Int).SetBytes(key)
	var low, high *big.Int // distances: too near, far enough
	for n := range uint(8 * len(key)) {
		far := new(big.Int).Lsh(one, n)
		if t.readable(last, far, len(key)) {
			low, high = new(big.Int).Rsh(far, 1), far
			break
		}
	}
	if high == nil {
		return false
	}
	for {
		mid := new(big.Int).Add(low, high)
		if mid.Rsh(mid, 1); mid.Cmp(low) == 0 {
			break
		}
		if t.readable(last, mid, len(key)) {
			high = mid
		} else {
			low = mid
		}
	}
	return t.readable(last, high, len(key)) && t.it.Valid()
}

var one = big.NewInt(1)

// readable goes to the first key at a distance from last, a number of size bytes, or
// behind it, and tells whether it could: also when there is none.
func (t *tolerant) readable(last, distance *big.Int, size int) bool {
	sum := new(big.Int).Add(last, distance)
	if sum.BitLen() > 8*size {
		return !t.it.SeekGE(bytes.Repeat([]byte{0xff}, size+1)) && t.it.Error() == nil
	}
	return t.it.SeekGE(sum.FillBytes(make([]byte, size))) || t.it.Error() == nil
}
