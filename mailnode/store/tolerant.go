package store

import (
	"bytes"
	"context"
	"slices"

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
		if !ok && t.it.Error() != nil {
			return nil // damaged to its end
		}
	}
}

// skip finds, behind a key, the first that can be read again.
func (t *tolerant) skip(key []byte) bool {
	bits := min(8*len(key), 63)
	for n := range bits {
		ok := t.it.SeekGE(plus(key, 1<<n))
		if ok || t.it.Error() == nil {
			return t.nearest(key, 1<<n/2, 1<<n)
		}
	}
	return false
}

// nearest narrows down how far behind key it can be read again: more than low, at
// most high.
func (t *tolerant) nearest(key []byte, low, high uint64) bool {
	for high-low > 1 {
		mid := low + (high-low)/2
		if t.it.SeekGE(plus(key, mid)) || t.it.Error() == nil {
			high = mid
		} else {
			low = mid
		}
	}
	return t.it.SeekGE(plus(key, high))
}

// plus adds n to a key taken as a number.
func plus(key []byte, n uint64) []byte {
	sum := slices.Clone(key)
	for i := len(sum) - 1; i >= 0 && n > 0; i-- {
		n += uint64(sum[i])
		sum[i] = byte(n)
		n >>= 8
	}
	if n > 0 {
		return bytes.Repeat([]byte{0xff}, len(key)+1)
	}
	return sum
}
